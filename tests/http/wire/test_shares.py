"""What one address may hold of a process before anybody knows who is behind it, and for how long.

The kind: one client that has what all others need. Who is slow, or opens much, is sent away himself, not others.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from kms_http import server as http_server
from kms_http.server import HttpServer
from kms_http.wire import inbound
from kms_http.wire.entry import Entry
from kms_http.wire.limits import MAX_NOBODYS_BODY, Limits
from kms_http.wire.shares import Shares
from tests.support.report import reporting

if TYPE_CHECKING:
    from tests.http.conftest import Service

HEALTH = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n"
#: Connections that send a byte a second, and how many of them there are in a long run.
SLOW = int(os.environ.get("KMS_TEST_SLOW_CONNECTIONS", "500"))

Connect = Callable[[str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@asynccontextmanager
async def serving(service: Service, limits: Limits, **settings: Any) -> AsyncIterator[tuple[HttpServer, Connect]]:
    """A server, and what connects to it from an address of this machine."""
    server = HttpServer(service.backend, service.authenticator, lambda *_: None, service.engines, limits)
    server.serve([Entry([socket.create_server(("127.0.0.1", 0), backlog=1024)], **settings)])
    writers: list[asyncio.StreamWriter] = []

    async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened = await asyncio.open_connection("127.0.0.1", server.port, local_addr=(address, 0))
        writers.append(opened[1])
        return opened

    try:
        yield server, connect
    finally:
        for writer in writers:
            writer.close()
        await server.stop(1)


async def status(reader: asyncio.StreamReader) -> int:
    """Return the status of an answer; 0 where the connection ends instead."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
    except (asyncio.IncompleteReadError, ConnectionError):
        return 0
    return int(head[9:12])


async def asks(connect: Connect, address: str) -> int:
    reader, writer = await connect(address)
    writer.write(HEALTH)
    return await status(reader)


async def test_who_opens_too_many_connections_closes_his_own(service: Service) -> None:
    async with serving(service, Limits(connections=100, connections_per_address=10)) as (server, connect):
        other = await connect("127.0.0.2")
        many = [await connect("127.0.0.1") for _ in range(30)]
        assert await asks(connect, "127.0.0.1") == 200
        assert server.open_connections <= 11
        other[1].write(HEALTH)
        assert await status(other[0]) == 200
        many[-1][1].write(HEALTH)
        assert await status(many[-1][0]) == 200


async def test_where_none_of_his_is_idle_he_is_told_and_others_are_served(service: Service) -> None:
    released, asked = asyncio.Event(), []

    async def wait(message: Any) -> str:
        asked.append(message)
        await released.wait()
        return "waited"

    service.toys_answer(wait)
    async with serving(service, Limits(connections=100, connections_per_address=3)) as (server, connect):
        for _ in range(3):
            _, writer = await connect("127.0.0.1")
            writer.write(b"GET /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: data\r\n\r\n")
        async with asyncio.timeout(10):
            while len(asked) < 3:  # noqa: ASYNC110  # of code that knows no event
                await asyncio.sleep(0.01)
        assert await asks(connect, "127.0.0.1") == 503
        assert await asks(connect, "127.0.0.2") == 200
        assert server.refused[("connections of an address",)] == 1
        released.set()


async def test_beginnings_of_requests_of_one_address_leave_room_for_those_of_others(service: Service) -> None:
    async with serving(service, Limits(pending_bytes=400_000, pending_bytes_per_address=100_000)) as (
        server,
        connect,
    ):
        beginning = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 30_000
        readers = []
        for _ in range(5):
            reader, writer = await connect("127.0.0.1")
            writer.write(beginning)
            await writer.drain()
            readers.append(reader)
        refused = await asyncio.gather(*(status(reader) for reader in readers[3:]))
        assert refused == [503, 503]
        assert server.refused[("pending of an address",)] == 2
        reader, writer = await connect("127.0.0.2")
        writer.write(beginning)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"\r\n\r\n")
        assert await status(reader) == 200
        assert server._hub is not None
        assert server._hub.pending.held <= 100_000


async def test_a_proxy_that_says_whom_it_speaks_for_has_no_share_of_its_own(service: Service) -> None:
    header = b"PROXY TCP4 203.0.113.%d 10.0.0.1 12345 443\r\n"
    limits = Limits(connections=100, connections_per_address=2)
    async with serving(service, limits, proxies=["127.0.0.1"]) as (server, connect):
        for number in range(1, 11):
            reader, writer = await connect("127.0.0.1")
            writer.write(header % number + HEALTH)
            assert await status(reader) == 200
        before = server.open_connections
        for _ in range(5):  # but each of its clients has
            reader, writer = await connect("127.0.0.1")
            writer.write(header % 77 + HEALTH)
            assert await status(reader) == 200
        assert server.open_connections <= before + 3


