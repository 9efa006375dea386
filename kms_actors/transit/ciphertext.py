"""The forms of ciphertexts, signatures and MACs: `vault:v<version>:<base64>`."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from typing import Final

from kms_actors.errors import InvalidRequest, UnknownVersion
from kms_actors.transit.go_base64 import (
    decode_base64,
    decode_base64url,
)
from kms_actors.transit.go_base64 import encode as encode_base64

PREFIX: Final = "vault:v"
TOO_OLD: Final = "ciphertext or signature version is disallowed by policy (too old)"
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_INT64: Final = 1 << 63


def prefix(version: int) -> str:
    """Return what a ciphertext of `version` begins with."""
    return f"{PREFIX}{version}:"


def encode(version_prefix: str, blob: bytes) -> str:
    """Return the ciphertext of `blob`."""
    return version_prefix + encode_base64(blob)


def encode_jws(version_prefix: str, blob: bytes) -> str:
    """Return a signature with base64url and no padding (RFC 7515) behind its prefix."""
    return version_prefix + urlsafe_b64encode(blob).rstrip(b"=").decode("ascii")


def split(text: str, what: str, latest: int) -> tuple[int, str]:
    """Return version and body; `what` is what errors call it.

    Raises:
        InvalidRequest: malformed or newer than `latest`, found in the order in which the API checks.

    """
    if not text.startswith(PREFIX):
        raise InvalidRequest(f"invalid {what}: no prefix")
    number, colon, body = text[len(PREFIX) :].partition(":")
    if not colon:
        raise InvalidRequest(f"invalid {what}: wrong number of fields")
    version = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else parse_int64(number)
    if version is None:
        raise InvalidRequest(f"invalid {what}: version number could not be decoded")
    if version > latest:
        raise UnknownVersion(f"invalid {what}: version is too new")
    return version, body


def parse(text: str, latest: int, oldest: int) -> tuple[int, bytes]:
    """Return version and blob of a ciphertext; `oldest` to `latest` are the versions allowed. 0 means 1."""
    version, body = split(text, "ciphertext", latest)
    version = version or 1
    if version < oldest:
        raise InvalidRequest(TOO_OLD)
    try:
        return version, decode_base64(body)
    except ValueError:
        raise InvalidRequest("invalid ciphertext: could not decode base64") from None


def parse_signature(text: str, latest: int, oldest: int, *, jws: bool) -> tuple[int, bytes]:
    """Return version and bytes of a signature. Version 0 is too old, not 1 as for ciphertexts."""
    version, body = split(text, "signature", latest)
    if version < oldest:
        raise InvalidRequest(TOO_OLD)
    try:
        return version, decode_base64url(body) if jws else decode_base64(body)
    except ValueError:
        raise InvalidRequest("invalid base64 signature value") from None


def parse_int64(text: str) -> int | None:
    """Return what Go's `strconv.Atoi` does, or None where it fails."""
    if _INTEGER.fullmatch(text) is None or not -_INT64 <= int(text) < _INT64:
        return None
    return int(text)
