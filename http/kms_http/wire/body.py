"""Request bodies: read within limits of size and time, then parsed to the request's data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from multidict import istr

from kms_actors.errors import InvalidRequest
from kms_actors.runtime import Turns
from kms_http.wire import (
    json_codec,
    paths,
)
from kms_http.wire.errors import HttpError
from kms_http.wire.inbound import too_large
from kms_http.wire.limits import MAX_BODY
from kms_http.wire.request import Request

MERGE_PATCH: Final = "application/merge-patch+json"
FORM: Final = "application/x-www-form-urlencoded"

#: Bytes of a body that such a way may take in one step.
READ_AT_ONCE: Final = 4 << 20
#: Takes a body, or leaves it to the general way.
Read = Callable[[bytes], Mapping[str, Any] | None]

_CONTENT_TYPE: Final = istr("Content-Type")
_NOTHING: Final[Mapping[str, Any]] = {}


async def read(request: Request, most: int = MAX_BODY) -> bytes:
    """Return the whole body.

    Raises:
        HttpError: 413, larger than `most` bytes; 408, too slow; 400, broken off or malformed; 503, too many at once.

    """
    if request.body is not None:  # as small ones are, which come with their headers
        if len(request.body) > most:
            raise too_large()
        return request.body
    return await request.read(most)


#: Bytes of a body from which it is parsed in steps, between which others are answered.
STEPS_FROM: Final = 1 << 20
_TURNS: Final = Turns()


async def parse_large(request: Request, body: bytes, owner: str, read: Read | None = None) -> Mapping[str, Any]:
    """As `parse`, a step in a pass of the loop: whoever sends many large bodies at once keeps nobody waiting.

    `owner` is who takes turns with others.
    """
    await _TURNS.turn(owner)
    if body[0] not in b"{[" or (read is not None and len(body) <= READ_AT_ONCE):
        return parse(request, body, read)
    for _ in json_codec.checking(body):
        await _TURNS.turn(owner)
    await _TURNS.turn(owner)
    return _object(json_codec.parse(body))


def parse(request: Request, body: bytes, read: Read | None = None) -> Mapping[str, Any]:
    """Return the fields of a JSON object or a form; an empty body and `null` hold none. `read` is tried first.

    Raises:
        InvalidRequest: anything else.

    """
    if not body:
        return _NOTHING
    if body[0] not in b"{[" and media_type(request) == FORM:
        if len(body) > paths.MAX_FORM:
            raise InvalidRequest("form is too large")
        return paths.form(body.decode("utf-8", "surrogateescape"))
    if read is not None and (fields := read(body)) is not None:
        return fields
    return _object(json_codec.loads(body))


def _object(data: Any) -> Mapping[str, Any]:
    if data is None:
        return _NOTHING
    if not isinstance(data, dict):
        raise InvalidRequest("error parsing JSON")
    return data


def require_merge_patch(request: Request) -> None:
    """Raise HttpError unless the content type is that of a JSON merge patch (RFC 7396)."""
    media = media_type(request)
    if not media:
        raise HttpError(400, "mime: no media type")
    if media != MERGE_PATCH:
        provided = media[:100].encode("ascii", "replace").decode()
        raise HttpError(415, f"PATCH requires Content-Type of {MERGE_PATCH}, provided {provided}")


def media_type(request: Request) -> str:
    """Return the media type without its parameters, in lower case."""
    return request.headers.get(_CONTENT_TYPE, "").partition(";")[0].strip().lower()
