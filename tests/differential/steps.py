"""Requests to both servers, and the values in them that each server made itself or that are made for it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

#: What a server made and is given back, by kind, oldest first.
Made = Mapping[str, list[str]]


class Step(NamedTuple):
    """One request; values that are `Own` are each server's own."""

    method: str
    path: str
    body: Any = None


class Own:
    """A value of a body that differs from server to server."""

    def of(self, made: Made) -> str:
        """Return it for the server that made `made`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Returned(Own):
    """Something a server made, changed or not."""

    kind: str
    which: int
    change: str = "as it is"

    def of(self, made: Made) -> str:
        mine = made.get(self.kind) or ["vault:v1:AAAA"]
        return CHANGES[self.change](mine[self.which % len(mine)])


def _tampered(text: str) -> str:
    head, _, body = text.rpartition(":")
    padded = body + "=" * (-len(body) % 4)
    raw = bytearray(base64.b64decode(padded, altchars=b"-_") if "-" in body or "_" in body else _plain(padded))
    raw[-1] ^= 1
    return f"{head}:{base64.b64encode(bytes(raw)).decode()}"


def _plain(text: str) -> bytes:
    return base64.b64decode(text)


def _version(number: str) -> Callable[[str], str]:
    return lambda text: f"vault:v{number}:{text.rpartition(':')[2]}"


CHANGES: Final[Mapping[str, Callable[[str], str]]] = {
    "as it is": lambda text: text,
    "no prefix": lambda text: text.removeprefix("vault:"),
    "version 0": _version("0"),
    "version 01": _version("01"),
    "version 2": _version("2"),
    "version 99": _version("99"),
    "version x": _version("x"),
    "negative version": _version("-1"),
    "no version": lambda text: "vault:v1",
    "not base64": lambda text: text[:12] + "!" + text[13:],
    "short": lambda text: text[: len("vault:v1:")] + "AAAA",
    "empty body": lambda text: text[: len("vault:v1:")],
    "tampered": _tampered,
    "empty": lambda _: "",
}
#: Those of them for values without a prefix.
CHANGES_OF_BLOBS: Final = ("not base64", "short", "empty")


def resolved(value: Any, made: Made) -> Any:
    """Return a body with each server's own values in it."""
    if isinstance(value, Own):
        return value.of(made)
    if isinstance(value, dict):
        return {name: resolved(inner, made) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, made) for inner in value]
    return value
