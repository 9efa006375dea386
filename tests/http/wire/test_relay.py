"""Between a client under TLS and another process: nothing is read on one side while the other takes no more."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kms_http.server import HttpServer
from kms_http.wire import passing, relay, response
from kms_http.wire.entry import Entry
from kms_http.wire.listening import listen
from tests.http.conftest import FakeAuthenticator, FakeBackend
from tests.http.wire.test_secured import SERVER, Both, context_of
from tests.http.wire.test_secured import Socket as Unpaused
from tests.support import certificates

LARGE = bytes(range(256)) * 16384  # 4 MiB: more than sockets and buffers hold
MOST = 1 << 20  # that these may hold


class Socket(Unpaused):
    """What stands for the client's socket, and knows whether it is read from."""

    paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Between(Both):
    """A client, a relay, and the other process's end."""

    def __init__(self) -> None:
        super().__init__(asks=False)
        self.paused = Socket()
        self.secured.connection_made(self.paused)
        self.socket = self.paused
        self.lost = 0

    def close(self) -> None:
        self.secured.close()

    def _lose(self, _: Exception | None) -> None:
        self.lost += 1

    async def relay(self) -> socket.socket:
        self.shake_hands()
        self.secured.data_received(self.sent())
        self.secured.pause_reading()
        end, other = relay.pair()
        between = relay.Relay(relay.Kept(self.secured, self.close, self._lose, 0.05), end)
        self.secured.set_protocol(between)
        await between.begin()
        assert not self.paused.paused
        return other

    def send(self, data: bytes) -> None:
        self.client.write(data)
        self.secured.data_received(self.sent())

    def read(self) -> bytes:
        """Return what the client has got."""
        self.take()
        got = b""
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while data := self.client.read(1 << 16):
                got += data
        return got


@contextlib.asynccontextmanager
async def between() -> AsyncIterator[tuple[Between, socket.socket]]:
    made = Between()
    other = await made.relay()
    with other:
        yield made, other
    if not made.lost:
        made.end()
    assert made.lost == 1
    await asyncio.sleep(0)


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_bytes_go_both_ways() -> None:
    loop = asyncio.get_running_loop()
    async with between() as (made, other):
        made.send(b"asked")
        assert await loop.sock_recv(other, 100) == b"asked"
        await loop.sock_sendall(other, b"answered")
        await until(lambda: made.socket.sent)
        assert made.read() == b"answered"


async def test_a_client_is_not_read_from_while_the_other_process_takes_nothing() -> None:
    loop = asyncio.get_running_loop()
    async with between() as (made, other):
        sent = 0
        while not made.paused.paused:
            made.send(LARGE[sent : sent + 16384])
            sent += 16384
            assert sent < MOST
            await asyncio.sleep(0)
        got = b""
        while len(got) < sent:
            got += await loop.sock_recv(other, 1 << 16)
        assert got == LARGE[:sent]
        await until(lambda: not made.paused.paused)


async def test_the_other_process_is_not_read_from_while_a_client_takes_nothing() -> None:
    loop = asyncio.get_running_loop()
    async with between() as (made, other):
        made.secured.pause_writing()
        sending = loop.create_task(loop.sock_sendall(other, LARGE))
        await asyncio.sleep(0.05)
        assert not sending.done()
        assert len(made.socket.sent) < MOST
        made.secured.resume_writing()
        await sending
        await until(lambda: len(made.socket.sent) > len(LARGE))
        assert made.read() == LARGE


async def test_a_client_that_takes_no_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process has given up, too, which nobody here reads of any more."""
    monkeypatch.setattr(response, "WRITE_SECONDS", 0.05)
    loop = asyncio.get_running_loop()
    async with between() as (made, other):
        made.secured.pause_writing()
        made.secured.resume_writing()
        await loop.sock_sendall(other, b"taken in time")
        await until(lambda: made.socket.sent)
        made.secured.pause_writing()
        await loop.sock_sendall(other, b"answered")
        other.close()
        await until(lambda: made.socket.aborted)
        assert made.read() == b"taken in time"


async def test_it_ends_with_the_other_process_once_its_answer_is_out() -> None:
    loop = asyncio.get_running_loop()
    async with between() as (made, other):
        await loop.sock_sendall(other, b"answered")
        other.close()
        await until(lambda: made.socket.closed)
        assert made.read() == b"answered"


async def test_what_a_client_still_sends_is_read_for_a_moment_where_that_is_wanted() -> None:
    loop = asyncio.get_running_loop()
    async with between() as (made, other):
        await loop.sock_sendall(other, b"refused")
        other.shutdown(socket.SHUT_WR)
        await until(lambda: made.socket.sent)
        assert made.read() == b"refused"
        made.send(b"more")
        assert not made.socket.closed
        assert await loop.sock_recv(other, 100) == b"more"
        await until(lambda: made.socket.closed)  # after so long, whatever the other process does


async def test_it_ends_with_its_client() -> None:
    loop = asyncio.get_running_loop()
    async with between() as (made, other):
        made.send(b"asked")
        assert await loop.sock_recv(other, 100) == b"asked"
        made.end()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(loop.sock_recv(other, 100), 30) == b""


@pytest.mark.parametrize("begun", [False, True], ids=["before it began", "while it begins"])
async def test_a_client_that_went_leaves_no_socket(begun: bool) -> None:
    made = Between()
    made.shake_hands()
    made.secured.data_received(made.sent())
    end, other = relay.pair()
    relayed = relay.Relay(relay.Kept(made.secured, made.close, made._lose, 0.05), end)
    made.secured.set_protocol(relayed)
    beginning = asyncio.ensure_future(relayed.begin())
    if begun:
        await asyncio.sleep(0)
    made.end()
    beginning.cancel()  # as the connection does with its task
    with contextlib.suppress(asyncio.CancelledError):
        await beginning
    with other:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(loop.sock_recv(other, 1), 30) == b""


async def test_who_sends_a_large_body_is_answered_where_he_is_once_no_descriptor_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_left() -> tuple[socket.socket, socket.socket]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(relay, "pair", none_left)
    sending, receiving = passing.pair()
    server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None)
    sockets = await asyncio.to_thread(listen, "127.0.0.1", 0)
    server.serve([Entry(sockets, context_of(asks=False))], passing=passing.PassingOn(sending))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=certificates.client_context(SERVER), server_hostname="127.0.0.1"
    )
    writer.write(b"POST /v1/toy/x HTTP/1.1\r\nHost: x\r\nX-Vault-Token: x\r\nContent-Length: 300000\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 30)).startswith(b"HTTP/1.1 ")
    writer.close()
    await server.stop(0)
    sending.close()
    receiving.close()
