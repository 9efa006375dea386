"""Transit: keys as objects, and the settings of a mount."""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.messages import Message
from kms_actors.mounts import Mount
from kms_actors.transit.go_base64 import decode
from kms_actors.transit.key import parameters_of
from kms_actors.transit.key_types import DEFAULT_TYPE, KEY_TYPES
from kms_actors.transit.messages import (
    ConfigureKey,
    CreateKey,
    DeleteKey,
    KeyInfo,
    ListKeys,
    ReadKey,
    ReadSettings,
    RotateKey,
    SoftDeleteKey,
    TrimKey,
    VersionInfo,
    WriteSettings,
)
from kms_actors.transit.policy import KeyChanges, KeyOptions
from kms_actors.transit.records import MountSettings
from kms_actors.transit.usage import Uses
from kms_http.fields import (
    Fields,
    to_bool,
    to_int,
    to_period,
    to_str,
)
from kms_http.routing import (
    NO_FIELDS,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)
from kms_http.times import rfc3339

_SECOND: Final = 10**9
_LEAST_CACHE: Final = 10


def show_key(info: KeyInfo) -> dict[str, Any]:
    """Return the key object of the API, its fields in order."""
    policy = info.policy
    key_type = KEY_TYPES[policy.type]
    shown: dict[str, Any] = {
        "allow_plaintext_backup": policy.allow_plaintext_backup,
        "auto_rotate_period": policy.auto_rotate_period // _SECOND,
        "deletion_allowed": policy.deletion_allowed,
        "derived": policy.derived,
        "exportable": policy.exportable,
        "imported_key": policy.imported,
        "latest_version": policy.latest_version,
        "min_available_version": policy.min_available_version,
        "min_decryption_version": policy.min_decryption_version,
        "min_encryption_version": policy.min_encryption_version,
        "name": policy.name,
        "soft_deleted": policy.soft_deleted,
        "supports_decryption": key_type.encryption,
        "supports_derivation": key_type.derivation,
        "supports_encryption": key_type.encryption,
        "supports_signing": key_type.signing,
        "type": policy.type,
    }
    if policy.derived:
        shown["kdf"] = policy.kdf
        shown["convergent_encryption"] = policy.convergent
        if policy.convergent:
            shown["convergent_encryption_version"] = -1  # as the API says it: each version has its own
    for name, moment in (("backup_info", policy.backup), ("restore_info", policy.restored)):
        if moment is not None:
            shown[name] = {"time": rfc3339(moment.time), "version": moment.version}
    if policy.imported:
        shown["imported_key_allow_rotation"] = policy.allow_rotation
    if policy.key_size:
        shown["key_size"] = policy.key_size
    shown |= {name: value for name, value in parameters_of(policy)._asdict().items() if value}
    if key_type.shows_versions:
        shown["keys"] = {str(number): _show_version(version) for number, version in info.versions.items()}
    return dict(sorted(shown.items()))


def _show_version(version: VersionInfo) -> Any:
    if not version.algorithm:
        return version.created // _SECOND
    return {
        "certificate_chain": version.certificate_chain,
        "creation_time": rfc3339(version.created),
        "name": version.algorithm,
        "public_key": version.public_key,
    }


def _show_uses(uses: Uses) -> dict[str, Any]:
    return {
        operation: {"count": use.count, "last_used": rfc3339(use.last * _SECOND)}
        for operation, use in sorted(uses.items())
    }


def _render_key(_: Call, info: KeyInfo | None) -> Reply:
    return Reply(204) if info is None else Reply(data=show_key(info), warnings=info.warnings)


def _render_read(call: Call, info: KeyInfo) -> Reply:
    context = _context(call)
    if isinstance(context, InvalidRequest):
        raise context
    usage = {str(number): _show_uses(uses) for number, uses in info.usage.items()}
    return Reply(data=show_key(info) | {"usage": usage}, warnings=info.warnings)


def _render_nothing(_: Call, __: None) -> Reply:
    return Reply(204)


def _render_names(_: Call, names: list[str]) -> Reply:
    if not names:
        raise NotFound
    return Reply(data={"keys": names})


def _render_settings(_: Call, settings: MountSettings) -> Reply:
    return Reply(data={"disable_upsert": settings.disable_upsert})


def _render_cache(_: Call, settings: MountSettings) -> Reply:
    return Reply(data={"size": settings.cache_size})


