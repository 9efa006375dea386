"""Transit: keys from outside, wrapped or agreed on with a peer; and keys taken to another server, wrapped."""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.transit.exchange.agreement import (
    ECDH,
    check_agreement,
)
from kms_actors.transit.exchange.wrapping import DEFAULT_HASH
from kms_actors.transit.key_types import DEFAULT_TYPE
from kms_actors.transit.messages import DeriveKey, ImportKey, ImportVersion, ReadWrappingKey, WrapKey, WrappedMaterial
from kms_actors.transit.policy import KeyOptions
from kms_actors.transit.schemes.scheme import pem
from kms_http.api.transit.certificates import named_version
from kms_http.api.transit.export import render_exported
from kms_http.fields import (
    Fields,
    to_any,
    to_bool,
    to_int,
    to_period,
    to_str,
)
from kms_http.routing import (
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)


def _build_wrapping_key(call: Call) -> ReadWrappingKey:
    assert call.mount is not None
    return ReadWrappingKey(call.mount)


def _render_wrapping_key(_: Call, public: bytes) -> Reply:
    return Reply(data={"public_key": pem(public)})


def _build_import(call: Call) -> ImportKey:
    assert call.mount is not None
    values = dict(call.values)
    if "convergent_encryption" in values:
        raise InvalidRequest("import cannot be used on keys with convergent encryption enabled")
    values.setdefault("type", DEFAULT_TYPE)
    material = _material(values)
    options = KeyOptions(**{name: values[name] for name in _OPTIONS if name in values})
    allow_rotation = values.get("allow_rotation", False)
    return ImportKey(call.mount, call.captures["name"], options, allow_rotation, material)


def _build_import_version(call: Call) -> ImportVersion:
    assert call.mount is not None
    return ImportVersion(call.mount, call.captures["name"], named_version(call), _material(call.values))


def _material(values: Any) -> WrappedMaterial:
    """Return the material of a request, of which there must be one."""
    ciphertext, public_key = values.get("ciphertext"), values.get("public_key", "")
    if ciphertext is not None and public_key:
        raise InvalidRequest("only one of the following fields, ciphertext and public_key, can be set")
    return WrappedMaterial(ciphertext, values.get("hash_function", DEFAULT_HASH), public_key)


def _build_wrap(call: Call) -> WrapKey:
    assert call.mount is not None
    captures, hash_function = call.captures, call.values.get("hash", DEFAULT_HASH)
    return WrapKey(call.mount, captures["destination"], captures["name"], hash_function, captures.get("version", ""))


def _build_derive(call: Call) -> DeriveKey:
    assert call.mount is not None
    values = call.values
    peer, type_name = values.get("peer_public_key", ""), values.get("derived_key_type", DEFAULT_TYPE)
    check_agreement(values.get("key_derivation_algorithm", ECDH), peer, type_name)
    base, version = values.get("base_key_name", ""), values.get("base_key_version", 0)
    return DeriveKey(call.mount, call.captures["name"], base, version, peer, type_name)


def _render_nothing(_: Call, __: None) -> Reply:
    return Reply(204)


#: Fields of an import that are those of a new key.
_OPTIONS: Final = ("type", "derived", "exportable", "allow_plaintext_backup", "auto_rotate_period")
_IMPORT: Final = Fields(
    ciphertext=to_str,
    public_key=to_str,
    hash_function=to_str,
    allow_rotation=to_bool,
    context=to_str,
    type=to_str,
    derived=to_bool,
    convergent_encryption=to_any,
    exportable=to_bool,
    allow_plaintext_backup=to_bool,
    auto_rotate_period=to_period,
)
_DERIVE: Final = Fields(
    key_derivation_algorithm=to_str,
    peer_public_key=to_str,
    base_key_name=to_str,
    base_key_version=to_int,
    derived_key_type=to_str,
)
_IMPORT_VERSION: Final = Fields(ciphertext=to_str, public_key=to_str, hash_function=to_str, version=to_int)
_WRAP: Final = {Operation.READ: Endpoint(_build_wrap, render_exported, Capability.READ, Fields(hash=to_str))}


def _write(build: Any, fields: Fields) -> dict[Operation, Endpoint]:
    return {Operation.WRITE: Endpoint(build, _render_nothing, Capability.UPDATE, fields)}


ROUTES: Final = (
    Route(
        "wrapping_key",
        {Operation.READ: Endpoint(_build_wrapping_key, _render_wrapping_key, Capability.READ)},
    ),
    Route("keys/{name}/import", _write(_build_import, _IMPORT)),
    Route("keys/{name}/import_version", _write(_build_import_version, _IMPORT_VERSION)),
    Route("derive-key/{name}", _write(_build_derive, _DERIVE)),
    Route("byok-export/{destination}/{name}", _WRAP),
    Route("byok-export/{destination}/{name}/{version}", _WRAP),
)
