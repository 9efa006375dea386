"""Signed tokens in their compact form: `header.payload.signature`, each part base64url.

There is one text of a token: no padding, no line ends, no stray bits at the end of a part. What is found here is not
verified yet.

Source: RFC 7515, sections 2, 4 and 7.1; RFC 8725 for what is refused.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_json import read_object

#: Bytes of a token's text: names of some hundred groups fit in.
MAX_TOKEN: Final = 32 * 1024
#: Characters of a key id.
MAX_KEY_ID: Final = 512

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class Jws(msgspec.Struct, frozen=True):
    """A token in its parts. `signed` is what the signature is of; none of it is to be believed before."""

    algorithm: str
    key_id: str
    signed: bytes
    payload: bytes
    signature: bytes

    def __repr__(self) -> str:
        return "<Jws>"


def parse(token: str) -> Jws:
    """Return the parts of a token.

    Keys that the header brings along or points to (`jwk`, `jku`, `x5c`, `x5u`) are of whoever wrote it: nobody
    looks at them. A header that must be understood (`crit`) is refused, since none is.

    Raises:
        InvalidRequest: no such token, or too large.

    """
    if len(token) > MAX_TOKEN:
        raise InvalidRequest(f"token is longer than {MAX_TOKEN} bytes")
    if not _FORM.fullmatch(token):
        raise InvalidRequest("token is not a compact JWS of three parts in base64url")
    head, payload, signature = token.split(".")
    header = read_object(decode(head, "header of the token"), "header of the token")
    if "crit" in header:
        raise InvalidRequest("header of the token has a parameter that must be understood (crit), and is not")
    return Jws(
        _text(header, "alg"),
        _text(header, "kid"),
        f"{head}.{payload}".encode(),
        decode(payload, "payload of the token"),
        decode(signature, "signature of the token"),
    )


def claims_of(token: Jws) -> dict[str, Any]:
    """Return the claims of a token; raises InvalidRequest."""
    return read_object(token.payload, "payload of the token")


def decode(text: str, what: str) -> bytes:
    """Return the bytes of base64url without padding; raises InvalidRequest for another text than theirs."""
    if _ALPHABET.fullmatch(text) and len(text) % 4 != 1:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if encode(raw) == text:
            return raw
    raise InvalidRequest(f"{what} is not base64url")


def encode(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _text(header: dict[str, Any], name: str) -> str:
    value = header.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_KEY_ID:
        raise InvalidRequest(f"{name} in the header of the token is not a text, or too long")
    return value
