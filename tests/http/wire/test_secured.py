"""TLS between a socket and a connection: what comes is handed on whole, and what ends it ends both sides."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from typing import Any

import pytest

from kms_http.server import HttpServer
from kms_http.wire import secured
from kms_http.wire.secured import Secured
from kms_http.wire.tls import Pair, Rules, Wraps, wrapping
from tests.http.conftest import FakeAuthenticator, FakeBackend
from tests.support import certificates

SERVER = certificates.server()
HEALTH = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n"

pytestmark = pytest.mark.parametrize("asks", [False, True], ids=["ssl", "pyOpenSSL"])


@functools.cache
def context_of(*, asks: bool) -> Wraps:
    return wrapping(Pair(SERVER.pem.encode(), SERVER.key_pem.encode()), Rules(asks=asks))


class Socket(asyncio.Transport):
    """What stands for the transport of a socket: keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.writes = 0
        self.closed = self.aborted = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.sent += bytes(data)
        self.writes += 1

    def write_eof(self) -> None:
        self.sent += b"<end>"

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted


class Carried(asyncio.Protocol):
    """What is carried: keeps what it is told."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.ended = self.lost = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

    def eof_received(self) -> bool:
        self.ended += 1
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1


class Both:
    """A server's end, and a client that it is joined to by hand."""

    def __init__(
        self, *, asks: bool, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
    ) -> None:
        self.socket, self.carried = Socket(), Carried()
        self.settled = 0
        loop = asyncio.get_running_loop()
        self.secured = Secured(loop, context_of(asks=asks), lambda: self.carried, self._settle)
        self.secured.connection_made(self.socket)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.context = context or certificates.client_context(SERVER)
        self.client = self.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname="127.0.0.1", session=session
        )

    def _settle(self, which: Secured) -> None:
        assert which is self.secured
        self.settled += 1

    def sent(self) -> bytes:
        """Take what the client has for the server."""
        return self._outgoing.read()

    def take(self) -> None:
        """Bring the client what the server has sent."""
        self._incoming.write(self.socket.sent)
        self.socket.sent = b""

    def shake_hands(self) -> None:
        for _ in range(2):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.secured.data_received(self.sent())
                self.take()

    def end(self) -> None:
        self.secured.connection_lost(None)


async def test_a_request_behind_the_handshake_is_read_with_it(asks: bool) -> None:
    both = Both(asks=asks)
    both.shake_hands()
    assert (both.carried.received, both.settled) == ([], 0)
    both.client.write(HEALTH)
    both.secured.data_received(both.sent())  # the client's last word of the handshake, too
    assert (both.carried.received, both.settled) == ([HEALTH], 1)
    both.end()
    assert (both.carried.lost, both.settled) == (1, 1)


async def test_all_records_of_a_read_are_handed_on_in_one_piece_and_a_part_waits(asks: bool) -> None:
    both = Both(asks=asks)
    both.shake_hands()
    for piece in (b"a" * 16384, b"b" * 100, b"c" * 20000):
        both.client.write(piece)
    sent = both.sent()
    both.secured.data_received(sent[:-7])
    both.secured.data_received(sent[-7:])
    first, second = both.carried.received
    assert first + second == b"a" * 16384 + b"b" * 100 + b"c" * 20000
    assert len(second) == 20000 - 16384
    both.end()


async def test_an_answer_of_many_records_arrives(asks: bool) -> None:
    both = Both(asks=asks)
    both.shake_hands()
    both.secured.data_received(both.sent())
    answer = bytes(range(256)) * 4096
    both.carried.transport.write(answer)
    both.take()
    found = b""
    while len(found) < len(answer):
        found += both.client.read(65536)
    assert found == answer
    both.end()


async def test_no_session_is_gone_on_with(asks: bool) -> None:
    both = Both(asks=asks)
    both.shake_hands()
    both.client.write(HEALTH)
    both.secured.data_received(both.sent())
    both.carried.transport.write(b"answer")
    both.take()
    assert both.client.read(100) == b"answer"  # and tickets before it, if there are any
    assert both.client.version() == "TLSv1.3"
    again = Both(asks=asks, context=both.context, session=both.client.session)
    again.shake_hands()
    again.secured.data_received(again.sent())
    assert again.settled
    assert not again.client.session_reused
    both.end()
    again.end()


