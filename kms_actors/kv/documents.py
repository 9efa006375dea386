"""The data of a secret: a JSON object, kept as bytes with sorted keys, so that its numbers stay as they were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kms_actors.errors import InvalidRequest
from kms_actors.exact_json import dumps_sorted, loads

#: Bytes of one version's data.
MAX_DOCUMENT: Final = 1 << 20


def pack(value: Mapping[str, Any]) -> bytes:
    """Return `value` as a document; raises InvalidRequest beyond MAX_DOCUMENT bytes."""
    document = dumps_sorted(value)
    if len(document) > MAX_DOCUMENT:
        raise too_large()
    return document


def too_large() -> InvalidRequest:
    """Return the error for data beyond the bound."""
    return InvalidRequest(f"data must be at most {MAX_DOCUMENT} bytes of JSON")


def merge(document: bytes, patch: bytes) -> bytes:
    """Return `document` with `patch`, also an object, merged in (RFC 7396)."""
    return pack(_merged(loads(document), loads(patch)))


def subkeys(document: bytes, depth: int = 0) -> bytes:
    """Return the names in a document with null for every leaf.

    Lists and empty objects are leaves, and so is all below level `depth`, where it is above 0.
    """
    return dumps_sorted(_names(loads(document), depth, 1))


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


def _names(value: dict[str, Any], depth: int, level: int) -> dict[str, Any]:
    return {
        name: _names(inner, depth, level + 1) if isinstance(inner, dict) and inner and level != depth else None
        for name, inner in value.items()
    }
