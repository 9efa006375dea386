"""Request bodies: read within limits of size and time, then parsed to the request's data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import hdrs
from aiohttp.web import BaseRequest

from kms_actors.errors import InvalidRequest
from kms_http.wire import (
    json_codec,
    paths,
)
from kms_http.wire.errors import HttpError

MAX_BODY: Final = 32 * 1024 * 1024  # bytes
#: Seconds a client has to send a body.
READ_SECONDS: Final = 60

MERGE_PATCH: Final = "application/merge-patch+json"
FORM: Final = "application/x-www-form-urlencoded"

#: Takes a body, or leaves it to the general way.
Read = Callable[[bytes], Mapping[str, Any] | None]

_NOTHING: Final[Mapping[str, Any]] = {}


def at_hand(request: BaseRequest) -> bytes | None:
    """Return the whole body if it is here, as small ones are with their headers. Raises HttpError as `read` does."""
    content = request.content
    if not content.is_eof():
        return None
    body = content.read_nowait()
    _limit(len(body))
    return body


async def read(request: BaseRequest) -> bytes:
    """Return the whole body, which is still to come.

    Raises:
        HttpError: 413, larger than 32 MiB; 408, too slow; 400, broken off or malformed.

    """
    _limit(request.content_length or 0)
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await _collect(request)
    except TimeoutError:
        raise HttpError(408, "request body was not received in time", close=True) from None
    except HttpError:
        raise
    except Exception:  # noqa: BLE001  # the parser and the connection each have their own kinds
        raise HttpError(400, "malformed or incomplete request body", close=True) from None


async def _collect(request: BaseRequest) -> bytes:
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        _limit(len(body))
    return bytes(body)


def _limit(size: int) -> None:
    if size > MAX_BODY:
        raise HttpError(413, "http: request body too large", close=True)


def parse(request: BaseRequest, body: bytes, read: Read | None = None) -> Mapping[str, Any]:
    """Return the fields of a JSON object or a form; an empty body and `null` hold none. `read` is tried first.

    Raises:
        InvalidRequest: anything else.

    """
    if not body:
        return _NOTHING
    if body[0] not in b"{[" and media_type(request) == FORM:
        return paths.form(body.decode("utf-8", "surrogateescape"))
    if read is not None and (fields := read(body)) is not None:
        return fields
    data = json_codec.loads(body)
    if data is None:
        return _NOTHING
    if not isinstance(data, dict):
        raise InvalidRequest("error parsing JSON")
    return data


def require_merge_patch(request: BaseRequest) -> None:
    """Raise HttpError unless the content type is that of a JSON merge patch (RFC 7396)."""
    media = media_type(request)
    if not media:
        raise HttpError(400, "mime: no media type")
    if media != MERGE_PATCH:
        provided = media[:100].encode("ascii", "replace").decode()
        raise HttpError(415, f"PATCH requires Content-Type of {MERGE_PATCH}, provided {provided}")


def media_type(request: BaseRequest) -> str:
    """Return the media type without its parameters, in lower case."""
    return request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
