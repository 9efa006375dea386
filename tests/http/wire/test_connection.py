"""Requests that arrive whole are answered where they were read; those that have to wait, in a task of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from kms_http import server
from kms_http.server import HttpServer
from kms_http.wire import connection
from kms_http.wire.response import Response

if TYPE_CHECKING:
    from tests.http.conftest import Service

READ = b"GET /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: data\r\n\r\n"
CANARY = "canary-Zm9vYmFy-secret"


class Panic(BaseException):
    """As native libraries raise: no Exception."""


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[bytes, bytes]:
        """Return status line and headers, and the body, of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        return head, await asyncio.wait_for(self.reader.readexactly(length), 10)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    yield Client(reader, writer)
    writer.close()


class Waiting:
    """An answer that waits until it is released."""

    def __init__(self) -> None:
        self.asked = 0
        self.released = asyncio.Event()

    async def __call__(self, _: Any) -> str:
        self.asked += 1
        await self.released.wait()
        return "waited"


@pytest.fixture
def waiting(service: Service) -> Waiting:
    waiting = Waiting()
    service.toys_answer(waiting)
    return waiting


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # of code that knows no event
            await asyncio.sleep(0.01)


async def test_an_answer_that_waits_holds_up_nobody_else(service: Service, client: Client, waiting: Waiting) -> None:
    client.writer.write(READ)
    await _until(lambda: waiting.asked)
    assert (await service.call("GET", "/v1/sys/health")).status == 200
    waiting.released.set()
    assert b"waited" in (await client.answer())[1]


async def test_requests_behind_one_that_waits_are_answered_in_order(
    service: Service, client: Client, waiting: Waiting
) -> None:
    client.writer.write(READ)
    await _until(lambda: waiting.asked)
    for number in range(3):
        client.writer.write(READ.replace(b"names/a", b"names/%d" % number))
        await asyncio.sleep(0.01)
    assert waiting.asked == 1
    waiting.released.set()
    for _ in range(4):
        assert (await client.answer())[0].startswith(b"HTTP/1.1 200 ")
    assert [message.name for message in service.tenant.asked] == ["a", "0", "1", "2"]
    client.writer.write(READ)
    assert (await client.answer())[0].startswith(b"HTTP/1.1 200 ")


async def test_many_connections_at_once_all_get_their_answers(service: Service) -> None:
    connections = [await asyncio.open_connection("127.0.0.1", service.server.port) for _ in range(100)]
    for _, writer in connections:
        writer.write(READ)
    for reader, writer in connections:
        assert (await Client(reader, writer).answer())[0].startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize("waits", [False, True])
async def test_a_panic_ends_its_connection_alone_and_shows_nothing(
    service: Service, client: Client, waits: bool
) -> None:
    async def panic(_: Any) -> None:
        if waits:
            await asyncio.sleep(0)
        raise Panic(CANARY)

    service.toys_answer(panic)
    with structlog.testing.capture_logs() as logs:
        client.writer.write(READ)
        assert await asyncio.wait_for(client.reader.read(), 5) == b""
    assert logs == [{"event": "connection failed", "log_level": "warning", "error": "Panic"}]
    assert (await service.call("GET", "/v1/sys/health")).status == 200


@pytest.mark.parametrize("steps", [1, 2])
async def test_who_waits_for_what_others_have_cancelled_is_told(service: Service, client: Client, steps: int) -> None:
    async def wait_in_vain(_: Any) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        shared: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        shared.cancel()
        await shared

    service.toys_answer(wait_in_vain)
    client.writer.write(READ)
    head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"cancelled before the outcome was known" in body
    client.writer.write(READ)  # the connection goes on
    assert (await client.answer())[0].startswith(b"HTTP/1.1 503 ")


