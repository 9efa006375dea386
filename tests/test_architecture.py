"""The map is true: each file it names is there, and each package and each helper of the tests is in it.

The kind: a document of the tree that the tree has left behind.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
#: Where names in the map begin: written whole, or as its drawings shorten them.
_BEGINNINGS = ("", "kms_actors", "http/kms_http", "tests", "docs")


def drawings() -> list[str]:
    return re.findall(r"^```mermaid\n(.*?)^```$", MAP, re.MULTILINE | re.DOTALL)


def named_files(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w./-])((?:[\w-]+/)*\w+\.py)\b", text))


def exists(name: str) -> bool:
    if any((ROOT / beginning / name).is_file() for beginning in _BEGINNINGS):
        return True
    # Named after a file of the same room, in the same sentence.
    return "/" not in name and name in {path.name for path in ROOT.glob("kms_actors/**/*.py")}


def test_it_has_two_drawings_that_name_files_at_every_step() -> None:
    rooms, requests = drawings()
    assert rooms.startswith("flowchart")
    labels = re.findall(r'(?<!\()\["(.*?)"\]', requests)  # all but the sockets at both ends
    assert len(labels) >= 15
    assert [label for label in labels if not named_files(label)] == []


def test_every_file_that_it_names_is_there() -> None:
    names = named_files(MAP)
    assert len(names) > 50
    assert sorted(name for name in names if not exists(name)) == []


def test_every_folder_that_it_names_is_there() -> None:
    folders = re.findall(r"`((?:kms_actors|http|tests|compose|config|docs)/[\w/-]*)`", MAP)
    assert [name for name in folders if not (ROOT / name).is_dir()] == []


def packages() -> list[str]:
    found = [*ROOT.glob("kms_actors/**/__init__.py"), *ROOT.glob("http/kms_http/**/__init__.py")]
    return sorted(str(path.parent.relative_to(ROOT)) for path in found)


@pytest.mark.parametrize("package", packages())
def test_every_package_is_on_the_map(package: str) -> None:
    rows = [line.split("|")[1] for line in MAP.splitlines() if line.startswith("| `")]
    assert any(f"`{package}`" in row for row in rows)


def test_every_way_to_something_new_has_five_steps() -> None:
    recipes = re.split(r"^\*\*", MAP.partition("## Where something new belongs")[2], flags=re.MULTILINE)[1:]
    assert [recipe.partition("**")[0] for recipe in recipes] == [
        "An endpoint",
        "A message",
        "A type of key",
        "A metric",
        "A setting",
    ]
    for recipe in recipes:
        assert len(re.findall(r"^\d\. ", recipe, re.MULTILINE)) == 5


def test_the_page_on_tests_names_every_helper_and_no_other() -> None:
    text = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`support/(\w+\.py)`", text))
    assert named == {path.name for path in (ROOT / "tests/support").glob("*.py")}
    for name in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
        assert (ROOT / "tests" / name).is_file(), name
    for folder in re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE):
        assert (ROOT / "tests" / folder).is_dir(), folder


def test_the_page_on_tests_names_what_is_there_to_use() -> None:
    text = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    for name, listed in re.findall(r"`(\w+/\w+\.py)`: ((?:`\w+`(?:, )?)+)", text):
        source = (ROOT / "tests" / name).read_text(encoding="utf-8")
        for wanted in re.findall(r"`(\w+)`", listed):
            assert re.search(rf"^(?:def|class) {wanted}\b|^{wanted}\b", source, re.MULTILINE), (name, wanted)
