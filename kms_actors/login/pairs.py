"""Names with values as one text, as the metadata of secret ids come: JSON, JSON in base64, or `a=b,c=d`.

Texts of errors are those of Vault, without what was sent.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

from kms_actors.errors import InvalidRequest

#: Pairs, characters of each part, and bytes in all.
MAX_PAIRS: Final = 64
MAX_NAME: Final = 128
MAX_VALUE: Final = 512
MAX_BYTES: Final = 8192
_MAX_TEXT: Final = 64 * 1024

_FORMAT: Final = "failed to parse the input: invalid <key,value> format"


def parse(field: str, text: str) -> dict[str, str]:
    """Return the pairs of a text; raises InvalidRequest that names `field`."""
    if len(text) > _MAX_TEXT:
        raise InvalidRequest(f"{field}: at most {_MAX_TEXT} characters")
    try:
        found = _pairs(text)
    except InvalidRequest as wrong:
        raise InvalidRequest(f"failed to parse {field}: {wrong}") from None
    if (
        len(found) > MAX_PAIRS
        or any(len(name) > MAX_NAME or len(value) > MAX_VALUE for name, value in found.items())
        or sum(len(name.encode()) + len(value.encode()) for name, value in found.items()) > MAX_BYTES
    ):
        raise InvalidRequest(
            f"{field}: at most {MAX_PAIRS} names of {MAX_NAME} characters, with values of {MAX_VALUE}, "
            f"and {MAX_BYTES} bytes"
        )
    return found


def _pairs(text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    found = _from_json(text)
    if found is None:
        found = _from_json(_decoded(text))
    return _from_list(text) if found is None else found


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _from_json(text: str) -> dict[str, str] | None:
    """Return the texts of an object; None for what is no JSON object, or holds other things than texts and null."""
    try:
        found = msgspec.json.decode(text, type=dict[str, str | None])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if None in found.values():
        raise InvalidRequest("invalid value for a key")
    return {name: value for name, value in found.items() if value is not None}


def _from_list(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        name, equals, value = (side.strip() for side in part.partition("="))
        if not equals or "=" in value:
            raise InvalidRequest(_FORMAT)
        if not name or not value:
            raise InvalidRequest("failed to parse the input: invalid <key,value> pair")
        found[name] = value
    return found
