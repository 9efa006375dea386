"""A parser with a fault that no chance finds, and a guided fuzzer soon does: for the test of the fuzzer itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fuzz.parsers.target import Target


def take_what_breaks(data: bytes) -> None:
    """Break at one beginning, told letter by letter."""
    if data[:1] == b"f" and data[1:2] == b"u":  # noqa: SIM102 - each comparison is a branch to be found
        if data[2:3] == b"z":  # noqa: SIM102
            if data[3:4] == b"z":
                raise KeyError


PLANTED: Final[Mapping[str, Target]] = {"planted": Target(take_what_breaks, lambda: (b"", b"x"), (), 8)}
