"""What clients may make a process hold, before and after it knows who they are.

The kind: memory that grows with what is sent, and that nobody counts. A connection holds one request and one read of
the socket; what all of them hold is counted where it is taken and given back where it is let go of, one place each.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from kms_http.server import HttpServer
from kms_http.wire import response
from kms_http.wire.connection import Connection
from kms_http.wire.limits import MAX_HEAD, UNCOUNTED, Account, Limits
from tests.http.conftest import FakeAuthenticator, FakeBackend

if TYPE_CHECKING:
    from tests.http.conftest import Service

HEALTH = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n"
READ = b"GET /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: data\r\n\r\n"
BUSY = b'{"errors":["too many requests at once, try again"]}\n'


def write(length: int, token: bytes = b"data") -> bytes:
    head = b"PUT /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (token, length)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, bytes]:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        self.head = head
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        return int(head[9:12]), await asyncio.wait_for(self.reader.readexactly(length), 10)

    async def closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 10) == b""


@asynccontextmanager
async def serving(service: Service, limits: Limits) -> AsyncIterator[tuple[HttpServer, Callable[[], Any]]]:
    """A server with these limits, and what connects to it."""
    server = HttpServer(service.backend, service.authenticator, lambda *_: None, service.engines, limits)
    await server.start("127.0.0.1", 0)
    clients: list[Client] = []

    async def connect() -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", server.port)))
        return clients[-1]

    try:
        yield server, connect
    finally:
        for client in clients:
            client.writer.close()
        await server.stop(1)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # of code that knows no event
            await asyncio.sleep(0.01)


def test_an_account_never_holds_more_than_its_limit() -> None:
    account = Account(10)
    assert [account.take(size) for size in (6, 5, 4, 1, -4, 4)] == [True, False, True, False, True, True]
    assert account.held == 10


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_as_many_as_are_allowed_may_connect_at_once(run: Callable[[Any], None]) -> None:
    """None counts twice, as an accepted one and as a connection."""

    async def main() -> None:
        server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None, limits=Limits(connections=20))
        await server.start("127.0.0.1", 0)
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)))
        for reader, writer in opened:
            writer.write(HEALTH)
            assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200 ")
            writer.close()
        await server.stop(1)

    run(main())


class TestConnections:
    async def test_idle_ones_make_way(self, service: Service) -> None:
        async with serving(service, Limits(connections=20)) as (server, connect):
            first = [await connect() for _ in range(20)]
            first[0].writer.write(HEALTH[:-2])  # slow with its headers
            for client in first[1:]:
                client.writer.write(HEALTH)
                assert (await client.answer())[0] == 200
            another = await connect()
            another.writer.write(HEALTH)
            assert (await another.answer())[0] == 200
            assert await first[0].closed()
            assert server.open_connections <= 20

    async def test_where_none_is_idle_new_ones_are_told(self, service: Service) -> None:
        released = asyncio.Event()
        asked = []

        async def wait(message: Any) -> str:
            asked.append(message)
            await released.wait()
            return "waited"

        service.toys_answer(wait)
        async with serving(service, Limits(connections=3)) as (_, connect):
            busy = [await connect() for _ in range(3)]
            for client in busy:
                client.writer.write(READ)
            await until(lambda: len(asked) == 3)
            another = await connect()
            assert await another.answer() == (503, BUSY)
            assert b"Retry-After: 1\r\n" in another.head
            assert await another.closed()
            released.set()
            for client in busy:
                assert (await client.answer())[0] == 200


class TestBodies:
    async def test_share_one_budget(self, service: Service) -> None:
        async with serving(service, Limits(body_bytes=200_000)) as (server, connect):
            first, second, third = [await connect() for _ in range(3)]
            body = b'{"text":"%b"}' % (b"x" * 150_000)
            first.writer.write(write(len(body)) + body[:-1])
            await until(lambda: server.body_bytes >= len(body) - 1 - UNCOUNTED)
            second.writer.write(write(len(body)) + body[:-1])
            assert await second.answer() == (503, BUSY)
            assert b"Retry-After: 1\r\n" in second.head
            small = b'{"text":"x"}'
            for parts in ([write(len(small)) + small], [write(len(small)) + small[:5], small[5:]]):
                for part in parts:
                    third.writer.write(part)
                    await asyncio.sleep(0.02)
                assert (await third.answer())[0] == 200
            first.writer.write(body[-1:])
            assert (await first.answer())[0] == 200
            assert server.body_bytes == 0
            third.writer.write(write(len(body)) + body)
            assert (await third.answer())[0] == 200

    async def test_are_not_counted_as_announced(self, service: Service) -> None:
        async with serving(service, Limits(body_bytes=2**20)) as (server, connect):
            for _ in range(10):
                (await connect()).writer.write(write(30 * 2**20) + b"{")
            client = await connect()
            body = b'{"text":"%b"}' % (b"x" * 500_000)
            client.writer.write(write(len(body)) + body)
            assert (await client.answer())[0] == 200
            assert server.body_bytes <= 10

    async def test_that_come_whole_are_counted_when_they_are_large(self, service: Service) -> None:
        held = []

        async def look(_: Any) -> str:
            held.append(server.body_bytes)
            return "seen"

        service.toys_answer(look)
        async with serving(service, Limits()) as (server, connect):
            client = await connect()
            for size in (UNCOUNTED - 100, UNCOUNTED + 100):
                body = b'{"text":"%b"}' % (b"x" * size)
                client.writer.write(write(len(body)) + body)
                assert (await client.answer())[0] == 200
            assert held[0] == 0
            assert held[1] > UNCOUNTED
            assert server.body_bytes == 0

    @pytest.mark.parametrize("token", [b"data", b"nobody"])
    async def test_leave_nothing_when_they_break_off(self, service: Service, token: bytes) -> None:
        """Neither counted nor in memory, and without a collection of cycles."""
        body = b'{"text":"%b"}' % (b"x" * 2**20)
        async with serving(service, Limits()) as (server, connect):

            async def break_off() -> None:
                clients = [await connect() for _ in range(20)]
                for client in clients:
                    client.writer.write(write(len(body), token) + body[:-1])
                    await client.writer.drain()
                for client in clients:
                    client.writer.transport.abort()
                await until(lambda: server.open_connections == 0)

            await break_off()
            gc.collect()
            gc.disable()
            tracemalloc.start()
            try:
                await break_off()
                await asyncio.sleep(0.05)
                left = tracemalloc.get_traced_memory()[0]
            finally:
                tracemalloc.stop()
                gc.enable()
            assert left < len(body)
            assert server.body_bytes == server._hub.pending.held == 0  # type: ignore[union-attr]
            assert service.tenant.asked == []

    async def test_leave_nothing_when_the_client_goes_before_their_first_step(self, service: Service) -> None:
        """As it is where a turn comes in the pass of the loop that learns of it, later."""

        async def wait(_: Any) -> None:
            await asyncio.Event().wait()

        service.toys_answer(wait)
        async with serving(service, Limits()) as (server, _):
            hub = server._hub
            assert hub is not None
            for size in (100, UNCOUNTED + 100):
                share = hub.shares.hold("192.0.2.1", many=False)
                gone = Connection(hub, share, "192.0.2.1", lambda: None)
                gone.connection_made(Nowhere())
                share.let_go()
                body = b'{"text":"%b"}' % (b"x" * size)
                gone.data_received(write(len(body)) + body)
                gone.connection_lost(None)
                await asyncio.sleep(0.01)
                assert not gone.busy
                assert server.body_bytes == 0
                assert hub.admission.going_on == 0
            assert server.in_flight() == []


class Nowhere(asyncio.Transport):
    """A transport of nobody."""

    def __init__(self, *, closing: bool = False) -> None:
        super().__init__()
        self.closing, self.aborted = closing, False

    def write(self, data: Any) -> None:
        """Drop it."""

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True


async def test_who_ends_tls_and_takes_nothing_is_let_go_of(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an answer to come, and what was written before it is not taken."""
    monkeypatch.setattr(response, "WRITE_SECONDS", 0.05)
    released = asyncio.Event()

    async def wait(_: Any) -> str:
        await released.wait()
        return "waited"

    service.toys_answer(wait)
    async with serving(service, Limits()) as (server, _):
        hub = server._hub
        assert hub is not None
        share, nowhere = hub.shares.hold("192.0.2.1", many=False), Nowhere(closing=True)
        gone = Connection(hub, share, "192.0.2.1", lambda: None)
        gone.connection_made(nowhere)
        gone.data_received(READ)
        gone.eof_received()
        released.set()
        await until(lambda: nowhere.aborted)
        gone.connection_lost(None)
        share.let_go()


