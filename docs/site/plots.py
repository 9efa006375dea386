"""Plots of the page on performance, drawn from its own tables: they cannot say anything else.

`charts` reads the tables; `draw` makes a picture of each, for light and for dark pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple


class Chart(NamedTuple):
    """Bars side by side: a name for each group, and of each series a value a group, where it has one."""

    name: str
    heading: str
    title: str
    groups: tuple[str, ...]
    series: Mapping[str, tuple[float | None, ...]]
    mark: float | None = None  # a line across, such as at 1 for ratios
    logarithmic: bool = False


_COLOURS: Final = ("#2a78b5", "#c4622d", "#6a9a3b")
_NUMBER: Final = re.compile(r"[\d,]+(?:\.\d+)?")
_STYLES: Final = {"light": "#202020", "dark": "#d8d8d8"}


def charts(page: str) -> list[Chart]:
    """Return what is drawn of the tables of `docs/performance.md`.

    Raises:
        ValueError: a table is not there, or has other columns.

    """
    stands, foundation = "Where it stands", "On FoundationDB"
    load = [row for row in rows(page, stands, "throughput") if row["connections"] == "16"]
    compared = [row for row in load if row["throughput"]]
    equal = rows(page, stands, "our p99")
    return [
        Chart(
            "ratios",
            stands,
            "How many times better than the reference, 16 connections (1: as good)",
            tuple(row["case"] for row in compared),
            {"requests a second": column(compared, "throughput"), "CPU a request": column(compared, "CPU")},
            mark=1,
        ),
        Chart(
            "rates",
            stands,
            "Requests a second, 16 connections, two workers",
            tuple(row["case"] for row in load),
            {"requests a second": column(load, "requests/s")},
            logarithmic=True,
        ),
        Chart(
            "latencies",
            stands,
            "p99 at half of the reference's load, milliseconds (less is better)",
            tuple(row["case"] for row in equal),
            {"Clever KMS": column(equal, "our p99"), "reference": column(equal, "the reference's p99")},
        ),
        _stores(page, stands, foundation),
    ]


def _stores(page: str, stands: str, foundation: str) -> Chart:
    there = {_place(row): row for row in rows(page, foundation, "throughput")}
    here = {_place(row): row for row in rows(page, stands, "throughput")}
    both = [place for place in there if place in here]
    return Chart(
        "stores",
        foundation,
        "Requests a second by store, two workers; c: connections",
        tuple(f"{case}, {connections} c" for case, connections in both),
        {
            "SQLite": column([here[place] for place in both], "requests/s"),
            "FoundationDB": column([there[place] for place in both], "requests/s"),
        },
        logarithmic=True,
    )


def _place(row: Mapping[str, str]) -> tuple[str, str]:
    return row["case"], row["connections"]


def rows(page: str, heading: str, wanted: str) -> list[Mapping[str, str]]:
    """Return the rows of the first table below a heading that has the column `wanted`.

    Raises:
        ValueError: there is none.

    """
    below = re.split(r"^#", page.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    for found in re.finditer(r"(?:^\|.*\|\n)+", below, re.MULTILINE):
        header, _, *body = ([cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines())
        if wanted in header:
            return [dict(zip(header, line, strict=True)) for line in body]
    raise ValueError(f"docs/performance.md has no table with {wanted!r} below {heading!r}: mend docs/site/plots.py")


def column(found: Sequence[Mapping[str, str]], name: str) -> tuple[float | None, ...]:
    """Return the first number of each cell."""
    numbers = (_NUMBER.search(row[name]) for row in found)
    return tuple(float(number[0].replace(",", "")) if number else None for number in numbers)


def draw(chart: Chart, folder: Path) -> None:
    """Write `NAME-light.svg` and `NAME-dark.svg`."""
    import matplotlib as mpl  # noqa: PLC0415 - of the extra `docs`
    from matplotlib.figure import Figure  # noqa: PLC0415

    mpl.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "kms", "font.family": ["sans-serif"], "font.size": 10}
    )
    for style, colour in _STYLES.items():
        figure = Figure(figsize=(8, 1.4 + 0.21 * len(chart.groups) * len(chart.series) + 0.06 * len(chart.groups)))
        _bars(figure.subplots(), chart, colour)
        figure.savefig(
            folder / f"{chart.name}-{style}.svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )


def _bars(axes: Any, chart: Chart, colour: str) -> None:
    height = 0.82 / len(chart.series)
    for number, (label, values) in enumerate(chart.series.items()):
        places = [index + number * height for index in range(len(values))]
        bars = axes.barh(places, [value or 0 for value in values], height, label=label, color=_COLOURS[number])
        shown = ["" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in values]
        axes.bar_label(bars, shown, padding=3, fontsize=8, color=colour)
    axes.set_yticks([index + 0.41 - height / 2 for index in range(len(chart.groups))], chart.groups)
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.01)
    if chart.logarithmic:
        axes.set_xscale("log")
    if chart.mark is not None:
        axes.axvline(chart.mark, color=colour, linewidth=0.8, linestyle="--")
    axes.set_title(chart.title, fontsize=11, color=colour, loc="left")
    axes.tick_params(colors=colour)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_edgecolor(colour)
    if len(chart.series) > 1:
        axes.legend(frameon=False, labelcolor=colour, loc="lower right")