async def test_the_end_is_told_and_nothing_is_sent_behind_it(asks: bool) -> None:
    both = Both(asks=asks)
    both.shake_hands()
    both.secured.data_received(both.sent())
    both.carried.transport.write(b"last")
    both.carried.transport.close()
    both.carried.transport.write(b"more")
    both.carried.transport.close()
    assert both.socket.closed
    assert both.carried.transport.is_closing()
    both.take()
    assert both.client.read(100) == b"last"
    assert both.client.read(100) == b""
    both.end()


async def test_what_is_written_last_leaves_with_the_end_and_nothing_is_read_behind_it(asks: bool) -> None:
    both = Both(asks=asks)
    both.shake_hands()
    both.secured.data_received(both.sent())
    before = both.socket.writes
    both.carried.transport.write_last(b"last")  # type: ignore[attr-defined]
    assert both.socket.writes == before + 1
    both.carried.transport.write(b"more")
    both.client.write(HEALTH)
    both.secured.data_received(both.sent())
    assert (both.carried.received, both.socket.closed) == ([], False)
    both.carried.transport.close()
    assert (both.socket.closed, both.socket.writes) == (True, before + 1)
    both.take()
    assert both.client.read(100) == b"last"
    assert both.client.read(100) == b""
    both.end()


async def test_a_client_that_says_it_ends_ends_the_connection(asks: bool) -> None:
    both = Both(asks=asks)
    both.shake_hands()
    both.client.write(HEALTH)
    with pytest.raises(ssl.SSLWantReadError):
        both.client.unwrap()
    both.secured.data_received(both.sent())
    assert (both.carried.received, both.carried.ended) == ([HEALTH], 1)
    assert both.socket.closed
    both.end()


async def test_a_changed_record_ends_the_connection_with_an_alert(asks: bool) -> None:
    both = Both(asks=asks)
    both.shake_hands()
    both.client.write(HEALTH)
    both.secured.data_received(both.sent())
    both.client.write(HEALTH)
    sent = bytearray(both.sent())
    sent[-1] ^= 1
    both.secured.data_received(bytes(sent))
    assert both.carried.received == [HEALTH]
    assert both.socket.closed
    both.take()
    with pytest.raises(ssl.SSLError, match=r"(?i)bad record mac"):
        both.client.read(100)
    both.secured.data_received(b"whatever")
    both.end()


async def test_nonsense_in_a_handshake_ends_it(asks: bool) -> None:
    both = Both(asks=asks)
    both.secured.data_received(b"\x16\x03\x01\x00\x05hello")
    assert both.socket.closed
    both.end()
    assert (both.settled, both.carried.lost) == (1, 0)


async def test_who_ends_it_within_the_handshake_is_gone(asks: bool) -> None:
    both = Both(asks=asks)
    with contextlib.suppress(ssl.SSLWantReadError):
        both.client.do_handshake()
    both.secured.data_received(both.sent())
    both.secured.data_received(b"\x15\x03\x03\x00\x02\x01\x00")  # RFC 8446, section 6.1: close_notify, in the clear
    assert both.socket.closed
    both.secured.connection_lost(None)
    assert (both.settled, both.carried.lost) == (1, 0)


async def test_a_handshake_that_does_not_end_is_ended(asks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secured, "HANDSHAKE_SECONDS", 0.05)
    server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None)
    await server.start("127.0.0.1", 0, context_of(asks=asks))
    for sent in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    await server.stop(1)


async def test_handshakes_under_way_end_with_the_server(asks: bool) -> None:
    server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None)
    await server.start("127.0.0.1", 0, context_of(asks=asks))
    assert server._acceptor is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    while not server._acceptor.connecting:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    await server.stop(0)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


@pytest.mark.parametrize("body", [b"", b"{"], ids=["whole", "unread"])
async def test_the_last_answer_leaves_with_the_end_unless_something_is_still_to_be_read(
    asks: bool, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[bytes] = []
    write_last = Secured.write_last

    def seen(self: Secured, data: bytes) -> None:
        together.append(data)
        write_last(self, data)

    monkeypatch.setattr(Secured, "write_last", seen)
    server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None)
    await server.start("127.0.0.1", 0, context_of(asks=asks))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=certificates.client_context(SERVER), server_hostname="127.0.0.1"
    )
    framing = b"Content-Length: 2\r\n" if body else b""
    writer.write(b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + framing + b"\r\n" + body)
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
    if body:
        writer.write(b"}")
    answer += await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 ")
    assert together == ([] if body else [answer])
    writer.close()
    await server.stop(1)
