"""What each record of a vault counts for, by its place: for who walks through all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kms_actors.mounts import TOKENS_NUMBER


def kind_of(parts: tuple[Any, ...], size: int) -> Iterator[tuple[str, int, int]]:
    """Yield kind, mount and number of what the record at (area, …) counts for; `size` are the bytes of its value."""
    match parts:
        case ("kv", int(mount), "meta", str()):
            yield "secrets", mount, 1
            yield "bytes", mount, size
        case ("kv", int(mount), "data", *_):
            yield "bytes", mount, size
        case ("transit", int(mount), "policy", str()):
            yield "keys", mount, 1
        case ("mount", int(mount)) if mount != TOKENS_NUMBER:
            yield "mounts", 0, 1
        case ("token", bytes()):
            yield "tokens", 0, 1
        case ("policy", str(), str()):
            yield "policies", 0, 1
