"""What is answered outside of `/v1/`: the console where it is on, and that there is nothing where it is off.

Nobody is asked who he is, and nothing but memory is looked at: an answer costs less than any of the API. See decision
60.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from multidict import istr

from kms_http.console.files import INDEX, File, table
from kms_http.wire import errors, paths
from kms_http.wire.errors import HttpError
from kms_http.wire.request import Request
from kms_http.wire.response import Response

#: Nothing but the package's own files runs, styles and is shown; nothing but this server is asked; no text becomes
#: markup or script (`require-trusted-types-for`), and no other page frames, opens or embeds it.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), clipboard-read=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # A copy may be kept, and is asked for anew each time: after an upgrade no page meets scripts of the one before.
    "Cache-Control": "no-cache",
}
#: Where an OpenID provider sends a browser back to, as Vault's console has it: roles name this in
#: `allowed_redirect_uris`.
_CALLBACK: Final = re.compile(r"ui/vault/auth/.+/oidc/callback", re.DOTALL)
_FIXED: Final = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
_IF_NONE_MATCH: Final = istr("If-None-Match")
_METHODS: Final = ("GET", "HEAD")
_OFF: Final = "the web console is off at this address: the setting `ui` turns it on"


class Page(Response):
    """A file as an answer: its own bytes, nothing before or behind them."""

    __slots__ = ("_tag",)

    def __init__(self, file: File, *, known: bool) -> None:
        """`known`: whoever asks has it already."""
        if known:
            super().__init__(HTTPStatus.NOT_MODIFIED, media=file.media)
        else:
            super().__init__(HTTPStatus.OK, file.body, media=file.media)
        self._tag = file.tag.encode()

    def encode(self, method: str, minor: int, *, last: bool) -> bytes:
        """See `Response`."""
        status = HTTPStatus(self.status)
        lines = [b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()), _FIXED]
        lines.append(b"ETag: %b\r\nDate: %b\r\n" % (self._tag, formatdate(usegmt=True).encode()))
        if status is HTTPStatus.OK:
            lines.append(b"Content-Type: %b\r\nContent-Length: %d\r\n" % (self.media, len(self.body)))
        lines.append(self._extra)
        if last:
            lines.append(b"Connection: close\r\n")
        elif minor == 0:
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        if method != "HEAD":
            lines.append(self.body)
        return b"".join(lines)


class Console:
    """Answers for all paths outside of the API."""

    def __init__(self) -> None:
        self._files = table()

    def answer(self, request: Request, target: str, further: Sequence[tuple[bytes, bytes]] = ()) -> Response:
        """Answer a request for `target`, a decoded path with its slash; a page has `further` headers, too.

        Raises:
            HttpError: 404, nothing is there, or the console is off.
            InvalidRequest: a path that is refused, as one of the API is.

        """
        path = paths.canonical(target[1:])
        if not request.console:
            raise HttpError(404, _OFF) if path == "ui" or path.startswith("ui/") else HttpError(404)
        if path in ("", "ui"):
            return self._checked(request) or Response(307, extra=b"Location: /ui/\r\n")
        file = self._files.get(INDEX if path == "ui/" or _CALLBACK.fullmatch(path) else path.removeprefix("ui/"))
        if file is None or not path.startswith("ui/"):
            raise HttpError(404)
        if (refused := self._checked(request)) is not None:
            return refused
        page = Page(file, known=_knows(request, file.tag))
        for name, value in further:
            page.add_header(name, value)
        return page

    def _checked(self, request: Request) -> Response | None:
        if request.method in _METHODS:
            return None
        return Response(
            405, errors.body("the console is read, and nothing else: GET or HEAD"), b"Allow: GET, HEAD\r\n"
        )


def _knows(request: Request, tag: str) -> bool:
    """Tell whether a request says that its sender has this (RFC 9110, section 13.1.2)."""
    sent = request.headers.get(_IF_NONE_MATCH, "")
    return any(each.strip().removeprefix("W/") in ("*", tag) for each in sent.split(","))
