"""The outer protobuf of a biscuit: blocks, their signatures and their signers, nothing of the Datalog inside.

It is read here before the biscuit library sees a token, so that its limits hold before any signature
is checked and so that a refusal can say why. It is written here because the library cannot serialise
a token that it has not verified (see `append`).

A token has one form in bytes: known fields only, in order, none twice, numbers as short as they go, keys that sign
blocks of Ed25519 only, whose signatures nobody but their maker can change. So nobody makes a twin of a revoked token,
which is known by its signatures. What no signature covers, the id of the root key and whether the token is sealed,
is in no revocation id.
Source: schema.proto of the biscuit specification.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple

MAX_TOKEN_LENGTH: Final = 8192  # characters of base64
MAX_BLOCKS: Final = 16  # the authority block included

ED25519: Final = 0
#: Since biscuit 3.2 the signature of a third-party block covers the signature of the block before it.
BOUND_SIGNATURE: Final = 1

Field = tuple[int, int | bytes]


class TokenRefused(ValueError):
    """Why a token is refused: a static text for the log, without any part of the token."""


class PublicKey(NamedTuple):
    """A key as a token carries it."""

    algorithm: int
    key: bytes

    def __str__(self) -> str:
        """Return the key as the biscuit library writes it."""
        return f"{'ed25519' if self.algorithm == ED25519 else 'other'}/{self.key.hex()}"


class SignedBlock(NamedTuple):
    """One block; `signer` is the third party's key, None for the holder's own blocks."""

    payload: bytes
    next_key: PublicKey
    signature: bytes
    signer: PublicKey | None
    version: int
    external: bytes | None = None  # the third party's signature


class Token(NamedTuple):
    """A token taken apart; `next_secret` is None once it is sealed against more blocks."""

    blocks: tuple[SignedBlock, ...]
    next_secret: bytes | None
    root_key_id: int | None = None


def decode(text: str) -> bytes:
    """Return the bytes of a token in URL-safe base64, padded or not; refuse one past the limits."""
    if not 0 < len(text) <= MAX_TOKEN_LENGTH:
        raise TokenRefused("token is empty or too long")
    bare = text.rstrip("=")
    try:
        standard = bare.encode("ascii").translate(_STANDARD_ALPHABET)
        raw = binascii.a2b_base64(standard + b"=" * (-len(standard) % 4), strict_mode=True)
    except ValueError:
        raise TokenRefused("token is not URL-safe base64") from None
    # Its last character may have bits to spare, and others put any number of `=` behind it.
    if encode(raw) != bare or len(text) not in {len(bare), len(bare) + -len(bare) % 4}:
        raise TokenRefused("token is not in the one form of URL-safe base64")
    return raw


def encode(raw: bytes) -> str:
    """Return a token as URL-safe base64, not padded: `vault login` takes a text with `=` for a parameter."""
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def parse(raw: bytes) -> Token:
    """Take a token apart. Refuses what is not in the one form, too many blocks, and weak third-party signatures."""
    token = take_apart(raw)
    for block in token.blocks:
        _require_bound_signature(block)
    return token


def take_apart(raw: bytes) -> Token:
    """Take a token apart as `parse` does, whatever its third-party signatures are: for who then looks at those."""
    fields = read(raw)
    later = [value for number, value in fields if number == 3]
    if len(later) >= MAX_BLOCKS:
        raise TokenRefused("token has too many blocks")
    if [number for number, _ in fields if number != 1] != [2, *(3 for _ in later), 4]:
        raise TokenRefused("token is not a biscuit")
    blocks = tuple(_block(value) for value in (_bytes(fields, 2), *later))
    if blocks[0].signer is not None:
        raise TokenRefused("the authority block has an external signature")
    return Token(blocks, _next_secret(_bytes(fields, 4)), _root_key_id(fields))


def has_first_signature(block: SignedBlock) -> bool:
    """Tell whether a third party signed the block in the scheme before biscuit 3.2."""
    return block.signer is not None and block.version == 0


def read(data: bytes) -> list[Field]:
    """Return the fields of a protobuf message in order: (number, integer or bytes)."""
    fields: list[Field] = []
    at, size = 0, len(data)
    while at < size:
        head = data[at : at + 2]
        if len(head) == 2 and head.isascii():  # most often, both take one byte
            (tag, value), at = head, at + 2
        else:
            tag, at = _read_varint(data, at)
            value, at = _read_varint(data, at)
        if tag >> 3 == 0:
            raise TokenRefused("token is not a biscuit")
        if tag & 7 == 0:
            fields.append((tag >> 3, value))
        elif tag & 7 == 2 and at + value <= size:
            fields.append((tag >> 3, data[at : at + value]))
            at += value
        else:
            raise TokenRefused("token is not a biscuit")
    return fields


def write(fields: list[Field]) -> bytes:
    """Return the protobuf message of these fields."""
    return b"".join(
        varint(number << 3) + varint(value) if isinstance(value, int) else head(number, len(value)) + value
        for number, value in fields
    )


def head(number: int, length: int) -> bytes:
    """Return what stands in front of a field of so many bytes."""
    return varint(number << 3 | 2) + varint(length)


def varint(value: int) -> bytes:
    """Return an integer as short as it goes."""
    if 0 <= value <= 0x7F:  # most are
        return _SHORT[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SHORT: Final = tuple(bytes((number,)) for number in range(0x80))
_STANDARD_ALPHABET = bytes.maketrans(b"-_+/", b"+/~~")  # `~` is in no alphabet: `+` and `/` are refused


def _require_bound_signature(block: SignedBlock) -> None:
    if has_first_signature(block):
        raise TokenRefused(
            "third-party block has the first signature scheme (before biscuit 3.2), "
            "open to public-key confusion (GHSA-rgqv-mwc3-c78m)"
        )
    if block.signer is not None and block.version != BOUND_SIGNATURE:
        raise TokenRefused("third-party block has an unknown signature scheme")


def _block(data: int | bytes) -> SignedBlock:
    if isinstance(data, int):
        raise TokenRefused("token is not a biscuit")
    fields = _ordered(data, 5)
    external = _optional_bytes(fields, 4)
    version = _single(fields, 5)
    if not (version is None or (isinstance(version, int) and version)):
        raise TokenRefused("token is not in the one form of its bytes")  # version 0 is the one that is not written
    next_key = _public_key(_bytes(fields, 2))
    if next_key.algorithm != ED25519:
        raise TokenRefused("a block is to be followed by a signature that is not of Ed25519")
    return SignedBlock(
        payload=_bytes(fields, 1),
        next_key=next_key,
        signature=_bytes(fields, 3),
        signer=None if external is None else _signer(external),
        version=version or 0,
        external=None if external is None else _bytes(read(external), 1),
    )


def _signer(external: bytes) -> PublicKey:
    return _public_key(_bytes(_ordered(external, 2), 2))


def _public_key(data: bytes) -> PublicKey:
    fields = _ordered(data, 2)
    algorithm = _single(fields, 1)
    if not isinstance(algorithm, int):
        raise TokenRefused("token is not a biscuit")
    return PublicKey(algorithm, _bytes(fields, 2))


def _next_secret(proof: bytes) -> bytes | None:
    fields = read(proof)
    if [number for number, _ in fields] not in ([1], [2]):
        raise TokenRefused("the end of the token is not one proof")
    secret = _optional_bytes(fields, 1)
    _optional_bytes(fields, 2)
    return secret


def _root_key_id(fields: list[Field]) -> int | None:
    value = _single(fields, 1)
    if value is not None and (fields[0][0] != 1 or not isinstance(value, int) or value >> 32):
        raise TokenRefused("token is not a biscuit")
    return value if isinstance(value, int) else None


def _ordered(data: bytes, most: int) -> list[Field]:
    """Return the fields of a message whose fields are 1 … `most`, each at most once and in order."""
    fields = read(data)
    numbers = [number for number, _ in fields]
    if len(set(numbers)) < len(numbers):
        raise TokenRefused("token repeats a field")
    if numbers != sorted(numbers) or any(number > most for number in numbers):
        raise TokenRefused("token is not in the one form of its bytes")
    return fields


def _single(fields: list[Field], number: int) -> int | bytes | None:
    """Return the one value of a field. Parsers differ on repeated fields, so they are refused."""
    values = [value for found, value in fields if found == number]
    if len(values) > 1:
        raise TokenRefused("token repeats a field")
    return values[0] if values else None


def _optional_bytes(fields: list[Field], number: int) -> bytes | None:
    value = _single(fields, number)
    if isinstance(value, int):
        raise TokenRefused("token is not a biscuit")
    return value


def _bytes(fields: list[Field], number: int) -> bytes:
    value = _optional_bytes(fields, number)
    if value is None:
        raise TokenRefused("token is not a biscuit")
    return value


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            if (byte == 0 and shift) or value >> 64:
                raise TokenRefused("token is not in the one form of its bytes")
            return value, at + shift + 1
    raise TokenRefused("token is not a biscuit")
