"""What comes before anything is known of a caller: heads, paths, bodies, proxies' headers, JSON, base64."""

from __future__ import annotations

import ipaddress
import json
import math
import socket
import struct
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from multidict import CIMultiDict

from kms_actors import exact_json
from kms_actors.durations import parse_duration
from kms_actors.errors import InvalidRequest
from kms_actors.outbound import NotAllowed, read_url
from kms_actors.transit import go_base64
from kms_http.wire import framing, head, json_codec, paths, proxy_protocol
from kms_http.wire.entry import Forwarding
from kms_http.wire.errors import HttpError
from kms_http.wire.proxy_protocol import NoHeader
from tests.fuzz.parsers.target import Target, text, utf8

_HEADS: Final = (
    b"GET /v1/sys/health HTTP/1.1\r\nHost: x",
    b"POST /v1/secret/data/a?x=1 HTTP/1.1\r\nHost: x\r\nX-Vault-Token: hvs.x\r\nContent-Length: 2",
    b"PUT /v1/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close",
    b"LIST http://x/v1/secret/metadata HTTP/1.0\r\nConnection: keep-alive, x\r\n\xc3\xa9: \xff",
)


def take_head(data: bytes) -> None:
    """A head means the same whether the one before it was the same, and could begin as it does."""
    found = head.parse(data)
    assert found.length >= head.CHUNKED
    assert found.method
    assert not set(found.method + found.target) & {" ", "\r", "\n", "\0"}
    heads = head.Heads()
    assert heads.parse(data) == found
    assert heads.parse(data) == found
    assert head.begins(data + b"\r\n\r\n")


def take_target(data: bytes) -> None:
    """A path has one reading: asked for as it was understood, it is understood as the same."""
    target = data.decode("utf-8", "surrogateescape")
    path, query = paths.parse(target)
    assert paths._parse(target) == (path, query)
    assert path == paths.canonical(path)
    assert not {".", ".."} & set(path.split("/"))
    assert not any(not first and not second for first, second in pairwise(path.split("/")))
    assert "\0" not in path
    paths.form(query)


def take_chunks(data: bytes) -> None:
    """A body in chunks is the same however it comes in."""
    at_once, rest, whole = _unchunked([data])
    by_ones, rest_by_ones, bits = _unchunked([data[place : place + 1] for place in range(len(data))])
    assert (whole, bits) in {(True, True), (False, False)}
    assert at_once == by_ones
    if whole:
        assert rest == rest_by_ones


def _unchunked(pieces: list[bytes]) -> tuple[bytes, bytes, bool]:
    body: list[bytes] = []
    rest: list[bytes] = []
    found = framing.Chunked()
    for piece in pieces:
        if found.complete:
            rest.append(piece)
        else:
            rest.append(found.feed(piece, body.append))
    return b"".join(body), b"".join(rest), found.complete


def take_line(data: bytes) -> None:
    _check_address(proxy_protocol.of_line(data))


def take_proxy_header(data: bytes) -> None:
    """The header behind its signature: four bytes, and as many as these say."""
    fixed, rest = data[: proxy_protocol.FIXED], data[proxy_protocol.FIXED :]
    length = proxy_protocol.rest_of(fixed.ljust(proxy_protocol.FIXED, b"\0"))
    assert 0 <= length <= proxy_protocol.MAX_REST
    _check_address(
        proxy_protocol.of_rest(fixed.ljust(proxy_protocol.FIXED, b"\0"), rest.ljust(length, b"\1")[:length])
    )


def take_forwarded(data: bytes) -> None:
    skips, *lines = data.split(b"\n")[:4]
    headers = CIMultiDict([("X-Forwarded-For", line.decode("utf-8", "surrogateescape")) for line in lines])
    _check_address(Forwarding(["127.0.0.1"], len(skips) % 4).client("127.0.0.1", headers))


def _check_address(found: str | None) -> None:
    """An address that is told is one and no more: it goes into audit logs and is compared with ranges."""
    if found is not None:
        assert str(ipaddress.ip_address(found)) == found
        assert "%" not in found


