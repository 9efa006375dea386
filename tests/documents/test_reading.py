"""Commands of documents are found, those left out with their reasons, and what they print is compared."""

from __future__ import annotations

import pytest

from tests.support.documents import commands, missing_output

PAGE = """
First:

```
echo one
echo two
```

```output
one
…
tw…
```

*Not run by the tests: it needs
the moon.*

```
fly
```

In another terminal:

```sh
echo three
```

`a.py`:

```python
print()
```
"""


def test_shells_files_and_what_is_left_out() -> None:
    found = commands(PAGE, "p.md")
    assert found.shells == ["echo '--- p.md:4'\necho one\necho two\n", "echo '--- p.md:24'\necho three\n"]
    assert found.files == {"a.py": "print()\n"}
    assert found.left_out == ["it needs the moon"]
    assert list(found.outputs) == ["p.md:4"]


@pytest.mark.parametrize(
    ("printed", "missing"),
    [
        ("--- p.md:4\none\nother\ntwo\n", []),
        ("--- p.md:4\n  one \ntwenty\n--- p.md:24\n", []),
        ("--- p.md:4\ntwo\none\n", ["p.md:4: tw…"]),
        ("--- p.md:4\n--- p.md:24\none\ntwo\n", ["p.md:4: one", "p.md:4: tw…"]),
        ("", []),
    ],
)
def test_what_a_page_shows_is_compared_with_what_its_commands_printed(printed: str, missing: list[str]) -> None:
    assert missing_output(commands(PAGE, "p.md"), printed) == missing


def test_a_block_of_another_kind_has_to_say_which() -> None:
    with pytest.raises(AssertionError, match="neither commands nor"):
        commands("```ruby\nputs\n```\n", "p.md")
