"""Stored records of KV version 2.

Times are nanoseconds since 1970 and 0 where unset; durations are nanoseconds. Records are MessagePack arrays:
fields are only ever appended, with a default.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from kms_actors.errors import FormatError


class Config(msgspec.Struct, frozen=True, array_like=True):
    """Settings of a mount. A negative `delete_version_after` switches the feature off for the whole mount."""

    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: int = 0
    metadata_cas_required: bool = False


class Version(msgspec.Struct, frozen=True, array_like=True):
    """One version of a secret, without its data. A deletion time may lie ahead."""

    created: int
    deletion: int = 0
    destroyed: bool = False
    size: int = 0  # bytes of the record that its data has by itself, as stored; 0: none, or of an older program

    def readable(self, now: int) -> bool:
        """Tell whether the data may be read at `now`."""
        return not self.destroyed and not 0 < self.deletion <= now


class KeyMetadata(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a secret beside its data. `oldest_version` is 0 until versions were trimmed.

    `metadata_version` counts the changes of its settings, not of its versions.
    """

    created: int
    updated: int
    current_version: int = 0
    oldest_version: int = 0
    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: int = 0
    custom_metadata: dict[str, str] = {}
    versions: dict[int, Version] = {}
    metadata_version: int = 0
    metadata_cas_required: bool = False

    def __repr__(self) -> str:
        return f"<KeyMetadata at version {self.current_version}>"


class Head(msgspec.Struct, frozen=True, array_like=True):
    """The record of a secret: its metadata and, unless it is large, the current version's data (JSON).

    Together, so that the common read takes one key. Data of other versions, and large data, has records of its own.
    """

    metadata: KeyMetadata
    inline: bytes | None = None

    def __repr__(self) -> str:
        return f"<Head at version {self.metadata.current_version}>"


Record = TypeVar("Record", bound=Config | Head)

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final[dict[type, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in (Config, Head)
}


def encode(record: Config | Head) -> bytes:
    """Return the bytes of a record."""
    return _ENCODER.encode(record)


def decode(data: bytes, kind: type[Record]) -> Record:
    """Return the record of `data`; raises FormatError."""
    try:
        record: Record = _DECODERS[kind].decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise FormatError(f"a KV record does not decode as {kind.__name__}") from None
    return record
