"""Requests that pages of other origins have a browser send: asked for beforehand, allowed, or refused.

Source: Vault's handling of CORS; the Fetch standard, section 3.3.
"""

from __future__ import annotations

from typing import Final

from multidict import istr

from kms_actors.insight.cors import Cors
from kms_http.wire.errors import HttpError
from kms_http.wire.request import Request
from kms_http.wire.response import Response

ORIGIN: Final = istr("Origin")
_HOST: Final = istr("Host")
_ASKED_METHOD: Final = istr("Access-Control-Request-Method")
_METHODS: Final = ("DELETE", "GET", "OPTIONS", "POST", "PUT", "LIST", "PATCH", "SCAN")
_SECONDS: Final = b"300"  # for which a browser need not ask again


def of_other_page(request: Request) -> bool:
    """Tell whether a page sends it that is none of this server: a browser names the console's own origin, too."""
    origin = request.headers.get(ORIGIN, "")
    if not request.console:
        return bool(origin)
    return bool(origin) and origin.partition("://")[2].lower() != request.headers.get(_HOST, "").lower()


def before(cors: Cors, request: Request) -> Response | None:
    """Return the answer to a browser that asks what it may send, and sends nothing yet; None for all else.

    Raises HttpError for a request of a page that may send none, or by a method that none may use.
    """
    asked = request.headers.get(_ASKED_METHOD, "")
    if asked and asked not in _METHODS:
        raise HttpError(405)
    if not cors.allows(request.headers[ORIGIN]):
        raise HttpError(403, "origin not allowed")
    if request.method != "OPTIONS" or not asked:
        return None
    response = Response(200)
    response.add_header(b"Access-Control-Allow-Methods", ",".join(_METHODS).encode())
    response.add_header(b"Access-Control-Allow-Headers", ",".join(cors.allowed_headers).encode())
    response.add_header(b"Access-Control-Max-Age", _SECONDS)
    return response


def mark(cors: Cors, request: Request, response: Response) -> None:
    """Say in an answer that the page may see it."""
    origin = request.headers[ORIGIN]
    if cors.allows(origin) and origin.isascii() and origin.isprintable():
        response.add_header(b"Access-Control-Allow-Origin", origin.encode())
        response.add_header(b"Vary", b"Origin")
