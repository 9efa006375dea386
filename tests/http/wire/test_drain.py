"""Draining: a server that shares its sockets goes away, and no request is lost."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kms_http import server
from kms_http.server import HttpServer
from kms_http.wire.entry import Entry
from tests.http.conftest import Service

HEALTH = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def sharing(service: Service) -> AsyncIterator[tuple[HttpServer, int]]:
    """A server on a socket that stays open beside it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = HttpServer(service.backend, service.authenticator, lambda *_: None)
        other.serve([Entry([listener.dup()])], alone=False)
        yield other, listener.getsockname()[1]
        await other.stop(1)


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
    return head


async def test_the_last_answer_of_each_connection_says_so_and_then_it_closes(service: Service) -> None:
    async with sharing(service) as (other, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEALTH)
        assert b"Connection: close" not in await answer(reader)
        draining = asyncio.create_task(other.drain())
        await asyncio.sleep(0.1)
        assert not draining.done()
        writer.write(HEALTH)
        assert b"Connection: close" in await answer(reader)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        await asyncio.wait_for(draining, 5)
        writer.close()


async def test_requests_that_were_sent_together_are_all_answered(service: Service) -> None:
    async with sharing(service) as (other, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEALTH)
        await answer(reader)
        draining = asyncio.create_task(other.drain())
        await asyncio.sleep(0)
        writer.write(HEALTH * 5)
        closes = [b"Connection: close" in await answer(reader) for _ in range(5)]
        assert closes == [False] * 4 + [True]
        await asyncio.wait_for(draining, 5)
        writer.close()


async def test_new_connections_are_left_to_the_others(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first, second = (HttpServer(service.backend, service.authenticator, lambda *_: None) for _ in range(2))
        first.serve([Entry([listener.dup()])], alone=False)
        await asyncio.wait_for(first.drain(), 5)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
        writer.write(HEALTH)
        await asyncio.sleep(0.05)
        second.serve([Entry([listener.dup()])], alone=False)
        assert (await answer(reader)).startswith(b"HTTP/1.1 ")
        writer.close()
        await second.stop(1)
        await first.stop(1)


async def test_an_idle_connection_is_kept_as_long_as_any(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEPALIVE_SECONDS", 0.5)
    async with sharing(service) as (other, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(other.drain())
        await asyncio.sleep(0.2)
        assert not draining.done()
        await asyncio.wait_for(draining, 5)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_stop_ends_draining(service: Service) -> None:
    async with sharing(service) as (other, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(other.drain())
        await asyncio.sleep(0.05)
        await asyncio.wait_for(other.stop(1), 5)
        await asyncio.wait_for(draining, 5)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
