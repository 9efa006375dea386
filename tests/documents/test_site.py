"""The site: what it is made of, and, where its generator is installed, the site itself.

The kinds: reference that is stale, a page that nobody finds, a site that fetches what it shows from elsewhere.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from docs.site import api, commands, metrics, plots
from docs.site.diagrams import FOLDER, diagrams, picture_of
from docs.site.markdown import escaped, links, table
from docs.site.navigation import REMAINING, sections, tables_of_contents
from docs.site.staging import ROOT, sources
from kms_http.api.routes import BACKENDS

_ALL = os.environ.get("KMS_TEST_DOCUMENTS") == "all"
_ABSENT = importlib.util.find_spec("sphinx") is None or importlib.util.find_spec("matplotlib") is None
_FETCHED = re.compile(
    r"""(?:<(?:script|img|iframe|source)[^>]+?src=|<link[^>]+?href=|url\(|@import )["']?(\w+:)?//[^"')\s]+"""
)
PERFORMANCE = (ROOT / "docs/performance.md").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation_once() -> None:
    pages = [place.removesuffix(".md") for place in sources()]
    found = sections([*pages, "api/index", "decisions/index", "commands/kms-cli", "commands/kms-layer"])
    listed = [page if isinstance(page, str) else page[0] for section in found for page in section.pages]
    assert len(listed) == len(set(listed))
    assert {page for page in pages if not page.startswith("decisions/")} - {"index"} <= set(listed)


def test_a_page_that_nobody_has_listed_is_found_all_the_same() -> None:
    found = {section.title: section.pages for section in sections(["index", "guide", "new", "tutorials/new"])}
    assert found == {"Start": (("guide", "Guide"),), "Tutorials": ("tutorials/new",), REMAINING: ("new",)}
    assert "Guide <guide>" in tables_of_contents(sections(["guide"]))


def test_the_api_has_every_path_and_field() -> None:
    pages = dict(api.pages())
    whole = api.document()
    text = "\n".join(page for name, page in pages.items() if name.endswith(".md"))
    assert {f"## `{path}`" for path in whole["paths"]} == set(re.findall(r"^## `/.*`$", text, re.MULTILINE))
    verbs = sum(len({"get", "post", "patch", "delete"} & item.keys()) for item in whole["paths"].values())
    assert len(re.findall(r"^\*\*(?:GET|LIST|POST|PATCH|DELETE)\*\* `", text, re.MULTILINE)) == verbs > 300
    assert "| `plaintext` | body | string |" in pages["api/transit.md"]
    assert "Needs: an operator of the scope" in pages["api/seal-and-health.md"]
    assert len(whole["paths"]) >= sum(len(backend.routes) for backend in BACKENDS) * 0.8


def test_the_commands_are_all_there_with_their_options() -> None:
    pages = dict(commands.pages())
    for name, program in commands.PROGRAMS.items():
        text = pages[f"commands/{name}.md"]
        for command, title in walked(program, name):
            assert re.search(rf"^##? {re.escape(title)}$", text, re.MULTILINE), title
            for option in command.params:
                if isinstance(option, click.Option) and not option.hidden:
                    assert option.opts[0] in text, f"{title} {option.opts[0]}"


def walked(command: click.Command, title: str) -> list[tuple[click.Command, str]]:
    context = click.Context(command)
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    below = [(name, command.get_command(context, name)) for name in names if isinstance(command, click.Group)]
    found = [each for name, one in below if one is not None for each in walked(one, f"{title} {name}")]
    return [(command, title), *found]


def test_the_page_of_metrics_has_all_of_them() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:counter|gauge|histogram) ", metrics.page(), re.MULTILINE)
    assert rows == sorted(rows)
    assert {"kms_requests_total", "kms_node_sealed", "process_open_fds"} <= set(rows)
    assert len(rows) > 30


def test_charts_are_of_the_tables_of_the_page() -> None:
    for chart in plots.charts(PERFORMANCE):
        assert len(chart.groups) >= 5, chart.name
        for values in chart.series.values():
            assert len(values) == len(chart.groups)
            assert all(value is None or value > 0 for value in values)
    stores = next(chart for chart in plots.charts(PERFORMANCE) if chart.name == "stores")
    assert set(stores.series) == {"SQLite", "FoundationDB"}


def test_a_table_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match=r"mend docs/site/plots\.py"):
        plots.charts(PERFORMANCE.replace("| our p99 |", "| p99 |"))


def test_every_diagram_has_its_picture_and_every_picture_its_diagram() -> None:
    wanted = {picture_of(diagram) for _, diagram in diagrams()}
    assert set(FOLDER.glob("*.svg")) == wanted, "draw them anew: see docs/site/diagrams/__init__.py"
    assert wanted


def test_markdown_is_made_and_changed() -> None:
    assert escaped("a <b> | `c|d` *e*") == r"a \<b\> \| `c\|d` \*e\*"
    assert table(("a",), [("b",)]) == "| a |\n| --- |\n| b |\n"
    text = "[a](b.md)\n```\n[a](b.md)\n```\n[c](d)"
    assert links(text, {"b.md": "x.md"}.get) == "[a](x.md)\n```\n[a](b.md)\n```\nc"


@pytest.fixture(scope="module")
def built() -> Path:
    """The site, as `make docs` makes it."""
    if _ABSENT:
        pytest.skip("the site is not built: its generator is absent (make docs brings it)")
    if not _ALL:
        pytest.skip("the site is built by make test-docs")
    done = subprocess.run([sys.executable, "-m", "docs.site"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "dist/site"


def test_the_site_has_every_page_and_finds_what_is_searched(built: Path) -> None:
    for place in sources():
        assert (built / place).with_suffix(".html").exists(), place
    index = (built / "searchindex.js").read_text(encoding="utf-8")
    for page in ("quick-start", "api/transit", "commands/kms-cli"):
        assert f'"{page}"' in index


def test_the_site_fetches_nothing_from_elsewhere(built: Path) -> None:
    found = {
        (path.relative_to(built).as_posix(), match[0])
        for path in built.rglob("*")
        if path.suffix in {".html", ".css", ".js", ".svg"}
        for match in _FETCHED.finditer(path.read_text(encoding="utf-8", errors="replace"))
    }
    assert not found


def test_a_broken_link_fails_the_site(built: Path, tmp_path: Path) -> None:
    assert built.exists()
    for text in ("# A\n\n[x](none.md)\n", "# A\n\n[x](#none)\n", "# A\n"):
        source = tmp_path / f"source{len(text)}"
        source.mkdir()
        (source / "index.md").write_text("# Home\n" if text == "# A\n" else "# Home\n\n```{toctree}\na\n```\n")
        (source / "a.md").write_text(text)
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-c", "docs/site", "-W", "-q", str(source)]
        done = subprocess.run(
            [*command, str(tmp_path / f"out{len(text)}")], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0, text
