"""Times of a secret that are set from without, as a migration has them from another server.

They say when something was, and change nothing that can be read, but that a version may be deleted by them.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from kms_actors.errors import InvalidRequest
from kms_actors.kv.records import KeyMetadata, Version


class VersionTimes(msgspec.Struct, frozen=True):
    """Of one version, in nanoseconds since 1970. None stays as it is; a `deletion` of 0 is none."""

    created: int | None = None
    deletion: int | None = None


class Times(msgspec.Struct, frozen=True):
    """Of a secret and of versions by their numbers, in nanoseconds since 1970. None stays as it is."""

    created: int | None = None
    updated: int | None = None
    versions: Mapping[int, VersionTimes] = {}


def timed(metadata: KeyMetadata, times: Times, now: int) -> KeyMetadata:
    """Return metadata with these times.

    Raises:
        InvalidRequest: there is no such version, or it could be read again.

    """
    versions = {**metadata.versions}
    for number, wanted in times.versions.items():
        if number not in versions:
            raise InvalidRequest(f"there is no version {number}")
        versions[number] = _version(number, versions[number], wanted, now)
    return replace(
        metadata,
        created=metadata.created if times.created is None else times.created,
        updated=metadata.updated if times.updated is None else times.updated,
        versions=versions,
    )


def _version(number: int, before: Version, wanted: VersionTimes, now: int) -> Version:
    after = replace(
        before,
        created=before.created if wanted.created is None else wanted.created,
        deletion=before.deletion if wanted.deletion is None else wanted.deletion,
    )
    if after.readable(now) and not before.readable(now):
        raise InvalidRequest(f"version {number} is deleted, and no time undeletes it")
    return after
