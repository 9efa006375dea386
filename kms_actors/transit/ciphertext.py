"""The form of ciphertexts: `vault:v<version>:<base64 of nonce ‖ ciphertext ‖ tag>`."""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from typing import Final

from kms_actors.errors import InvalidRequest

_PREFIX: Final = "vault:v"
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_INT64: Final = 1 << 63


def prefix(version: int) -> str:
    """Return what a ciphertext of `version` begins with."""
    return f"{_PREFIX}{version}:"


def encode(version_prefix: str, blob: bytes) -> str:
    """Return the ciphertext of `blob`."""
    return version_prefix + b2a_base64(blob, newline=False).decode("ascii")


def parse(text: str, latest: int, oldest: int) -> tuple[int, bytes]:
    """Return version and blob of a ciphertext; `oldest` to `latest` are the versions allowed. 0 means 1.

    Raises:
        InvalidRequest: malformed, too new or too old, found in the order in which the API checks.

    """
    if not text.startswith(_PREFIX):
        raise InvalidRequest("invalid ciphertext: no prefix")
    number, colon, body = text[len(_PREFIX) :].partition(":")
    if not colon:
        raise InvalidRequest("invalid ciphertext: wrong number of fields")
    version = _version(number) or 1
    if version > latest:
        raise InvalidRequest("invalid ciphertext: version is too new")
    if version < oldest:
        raise InvalidRequest("ciphertext or signature version is disallowed by policy (too old)")
    try:
        return version, decode_base64(body)
    except ValueError:
        raise InvalidRequest("invalid ciphertext: could not decode base64") from None


def decode_base64(text: str) -> bytes:
    """Decode as Go's StdEncoding does: padding required, line ends ignored, unused trailing bits too.

    Raises:
        ValueError: anything else. The text says nothing about where.

    """
    try:
        decoded = a2b_base64(text, strict_mode=True)
    except ValueError:
        bare = text.replace("\n", "").replace("\r", "")
        if len(bare) == len(text):
            raise
        return decode_base64(bare)
    # The strict mode of the library lets padding behind a complete group pass.
    if (len(decoded) + 2) // 3 * 4 != len(text):
        raise ValueError("excess padding")
    return decoded


def _version(number: str) -> int:
    if number.isascii() and number.isdigit() and len(number) < 19:
        return int(number)
    if _INTEGER.fullmatch(number) is None or not -_INT64 <= int(number) < _INT64:
        raise InvalidRequest("invalid ciphertext: version number could not be decoded")
    return int(number)
