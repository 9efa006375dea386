"""A loaded key: its policy and the versions in use, ready to work; and encryption, what most keys are for.

Nothing of it changes once it is made, so any task or thread may use it. Signatures, MACs and exports have modules
of their own, which take a key.
"""

from __future__ import annotations

import os
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography.exceptions import InvalidTag

from kms_actors.errors import InvalidRequest, UnknownVersion
from kms_actors.transit import ciphertext
from kms_actors.transit.derivation import (
    KDFS,
    NONCE_KEY_BYTES,
    convergent_nonce,
)
from kms_actors.transit.go_base64 import AT_ONCE
from kms_actors.transit.items import (
    DecryptItem,
    DecryptResult,
    Encrypted,
    EncryptItem,
    EncryptResult,
    Item,
    Plaintext,
    RewrapItem,
    bare,
    each,
)
from kms_actors.transit.key_types import (
    KEY_TYPES,
    Cipher,
    KeyType,
    Parameters,
)
from kms_actors.transit.records import (
    KeyPolicy,
    VersionRecord,
)
from kms_actors.transit.schemes.rsa import Rsa
from kms_actors.transit.schemes.scheme import Scheme
from kms_actors.transit.version import Version

SOFT_DELETED: Final = "refusing to use soft-deleted key"
NO_SUCH_VERSION: Final = "no such key version"
MISSING_CONTEXT: Final = (
    "missing 'context' for key derivation; the key was created using a derived key, which means additional, "
    "per-request information must be included in order to perform operations with the key"
)
_OAEP: Final = "oaep"


def parameters_of(policy: KeyPolicy) -> Parameters:
    """Return what picks the scheme among those of a key's type."""
    return Parameters(policy.parameter_set, policy.hybrid_key_type_pqc, policy.hybrid_key_type_ec)


def rotates(policy: KeyPolicy) -> bool:
    """Tell whether a key gets new versions by itself."""
    return policy.auto_rotate_period > 0 and policy.allow_rotation and not policy.soft_deleted


