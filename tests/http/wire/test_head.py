"""Heads of requests, read as others read them or not at all.

The kind: two readers of one request see two requests. What we take, aiohttp's parser (llhttp) takes too, and sees the
same; where it is more generous, we refuse. Requests are drawn from pieces that parsers have stumbled over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, RawRequestMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_http.wire import head
from kms_http.wire.errors import HttpError
from kms_http.wire.framing import MAX_CHUNKS, framing_of
from kms_http.wire.head import CHUNKED
from kms_http.wire.limits import MAX_HEAD

_PIECES = [
    b"a",
    b"9",
    b":",
    b",",
    b";",
    b"\t",
    b" ",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x7f",
    b"\xc3\xa9",
    b"\xff",
    b'"',
]
_JUNK = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=3).map(b"".join)
_NAMES = st.sampled_from([b"X-A", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Host", b"X "])
_TEXTS = (b"0", b"3", b"+3", b"3, 3", b"0x3", b"chunked", b"Chunked", b"gzip, chunked", b"close", b"keep-alive, x")
_VALUES = st.sampled_from((*_TEXTS, b"CLOSE", b"100-continue", b"h:1", b""))
_LINES = st.tuples(_NAMES, st.sampled_from([b":", b": ", b":\t "]), _VALUES).map(b"".join)
_METHODS = ("GET", "POST", "DELETE")
_STARTS = st.tuples(
    st.sampled_from([b"GET ", b"POST ", b"DELETE "]),
    st.sampled_from([b"/v1/a", b"/", b"/v1/a?b=c", b"/v1/\xc3\xa9?\xff", b"http://h/v1/a"]),
    st.sampled_from([b" HTTP/1.1", b" HTTP/1.0"]),
).map(b"".join)


@st.composite
def _heads(draw: st.DrawFn) -> bytes:
    """Draw a request in order, but for what may be wrong with some of its lines, and junk somewhere."""
    lines = draw(st.permutations([b"Host: h", *draw(st.lists(_LINES, max_size=3))]))
    block = b"\r\n".join((draw(_STARTS), *lines))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(block)))
        block = block[:place] + draw(_JUNK) + block[place + draw(st.integers(0, 1)) :]
    return block


def of_aiohttp(block: bytes) -> RawRequestMessage | None:
    """Return what aiohttp's parser sees; None for what it refuses."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, max_line_size=2**16, max_field_size=2**16)
        messages, _, _ = parser.feed_data(block + b"\r\n\r\n")
    except Exception:  # noqa: BLE001  # of whatever kind
        return None
    finally:
        loop.close()
    return messages[0][0] if messages else None


@settings(max_examples=400)
@given(_heads())
def test_what_we_take_others_take_and_see_the_same(block: bytes) -> None:
    try:
        ours = head.parse(block)
    except HttpError:
        return
    theirs = of_aiohttp(block)
    if theirs is None:  # it knows a list of methods, two versions, and targets of some forms, in ASCII
        line = block.partition(b"\r\n")[0]
        known = line.isascii() and line.endswith((b"/1.1", b"/1.0")) and ours.method in _METHODS
        assert not (known and ours.target.startswith("/"))
        return
    assert (ours.method, ours.target) == (theirs.method, theirs.path)
    stripped = [(name, value.strip(" \t")) for name, value in theirs.headers.items()]  # its older ones leave tabs
    assert list(ours.headers.items()) == stripped
    assert (ours.length == CHUNKED) == theirs.chunked
    assert ours.length in (CHUNKED, int(theirs.headers.get("Content-Length", 0)))
    assert ours.keep_alive == (not theirs.should_close)