def _build_create(call: Call) -> CreateKey:
    values = dict(call.values)
    values.setdefault("type", DEFAULT_TYPE)
    values.pop("context", None)  # declared, and without a meaning here
    return CreateKey(*_key(call), KeyOptions(**values))


def _build_read(call: Call) -> ReadKey:
    context = _context(call)
    return ReadKey(*_key(call), b"" if isinstance(context, InvalidRequest) else context)


def _context(call: Call) -> bytes | InvalidRequest:
    """Return the context to show keys of, or what is wrong with it: that is told of keys that are there."""
    try:
        return decode(call.values.get("context", ""))
    except InvalidRequest:
        return InvalidRequest("failed to base64-decode context")


def _build_list(call: Call) -> ListKeys:
    limit = call.values.get("limit", 0)
    return ListKeys(_mount(call), call.values.get("after", ""), max(limit, 0))


def _build_soft_delete(call: Call) -> SoftDeleteKey:
    return SoftDeleteKey(*_key(call), call.operation is Operation.DELETE)


def _build_settings(call: Call) -> Message:
    if call.operation is Operation.READ:
        return ReadSettings(_mount(call))
    return WriteSettings(_mount(call), call.values.get("disable_upsert", False))


def _build_cache(call: Call) -> Message:
    if call.operation is Operation.READ:
        return ReadSettings(_mount(call))
    size = call.values.get("size", 0)
    if size != 0 and size < _LEAST_CACHE:
        raise InvalidRequest(f"size must be 0 or a value greater or equal to {_LEAST_CACHE}")
    return WriteSettings(_mount(call), cache_size=size)


def _mount(call: Call) -> Mount:
    assert call.mount is not None
    return call.mount


def _key(call: Call) -> tuple[Mount, str]:
    return _mount(call), call.captures["name"]


_CREATE: Final = Fields(
    type=to_str,
    derived=to_bool,
    convergent_encryption=to_bool,
    exportable=to_bool,
    allow_plaintext_backup=to_bool,
    auto_rotate_period=to_period,
    key_size=to_int,
    parameter_set=to_str,
    hybrid_key_type_pqc=to_str,
    hybrid_key_type_ec=to_str,
    context=to_str,
)
_CONFIGURE: Final = Fields(
    min_decryption_version=to_int,
    min_encryption_version=to_int,
    deletion_allowed=to_bool,
    exportable=to_bool,
    allow_plaintext_backup=to_bool,
    auto_rotate_period=to_period,
)


def _update(build: Any, fields: Fields = NO_FIELDS) -> dict[Operation, Endpoint]:
    return {Operation.WRITE: Endpoint(build, _render_key, Capability.UPDATE, fields)}


ROUTES: Final = (
    Route(
        "keys",
        {Operation.LIST: Endpoint(_build_list, _render_names, Capability.LIST, Fields(after=to_str, limit=to_int))},
    ),
    Route(
        "keys/{name}",
        {
            **_update(_build_create, _CREATE),
            Operation.READ: Endpoint(_build_read, _render_read, Capability.READ, Fields(context=to_str)),
            Operation.DELETE: Endpoint(lambda call: DeleteKey(*_key(call)), _render_nothing, Capability.DELETE),
        },
    ),
    Route("keys/{name}/rotate", _update(lambda call: RotateKey(*_key(call)))),
    Route(
        "keys/{name}/config",
        _update(lambda call: ConfigureKey(*_key(call), KeyChanges(**call.values)), _CONFIGURE),
    ),
    Route(
        "keys/{name}/trim",
        _update(
            lambda call: TrimKey(*_key(call), call.values.get("min_available_version")),
            Fields(min_available_version=to_int),
        ),
    ),
    Route(
        "keys/{name}/soft-delete",
        {Operation.DELETE: Endpoint(_build_soft_delete, _render_key, Capability.DELETE)},
    ),
    Route("keys/{name}/soft-delete-restore", _update(_build_soft_delete)),
    Route(
        "config/keys",
        {
            Operation.READ: Endpoint(_build_settings, _render_settings, Capability.READ),
            Operation.WRITE: Endpoint(
                _build_settings, _render_settings, Capability.UPDATE, Fields(disable_upsert=to_bool)
            ),
        },
    ),
    Route(
        "cache-config",
        {
            Operation.READ: Endpoint(_build_cache, _render_cache, Capability.READ),
            Operation.WRITE: Endpoint(_build_cache, _render_cache, Capability.UPDATE, Fields(size=to_int)),
        },
    ),
)