class TransitKey:
    """The versions of one key that its policy allows.

    Operations take items and answer a result for each, an InvalidRequest where an item is at fault; what is
    wrong with the whole request they raise.
    """

    __slots__ = ("_versions", "due", "latest", "policy", "scheme", "type")

    def __init__(self, policy: KeyPolicy, versions: Mapping[int, VersionRecord]) -> None:
        self.policy: Final = policy
        self.type: Final[KeyType] = KEY_TYPES[policy.type]
        self.scheme: Final[Scheme | None] = self.type.schemes[parameters_of(policy)] if self.type.schemes else None
        self._versions: Final = {
            number: Version(number, record, self.type, self.scheme, derived=policy.derived)
            for number, record in versions.items()
        }
        self.latest: Final = self._versions[policy.latest_version]
        #: When the next version is to be made (nanoseconds since 1970), if ever.
        self.due: Final = self.latest.record.created + policy.auto_rotate_period if rotates(policy) else None

    def encrypt(self, items: Sequence[EncryptItem | Plaintext | InvalidRequest]) -> list[EncryptResult]:
        """Encrypt each item; with authenticated encryption under a fresh nonce, or the convergent one."""
        if self.policy.soft_deleted:
            return self.refusals(items)
        if self.type.cipher is None:
            return each(items, self._encrypt_by_pair)
        version, size = self.latest, self.type.nonce_bytes
        seal, prefix = version.cipher.encrypt if version.cipher else None, version.prefix
        drawn = os.urandom(size * len(items))
        results: list[EncryptResult] = []
        start = 0
        for item in items:
            nonce = drawn[start : start + size]
            start += size
            if item.__class__ is Plaintext and seal is not None and len(item.plaintext) < AT_ONCE:
                # In one line, since batches are many of these.
                text = prefix + b2a_base64(nonce + seal(nonce, item.plaintext, None), newline=False).decode("ascii")
                results.append((text, version.number))
            elif isinstance(item, InvalidRequest):
                results.append(item)
            else:
                try:
                    results.append(self._encrypt(_with_options(item), nonce))
                except InvalidRequest as error:
                    results.append(bare(error))
        return results

    def decrypt(self, items: Sequence[DecryptItem | InvalidRequest]) -> list[DecryptResult]:
        """Decrypt each item."""
        if self.policy.soft_deleted:
            return self.refusals(items)
        return each(items, self._decrypt)

    def rewrap(self, items: Sequence[RewrapItem | InvalidRequest]) -> list[EncryptResult]:
        """Decrypt each item and encrypt it under the version it asks for; always anew, with a fresh nonce."""
        if self.policy.soft_deleted:
            return self.refusals(items)
        return each(items, self._rewrap)

    def data_key(self, length: int, item: EncryptItem | InvalidRequest) -> tuple[Encrypted, bytes]:
        """Return `length` random bytes, encrypted as `item` says and in the clear."""
        if isinstance(item, InvalidRequest):
            raise item
        plaintext = os.urandom(length)
        (encrypted,) = self.encrypt(
            [EncryptItem(plaintext, item.context, item.associated_data, item.key_version, item.padding_scheme)]
        )
        if isinstance(encrypted, InvalidRequest):
            raise encrypted
        return encrypted, plaintext

    def check_usable(self) -> None:
        """Raise InvalidRequest if the key is soft-deleted."""
        if self.policy.soft_deleted:
            raise InvalidRequest(SOFT_DELETED)

    def refusals(self, items: Sequence[Any]) -> list[Any]:
        """Return the results of items that a soft-deleted key would have worked on."""
        return [item if isinstance(item, InvalidRequest) else InvalidRequest(SOFT_DELETED) for item in items]

    def is_due(self, now: int) -> bool:
        """Tell whether the next version is to be made by `now` (nanoseconds since 1970)."""
        return self.due is not None and self.due <= now

    def version(self, number: int) -> Version:
        """Return a version; raises InvalidRequest if there is none of this number."""
        version = self._versions.get(number)
        if version is None:
            raise InvalidRequest(NO_SUCH_VERSION)
        return version

    def version_for(self, use: str, number: int) -> Version:
        """Return the version that a caller names for encryption or signing; 0 means the latest."""
        if not number:
            return self.latest
        if number < 0:
            raise InvalidRequest(f"requested version for {use} is negative")
        if number > self.policy.latest_version:
            raise UnknownVersion(f"requested version for {use} is higher than the latest key version")
        if number < self.policy.min_encryption_version:
            raise InvalidRequest(f"requested version for {use} is less than the minimum encryption key version")
        return self.version(number)

    def versions(self) -> Sequence[Version]:
        """Return all versions, oldest first."""
        return sorted(self._versions.values(), key=lambda version: version.number)

    def __repr__(self) -> str:
        return f"<TransitKey {self.policy.name}>"

    # Authenticated encryption.

    def _encrypt(self, item: EncryptItem, nonce: bytes) -> Encrypted:
        if item.padding_scheme:
            raise self._without_padding()
        version = self.version_for("encryption", item.key_version) if item.key_version else self.latest
        cipher = version.cipher
        if cipher is None:
            cipher, nonce_keys = self._derived(version, item.context, item.associated_data)
            if nonce_keys:
                nonce = convergent_nonce(nonce_keys, item.plaintext, item.associated_data, len(nonce))
        sealed = cipher.encrypt(nonce, item.plaintext, item.associated_data)
        return ciphertext.encode(version.prefix, nonce + sealed), version.number

    def _decrypt(self, item: DecryptItem | RewrapItem) -> bytes:
        if self.type.cipher is None:
            return self._decrypt_by_pair(item)
        if item.padding_scheme:
            raise self._without_padding()
        policy = self.policy
        number, blob = ciphertext.parse(item.ciphertext, policy.latest_version, policy.min_decryption_version)
        version = self.version(number)
        cipher = version.cipher or self._derived(version, item.context, None)[0]
        size = self.type.nonce_bytes
        if len(blob) < size:
            raise InvalidRequest("invalid ciphertext length")
        try:
            return cipher.decrypt(blob[:size], blob[size:], item.associated_data)
        except InvalidTag:
            raise InvalidRequest(self.type.forgery) from None

    def _rewrap(self, item: RewrapItem) -> Encrypted:
        anew = EncryptItem(
            self._decrypt(item),
            item.context,
            item.associated_data,
            item.key_version,
            item.new_padding_scheme,
            item.index,
        )
        if self.type.cipher is None:
            return self._encrypt_by_pair(anew)
        return self._encrypt(anew, os.urandom(self.type.nonce_bytes))

    def _derived(self, version: Version, context: bytes, associated_data: bytes | None) -> tuple[Cipher, bytes]:
        """Return the cipher of a context, and the keys of its nonces if the key is convergent."""
        if not context:
            raise InvalidRequest(MISSING_CONTEXT)
        size = self.type.key_bytes
        # The stream of HKDF goes on where it ended: a longer one begins with the shorter one.
        extra = NONCE_KEY_BYTES * (2 if associated_data else 1) if self.policy.convergent else 0
        material = KDFS[self.policy.kdf](version.record.key, context, size + extra)
        if len(material) != size + extra:
            raise InvalidRequest("could not derive enc key, length not correct")
        assert self.type.cipher is not None
        return self.type.cipher(material[:size]), material[size:]

    # Encryption by key pairs.

    def _encrypt_by_pair(self, plain: Item) -> Encrypted:
        item = _with_options(plain)
        scheme = self._encrypting_scheme("encryption", item)
        version = self.version_for("encryption", item.key_version)
        blob = scheme.encrypt(version.public, item.plaintext, item.padding_scheme or _OAEP)
        return ciphertext.encode(version.prefix, blob), version.number

    def _decrypt_by_pair(self, item: DecryptItem | RewrapItem) -> bytes:
        scheme = self._encrypting_scheme("decryption", item)
        policy = self.policy
        number, blob = ciphertext.parse(item.ciphertext, policy.latest_version, policy.min_decryption_version)
        private = self.version(number).private
        if private is None:
            raise InvalidRequest("cannot decrypt ciphertext, key version does not have a private counterpart")
        return scheme.decrypt(private, blob, item.padding_scheme or _OAEP)

    def _encrypting_scheme(self, operation: str, item: EncryptItem | DecryptItem | RewrapItem) -> Rsa:
        if item.associated_data:
            raise InvalidRequest(
                f"'[{item.index}].associated_data' provided for non-AEAD cipher suite {self.type.name}"
            )
        if not isinstance(self.scheme, Rsa):
            raise InvalidRequest(f"message {operation} not supported for key type {self.type.name}")
        return self.scheme

    def _without_padding(self) -> InvalidRequest:
        return InvalidRequest(f"padding_scheme is not valid for key type {self.type.name}")


def _with_options(item: Item) -> EncryptItem:
    if isinstance(item, Plaintext):
        return EncryptItem(item.plaintext)
    assert isinstance(item, EncryptItem)
    return item
