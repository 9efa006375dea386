"""From the raw request target to the one path that router, mounts, token checks and answers all see.

Decoded once, as a whole, here and nowhere else. What could then be read in two ways is refused, not cleaned: segments
that are empty or dots, what is no UTF-8, characters that do not print.
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
#: Characters of a query or a form: undoing its escapes takes long for each of them.
MAX_FORM: Final = 128 * 1024

#: Bytes of a path in UTF-8, without /v1/: a mount's 256, a secret's 4,096, and what stands between.
MAX_PATH: Final = 5120

#: Whatever needs a second look; nothing here means the path is what it seems.
_SUSPICIOUS: Final = re.compile(r"%|//|/\.{1,2}(?:/|\Z)|[^\x20-\x7e]|[#\\]")
_NOT_CANONICAL: Final = re.compile(r"//|(?:^|/)\.{1,2}(?:/|\Z)")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITY: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)

#: Targets and paths that are remembered, and characters of the longest: few megabytes, whoever sends them.
KEPT: Final = 4096
LONGEST_KEPT: Final = 256


class Elsewhere(HttpError):
    """A path that is not under /v1/, decoded, with its slash; nothing of the API."""

    def __init__(self, path: str) -> None:
        super().__init__(404)
        self.path = path


def parse(target: str) -> tuple[str, str]:
    """Return path (decoded, without /v1/) and raw query of a request target in origin or absolute form.

    Raises:
        Elsewhere: 404, not under /v1/.
        InvalidRequest: a path that is refused.

    """
    return _kept(target) if len(target) <= LONGEST_KEPT else _parse(target)


def _parse(target: str) -> tuple[str, str]:
    if not target.startswith("/") and (found := _AUTHORITY.match(target)):
        target = target[found.end() :]  # whatever host it names, there is but this one (RFC 9112, section 3.2.2)
    path, _, query = target.partition("?")
    if not path.startswith("/"):
        raise HttpError(404)
    if _SUSPICIOUS.search(path) is not None:
        path = _decode(path)
    if not path.startswith(_PREFIX):
        raise Elsewhere(path)
    if path.endswith("//"):  # a client's own slash behind the name of a folder; lists alone may end in one
        path = path.rstrip("/") + "/"
    return canonical(path[len(_PREFIX) :]), query


_kept = functools.lru_cache(maxsize=KEPT)(_parse)


def _decode(path: str) -> str:
    if _BAD_ESCAPE.search(path):
        raise InvalidRequest("invalid percent encoding in path")
    if "#" in path or "\\" in path:  # no part of a target: what stands in front of us may have cut or turned it
        raise InvalidRequest("invalid character in path")
    try:
        # Bytes that are no UTF-8 are handed on as surrogates.
        return unquote_to_bytes(path.encode("utf-8", "surrogateescape")).decode()
    except ValueError:
        raise InvalidRequest("path is not UTF-8") from None


def canonical(path: str) -> str:
    """Return `path`, which is decoded and without /v1/, if it can be requested at all.

    Raises:
        InvalidRequest: too long, with segments that are empty or dots, or characters that do not print.

    """
    if len(path) > MAX_PATH or (not path.isascii() and len(path.encode("utf-8", "surrogatepass")) > MAX_PATH):
        raise InvalidRequest(f"the path is longer than {MAX_PATH} bytes")
    if path.startswith("/") or _NOT_CANONICAL.search(path):
        raise InvalidRequest("relative paths and empty segments are not supported")
    if not path.isprintable():
        raise InvalidRequest("path contains unprintable characters")
    return path


def form(text: str) -> dict[str, Any]:
    """Return the fields of a query or a form: texts, or lists of them where a name repeats.

    Raises:
        InvalidRequest: not UTF-8, or too many fields.

    """
    if len(text) > MAX_FORM:
        raise InvalidRequest("query or form is too large")
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
