"""One version of a loaded key: its material, made ready where and when it is used."""

from __future__ import annotations

from typing import Any, Final

from kms_actors.transit import ciphertext
from kms_actors.transit.key_types import (
    Cipher,
    KeyType,
)
from kms_actors.transit.records import VersionRecord
from kms_actors.transit.schemes.scheme import Scheme


class Version:
    """A version's record, with the objects of the library that work with it.

    Ciphers are made at once. Key pairs are loaded when first used, since that takes up to a quarter of a
    millisecond; two threads that do so at once load equal ones. Derived keys have neither: each context has its own.
    """

    __slots__ = ("_private", "_public", "_scheme", "cipher", "number", "prefix", "record")

    def __init__(
        self, number: int, record: VersionRecord, key_type: KeyType, scheme: Scheme | None, *, derived: bool
    ) -> None:
        self.number: Final = number
        self.record: Final = record
        self.prefix: Final = ciphertext.prefix(number)
        makes_cipher = key_type.cipher if not derived else None
        self.cipher: Final[Cipher | None] = None if makes_cipher is None else makes_cipher(record.key)
        self._scheme = scheme
        self._private: Any = None
        self._public: Any = None

    @property
    def private(self) -> Any:
        """The private key; None where only the public key is known."""
        if self._private is None and self.record.key:
            assert self._scheme is not None
            self._private = self._scheme.private(self.record.key)
        return self._private

    @property
    def public(self) -> Any:
        """The public key."""
        if self._public is None:
            assert self._scheme is not None
            self._public = self._scheme.public(self.record.public_key)
        return self._public
