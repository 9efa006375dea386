"""What the generator reads: the documents, with what is made of the code, in one folder that nothing else is in."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docs.site import api, commands, metrics, plots
from docs.site.diagrams import picture_of, text_of
from docs.site.markdown import fences, links, outside_fences
from docs.site.navigation import sections, tables_of_contents

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = ROOT / "docs"
#: Folders below `docs/` that have no pages.
_NO_PAGES: Final = ("site/",)
#: Pages that lie elsewhere in the repository.
_FROM_ELSEWHERE: Final = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "tests/README.md": "project/tests.md",
}
#: Where links lead to that name what is no page.
_INSTEAD: Final = {"README.md": "quick-start.md", "docs/decisions": "decisions/index.md"}
_DIAGRAM_TEXT: Final = "Diagram"
_IMAGE: Final = re.compile(r'<img src="([^"]+)" alt="([^"]*)"[^>]*>')


def sources() -> dict[str, Path]:
    """Return the pages that somebody has written, by their places in the site."""
    found = {}
    for path in sorted(DOCUMENTS.rglob("*.md")):
        place = path.relative_to(DOCUMENTS).as_posix()
        if not place.startswith(_NO_PAGES):
            found[place] = path
    return found | {place: ROOT / name for name, place in _FROM_ELSEWHERE.items()}


def stage(folder: Path) -> None:
    """Fill `folder` with all pages, pictures and files of the site; plots are drawn."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pages = sources()
    for place, path in pages.items():
        write(folder / place, _page(path, place, pages, folder))
    for place, text in generated(pages):
        write(folder / place, text)
    performance = folder / "performance.md"
    (folder / "plots").mkdir()
    write(performance, with_plots(performance.read_text(encoding="utf-8"), folder / "plots"))
    found = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.md")]
    with (folder / "index.md").open("a", encoding="utf-8") as home:
        home.write("\n" + tables_of_contents(sections(found)))


def generated(pages: dict[str, Path]) -> Iterator[tuple[str, str]]:
    """Yield places and texts of what is made of the code and of other pages."""
    yield from api.pages()
    yield from commands.pages()
    yield "metrics.md", metrics.page()
    yield "decisions/index.md", _decisions(pages)


def write(path: Path, text: str) -> None:
    """Write a file, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _decisions(pages: dict[str, Path]) -> str:
    records = [place for place in pages if re.fullmatch(r"decisions/\d{4}-.*\.md", place)]
    names = "".join(f"{Path(place).stem}\n" for place in records)
    return (
        "# Decisions\n\nWhat a reader would question, and why it is so: what the problem was, what was decided,\n"
        "what it costs, and what was not chosen. Records are not rewritten; a later one says what it replaces.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{names}```\n"
    )


def _page(path: Path, place: str, pages: dict[str, Path], folder: Path) -> str:
    """Return a page with links as they are in the site; what they name beside pages is copied."""
    where = {source.resolve(): target for target, source in pages.items()}
    text = fences(path.read_text(encoding="utf-8"), lambda fence: _picture(fence, place, folder))

    def moved(link: str) -> str | None:
        target, mark, anchor = link.partition("#")
        if re.match(r"\w+:", link) or not target:
            return link
        named = (path.parent / target).resolve()
        if named.is_relative_to(folder):
            return link
        inside = named.relative_to(ROOT).as_posix()
        at = where.get(named) or _INSTEAD.get(inside)
        if at is None:
            if not named.is_file():
                return None
            at = f"files/{inside}"
            (folder / at).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(named, folder / at)
        return f"{os.path.relpath(at, Path(place).parent)}{mark}{anchor}"

    return links(outside_fences(text, lambda part: _IMAGE.sub(_as_directive, part)), moved)


def _as_directive(found: re.Match[str]) -> str:
    """Return an image that is written in HTML, for its width, as Markdown: the generator looks after those alone."""
    return f"![{found[2]}]({found[1]})"


def _picture(fence: str, place: str, folder: Path) -> str:
    """Return a diagram as a picture, and any other block of code as it is."""
    diagram = text_of(fence)
    if diagram is None:
        return fence
    picture = picture_of(diagram)
    if not picture.exists():
        raise ValueError(f"docs/{place}: a diagram has no picture; see docs/site/diagrams/__init__.py")
    write(folder / "diagrams" / picture.name, picture.read_text(encoding="utf-8"))
    return f"```{{image}} /diagrams/{picture.name}\n:alt: {_DIAGRAM_TEXT}\n:class: diagram\n```"


def with_plots(page: str, folder: Path) -> str:
    """Return the page on performance with its charts behind the headings of their tables; draw these."""
    for chart in reversed(plots.charts(page)):
        plots.draw(chart, folder)
        images = "\n".join(
            f"```{{image}} /plots/{chart.name}-{style}.svg\n:alt: {chart.title}\n:class: only-{style}\n```\n"
            for style in ("light", "dark")
        )
        page = page.replace(f"# {chart.heading}\n", f"# {chart.heading}\n\n{images}", 1)
    return page
