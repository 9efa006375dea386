"""From the raw request target to the one path that router, mounts and token checks all see.

A path that could be read in two ways is refused, not cleaned: dot segments, empty segments, encoded slashes
and dots, what does not decode to UTF-8, and characters that do not print.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from kms_actors.errors import InvalidRequest
from kms_http.wire.errors import HttpError

_PREFIX: Final = "/v1/"
_MAX_QUERY_FIELDS: Final = 128

#: Whatever needs a second look; nothing here means the path is what it seems.
_SUSPICIOUS: Final = re.compile(r"%|//|/\.{1,2}(?:/|\Z)|[^\x20-\x7e]|[#\\]")
_NOT_CANONICAL: Final = re.compile(r"//|(?:^|/)\.{1,2}(?:/|\Z)")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HIDDEN: Final = re.compile(r"%(?:2[EeFf]|5[Cc]|00)")


#: Targets and paths that are remembered, and characters of the longest: few megabytes, whoever sends them.
KEPT: Final = 4096
LONGEST_KEPT: Final = 256


def parse(target: str) -> tuple[str, str]:
    """Return path (without /v1/) and raw query of a request target, bytes beyond ASCII as surrogates or decoded.

    Raises:
        HttpError: 404, not under /v1/.
        InvalidRequest: a path that is refused.

    """
    return _kept(target) if len(target) <= LONGEST_KEPT else _parse(target)


def _parse(target: str) -> tuple[str, str]:
    path, _, query = target.partition("?")
    if not path.startswith(_PREFIX):
        raise HttpError(404)
    if _SUSPICIOUS.search(path, 3) is None:
        return path[4:], query
    return _decode(path[4:]), query


_kept = functools.lru_cache(maxsize=KEPT)(_parse)


def _decode(path: str) -> str:
    if _BAD_ESCAPE.search(path):
        raise InvalidRequest("invalid percent encoding in path")
    if _HIDDEN.search(path):
        raise InvalidRequest("encoded slashes, dots, backslashes and NUL are not supported in paths")
    if "#" in path or "\\" in path:
        raise InvalidRequest("invalid character in path")
    try:
        # The parser hands on bytes that are no UTF-8 as surrogates.
        decoded = unquote_to_bytes(path.encode("utf-8", "surrogateescape")).decode()
    except ValueError:
        raise InvalidRequest("path is not UTF-8") from None
    if _NOT_CANONICAL.search(decoded) or decoded.startswith("/"):
        raise InvalidRequest("relative paths and empty segments are not supported")
    if not decoded.isprintable():
        raise InvalidRequest("path contains unprintable characters")
    return decoded


def form(text: str) -> dict[str, Any]:
    """Return the fields of a query or a form: texts, or lists of them where a name repeats.

    Raises:
        InvalidRequest: not UTF-8, or too many fields.

    """
    try:
        text.encode()  # refuses what was no UTF-8 on the wire
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        raise InvalidRequest("invalid query or form") from None
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields
