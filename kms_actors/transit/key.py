"""A loaded key: its policy and the versions in use, ready to work. Immutable, so any task or thread may use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from cryptography.exceptions import InvalidTag

from kms_actors.errors import InvalidRequest

from . import ciphertext
from .derivation import KDFS, NONCE_KEY_BYTES, convergent_nonce
from .digests import check_hmac_algorithm, hmac_of
from .items import DecryptItem, DecryptResult, Encrypted, EncryptItem, EncryptResult, HmacResult, RewrapItem
from .key_types import KEY_TYPES, Cipher, KeyType
from .records import KeyPolicy, VersionRecord

SOFT_DELETED: Final = "refusing to use soft-deleted key"
NO_SUCH_VERSION: Final = "no such key version"
MISSING_CONTEXT: Final = (
    "missing 'context' for key derivation; the key was created using a derived key, which means additional, "
    "per-request information must be included in order to perform operations with the key"
)

I = TypeVar("I")  # noqa: E741 - an item
R = TypeVar("R")  # its result


class _Version:
    """One version; derived keys have no cipher of their own, since each context has its own key."""

    __slots__ = ("cipher", "number", "prefix", "record")

    def __init__(self, number: int, record: VersionRecord, make_cipher: Callable[[bytes], Cipher] | None) -> None:
        self.number: Final = number
        self.record: Final = record
        self.prefix: Final = ciphertext.prefix(number)
        self.cipher: Final = None if make_cipher is None else make_cipher(record.key)


class TransitKey:
    """The versions of one key that its policy allows.

    Operations take items and answer a result for each, an InvalidRequest where an item is at fault; what is
    wrong with the whole request they raise.
    """

    __slots__ = ("_latest", "_type", "_versions", "policy")

    def __init__(self, policy: KeyPolicy, versions: Mapping[int, VersionRecord]) -> None:
        self.policy: Final = policy
        self._type: Final[KeyType] = KEY_TYPES[policy.type]
        make_cipher = None if policy.derived else self._type.cipher
        self._versions: Final = {number: _Version(number, record, make_cipher) for number, record in versions.items()}
        self._latest: Final = self._versions[policy.latest_version]

    def encrypt(self, items: Sequence[EncryptItem | InvalidRequest]) -> list[EncryptResult]:
        """Encrypt each item under a fresh nonce, or the convergent one."""
        self._check_usable()
        size = self._type.nonce_bytes
        drawn = os.urandom(size * len(items))
        results: list[EncryptResult] = []
        start = 0
        for item in items:
            if item.__class__ is EncryptItem:
                try:
                    results.append(self._encrypt(item, drawn[start : start + size]))
                except InvalidRequest as error:
                    results.append(_bare(error))
            else:
                results.append(item)  # type: ignore[arg-type]
            start += size
        return results

    def decrypt(self, items: Sequence[DecryptItem | InvalidRequest]) -> list[DecryptResult]:
        """Decrypt each item."""
        self._check_usable()
        return _each(items, self._decrypt)

    def rewrap(self, items: Sequence[RewrapItem | InvalidRequest]) -> list[EncryptResult]:
        """Decrypt each item and encrypt it under the version it asks for; always anew, with a fresh nonce."""
        self._check_usable()
        return _each(items, self._rewrap)

    def data_key(
        self, length: int, context: bytes, associated_data: bytes | None, key_version: int
    ) -> tuple[Encrypted, bytes]:
        """Return `length` random bytes, encrypted and in the clear."""
        self._check_usable()
        plaintext = os.urandom(length)
        item = EncryptItem(plaintext, context, associated_data, key_version)
        return self._encrypt(item, os.urandom(self._type.nonce_bytes)), plaintext

    def hmac(self, inputs: Sequence[bytes | InvalidRequest], algorithm: str, key_version: int) -> list[HmacResult]:
        """Return the HMAC of each input; contexts play no part, also for derived keys."""
        self._check_usable()
        version = self._hmac_version(key_version)
        check_hmac_algorithm(algorithm)
        key = version.record.key if self._type.hmac_by_key else version.record.hmac_key
        return [
            item
            if isinstance(item, InvalidRequest)
            else ciphertext.encode(version.prefix, hmac_of(algorithm, key, item))
            for item in inputs
        ]

    def __repr__(self) -> str:
        return f"<TransitKey {self.policy.name}>"

    def _check_usable(self) -> None:
        if self.policy.soft_deleted:
            raise InvalidRequest(SOFT_DELETED)

    def _encrypt(self, item: EncryptItem, nonce: bytes) -> Encrypted:
        version = self._encryption_version(item.key_version) if item.key_version else self._latest
        cipher = version.cipher
        if cipher is None:
            self._require_cipher("encryption")
            cipher, nonce_keys = self._derived(version, item.context, item.associated_data)
            if nonce_keys:
                nonce = convergent_nonce(nonce_keys, item.plaintext, item.associated_data, len(nonce))
        sealed = cipher.encrypt(nonce, item.plaintext, item.associated_data)
        return ciphertext.encode(version.prefix, nonce + sealed), version.number

    def _decrypt(self, item: DecryptItem | RewrapItem) -> bytes:
        self._require_cipher("decryption")
        policy = self.policy
        number, blob = ciphertext.parse(item.ciphertext, policy.latest_version, policy.min_decryption_version)
        version = self._version(number)
        cipher = version.cipher or self._derived(version, item.context, None)[0]
        size = self._type.nonce_bytes
        if len(blob) < size:
            raise InvalidRequest("invalid ciphertext length")
        try:
            return cipher.decrypt(blob[:size], blob[size:], item.associated_data)
        except InvalidTag:
            raise InvalidRequest(self._type.forgery) from None

    def _rewrap(self, item: RewrapItem) -> Encrypted:
        anew = EncryptItem(self._decrypt(item), item.context, item.associated_data, item.key_version)
        return self._encrypt(anew, os.urandom(self._type.nonce_bytes))

    def _require_cipher(self, operation: str) -> None:
        if self._type.cipher is None:
            raise InvalidRequest(f"message {operation} not supported for key type {self._type.name}")

    def _derived(self, version: _Version, context: bytes, associated_data: bytes | None) -> tuple[Cipher, bytes]:
        """Return the cipher of a context, and the keys of its nonces if the key is convergent."""
        if not context:
            raise InvalidRequest(MISSING_CONTEXT)
        size = self._type.key_bytes
        # The stream of HKDF goes on where it ended: a longer one begins with the shorter one.
        extra = NONCE_KEY_BYTES * (2 if associated_data else 1) if self.policy.convergent else 0
        material = KDFS[self.policy.kdf](version.record.key, context, size + extra)
        if len(material) != size + extra:
            raise InvalidRequest("could not derive enc key, length not correct")
        assert self._type.cipher is not None
        return self._type.cipher(material[:size]), material[size:]

    def _encryption_version(self, number: int) -> _Version:
        if number < 0:
            raise InvalidRequest("requested version for encryption is negative")
        if number > self.policy.latest_version:
            raise InvalidRequest("requested version for encryption is higher than the latest key version")
        if number < self.policy.min_encryption_version:
            raise InvalidRequest("requested version for encryption is less than the minimum encryption key version")
        return self._version(number)

    def _hmac_version(self, number: int) -> _Version:
        latest = self.policy.latest_version
        if number in (0, latest):
            return self._latest
        if 0 < self.policy.min_encryption_version > number:
            raise InvalidRequest("cannot generate HMAC: version is too old (disallowed by policy)")
        if number < 0:
            raise InvalidRequest("key version does not exist (cannot be negative)")
        if number > latest:
            raise InvalidRequest(f"key version does not exist; latest key version is {latest}")
        return self._version(number)

    def _version(self, number: int) -> _Version:
        version = self._versions.get(number)
        if version is None:
            raise InvalidRequest(NO_SUCH_VERSION)
        return version


def _each(items: Sequence[I | InvalidRequest], operation: Callable[[I], R]) -> list[R | InvalidRequest]:
    results: list[R | InvalidRequest] = []
    for item in items:
        if isinstance(item, InvalidRequest):
            results.append(item)
            continue
        try:
            results.append(operation(item))
        except InvalidRequest as error:
            results.append(_bare(error))
    return results


def _bare(error: InvalidRequest) -> InvalidRequest:
    """Return the error without its traceback, whose frames hold plaintexts and keys."""
    return InvalidRequest(*error.args)
