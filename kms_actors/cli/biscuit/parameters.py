"""Values that `kms-cli` takes: durations, keys, tokens. A wrong one ends with code 2 and is not repeated."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from kms_actors.auth.keys import parse_private, parse_public
from kms_actors.errors import InvalidRequest

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: Tokens have a date for their end, and dates end with the year 9999.
_MOST_DAYS: Final = 365_000
_DURATION: Final = re.compile(r"(?:\d{1,12}[smhd])+|\d{1,12}", re.ASCII)


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """Seconds, written as `90`, `30m` or `1d12h`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        if not _DURATION.fullmatch(value):
            self.fail("a duration is like 90s, 30m, 1h or 7d", param, ctx)
        parts = [(value, "s")] if value.isdecimal() else re.findall(r"(\d+)([smhd])", value)
        seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
        if seconds > _MOST_DAYS * _UNITS["d"]:
            self.fail(f"a duration is at most {_MOST_DAYS}d, a thousand years", param, ctx)
        return seconds


class Key(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A key in hex, read by `parse`."""

    name = "hex"

    def __init__(self, parse: Callable[[str], Any]) -> None:
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except InvalidRequest as error:
            self.fail(str(error), param, ctx)


class Token(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A token, or `-` for standard input, so that none lands in a shell's history."""

    name = "token"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value) if value != "-" else sys.stdin.read(65536)
        # What `kms-cli biscuit` prints can be piped in as it is.
        lines = [line.strip().removeprefix("Token:").strip() for line in text.splitlines() if line.strip()]
        if not lines:
            self.fail("there is no token on standard input", param, ctx)
        return lines[0]


DURATION: Final = Duration()
PRIVATE_KEY: Final = Key(parse_private)
PUBLIC_KEY: Final = Key(parse_public)
token_argument: Final = click.argument("token", type=Token(), default="-", metavar="[TOKEN|-]")
