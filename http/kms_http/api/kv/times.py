"""The path of KV version 2 that sets times: no part of Vault's API, for migrations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.errors import InvalidRequest
from kms_actors.kv.settings import MOST_VERSIONS
from kms_actors.kv.times import Times, VersionTimes
from kms_http.fields import Fields, WrongType, to_map
from kms_http.times import nanoseconds


def times_of(values: Mapping[str, Any]) -> Times:
    """Return the times that were sent. Raises InvalidRequest."""
    versions = values.get("versions", {})
    if len(versions) > MOST_VERSIONS:
        raise InvalidRequest(f"no secret has more than {MOST_VERSIONS} versions")
    return Times(
        values.get("created_time"),
        values.get("updated_time"),
        {_number(name): _of_version(name, entry) for name, entry in versions.items()},
    )


def _number(name: str) -> int:
    if not (name.isascii() and name.isdecimal() and len(name) < len(str(1 << 63))):
        raise InvalidRequest("versions are named by their numbers")
    return int(name)


def _of_version(name: str, entry: Any) -> VersionTimes:
    if not isinstance(entry, dict):
        raise InvalidRequest(f"version {name}: created_time and deletion_time are expected")
    try:
        return VersionTimes(
            _to_past(entry["created_time"]) if "created_time" in entry else None,
            _to_time(entry["deletion_time"]) if "deletion_time" in entry else None,
        )
    except WrongType as wrong:
        raise InvalidRequest(f"version {name}: {wrong}") from None


def _to_time(value: Any) -> int:
    try:
        return nanoseconds(value)
    except (TypeError, ValueError, OverflowError):
        raise WrongType("a time of RFC 3339 is expected") from None


def _to_past(value: Any) -> int:
    """Convert a time that nothing is without."""
    if not (time := _to_time(value)):
        raise WrongType("a time of RFC 3339 is expected, after 1970")
    return time


TIMES: Final = Fields(created_time=_to_past, updated_time=_to_past, versions=to_map)