@pytest.mark.parametrize(
    ("block", "length", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: h", 0, True),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE", 0, False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close", 0, False),
        (b"GET / HTTP/1.0", 0, False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive", 0, True),
        (b"PUT / HTTP/1.1\r\nhOST:h\r\ncontent-length:  007 ", 7, True),
        (b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked", CHUNKED, True),
    ],
)
def test_lengths_and_persistence(block: bytes, length: int, keep_alive: bool) -> None:
    found = head.parse(block)
    assert (found.length, found.keep_alive) == (length, keep_alive)


@pytest.mark.parametrize(
    "data", [b"G", b"GET", b"GET /", b"GET / HTTP/1.1\r\nHost", b"GET / HTTP/1.1\r\n", b"LIST \xff"]
)
def test_a_beginning_may_become_a_request(data: bytes) -> None:
    assert head.begins(data)


@pytest.mark.parametrize(
    "data", [b"\x16", b"{", b" GET", b"G@T /", b"GET /\0", b"A" * 64, b"GET / HTTP/1.1\n", b"\xff"]
)
def test_or_it_is_known_not_to(data: bytes) -> None:
    assert not head.begins(data)


@given(
    st.sampled_from([b"GET / HTTP/1.1\r\nHost: h", b"G", b"GET / HTTP/1.1\r", b"LIST \xff"]), st.binary(max_size=9)
)
def test_what_goes_on_with_a_beginning_is_what_would_begin_one_with_it(beginning: bytes, data: bytes) -> None:
    if head.goes_on(beginning, data):
        assert head.begins(beginning + data)
        assert b"\r\n\r\n" not in beginning + data


def test_bytes_that_neither_end_nor_spoil_a_head_go_on_with_it() -> None:
    assert head.goes_on(b"GET / HTTP/1.1\r\nHost: h", b"x")
    for data in (b"\n", b"\0", b"x\ny"):
        assert not head.goes_on(b"GET / HTTP/1.1\r\nHost: h", data)
    assert not head.goes_on(b"GE", b"T")  # whether that becomes a method is still to be seen
    assert not head.goes_on(b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD, b"x")


def test_a_method_is_as_long_however_it_comes_in() -> None:
    """A fuzzer found it: whole, a head was taken that was refused in pieces."""
    rest = b" / HTTP/1.1\r\nHost: h"
    assert head.parse(b"A" * 63 + rest).method == "A" * 63
    with pytest.raises(HttpError):
        head.parse(b"A" * 64 + rest)


def test_names_that_clients_make_up_are_not_kept_without_end() -> None:
    for number in range(600):
        head.parse(b"GET / HTTP/1.1\r\nHost: h\r\nX-%d: a\r\nX-%b: b" % (number, b"y" * 100))
    assert len(head._names) <= head._MAX_NAMES
    assert all(len(name) <= head._LONGEST_NAME for name in head._names)


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.lists(st.integers(1, 30), min_size=1),
    st.binary(max_size=9),
)
def test_a_body_is_what_was_sent_however_it_is_cut(chunks: list[bytes], sizes: list[int], behind: bytes) -> None:
    whole = b"".join(chunks)
    coded = b"".join(b"%X;x=y\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nA: b\r\n\r\n"
    for length, sent in ((len(whole), whole + behind), (CHUNKED, coded + behind)):
        framing, taken, rest, position, turn = framing_of(length), list[bytes](), b"", 0, 0
        while not framing.complete and position < len(sent):
            piece = sent[position : position + sizes[turn % len(sizes)]]
            rest = framing.feed(piece, taken.append)
            position, turn = position + len(piece), turn + 1
        assert framing.complete
        assert b"".join(taken) == whole
        assert rest + sent[position:] == behind


@pytest.mark.parametrize(
    "data",
    [
        b"zz\r\n",
        b"\r\n",
        b"-1\r\n",
        b"5 \r\n",
        b"123456789\r\n",
        b"1\nx\r\n",
        b"1\r\nxy\r\n",
        b"1\r\nx\n0\r\n\r\n",
        b"1;\x01\r\n",
        b"1;" + b"a" * 300,
        b"0\r\n" + b"A: b\r\n" * 2000,
        b"1\r\nx\r\n" * (MAX_CHUNKS + 1),
    ],
)
def test_what_are_no_chunks_is_refused(data: bytes) -> None:
    with pytest.raises(HttpError) as raised:
        framing_of(CHUNKED).feed(data, lambda _: None)
    assert (raised.value.status, raised.value.close) == (400, True)


def _parsed(parse: Callable[[bytes], head.Head], block: bytes) -> object:
    try:
        found = parse(block)
    except HttpError as error:
        return error.status, error.texts
    return (*found[:3], tuple(found.headers.items()), *found[4:])


@given(st.lists(_heads(), min_size=1, max_size=3), st.lists(st.tuples(_STARTS, st.integers(0, 2)), max_size=6))
def test_a_connection_reads_each_head_as_if_it_was_the_first(
    drawn: list[bytes], later: list[tuple[bytes, int]]
) -> None:
    heads = head.Heads()
    rests = [block.partition(b"\r\n")[2] for block in drawn]
    for block in (*drawn, *(start + b"\r\n" + rests[which % len(rests)] for start, which in later)):
        assert _parsed(heads.parse, block) == _parsed(head.parse, block)


def test_headers_that_come_again_are_not_read_again() -> None:
    heads = head.Heads()
    first = heads.parse(b"GET /v1/a HTTP/1.1\r\nHost: h\r\nX-Vault-Token: t")
    second = heads.parse(b"POST /v1/b HTTP/1.1\r\nHost: h\r\nX-Vault-Token: t")
    assert second.headers is first.headers
    assert (second.method, second.target) == ("POST", "/v1/b")
    assert heads.parse(b"GET /v1/a HTTP/1.1\r\nHost: h\r\nX-Vault-Token: u").headers["X-Vault-Token"] == "u"


def test_many_headers_are_not_kept() -> None:
    heads = head.Heads()
    block = b"GET /v1/a HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 2048
    assert heads.parse(block).headers is not heads.parse(block).headers
