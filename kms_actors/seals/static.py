"""A master key wrapped by a key in a file: for development, and for who has a file that is guarded well.

    nonce (12 bytes) ‖ AES-256-GCM ciphertext and tag; additional data: `associated`

The provider's key is called by its key check value. The file is read for each use, and kept nowhere.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_actors.config import MasterKeyringProvider, SettingError
from kms_actors.errors import IntegrityError
from kms_actors.keyring.check_value import has_check_value, key_check_value
from kms_actors.seals.provider import ProviderType, Wrapped, associated
from kms_actors.seals.sources import Source, source
from kms_actors.secret import SecretBytes

_PREFIX: Final = "master_keyring_provider."
_NONCE: Final = 12
_HEX_KEY: Final = re.compile(rb"[0-9a-fA-F]{64}")


class StaticProvider:
    """See `Provider`. `key` is where its key is, `second` where another is that opens, too."""

    type: Final[ProviderType] = "static"

    def __init__(self, namespace: str, key: Source, second: Source | None = None) -> None:
        self._associated = associated(namespace)
        self._key = key
        self._second = second

    @classmethod
    def of(cls, settings: MasterKeyringProvider) -> StaticProvider:
        """Return the one that settings describe."""
        key = source(_PREFIX, "key", settings.key_file, settings.key_credential)
        assert key is not None  # checked when the file was read
        second = source(_PREFIX, "second_key", settings.second_key_file, settings.second_key_credential)
        return cls(settings.namespace, key, second)

    async def check(self) -> None:
        await asyncio.to_thread(self.keys)

    async def wrap(self, key: SecretBytes) -> Wrapped:
        (own, *_) = await asyncio.to_thread(self.keys)
        nonce = os.urandom(_NONCE)
        blob = nonce + AESGCM(own.reveal()).encrypt(nonce, key.reveal(), self._associated)
        return Wrapped(key_check_value(own), blob)

    async def unwrap(self, wrapped: Wrapped) -> SecretBytes:
        for own in await asyncio.to_thread(self.keys):
            if has_check_value(own, wrapped.key_id):
                try:
                    nonce, ciphertext = wrapped.blob[:_NONCE], wrapped.blob[_NONCE:]
                    return SecretBytes(AESGCM(own.reveal()).decrypt(nonce, ciphertext, self._associated))
                except (InvalidTag, ValueError):
                    raise IntegrityError("the master key that the static key has wrapped does not open") from None
        raise self.foreign

    async def close(self) -> None:
        """Nothing: nothing is kept."""

    @property
    def foreign(self) -> SettingError:
        """What to say where none of the keys is that of the cluster."""
        return SettingError(self._key.setting, f"{self._key.path} holds the master key of another cluster")

    def keys(self) -> list[SecretBytes]:
        """Return its key, and the second one if there is one; raises SettingError."""
        return [_key_of(place) for place in (self._key, self._second) if place is not None]


def _key_of(place: Source) -> SecretBytes:
    found = place.read()
    if not _HEX_KEY.fullmatch(found.reveal()):
        raise SettingError(place.setting, f"{place.path} holds no master key: 64 hex characters")
    return SecretBytes(bytes.fromhex(found.reveal().decode("ascii")))
