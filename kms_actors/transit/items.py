"""What is encrypted, signed and so on: items of a batch, of which a single request has one, and their results.

An item that could not be read stands in its batch as the InvalidRequest that says why, and comes out as it went in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import msgspec

from kms_actors.errors import InvalidRequest

I = TypeVar("I")  # noqa: E741 - an item
R = TypeVar("R")  # its result


class Item(msgspec.Struct, frozen=True, gc=False):
    """Base of items: the repr shows no content. `size` is the bytes that are worked on."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Small(list[I]):
    """Items of a request so short that nobody has to add up how large they are."""

    __slots__ = ()


class EncryptItem(Item, frozen=True, gc=False):
    """A plaintext; `key_version` 0 means the latest. `index` is its place in the batch, for texts."""

    plaintext: bytes
    context: bytes = b""
    associated_data: bytes | None = None
    key_version: int = 0
    padding_scheme: str = ""
    index: int = 0

    @property
    def size(self) -> int:
        return len(self.plaintext) + len(self.context) + len(self.associated_data or b"")


class Plaintext(Item, frozen=True, gc=False, forbid_unknown_fields=True):
    """A plaintext with nothing said about it, as most batches have them: JSON is read straight into it."""

    plaintext: bytes

    @property
    def size(self) -> int:
        return len(self.plaintext)


class DecryptItem(Item, frozen=True, gc=False):
    """A ciphertext with what was given when it was made."""

    ciphertext: str
    context: bytes = b""
    associated_data: bytes | None = None
    padding_scheme: str = ""
    index: int = 0

    @property
    def size(self) -> int:
        return len(self.ciphertext) + len(self.context) + len(self.associated_data or b"")


class RewrapItem(Item, frozen=True, gc=False):
    """A ciphertext to be encrypted anew under `key_version`; 0 means the latest."""

    ciphertext: str
    context: bytes = b""
    associated_data: bytes | None = None
    key_version: int = 0
    padding_scheme: str = ""  # of the ciphertext
    new_padding_scheme: str = ""  # of what it becomes
    index: int = 0

    @property
    def size(self) -> int:
        return len(self.ciphertext) + len(self.context) + len(self.associated_data or b"")


class SignItem(Item, frozen=True, gc=False):
    """A message to be signed, or its digest."""

    input: bytes
    context: bytes = b""

    @property
    def size(self) -> int:
        return len(self.input) + len(self.context)


class VerifyItem(Item, frozen=True, gc=False):
    """A message, or its digest, and what should be its signature."""

    input: bytes
    signature: str
    context: bytes = b""

    @property
    def size(self) -> int:
        return len(self.input) + len(self.signature) + len(self.context)


class MacItem(Item, frozen=True, gc=False):
    """A message and what should be its HMAC or CMAC; `length` (bytes) is that of a shortened CMAC, 0 if whole."""

    input: bytes
    mac: str
    length: int = 0

    @property
    def size(self) -> int:
        return len(self.input) + len(self.mac)


class HmacItem(Item, frozen=True, gc=False):
    """A message whose HMAC is asked for."""

    input: bytes

    @property
    def size(self) -> int:
        return len(self.input)


class CmacItem(Item, frozen=True, gc=False):
    """A message whose CMAC of `length` bytes is asked for; 0 means all of it."""

    input: bytes
    length: int = 0

    @property
    def size(self) -> int:
        return len(self.input)


class Signed(msgspec.Struct, frozen=True, gc=False):
    """A signature, the version that made it, and for derived keys the public key that verifies it (base64)."""

    signature: str
    key_version: int
    public_key: str = ""


#: A ciphertext and the version that made it.
Encrypted: TypeAlias = tuple[str, int]
EncryptResult: TypeAlias = Encrypted | InvalidRequest
DecryptResult: TypeAlias = bytes | InvalidRequest
MacResult: TypeAlias = str | InvalidRequest
SignResult: TypeAlias = Signed | InvalidRequest
VerifyResult: TypeAlias = bool | InvalidRequest


def each(items: Sequence[I | InvalidRequest], operation: Callable[[I], R]) -> list[R | InvalidRequest]:
    """Return the result of each item; an InvalidRequest where the item is at fault."""
    results: list[R | InvalidRequest] = []
    for item in items:
        if isinstance(item, InvalidRequest):
            results.append(item)
            continue
        try:
            results.append(operation(item))
        except InvalidRequest as error:
            results.append(bare(error))
    return results


def bare(error: InvalidRequest) -> InvalidRequest:
    """Return the error without its traceback, whose frames hold plaintexts and keys."""
    return type(error)(*error.args)