class TestBeforeAuthentication:
    async def test_headers_in_pieces_share_one_budget(self, service: Service) -> None:
        async with serving(service, Limits(pending_bytes=4 * MAX_HEAD)) as (server, connect):
            slow = [await connect() for _ in range(5)]
            for client in slow:
                client.writer.write(HEALTH[:-2] + (b"A: " + b"a" * 15_000 + b"\r\n") * 4)
                await client.writer.drain()
                await asyncio.sleep(0.05)
            assert await slow[-1].answer() == (503, BUSY)
            whole = await connect()
            whole.writer.write(HEALTH)
            assert (await whole.answer())[0] == 200
            assert server._hub.pending.held <= 4 * MAX_HEAD  # type: ignore[union-attr]

    async def test_so_do_lines_that_do_not_end(self, service: Service) -> None:
        async with serving(service, Limits(pending_bytes=4 * MAX_HEAD)) as (server, connect):
            slow = [await connect() for _ in range(5)]
            for client in slow:
                client.writer.write(HEALTH[:-2] + b"A: ")
                for _ in range(4):
                    await asyncio.sleep(0.02)
                    client.writer.write(b"a" * 15_000)
                    await client.writer.drain()
                await asyncio.sleep(0.05)
            assert await slow[-1].answer() == (503, BUSY)
            assert server._hub.pending.held <= 4 * MAX_HEAD  # type: ignore[union-attr]

    async def test_a_connection_holds_one_read_of_what_is_behind_a_request(self, service: Service) -> None:
        released = asyncio.Event()

        async def wait(_: Any) -> str:
            await released.wait()
            return "waited"

        service.toys_answer(wait)
        async with serving(service, Limits()) as (server, connect):
            client = await connect()
            client.writer.write(READ + HEALTH * 200_000)
            await asyncio.sleep(0.3)
            assert 0 < server._hub.pending.held <= 2**19  # type: ignore[union-attr]
            released.set()
            for _ in range(5000):
                assert (await client.answer())[0] == 200

    async def test_a_body_nobody_wants_is_not_kept(self, service: Service) -> None:
        async with serving(service, Limits()) as (server, connect):
            client = await connect()
            client.writer.write(write(2**20, b"nobody") + b"x" * 2**20 + HEALTH)
            assert [(await client.answer())[0] for _ in range(2)] == [403, 200]
            assert server.body_bytes == 0
