"""The port of the metrics: what anybody may hold of it before he asks for anything."""

from __future__ import annotations

import asyncio

import pytest

from kms_actors.observe.families import Sum
from kms_actors.processes import metrics_port
from kms_actors.processes.metrics_port import MetricsServer
from kms_http.wire import secured
from tests.http.wire.test_secured import SERVER, context_of
from tests.support import certificates
from tests.support.node import free_port

ASK = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
BEGINNING = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # of a handshake


async def collect() -> Sum:
    return Sum()


async def test_past_the_bound_the_oldest_connection_is_closed_and_who_asks_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics_port, "MOST_CONNECTIONS", 4)
    server, port = MetricsServer(collect), free_port()
    await server.start("127.0.0.1", port)
    held = []
    for _ in range(10):
        held.append(await asyncio.open_connection("127.0.0.1", port))
        held[-1][1].write(ASK[:10])
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASK)
    assert await asyncio.wait_for(reader.readline(), 10) == b"HTTP/1.1 200 OK\r\n"
    for first, _ in held[:7]:
        assert await asyncio.wait_for(first.read(), 10) == b""
    held[-1][1].write(ASK[10:])
    assert await asyncio.wait_for(held[-1][0].readline(), 10) == b"HTTP/1.1 200 OK\r\n"
    for _, each in [*held, (reader, writer)]:
        each.close()
    await server.stop()


async def ask(port: int) -> None:
    """Read the metrics under TLS."""
    context = certificates.client_context(SERVER)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
    writer.write(ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(answer.partition(b"\r\n\r\n")[2]) == int(answer.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    writer.close()


@pytest.mark.parametrize("asks", [False, True], ids=["ssl", "pyOpenSSL"])
@pytest.mark.parametrize("sent", [b"", BEGINNING], ids=["nothing", "a beginning"])
async def test_handshakes_are_among_them(monkeypatch: pytest.MonkeyPatch, asks: bool, sent: bytes) -> None:
    monkeypatch.setattr(metrics_port, "MOST_CONNECTIONS", 4)
    server, port = MetricsServer(collect, wraps=context_of(asks=asks)), free_port()
    await server.start("127.0.0.1", port)
    held = []
    for _ in range(10):
        held.append(await asyncio.open_connection("127.0.0.1", port))
        held[-1][1].write(sent)
        await asyncio.sleep(0.01)
    await ask(port)
    for reader, writer in held[:7]:
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
    await server.stop()
    for reader, writer in held[7:]:  # they end with the server
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_handshake_that_does_not_end_is_ended_and_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secured, "HANDSHAKE_SECONDS", 0.05)
    server, port = MetricsServer(collect, wraps=context_of(asks=False)), free_port()
    await server.start("127.0.0.1", port)
    for sent in (b"", BEGINNING, ASK):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        assert (b"HTTP request to an HTTPS server" in answer) == (sent == ASK)
        writer.close()
    await ask(port)
    async with asyncio.timeout(10):
        while server._few._open:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await server.stop()