def test_nothing_is_kept_of_addresses_that_have_gone() -> None:
    shares = Shares(Limits(connections_per_address=1))
    for number in range(1000):
        share = shares.hold(f"10.0.{number % 256}.{number // 256}", many=False)
        share.let_go()
    assert shares._shares == {}


def test_a_network_of_ipv6_is_one_address() -> None:
    shares = Shares(Limits(connections_per_address=1))
    first = shares.hold("2001:db8::1", many=False)
    assert shares.hold("2001:db8::ffff:1", many=False) is first
    assert shares.hold("2001:db8:0:1::1", many=False) is not first
    assert shares.hold("10.0.0.1", many=False) is not shares.hold("10.0.0.2", many=False)


async def test_a_head_that_does_not_end_in_time_is_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily its bytes come: 408, and the connection ends."""
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.3)
    async with serving(service, Limits()) as (_, connect):
        reader, writer = await connect("127.0.0.1")
        writer.write(HEALTH)
        assert await status(reader) == 200
        await asyncio.sleep(0.4)  # nothing has begun: it is idle, not slow
        began = time.monotonic()
        answer = asyncio.create_task(status(reader))
        for byte in HEALTH[:20]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
            if answer.done():
                break
        assert await answer == 408
        assert time.monotonic() - began < 5
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_slow_head_that_ends_in_time_is_answered(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.5)
    async with serving(service, Limits()) as (_, connect):
        reader, writer = await connect("127.0.0.1")
        for _ in range(3):
            for piece in (HEALTH[:10], HEALTH[10:30], HEALTH[30:]):
                writer.write(piece)
                await asyncio.sleep(0.08)
            assert await status(reader) == 200


async def test_a_body_that_comes_steadily_but_too_slowly_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "_SECONDS", 0.2)
    async with serving(service, Limits(body_rate=200)) as (server, connect):
        head = b"PUT /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: data\r\nContent-Length: 5000\r\n\r\n"
        reader, writer = await connect("127.0.0.1")
        writer.write(head)
        answer = asyncio.create_task(status(reader))
        for _ in range(200):
            writer.write(b" ")
            await asyncio.sleep(0.02)
            if answer.done():
                break
        assert await answer == 408
        assert server.refused[("slow body",)] == 1
        reader, writer = await connect("127.0.0.1")
        writer.write(head)
        for number in range(10):  # for longer than that, but as much as is wanted
            writer.write(b"{}".ljust(500) if not number else b" " * 500)
            await asyncio.sleep(0.05)
        assert await status(reader) == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_who_has_no_token_may_send_a_small_body_only(service: Service, chunked: bool) -> None:
    async with serving(service, Limits()) as (_, connect):
        reader, writer = await connect("127.0.0.1")
        head = b"PUT /v1/sys/wrapping/lookup HTTP/1.1\r\nHost: x\r\n"
        if chunked:
            writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (MAX_NOBODYS_BODY + 1, b"x" * (MAX_NOBODYS_BODY + 1)))
        else:
            writer.write(head + b"Content-Length: %d\r\n\r\n" % (MAX_NOBODYS_BODY + 1))
        assert await status(reader) == 413


async def test_slow_connections_leave_others_their_speed(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are told: the p99 of others, without them and beside them. Slow is only what no machine excuses."""

    async def p99(connect: Connect) -> float:
        reader, writer = await connect("127.0.0.2")
        times = []
        for _ in range(400):
            began = time.perf_counter()
            writer.write(HEALTH)
            assert await status(reader) == 200
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0.001)
        return sorted(times)[int(len(times) * 0.99)]

    limits = Limits(connections=max(4096, 2 * SLOW), connections_per_address=max(2048, 2 * SLOW))
    async with serving(service, limits) as (server, connect):
        alone = await p99(connect)
        slow = [await connect("127.0.0.1") for _ in range(SLOW)]

        async def drip() -> None:
            beginning = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nX: "
            position = 0
            while True:
                byte = beginning[position : position + 1] or b"x"
                for number, (_, writer) in enumerate(slow):
                    if not writer.is_closing():
                        writer.write(byte)
                    if (
                        number % 5 == 4
                    ):  # all of them once a second, and few at a time: this loop is the server's, too
                        await asyncio.sleep(5 / SLOW)
                position += 1

        dripping = asyncio.create_task(drip())
        await asyncio.sleep(0.5)
        assert server.open_connections > SLOW
        beside = await p99(connect)
        dripping.cancel()
    report = reporting(capsys, f"{SLOW} slow connections")
    report(f"p99 of others {1000 * alone:.1f} ms alone, {1000 * beside:.1f} ms beside them")
    assert beside < max(10 * alone, 0.25)
