"""A parser of bytes that others wrote, as a fuzzer sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from kms_actors.errors import InvalidRequest


class Target(NamedTuple):
    """`take` is given any bytes: it returns, or raises what the parser says it raises. All else is a finding.

    `seeds` are inputs to begin with. `most` is the length of the longest input that is worth while.
    """

    take: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    refusals: tuple[type[Exception], ...] = (InvalidRequest,)
    most: int = 1024

    def run(self, data: bytes) -> bool:
        """Give the parser an input; tell whether it was taken. Raises what is a finding."""
        try:
            self.take(data)
        except self.refusals:
            return False
        return True


def text(data: bytes) -> str:
    """Return bytes as a text that may hold what texts of JSON may: lone surrogates among it."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")


def utf8(data: bytes) -> str:
    """Return bytes as a text of whole characters."""
    return data.decode("utf-8", "replace")
