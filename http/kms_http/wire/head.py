"""The head of a request, from its bytes (RFC 9112): strict where two readers could disagree.

Refused, though some servers take it: line ends other than CR LF, folded lines, space before a colon, control
characters, a body with two lengths, a coding other than `chunked`, HTTP/1.1 without exactly one `Host`. Methods
are not judged here: any token is one, and the handler knows which it takes.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from multidict import CIMultiDict, istr

from kms_http.wire.errors import HttpError
from kms_http.wire.limits import MAX_HEAD, MAX_HEADERS, MAX_LINE

#: The length of a chunked body: its end shows when it comes.
CHUNKED: Final = -1

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSIONS: Final = {f"HTTP/1.{minor}": min(minor, 1) for minor in range(10)}
_OTHER_VERSION: Final = re.compile(r"HTTP/[0-9](\.[0-9])?")
_TEXT: Final = bytes(sorted({0x09, *range(0x20, 0x100)} - {0x7F}))
_DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)

_HOST: Final = istr("Host")
_LENGTH: Final = istr("Content-Length")
_CODING: Final = istr("Transfer-Encoding")
_CONNECTION: Final = istr("Connection")
_EXPECT: Final = istr("Expect")

#: Names of headers seen before, as the mapping wants them. Whatever clients send, these are few.
_names: dict[str, istr] = {}
_MAX_NAMES: Final = 512
_LONGEST_NAME: Final = 64
#: Bytes of headers that a connection keeps.
_MOST_KEPT: Final = 2048
_methods: set[str] = {"GET", "HEAD", "LIST", "POST", "PUT", "PATCH", "DELETE", "SCAN"}


class Head(NamedTuple):
    """A request line and its headers, understood."""

    method: str
    target: str
    minor: int  # of HTTP/1.x
    headers: CIMultiDict[str]  # bytes that are no UTF-8 as surrogates
    length: int  # of the body in bytes, or CHUNKED
    keep_alive: bool
    expects: bool  # to be told to continue before it sends the body


def parse(block: bytes) -> Head:
    """Return the head in `block`, which is all up to the empty line, without the line's own end.

    Raises:
        HttpError: 400, malformed; 431, too large; 501, an unknown coding; 505, another HTTP; 417, an unknown
            expectation. Each of them ends the connection.

    """
    text = block.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    if len(lines) - 1 > MAX_HEADERS or (len(block) > MAX_LINE and max(map(len, block.split(b"\r\n"))) > MAX_LINE):
        raise HttpError(431, "request line or header is too large", close=True)
    # As many control characters as line ends have, and so none besides.
    if len(block.translate(None, _TEXT)) != 2 * (len(lines) - 1):
        raise malformed()
    method, target, minor = _request_line(lines[0])
    headers = CIMultiDict([_field(line) for line in lines[1:]])
    hosts = headers.getall(_HOST, ())
    if len(hosts) != 1 and (minor or hosts):
        raise HttpError(400, "missing required Host header" if not hosts else "too many Host headers", close=True)
    connection = headers.get(_CONNECTION)
    return Head(
        method,
        target,
        minor,
        headers,
        _length(headers, minor),
        minor == 1 if connection is None else _keep_alive(headers, minor),
        _EXPECT in headers and _expects(headers, minor),
    )


class Heads:
    """Reads the heads of one connection.

    Clients send the same headers with one request after the other, but for the length of a body. So the last ones
    are kept with what they mean, up to a size. Bytes that are the same mean the same: nobody changes the mapping.
    """

    __slots__ = ("_kept", "_last")

    def __init__(self) -> None:
        self._kept = b""
        self._last: Head | None = None

    def parse(self, block: bytes) -> Head:
        """Return the head in `block`, as `parse` does."""
        line, _, headers = block.partition(b"\r\n")
        last = self._last
        if last is not None and headers == self._kept and len(line) <= MAX_LINE and not line.translate(None, _TEXT):
            method, target, minor = _request_line(line.decode("utf-8", "surrogateescape"))
            if minor == last.minor:
                return Head(method, target, minor, last.headers, last.length, last.keep_alive, last.expects)
        found = parse(block)
        self._kept, self._last = (headers, found) if len(headers) <= _MOST_KEPT else (b"", None)
        return found

    def forget(self) -> None:
        """Keep nothing: there was a token among it."""
        self._kept, self._last = b"", None


def malformed() -> HttpError:
    """Return the error of what is no HTTP."""
    return HttpError(400, "malformed HTTP request", close=True)


def begins(data: bytes) -> bool:
    """Tell whether `data`, which has no end yet, can still become a head."""
    if b"\0" in data or data.count(b"\n") != data.count(b"\r\n"):
        return False
    method, space, _ = data[:_LONGEST_NAME].partition(b" ")
    if not space and len(data) >= _LONGEST_NAME:
        return False
    return _TOKEN.fullmatch(method.decode("latin-1")) is not None


def goes_on(beginning: bytes, data: bytes) -> bool:
    """Tell whether all that can be said of a head that `begins`, with `data` behind it, is that more is to come.

    Who sends a byte at a time has each of them looked at, and not all before it again.
    """
    few = len(beginning) + len(data) <= MAX_HEAD
    return few and b"\n" not in data and b"\0" not in data and beginning.find(b" ", 0, _LONGEST_NAME) > 0


def _request_line(line: str) -> tuple[str, str, int]:
    try:
        method, target, version = line.split(" ")
    except ValueError:
        raise malformed() from None
    if not target or "\t" in target or (method not in _methods and not _is_method(method)):
        raise malformed()
    minor = _VERSIONS.get(version)
    if minor is None:
        if _OTHER_VERSION.fullmatch(version):
            raise HttpError(505, "HTTP version not supported", close=True)
        raise malformed()
    return method, target, minor


def _is_method(method: str) -> bool:
    """Tell whether a method is one; as `begins` does, so that a head means the same however it comes in."""
    return len(method) < _LONGEST_NAME and _TOKEN.fullmatch(method) is not None


def _field(line: str) -> tuple[istr, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise malformed()
    return _names.get(name) or _name(name), value.strip(" \t")


def _name(name: str) -> istr:
    if not _TOKEN.fullmatch(name):
        raise malformed()
    made = istr(name)
    if len(_names) < _MAX_NAMES and len(name) <= _LONGEST_NAME:
        _names[name] = made
    return made


def _length(headers: CIMultiDict[str], minor: int) -> int:
    lengths = headers.getall(_LENGTH, ())
    if _CODING in headers:
        codings = headers.getall(_CODING)
        if lengths or not minor:
            raise malformed()
        if len(codings) != 1 or codings[0].lower() != "chunked":
            raise HttpError(501, "unsupported transfer encoding", close=True)
        return CHUNKED
    if not lengths:
        return 0
    if len(lengths) != 1 or not _DIGITS.fullmatch(lengths[0]):
        raise malformed()
    return int(lengths[0])


def _keep_alive(headers: CIMultiDict[str], minor: int) -> bool:
    options = {option.strip().lower() for line in headers.getall(_CONNECTION) for option in line.split(",")}
    return "close" not in options and (minor == 1 or "keep-alive" in options)


def _expects(headers: CIMultiDict[str], minor: int) -> bool:
    if any(expected.lower() != "100-continue" for expected in headers.getall(_EXPECT)):
        raise HttpError(417, "unknown expectation", close=True)
    return minor == 1