def take_json(data: bytes) -> None:
    """JSON is read as the standard library reads it, is bounded, and survives being written."""
    value = json_codec.loads(data)
    written = exact_json.dumps(value) if _is_writable(value) else None
    if written is not None:
        assert exact_json.loads(written) == value
    if len(data) < 4096 and not _has_odd_names(data):
        assert json.JSONDecoder().raw_decode(data.decode().lstrip(" \t\r\n"))[0] == value


def _is_writable(value: Any, depth: int = 0) -> bool:
    """Tell whether a value holds nothing that UTF-8 cannot."""
    if isinstance(value, Mapping):
        return depth < 100 and all(_is_writable(part, depth + 1) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return depth < 100 and all(_is_writable(part, depth + 1) for part in value)
    return not isinstance(value, float) or math.isfinite(value)


def _has_odd_names(data: bytes) -> bool:
    """Numbers near the ends of doubles, where the standard library says infinity; and bytes that are no text."""
    return b"e" in data or b"E" in data or b"\\u" in data or not data.isascii()


def take_base64(data: bytes) -> None:
    """What is taken is written as it was sent, but for line ends and stray bits; an error's place is one."""
    sent = text(data)
    try:
        raw = go_base64.decode(sent)
    except InvalidRequest:
        place = go_base64.error_place(sent.encode("utf-8", "surrogatepass"))
        assert 0 <= place <= len(sent.encode("utf-8", "surrogatepass"))
        raise
    bare = sent.replace("\n", "").replace("\r", "")
    assert len(go_base64.encode(raw)) == len(bare)
    assert go_base64.decode(go_base64.encode(raw)) == raw
    assert go_base64._decode_long(sent) == raw if bare else True


def take_duration(data: bytes) -> None:
    found = parse_duration(utf8(data))
    assert found is None or isinstance(found, int)


def take_url(data: bytes) -> None:
    target = read_url(utf8(data))
    assert target.host
    assert 0 < target.port < 1 << 16
    assert target.path.startswith("/")


_V2: Final = (
    struct.pack("!BBH", 0x21, 0x11, 12) + socket.inet_aton("203.0.113.7") + bytes(8),
    struct.pack("!BBH", 0x21, 0x21, 36) + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(20),
    struct.pack("!BBH", 0x20, 0, 0),
    struct.pack("!BBH", 0x21, 0x31, 216) + bytes(216),
)

TARGETS: Final[Mapping[str, Target]] = {
    "http-head": Target(take_head, lambda: _HEADS, (HttpError,)),
    "http-target": Target(
        take_target,
        lambda: (b"/v1/a/b?list=true", b"https://x/v1/%41", b"/v1/a%2fb/", b"/v1/a/%2e%2e/b", b"/v1/\xc3\xa9?a=%"),
        (HttpError, InvalidRequest),
    ),
    "http-chunks": Target(
        take_chunks, lambda: (b"3\r\nabc\r\n0\r\n\r\nGET", b"a;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\n"), (HttpError,)
    ),
    "proxy-v1": Target(
        take_line,
        lambda: (
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY TCP6 ::1 ::ffff:1.2.3.4 1 2\r\n",
            b"PROXY UNKNOWN\r\n",
        ),
        (NoHeader,),
        128,
    ),
    "proxy-v2": Target(take_proxy_header, lambda: _V2, (NoHeader,)),
    "forwarded": Target(
        take_forwarded, lambda: (b"\n1.2.3.4, ::1", b"a\nx, ::ffff:10.0.0.1, 5.6.7.8\n::2"), (HttpError,)
    ),
    "json": Target(
        take_json,
        lambda: (
            b'{"a":[1,2.5,-1e3,true,null,"\\u00e9\\n"],"b":{"c":{}}}',
            b'[1] {"x"',
            b'{"n":123456789012345678901234567890}',
            b'"\\ud800"',
            b"[[[[]]]]",
        ),
    ),
    "base64": Target(take_base64, lambda: (b"QUJD", b"QQ==", b"QU\nI=\r\n", b"Q!==", b"QUJDREVGR0g=")),
    "duration": Target(take_duration, lambda: (b"1h30m", b"-1.5s", b"10", b"2d", b"1us"), (), 64),
    "url": Target(
        take_url,
        lambda: (b"https://a.example:8443/x?y=z", b"http://[::1]:80/", b"https://127.1/"),
        (NotAllowed,),
        256,
    ),
}
