"""The outer protobuf of a biscuit: blocks, their signatures and their signers, nothing of the Datalog inside.

It is read here before the biscuit library sees a token, so that its limits hold before any signature
is checked and so that a refusal can say why. It is written here because the library cannot serialise
a token that it has not verified (see `append`).
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


class Token(NamedTuple):
    """A token taken apart; `next_secret` is None once it is sealed against more blocks."""

    blocks: tuple[SignedBlock, ...]
    next_secret: bytes | None


def decode(text: str) -> bytes:
    """Return the bytes of a token in URL-safe base64, padded or not; refuse one past the limits."""
    if not 0 < len(text) <= MAX_TOKEN_LENGTH:
        raise TokenRefused("token is empty or too long")
    try:
        standard = text.rstrip("=").encode("ascii").translate(_STANDARD_ALPHABET)
        return binascii.a2b_base64(standard + b"=" * (-len(standard) % 4), strict_mode=True)
    except ValueError:
        raise TokenRefused("token is not URL-safe base64") from None


def encode(raw: bytes) -> str:
    """Return a token as URL-safe base64, not padded: `vault login` takes a text with `=` for a parameter."""
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def parse(raw: bytes) -> Token:
    """Take a token apart. Refuses what is malformed, too many blocks, and weak third-party signatures."""
    fields = read(raw)
    later = [value for number, value in fields if number == 3]
    if len(later) >= MAX_BLOCKS:
        raise TokenRefused("token has too many blocks")
    blocks = tuple(_block(value) for value in (_bytes(fields, 2), *later))
    if blocks[0].signer is not None:
        raise TokenRefused("the authority block has an external signature")
    for block in blocks:
        _require_bound_signature(block)
    return Token(blocks, _optional_bytes(read(_bytes(fields, 4)), 1))


def read(data: bytes) -> list[Field]:
    """Return the fields of a protobuf message in order: (number, integer or bytes)."""
    fields: list[Field] = []
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if tag & 7 == 0:
            fields.append((tag >> 3, value))
        elif tag & 7 == 2 and at + value <= len(data):
            fields.append((tag >> 3, data[at : at + value]))
            at += value
        else:
            raise TokenRefused("token is not a biscuit")
    return fields


def write(fields: list[Field]) -> bytes:
    """Return the protobuf message of these fields."""
    return b"".join(
        _varint(number << 3) + _varint(value)
        if isinstance(value, int)
        else _varint(number << 3 | 2) + _varint(len(value)) + value
        for number, value in fields
    )


_STANDARD_ALPHABET = bytes.maketrans(b"-_+/", b"+/~~")  # `~` is in no alphabet: `+` and `/` are refused


def _require_bound_signature(block: SignedBlock) -> None:
    if block.signer is None or block.version == BOUND_SIGNATURE:
        return
    if block.version == 0:
        raise TokenRefused(
            "third-party block has the first signature scheme (before biscuit 3.2), "
            "open to public-key confusion (GHSA-rgqv-mwc3-c78m)"
        )
    raise TokenRefused("third-party block has an unknown signature scheme")


def _block(data: int | bytes) -> SignedBlock:
    if isinstance(data, int):
        raise TokenRefused("token is not a biscuit")
    fields = read(data)
    external = _optional_bytes(fields, 4)
    version = _single(fields, 5)
    return SignedBlock(
        payload=_bytes(fields, 1),
        next_key=_public_key(_bytes(fields, 2)),
        signature=_bytes(fields, 3),
        signer=None if external is None else _public_key(_bytes(read(external), 2)),
        version=version if isinstance(version, int) else 0,
    )


def _public_key(data: bytes) -> PublicKey:
    fields = read(data)
    algorithm = _single(fields, 1)
    if not isinstance(algorithm, int):
        raise TokenRefused("token is not a biscuit")
    return PublicKey(algorithm, _bytes(fields, 2))


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
            return value, at + shift + 1
    raise TokenRefused("token is not a biscuit")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
