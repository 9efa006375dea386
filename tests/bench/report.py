"""Saved results again: `python -m tests.bench.report FILE…` prints the table, draws the plot, checks the targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tests.bench import plot, table, targets
from tests.bench.results import Results, load


def show(results: Results, picture: Path, *, check: bool) -> bool:
    """Draw the plot and, where asked for, print the targets; return whether all that were asked for are met."""
    plot.draw(results, picture)
    if not check:
        return True
    judged = targets.check(results)
    for text in table.verdicts(judged):
        click.echo(text)
    return all(verdict.standing is targets.Standing.MET for verdict in judged)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--check", is_flag=True, help="Compare with the targets; exit with 1 if one is missed or not measured.")
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), help="An .svg or .png file.")
def main(*, files: Sequence[Path], check: bool, picture: Path | None) -> None:
    """Show results again; of what several files hold, the last counts."""
    results = load(files)
    click.echo(table.header())
    for row in results.rows():
        click.echo(table.line([series for series in results.series if series.row == row]))
    if not show(results, picture or files[-1].with_suffix(".svg"), check=check):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
