"""Custom metadata of a secret: a small map of printable strings, with Vault's limits and texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kms_actors.errors import InvalidRequest

MAX_KEYS: Final = 64
MAX_KEY: Final = 128  # bytes
MAX_VALUE: Final = 512  # bytes

_SHOWN: Final = 256  # characters of a key in a text
_PREFIX: Final = "custom_metadata validation failed"


def check(entries: Mapping[str, str]) -> None:
    """Raise InvalidRequest unless `entries` may be stored; the text names each offending key."""
    if len(entries) > MAX_KEYS:
        raise refuse_number(len(entries))
    faults = [fault for key, value in entries.items() for fault in _faults(key, value)]
    if faults:
        raise InvalidRequest(_listed(faults))


def refuse_number(number: int) -> InvalidRequest:
    """Return the error for too many entries."""
    return InvalidRequest(_listed([f"payload must contain at most {MAX_KEYS} keys, provided {number}"]))


def refuse_type(type_name: str) -> InvalidRequest:
    """Return the error for a value, or a map, of the wrong type."""
    return InvalidRequest(f"{_PREFIX}: '' expected type 'string', got unconvertible type '{type_name}'")


def merge(entries: Mapping[str, str], patch: Mapping[str, str | None]) -> dict[str, str]:
    """Return `entries` with `patch` merged in; None removes a key."""
    merged: dict[str, Any] = {**entries, **patch}
    return {key: value for key, value in merged.items() if value is not None}


def _faults(key: str, value: str) -> Iterator[str]:
    name = json.dumps(key[:_SHOWN], ensure_ascii=False)
    key_length, value_length = len(key.encode()), len(value.encode())
    if not 0 < key_length <= MAX_KEY:
        yield f"length of key {name} is {key_length} but must be 0 < len(key) <= {MAX_KEY}"
    if not 0 < value_length <= MAX_VALUE:
        yield f"length of value for key {name} is {value_length} but must be 0 < len(value) <= {MAX_VALUE}"
    if not key.isprintable():
        yield f"key {name} ({name}) contains unprintable characters"
    if not value.isprintable():
        yield f"value for key {name} contains unprintable characters"


def _listed(faults: list[str]) -> str:
    count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
    return f"{count} occurred:\n" + "".join(f"\t* {_PREFIX}: {fault}\n" for fault in faults) + "\n"
