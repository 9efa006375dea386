"""Where each record lives: keys are FoundationDB tuples, so that any tuple-layer tool reads them.

(root, "header")                        format of the cluster's data
(root, "node", namespace, …)            master keyring and seal of a cluster
(root, "member", namespace, node name)  a node of a cluster, as it said last
(root, "version", namespace, version)   when a version of the program first ran
(root, "vault", vault id)               tenant integer of a vault
(root, "allocator")                     last tenant integer given out, never reused
(root, "restore", digest, scope)        frames that an unfinished restore has written
(root, "due", time, tenant)             a tenant with work at that time
(root, "t", tenant, area, …)            everything of one tenant: one contiguous range
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

import fdb.tuple

ROOT = "ckms"
#: Type code of the integer 0 in a tuple; each byte of a positive one adds 1.
_INTEGER = 0x14
#: Those of bytes and of texts, which end with a zero; and of UUIDs.
_BYTES: Final = b"\x01%b\0"
_TEXT: Final = b"\x02%b\0"
_UUID: Final = b"\x30"
_MOST: Final = (1 << 64) - 1  # from here on, integers are encoded in another way


def pack(*parts: Any) -> bytes:
    """Return the key of a tuple below the root."""
    packed: bytes = fdb.tuple.pack((ROOT, *parts))
    return packed


def pack_behind(prefix: bytes, parts: tuple[Any, ...]) -> bytes:
    """Return `prefix` and the key of a tuple: as `fdb.tuple.pack` does it, which takes five times as long.

    What a key has here, texts, bytes, UUIDs and what is counted, is encoded at once; all else is left to that.
    """
    encoded = [prefix]
    for part in parts:
        kind = type(part)
        if kind is str:
            encoded.append(_TEXT % part.encode().replace(b"\0", b"\0\xff"))
        elif kind is bytes:
            encoded.append(_BYTES % part.replace(b"\0", b"\0\xff"))
        elif kind is UUID:
            encoded.append(_UUID + part.bytes)
        elif kind is int and 0 <= part < _MOST:
            size = part.bit_length() + 7 >> 3
            encoded.append((_INTEGER + size).to_bytes() + part.to_bytes(size))
        else:
            packed: bytes = fdb.tuple.pack(parts)
            return prefix + packed
    return b"".join(encoded)


def unpack(key: bytes) -> tuple[Any, ...]:
    """Return the tuple of a key, without the root."""
    return tuple(fdb.tuple.unpack(key)[1:])


def after(prefix: bytes) -> bytes:
    """Return the end of the range of all keys that extend `prefix` by at least one tuple element."""
    return prefix + b"\xff"


HEADER = pack("header")
ALLOCATOR = pack("allocator")
DUE = pack("due")
TENANTS = pack("t")
VAULTS = pack("vault")


def node(namespace: str, *parts: Any) -> bytes:
    """Return a key of a cluster's own records: `seal`, `keyring`."""
    return pack("node", namespace, *parts)


def member(namespace: str, *name: str) -> bytes:
    """Return the key of a node's word that it is there; without a name, what all of a cluster begin with."""
    return pack("member", namespace, *name)


def version(namespace: str, *name: str) -> bytes:
    """Return the key of when a version first ran; without one, what all of a cluster begin with."""
    return pack("version", namespace, *name)


def vault(vault_id: str) -> bytes:
    """Return the key that maps a vault id to its tenant integer."""
    return pack("vault", vault_id)


def due(time: int, tenant: int) -> bytes:
    """Return a key of the index of work by time (nanoseconds since 1970)."""
    return pack("due", time, tenant)


def tenant_of(key: bytes) -> int:
    """Return the tenant integer of a key below `TENANTS`, whatever follows it; 0 where there is none."""
    place = len(TENANTS)
    size = key[place] - _INTEGER  # bytes of it, as the tuple layer tells by the type
    return int.from_bytes(key[place + 1 : place + 1 + size], "big") if 0 < size <= 8 else 0


class TenantKeys:
    """Keys of one tenant; the prefix is packed once, since requests build keys from it."""

    __slots__ = ("number", "prefix")

    def __init__(self, number: int) -> None:
        self.number = number
        self.prefix = pack("t", number)

    def key(self, *parts: Any) -> bytes:
        """Return the key of (area, …) in this tenant."""
        return pack_behind(self.prefix, parts)

    def parts(self, key: bytes) -> tuple[Any, ...]:
        """Return (area, …) of a key of this tenant."""
        return tuple(fdb.tuple.unpack(key[len(self.prefix) :]))

    def span(self, *parts: Any) -> tuple[bytes, bytes]:
        """Return begin and end of all keys that extend (area, …) by at least one element."""
        begin = self.key(*parts)
        return begin, after(begin)
