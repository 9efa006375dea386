"""Fields that set something on a KV mount or a secret, and the settings they become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.kv import custom_metadata
from kms_actors.kv.settings import Settings
from kms_http.fields import (
    Converter,
    Fields,
    WrongType,
    to_bool,
    to_duration,
    to_int,
    to_map,
    to_str,
    type_name,
)

_SECOND: Final = 10**9
#: Entries of custom metadata that are looked at: more than a secret may have, since a patch may remove others.
_MOST_ENTRIES: Final = 1000


def to_signed_seconds(value: Any) -> int:
    """As `to_duration`, cut to whole seconds; anything negative is -1 s."""
    nanoseconds: int = to_duration(value)
    return nanoseconds // _SECOND * _SECOND if nanoseconds >= 0 else -_SECOND if nanoseconds <= -_SECOND else 0


def to_seconds(value: Any) -> int:
    """As `to_duration`, cut to whole seconds and never negative."""
    nanoseconds = to_signed_seconds(value)
    if nanoseconds < 0:
        raise WrongType("cannot provide negative value")
    return nanoseconds


def nullable(converter: Converter) -> Converter:
    """Return `converter`, but None for null: in a merge patch that is a value of its own."""
    return lambda value: None if value is None else converter(value)


def config_settings(values: Mapping[str, Any]) -> Settings:
    """Return the settings of a mount."""
    return Settings(**_sent(values))


def metadata_settings(values: Mapping[str, Any], *, merge: bool = False) -> Settings:
    """Return the settings of a secret; raises InvalidRequest for custom metadata that holds more than texts."""
    settings = _sent(values)
    if settings.get("custom_metadata") is not None:
        settings["custom_metadata"] = _texts(settings["custom_metadata"], keep_null=merge)
    return Settings(**settings, merge=merge)


def _sent(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be set: null for `delete_version_after` changes nothing, as in Vault."""
    return {name: value for name, value in values.items() if (name, value) != ("delete_version_after", None)}


def _texts(entries: Mapping[str, Any], *, keep_null: bool) -> dict[str, str | None]:
    if len(entries) > _MOST_ENTRIES:
        raise custom_metadata.refuse_number(len(entries))
    try:
        return {key: None if value is None and keep_null else to_str(value) for key, value in entries.items()}
    except WrongType:
        wrong = next(value for value in entries.values() if isinstance(value, dict | list))
        raise custom_metadata.refuse_type(type_name(wrong)) from None


def _to_custom_metadata(value: Any) -> dict[str, Any]:
    if value is not None and value != [] and not isinstance(value, dict):
        raise custom_metadata.refuse_type(type_name(value))
    return to_map(value)


CONFIG: Final = Fields(
    max_versions=to_int,
    cas_required=to_bool,
    delete_version_after=nullable(to_signed_seconds),
    metadata_cas_required=to_bool,
)
METADATA: Final = Fields(
    existence_checked=True,
    max_versions=to_int,
    cas_required=to_bool,
    delete_version_after=nullable(to_seconds),
    custom_metadata=_to_custom_metadata,
    metadata_cas=to_int,
    metadata_cas_required=to_bool,
)
METADATA_PATCH: Final = Fields(
    max_versions=to_int,
    cas_required=to_bool,
    delete_version_after=nullable(to_seconds),
    custom_metadata=nullable(_to_custom_metadata),
    metadata_cas=to_int,
    metadata_cas_required=to_bool,
)