async def test_an_answer_that_cannot_be_written_ends_its_connection_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = Response.encode

    def failing(self: Response, method: str, minor: int, *, last: bool) -> bytes:
        if b"number two" in self.body:
            raise RuntimeError(CANARY)
        return encode(self, method, minor, last=last)

    async def named(message: Any) -> str:
        return "number two" if message.name == "2" else "another"

    service.toys_answer(named)
    monkeypatch.setattr(Response, "encode", failing)
    connections = [await asyncio.open_connection("127.0.0.1", service.server.port) for _ in range(4)]
    with structlog.testing.capture_logs() as logs:
        for number, (_, writer) in enumerate(connections):
            writer.write(READ.replace(b"names/a", b"names/%d" % number))
        for number, (reader, writer) in enumerate(connections):
            if number == 2:
                assert await asyncio.wait_for(reader.read(), 5) == b""
            else:
                assert (await Client(reader, writer).answer())[0].startswith(b"HTTP/1.1 200 ")
            writer.close()
    assert logs == [{"event": "connection failed", "log_level": "warning", "error": "RuntimeError"}]


async def test_a_client_that_leaves_while_its_answer_waits_harms_nobody(
    service: Service, client: Client, waiting: Waiting
) -> None:
    client.writer.write(READ)
    await _until(lambda: waiting.asked)
    client.writer.close()
    await client.writer.wait_closed()
    with structlog.testing.capture_logs() as logs:
        await asyncio.sleep(0.05)
        waiting.released.set()
        await _until(lambda: len(service.observed) == 1)
    assert (service.observed[0][:2], logs) == (("toy/names/{name}", 200), [])
    assert (await service.call("GET", "/v1/sys/health")).status == 200


async def test_a_client_may_take_a_large_answer_late(service: Service) -> None:
    text = "x" * 2**25
    service.toys_answer(text)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port, limit=2**12)
    client = Client(reader, writer)
    for _ in range(2):
        writer.write(READ)
        await asyncio.sleep(0.2)
        assert len((await client.answer())[1]) > len(text)
    writer.close()


class TestIdleness:
    @pytest.fixture
    async def impatient(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
        """A connection to a server that keeps an idle one for a fifth of a second."""
        monkeypatch.setattr(server, "KEEPALIVE_SECONDS", 0.2)
        other = HttpServer(service.backend, service.authenticator, lambda *_: None, service.engines)
        await other.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", other.port)
        yield Client(reader, writer)
        writer.close()
        await other.stop(1)

    async def test_a_connection_is_closed_some_time_after_its_last_answer(self, impatient: Client) -> None:
        for _ in range(3):
            await asyncio.sleep(0.1)
            impatient.writer.write(READ)
            await impatient.answer()
        assert await asyncio.wait_for(impatient.reader.read(), 5) == b""

    async def test_an_answer_may_wait_longer_than_that(self, impatient: Client, waiting: Waiting) -> None:
        impatient.writer.write(READ)
        await asyncio.sleep(0.5)
        waiting.released.set()
        assert b"waited" in (await impatient.answer())[1]
        assert await asyncio.wait_for(impatient.reader.read(), 5) == b""


async def test_work_for_a_client_that_has_gone_is_given_up(
    service: Service, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PROBE_SECONDS", 0.02)
    given_up = asyncio.Event()

    async def work(_: Any) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            given_up.set()
            raise
        return ""

    service.toys_answer(work)
    client.writer.write(READ)
    await _until(lambda: service.tenant.asked)
    client.writer.close()  # all that the server sees of it is the end of what the client sends
    async with asyncio.timeout(10):
        await given_up.wait()


async def test_a_client_that_only_sends_no_more_is_answered(
    client: Client, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PROBE_SECONDS", 0.02)
    client.writer.write(READ)
    client.writer.write_eof()
    processing = b"HTTP/1.1 102 Processing\r\n\r\n"
    async with asyncio.timeout(10):
        assert await client.reader.readexactly(3 * len(processing)) == 3 * processing
    waiting.released.set()
    answered = (await asyncio.wait_for(client.reader.read(), 10)).replace(processing, b"")
    assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"waited" in answered
