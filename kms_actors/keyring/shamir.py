"""Shamir's secret sharing over GF(2^8), and the text form of a share.

A share is x (1 byte, first) ‖ y (32 bytes); the field's polynomial is x^8 + x^4 + x^3 + x^2 + 1 (0x11d).
(A. Shamir, "How to share a secret", 1979.)

Arithmetic works on vectors of field elements held in one integer, a byte each: no tables and no branches, so
neither memory access nor the course of the program depends on secret bytes.
"""

from __future__ import annotations

import binascii
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.secret import SecretBytes, overwrite

SECRET_LENGTH: Final = 32
SHARE_LENGTH: Final = 1 + SECRET_LENGTH

_REDUCTION: Final = 0x1D  # what x^8 is modulo 0x11d
_BASE64URL: Final = str.maketrans("-_", "+/")


def split(
    secret: SecretBytes, shares: int, threshold: int, random: Callable[[int], bytes] = os.urandom
) -> tuple[bytes, ...]:
    """Return `shares` shares (33 bytes, x = 1, 2, …) of a 32-byte secret, any `threshold` of which give it back.

    Raises:
        ValueError: a wrong length of the secret, or not 1 <= threshold <= shares <= 255.

    """
    if len(secret) != SECRET_LENGTH or not 1 <= threshold <= shares <= 255:
        raise ValueError("a 32-byte secret and 1 <= threshold <= shares <= 255 are needed")
    coefficients = [random(SECRET_LENGTH) for _ in range(threshold - 1)]
    xs = _vector(bytes([x]) * SECRET_LENGTH for x in range(1, shares + 1))
    ones = _ones(shares * SECRET_LENGTH)
    ys = 0
    for coefficient in (*coefficients, secret.reveal()):  # Horner's rule, all bytes of all shares at once
        repeated = coefficient * shares
        ys = _multiply(ys, xs, ones) ^ int.from_bytes(repeated, "little")
        if repeated is not coefficient:
            overwrite(repeated)
    return tuple(bytes([x]) + y for x, y in enumerate(_chunks(ys, shares), start=1))


def combine(shares: Sequence[bytes]) -> SecretBytes:
    """Return the secret that `shares` give; too few or foreign ones give another value, not an error.

    Raises:
        InvalidShares: none given, not 33 bytes, x = 0, or an x that repeats. It does not say which share.

    """
    if not shares or any(len(share) != SHARE_LENGTH for share in shares):
        raise InvalidShares("shares must be 33 bytes long")
    xs = bytes(share[0] for share in shares)
    if 0 in xs or len(set(xs)) != len(xs):
        raise InvalidShares("shares must have different coordinates other than zero")
    ys = _vector(share[1:] for share in shares)
    weights = _vector(bytes([weight]) * SECRET_LENGTH for weight in _weights(xs))
    secret = 0
    for term in _chunks(_multiply(ys, weights, _ones(len(shares) * SECRET_LENGTH)), len(shares)):
        secret ^= _vector([term])
    return SecretBytes(secret.to_bytes(SECRET_LENGTH, "little"))


def encode_share(share: bytes) -> str:
    """Return the base64 text (44 characters) of a share; its other form is `share.hex()`."""
    return binascii.b2a_base64(share, newline=False).decode()


#: Characters of a text that may be a share.
_MOST_SHARE: Final = 1024


def parse_share(text: str) -> bytes:
    """Return the share (33 bytes) in 66 characters of hex, or 44 of base64 or base64url.

    The length alone decides how the text is read, so that none can be read in two ways. Space around it and line
    breaks within it do not count: shares are copied from mails and files.

    Raises:
        InvalidRequest: any other text; worded as Vault's `sys/unseal` does.

    """
    if len(text) > _MOST_SHARE:
        raise InvalidRequest("'key' must be a valid hex or base64 string")
    text = text.replace("\r", "").replace("\n", "").strip()
    try:
        if len(text) == 2 * SHARE_LENGTH:
            return binascii.unhexlify(text)
        share = binascii.a2b_base64(text.translate(_BASE64URL), strict_mode=True)
    except ValueError:
        raise InvalidRequest("'key' must be a valid hex or base64 string") from None
    if len(share) < 16:
        raise InvalidRequest("invalid key: key is shorter than minimum 16 bytes")
    if len(share) > SHARE_LENGTH:
        raise InvalidRequest("invalid key: key is longer than maximum 33 bytes")
    if len(share) != SHARE_LENGTH:
        raise InvalidRequest("invalid key: key must be 33 bytes")
    return share


def _multiply(a: int, b: int, ones: int) -> int:
    """Multiply two vectors byte by byte; `ones` has a 1 in each byte. Secrets go into `a`."""
    product = 0
    for bit in range(8):
        product ^= a & (((b >> bit) & ones) * 0xFF)
        high = (a >> 7) & ones
        a = ((a ^ (high << 7)) << 1) ^ (high * _REDUCTION)
    return product


def _inverse(a: int, ones: int) -> int:
    """Return a^254 = a^-1, byte by byte."""
    inverse = ones
    for _ in range(7):
        a = _multiply(a, a, ones)
        inverse = _multiply(inverse, a, ones)
    return inverse


def _weights(xs: bytes) -> bytes:
    """Return Lagrange's weights at zero: for each x_i the product over the others of x_j / (x_j - x_i)."""
    ones = _ones(len(xs))
    vector = _vector([xs])
    numerator, denominator = ones, vector  # every x over x_i times the differences
    for i, x in enumerate(xs):
        own = 1 << (8 * i)  # makes x_i - x_i a factor of one
        numerator = _multiply(numerator, x * ones, ones)
        denominator = _multiply(denominator, vector ^ (x * ones) ^ own, ones)
    return _multiply(numerator, _inverse(denominator, ones), ones).to_bytes(len(xs), "little")


def _ones(length: int) -> int:
    return int.from_bytes(b"\x01" * length, "little")


def _vector(parts: Iterable[bytes]) -> int:
    return int.from_bytes(b"".join(parts), "little")


def _chunks(vector: int, count: int) -> list[bytes]:
    flat = vector.to_bytes(count * SECRET_LENGTH, "little")
    return [flat[start : start + SECRET_LENGTH] for start in range(0, len(flat), SECRET_LENGTH)]
