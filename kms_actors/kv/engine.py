"""The rules of KV, as functions from metadata to metadata.

Source: Vault's APIs of KV version 1 and 2. `now` is in nanoseconds since 1970. Where nothing changes, the same object
comes back. Other than Vault, every change of a version moves the updated time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from msgspec.structs import replace

from kms_actors.errors import InvalidRequest
from kms_actors.kv.records import Config, KeyMetadata, Version

DEFAULT_MAX_VERSIONS: Final = 10


def put(metadata: KeyMetadata | None, config: Config, cas: int | None, now: int) -> KeyMetadata:
    """Return metadata with one more version, which is current, and without those that are one too many.

    Raises:
        InvalidRequest: `cas` is not the current version, or is absent where required.

    """
    before = metadata or KeyMetadata(created=now, updated=now)
    check_and_set(before, config, cas)
    current = before.current_version + 1
    versions = {**before.versions, current: Version(now, _deletion(before, config, now))}
    oldest = before.oldest_version
    if current - oldest >= (kept := _kept(before, config)):
        oldest = current - kept + 1
        versions = {number: version for number, version in versions.items() if number >= oldest}
    return replace(before, updated=now, current_version=current, oldest_version=oldest, versions=versions)


def overwrite(metadata: KeyMetadata | None, now: int) -> KeyMetadata:
    """Return the metadata of a secret of KV version 1: it has one version, which is what was written last.

    It is that of a secret of version 2 that has nothing but this, so a mount that becomes one needs no change of it.
    """
    return KeyMetadata(
        created=metadata.created if metadata else now,
        updated=now,
        current_version=1,
        oldest_version=1,
        versions={1: Version(now)},
    )


def check_and_set(metadata: KeyMetadata, config: Config, cas: int | None) -> None:
    """Raise InvalidRequest unless `cas` allows a new version; 0 is: only the first one."""
    if cas is None:
        if config.cas_required or metadata.cas_required:
            raise InvalidRequest("check-and-set parameter required for this call")
    elif cas != metadata.current_version:
        raise InvalidRequest("check-and-set parameter did not match the current version")


def delete(metadata: KeyMetadata, numbers: Iterable[int], now: int) -> KeyMetadata:
    """Return metadata with these versions deleted from `now` on; their data stays."""

    def deleted(version: Version) -> Version:
        return replace(version, deletion=now) if version.readable(now) else version

    return _with_versions(metadata, numbers, deleted, now)


def undelete(metadata: KeyMetadata, config: Config, numbers: Iterable[int], now: int) -> KeyMetadata:
    """Return metadata with these versions readable again; the time until their deletion starts anew."""
    deletion = _deletion(metadata, config, now)

    def undeleted(version: Version) -> Version:
        return version if version.destroyed else replace(version, deletion=deletion)

    return _with_versions(metadata, numbers, undeleted, now)


def destroy(metadata: KeyMetadata, numbers: Iterable[int], now: int) -> KeyMetadata:
    """Return metadata with these versions destroyed; their data goes."""
    return _with_versions(metadata, numbers, lambda version: replace(version, destroyed=True), now)


def _with_versions(
    metadata: KeyMetadata, numbers: Iterable[int], change: Callable[[Version], Version], now: int
) -> KeyMetadata:
    known: Collection[int] = metadata.versions.keys() & set(numbers)
    changed = {number: change(metadata.versions[number]) for number in known}
    if all(metadata.versions[number] == version for number, version in changed.items()):
        return metadata
    return replace(metadata, updated=now, versions={**metadata.versions, **changed})


def _kept(metadata: KeyMetadata, config: Config) -> int:
    return max(metadata.max_versions, config.max_versions) or DEFAULT_MAX_VERSIONS


def _deletion(metadata: KeyMetadata, config: Config, now: int) -> int:
    """Return when a version that is new at `now` is to be deleted; the smaller setting counts."""
    if config.delete_version_after < 0:
        return 0
    settings = [after for after in (config.delete_version_after, metadata.delete_version_after) if after]
    return now + min(settings) if settings else 0
