"""Sealed records: AES-256-GCM, bound to the place in the store where they lie.

    format (1 byte, 1) ‖ key version (4 bytes, big-endian) ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)

The additional data is the record's full key in the store: moved or swapped, it does not open. Key version 0 is
a root or master key; keyrings count from 1. Nonces are random (NIST SP 800-38D, 8.2.2): rotate a key well
before 2^32 records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_actors.errors import FormatError, IntegrityError, NewerKeyVersion
from kms_actors.secret import overwrite

NONCE_LENGTH: Final = 12
#: Records under one key.
MOST_RECORDS: Final = 2**32

_FORMAT: Final = 1
_HEADER_LENGTH: Final = 5
_BODY: Final = _HEADER_LENGTH + NONCE_LENGTH
_SHORTEST: Final = _BODY + 16


def header(version: int) -> bytes:
    """Return the first five bytes of every record sealed with key `version`."""
    return bytes([_FORMAT]) + version.to_bytes(4, "big")


def version_of(record: bytes) -> int:
    """Return the key version that a record says it was sealed with; 0 where it says nothing, too."""
    return int.from_bytes(record[1:_HEADER_LENGTH], "big")


def seal_record(aead: AESGCM, start: bytes, nonce: bytes, store_key: bytes, plaintext: bytes) -> bytes:
    """Return the record for `store_key`; `start` is the header of the version of `aead`."""
    return start + nonce + aead.encrypt(nonce, plaintext, store_key)


def reseal_record(aeads: Mapping[bytes, AESGCM], start: bytes, store_key: bytes, record: bytes) -> bytes:
    """Return the record that says the same, sealed by the key whose header is `start`; raises as `open_record`.

    It keeps its nonce, which is as random for the one key as for the other, and by which others know it again.
    """
    plaintext = open_record(aeads, store_key, record)
    try:
        return seal_record(aeads[start], start, record[_HEADER_LENGTH:_BODY], store_key, plaintext)
    finally:
        overwrite(plaintext)


def open_record(aeads: Mapping[bytes, AESGCM], store_key: bytes, record: bytes) -> bytes:
    """Return the plaintext of `record`, found at `store_key`; `aeads` maps headers to keys.

    Raises:
        FormatError: of another format than this program writes.
        IntegrityError: damaged, of another place, or of a key that is not in `aeads`.
        NewerKeyVersion: of a later version than any in `aeads`.

    """
    aead = aeads.get(record[:_HEADER_LENGTH])
    if aead is None or len(record) < _SHORTEST:
        raise _unreadable(record, max(map(version_of, aeads), default=0))
    try:
        return aead.decrypt(record[_HEADER_LENGTH:_BODY], record[_BODY:], store_key)
    except InvalidTag:
        raise IntegrityError("a sealed record does not open under its key") from None


def _unreadable(record: bytes, latest: int) -> FormatError | IntegrityError:
    if len(record) < _SHORTEST:
        return IntegrityError("a sealed record is too short")
    if record[0] != _FORMAT:
        return FormatError(f"a sealed record is of format {record[0]}; this program reads format {_FORMAT}")
    kind = NewerKeyVersion if version_of(record) > latest > 0 else IntegrityError
    return kind("a sealed record is of a key version that the keyring does not have")
