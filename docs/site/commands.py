"""Pages of the command lines, a program a page: what `--help` says, of every command there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import click

from docs.site.markdown import escaped, table
from kms_actors.cli import client, layer

PROGRAMS: Final[dict[str, click.Command]] = {"kms-layer": layer.main, "kms-cli": client.main}
_CALL: Final = re.compile(r"^(kms-(?:cli|layer)|vault|bao|curl) ")


def pages() -> Iterator[tuple[str, str]]:
    """Yield names and texts of the pages."""
    for name, program in PROGRAMS.items():
        yield f"commands/{name}.md", "\n".join(_command(program, name, None))


def _command(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    yield f"{'#' if parent is None else '##'} {name}\n"
    yield from _help(command)
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{name} {pieces}\n```\n"
    rows = [_option(each, context) for each in command.get_params(context) if isinstance(each, click.Option)]
    yield table(("option", "what"), rows)
    if isinstance(command, click.Group):
        named = ((each, command.get_command(context, each)) for each in command.list_commands(context))
        below = [(each, found) for each, found in named if found is not None and not found.hidden]
        yield table(("command", "what"), [_listed(f"{name} {each}", found) for each, found in below])
        for each, found in below:
            yield from _command(found, f"{name} {each}", context)


def _listed(name: str, command: click.Command) -> tuple[str, str]:
    return f"[`{name}`](#{name.replace(' ', '-')})", escaped(command.get_short_help_str(300))


def _help(command: click.Command) -> Iterator[str]:
    for paragraph in (command.help or "").replace("\b\n", "").split("\n\n"):
        lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
        if lines and all(_CALL.match(line) for line in lines):
            yield "```text\n" + "\n".join(lines) + "\n```\n"
        elif lines:
            yield f"{escaped(' '.join(lines))}\n"


def _option(option: click.Option, context: click.Context) -> tuple[str, str]:
    names, text = option.get_help_record(context) or ("", "")
    return f"`{names.strip()}`".replace("|", "\\|"), escaped(text)
