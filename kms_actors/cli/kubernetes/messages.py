"""The messages of both services as tables of their fields, from which the protobuf library makes classes.

Source: `api.proto` of `k8s.io/kms/apis/v2` and of `k8s.io/externaljwt/apis/v1`.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_BYTES, _STRING, _BOOL, _INT64 = _Field.TYPE_BYTES, _Field.TYPE_STRING, _Field.TYPE_BOOL, _Field.TYPE_INT64
#: A map from strings to bytes, which is a list of entries on the wire.
_MAP: Final = "Annotations"

#: Fields by message: name, number and type; that of a message by its name, a list of it in brackets.
KMS: Final[dict[str, list[tuple[str, int, Any]]]] = {
    "StatusRequest": [],
    "StatusResponse": [("version", 1, _STRING), ("healthz", 2, _STRING), ("key_id", 3, _STRING)],
    "DecryptRequest": [
        ("ciphertext", 1, _BYTES),
        ("uid", 2, _STRING),
        ("key_id", 3, _STRING),
        ("annotations", 4, _MAP),
    ],
    "DecryptResponse": [("plaintext", 1, _BYTES)],
    "EncryptRequest": [("plaintext", 1, _BYTES), ("uid", 2, _STRING)],
    "EncryptResponse": [("ciphertext", 1, _BYTES), ("key_id", 2, _STRING), ("annotations", 3, _MAP)],
}
SIGNER: Final[dict[str, list[tuple[str, int, Any]]]] = {
    "SignJWTRequest": [("claims", 1, _STRING)],
    "SignJWTResponse": [("header", 1, _STRING), ("signature", 2, _STRING)],
    "FetchKeysRequest": [],
    "FetchKeysResponse": [
        ("keys", 1, ["Key"]),
        ("data_timestamp", 2, "google.protobuf.Timestamp"),
        ("refresh_hint_seconds", 3, _INT64),
    ],
    "Key": [("key_id", 1, _STRING), ("key", 2, _BYTES), ("exclude_from_oidc_discovery", 3, _BOOL)],
    "MetadataRequest": [],
    "MetadataResponse": [("max_token_expiration_seconds", 1, _INT64)],
}


def classes(package: str, messages: dict[str, list[tuple[str, int, Any]]]) -> dict[str, Any]:
    """Return the classes of a package's messages, by their names."""
    pool = descriptor_pool.DescriptorPool()
    timestamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(timestamp)
    pool.Add(timestamp)
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3", dependency=[timestamp.name]
    )
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            _add(message, field, number, kind, f".{package}.")
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages
    }


def _add(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: Any, within: str) -> None:
    if kind == _MAP:
        entry_name = name.capitalize() + "Entry"
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        for part, place, type_ in (("key", 1, _STRING), ("value", 2, _BYTES)):
            entry.field.add(name=part, number=place, type=type_, label=_Field.LABEL_OPTIONAL)
        kind = [f"{message.name}.{entry_name}"]
    label = _Field.LABEL_REPEATED if isinstance(kind, list) else _Field.LABEL_OPTIONAL
    if isinstance(kind, list):
        kind = kind[0]
    if isinstance(kind, str):
        full = f".{kind}" if kind.startswith("google.") else within + kind
        message.field.add(name=name, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=full)
    else:
        message.field.add(name=name, number=number, label=label, type=kind)
