"""What is encrypted, decrypted or rewrapped: items of a batch, of which a single request has one.

An item that could not be read stands in its batch as the InvalidRequest that says why, and comes out as it went in.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from kms_actors.errors import InvalidRequest


class Item(msgspec.Struct, frozen=True, gc=False):
    """Base of items: the repr shows no content."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class EncryptItem(Item, frozen=True, gc=False):
    """A plaintext; `key_version` 0 means the latest."""

    plaintext: bytes
    context: bytes = b""
    associated_data: bytes | None = None
    key_version: int = 0


class DecryptItem(Item, frozen=True, gc=False):
    """A ciphertext with what was given when it was made."""

    ciphertext: str
    context: bytes = b""
    associated_data: bytes | None = None


class RewrapItem(Item, frozen=True, gc=False):
    """A ciphertext to be encrypted anew under `key_version`; 0 means the latest."""

    ciphertext: str
    context: bytes = b""
    associated_data: bytes | None = None
    key_version: int = 0


#: A ciphertext and the version that made it.
Encrypted: TypeAlias = tuple[str, int]
EncryptResult: TypeAlias = Encrypted | InvalidRequest
DecryptResult: TypeAlias = bytes | InvalidRequest
HmacResult: TypeAlias = str | InvalidRequest
