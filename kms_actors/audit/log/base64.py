"""Base64 in its one canonical form (RFC 4648, section 4): what is not that form is refused."""

from __future__ import annotations

import binascii

from kms_actors.errors import InvalidRequest


def encode(raw: bytes) -> str:
    """Return the text of bytes."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def decode(text: str, length: int | None = None) -> bytes:
    """Return the bytes, `length` of them if that is told. Raises InvalidRequest.

    A decoder ignores the last bits of the last letter: another text for the same bytes would pass unseen.
    """
    try:
        raw = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        raise InvalidRequest("not base64") from None
    if encode(raw) != text or (length is not None and len(raw) != length):
        raise InvalidRequest("not the base64 that it should be")
    return raw
