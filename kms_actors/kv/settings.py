"""Settings of a mount and of a secret: what may be set, and how a change applies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from kms_actors.errors import InvalidRequest
from kms_actors.kv import custom_metadata
from kms_actors.kv.records import Config, KeyMetadata

#: All versions of a secret are listed in one record, written anew with each of them.
MOST_VERSIONS: Final = 10_000


class Settings(msgspec.Struct, frozen=True):
    """Changes to settings; unset ones stay. `delete_version_after` in nanoseconds.

    `metadata_cas` is a condition, no setting: the number of the metadata to be changed, 0 before there are any.
    With `merge`, custom metadata is merged in (None removes a key, or all of it), else it replaces what was.
    """

    max_versions: int | UnsetType = UNSET
    cas_required: bool | UnsetType = UNSET
    delete_version_after: int | UnsetType = UNSET
    custom_metadata: Mapping[str, str | None] | UnsetType | None = UNSET
    metadata_cas_required: bool | UnsetType = UNSET
    metadata_cas: int | UnsetType = UNSET
    merge: bool = False

    @property
    def empty(self) -> bool:
        """Tell whether this changes nothing."""
        return replace(self, metadata_cas=UNSET, merge=False) == Settings()

    def __repr__(self) -> str:
        return "<Settings>"


def configured(config: Config, settings: Settings) -> Config:
    """Return the mount's configuration with `settings` applied; raises InvalidRequest."""
    return replace(config, **_plain(settings))


def check_and_set(metadata: KeyMetadata | None, config: Config, settings: Settings) -> None:
    """Raise InvalidRequest unless `settings.metadata_cas` allows a change of the metadata, which may be absent."""
    cas = settings.metadata_cas
    if cas is UNSET:
        if config.metadata_cas_required or (metadata is not None and metadata.metadata_cas_required):
            raise InvalidRequest("metadata check-and-set parameter required for this call")
    elif metadata is None:
        if cas != 0:
            raise InvalidRequest("metadata_cas must be 0 when creating new metadata")
    elif cas != metadata.metadata_version:
        raise InvalidRequest("metadata check-and-set parameter does not match the current version")


def applied(metadata: KeyMetadata | None, settings: Settings, now: int) -> KeyMetadata:
    """Return a secret's metadata, made at `now` if there is none, with `settings` applied.

    Raises:
        InvalidRequest: a value is out of its bounds.

    """
    before = metadata or KeyMetadata(created=now, updated=now)
    changes = _plain(settings)
    if settings.custom_metadata is not UNSET:
        kept = before.custom_metadata if settings.merge and settings.custom_metadata is not None else {}
        changes["custom_metadata"] = custom_metadata.merge(kept, settings.custom_metadata or {})
        custom_metadata.check(changes["custom_metadata"])
    return replace(before, **changes, metadata_version=before.metadata_version + 1) if changes else before


def _plain(settings: Settings) -> dict[str, Any]:
    if settings.max_versions is not UNSET and not 0 <= settings.max_versions <= MOST_VERSIONS:
        raise InvalidRequest(f"max_versions must be between 0 and {MOST_VERSIONS}")
    names = ("max_versions", "cas_required", "delete_version_after", "metadata_cas_required")
    return {name: value for name in names if (value := getattr(settings, name)) is not UNSET}
