"""Keyrings: the versioned AES-256 keys of a cluster or a tenant, that seal every one of its records.

New records take the active version; older ones open under the version they name. A keyring is itself stored as
a record, sealed under a root or master key (`wrap`).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from typing import Annotated, Final, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kms_actors.errors import IntegrityError, InvalidRequest
from kms_actors.keyring import stored
from kms_actors.keyring.record import NONCE_LENGTH, header, open_record, reseal_record, seal_record
from kms_actors.secret import SecretBytes, overwrite, overwriting

#: Versions of a keyring: its record, and what lies in memory for each vault, stay small.
MOST_VERSIONS: Final = 256

_KEY_LENGTH: Final = 32
_ROOT_HEADER: Final = header(0)
_DERIVE_CONTEXT: Final = b"clever-kms keyring derive v1\x00"
_ISSUER: Final = b"issuer of "  # of public keys among what is derived

Random = Callable[[int], bytes]


class _Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Annotated[bytes, msgspec.Meta(min_length=_KEY_LENGTH, max_length=_KEY_LENGTH)]
    created: float  # seconds since 1970

    def __repr__(self) -> str:
        return "<key>"

    __del__ = overwriting("key")


class _Dump(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: Annotated[tuple[_Key, ...], msgspec.Meta(min_length=1)]  # versions 1, 2, …; the last is active
    owner: str
    format: int = stored.FORMAT


class Keyring:
    """Versions 1 to `active_version` of a key; none of them changes, and later ones are taken in (`adopt`).

    Shows nothing in repr, cannot be pickled.
    """

    __slots__ = ("_active", "_aeads", "_derived", "_header", "_keys", "owner", "sealed")

    def __init__(self, keys: tuple[_Key, ...], owner: str) -> None:
        #: The vault id or cluster the keyring was made for, sealed along with its keys.
        self.owner: Final = owner
        self._derived: Final[dict[bytes, bytes]] = {}  # by label, of which there are few: some need one a request
        self._take(keys)

    def _take(self, keys: tuple[_Key, ...]) -> None:
        self._keys = keys
        self._aeads = {header(version): AESGCM(key.key) for version, key in enumerate(keys, start=1)}
        self._header = header(len(keys))
        self._active = self._aeads[self._header]
        #: Records sealed by this object under the active version.
        self.sealed = 0

    @classmethod
    def generate(cls, now: float, random: Random = os.urandom, *, owner: str = "") -> Self:
        """Return a keyring of one new version, made at `now` (seconds since 1970) for `owner`."""
        return cls((_Key(random(_KEY_LENGTH), now),), owner)

    @classmethod
    def load(cls, dump: bytes) -> Self:
        """Return the keyring of a `dump`; raises FormatError for a damaged or newer one."""
        found = stored.decode(dump, _Dump, "keyring")
        return cls(found.keys, found.owner)

    def dump(self) -> bytes:
        """Return the keyring as JSON, keys in the clear: only to be sealed (`wrap`)."""
        return stored.encode_secret(_Dump(self._keys, self.owner))

    def rotated(self, now: float, random: Random = os.urandom) -> Self:
        """Return a keyring with one more version, which is active.

        Raises:
            InvalidRequest: there are as many as there may be.

        """
        if len(self._keys) >= MOST_VERSIONS:
            raise InvalidRequest(f"the keyring has {MOST_VERSIONS} versions, which is the most that it may have")
        return type(self)((*self._keys, _Key(random(_KEY_LENGTH), now)), self.owner)

    def adopt(self, later: Keyring) -> bool:
        """Take in the further versions of the same keyring, as it was read later; return whether there are any.

        Whoever holds this object seals by the new version from then on, and opens what others have sealed by it.

        Raises:
            IntegrityError: it is another keyring.

        """
        common = min(len(self._keys), len(later._keys))
        same = [
            hmac.compare_digest(mine.key, other.key)
            for mine, other in zip(self._keys[:common], later._keys[:common], strict=True)
        ]
        if self.owner != later.owner or not all(same):
            raise IntegrityError("the keyring found is another one")
        if len(later._keys) <= len(self._keys):
            return False
        self._take(later._keys)
        return True

    @property
    def active_version(self) -> int:
        return len(self._keys)

    @property
    def active_since(self) -> float:
        """When the active version was made, in seconds since 1970."""
        return self._keys[-1].created

    def seal(self, store_key: bytes, plaintext: bytes, random: Random = os.urandom) -> bytes:
        """Return the record of `plaintext` for the place `store_key`."""
        self.sealed += 1
        return seal_record(self._active, self._header, random(NONCE_LENGTH), store_key, plaintext)

    def open(self, store_key: bytes, record: bytes) -> bytes:
        """Return the plaintext of the record found at `store_key`; raises IntegrityError or FormatError."""
        return open_record(self._aeads, store_key, record)

    def reseal(self, store_key: bytes, record: bytes) -> bytes:
        """Return the record that says the same, under the active version; raises IntegrityError or FormatError."""
        self.sealed += 1
        return reseal_record(self._aeads, self._header, store_key, record)

    def derive(self, label: bytes) -> bytes:
        """Return the 32-byte subkey for `label`: HKDF-SHA256 (RFC 5869) of version 1, so rotations keep it."""
        derived = self._derived.get(label)
        if derived is None:
            hkdf = HKDF(algorithm=SHA256(), length=_KEY_LENGTH, salt=None, info=_DERIVE_CONTEXT + label)
            derived = self._derived[label] = hkdf.derive(self._keys[0].key)
        return derived

    def issuer(self, label: bytes) -> bytes:
        """Return the Ed25519 public key (32 bytes) of the subkey for `label`, which is the private one."""
        place = _ISSUER + label
        public = self._derived.get(place)
        if public is None:
            private = Ed25519PrivateKey.from_private_bytes(self.derive(label))
            public = self._derived[place] = private.public_key().public_bytes_raw()
        return public

    def __repr__(self) -> str:
        return "<Keyring>"

    def __reduce__(self) -> str:
        raise TypeError("keyrings are not pickled")


def wrap(wrapping_key: SecretBytes, store_key: bytes, keyring: Keyring, random: Random = os.urandom) -> bytes:
    """Return `keyring` as a record for `store_key`, sealed under a 32-byte root or master key."""
    aead = AESGCM(wrapping_key.reveal())
    dump = keyring.dump()
    try:
        return seal_record(aead, _ROOT_HEADER, random(NONCE_LENGTH), store_key, dump)
    finally:
        overwrite(dump)


def unwrap(wrapping_key: SecretBytes, store_key: bytes, record: bytes) -> Keyring:
    """Return the keyring that `wrap` sealed; raises IntegrityError (another key or place) or FormatError."""
    dump = open_record({_ROOT_HEADER: AESGCM(wrapping_key.reveal())}, store_key, record)
    try:
        return Keyring.load(dump)
    finally:
        overwrite(dump)
