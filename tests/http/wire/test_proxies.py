"""Proxies that say whom they speak for: only those named are believed, and what they say is read strictly."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_http.server import HttpServer
from kms_http.wire import proxy_protocol
from kms_http.wire.entry import Entry, Forwarding
from kms_http.wire.proxy_protocol import SIGNATURE, NoHeader
from kms_http.wire.tls import Pair, Rules, wrapping
from tests.http.conftest import FakeAuthenticator, FakeBackend
from tests.support import certificates

HEALTH = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n%b\r\n"


def version_2(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


OF_IPV4 = version_2(0x21, 0x11, socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1") + b"\x30\x39\x01\xbb")
OF_IPV6 = version_2(
    0x21,
    0x21,
    socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "::1") + b"\x30\x39\x01\xbb",
)
MAPPED = version_2(0x21, 0x21, socket.inet_pton(socket.AF_INET6, "::ffff:203.0.113.7") + bytes(16) + bytes(4))


@asynccontextmanager
async def serving(seen: list[str], **settings: Any) -> AsyncIterator[int]:
    """A server that puts the address of each request into `seen`."""
    server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None)
    server.serve([Entry([socket.create_server(("127.0.0.1", 0))], **settings)])
    assert server._hub is not None
    answer = server._hub.answer

    def note(request: Any) -> Any:
        seen.append(request.remote)
        return answer(request)

    server._hub.answer = note
    try:
        yield server.port
    finally:
        await server.stop(1)


async def ask(port: int, beginning: bytes, headers: bytes = b"", times: int = 1) -> list[bytes]:
    """Return the status lines of answers; none where the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(beginning)
    lines = []
    try:
        for _ in range(times):
            writer.write(HEALTH % headers)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
            lines.append(head.split(b"\r\n")[0])
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()
    return lines


OK = b"HTTP/1.1 200 OK"
BAD = b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (OF_IPV4, "203.0.113.7"),
        (OF_IPV6, "2001:db8::7"),
        (MAPPED, "203.0.113.7"),
        (version_2(0x20, 0x00, b""), "127.0.0.1"),
        (version_2(0x21, 0x00, b"\x04\x00\x01x"), "127.0.0.1"),
        (version_2(0x21, 0x11, OF_IPV4[16:] + b"\x04\x00\x04abcd"), "203.0.113.7"),
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\r\n", "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 12345 443\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", "127.0.0.1"),
    ],
)
async def test_a_proxy_says_for_each_connection_whom_it_speaks_for(header: bytes, address: str) -> None:
    seen: list[str] = []
    async with serving(seen, proxies=["127.0.0.0/8"]) as port:
        assert await ask(port, header, times=2) == [OK, OK]
    assert seen == [address, address]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\n" + b"x" * 80,
        b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 443 1\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 12345 443\r\n",
        b"PROXY TCP4 203.0.113.777 10.0.0.1 12345 443\r\n",
        b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 70000\r\n",
        b"PROXY UDP4 203.0.113.7 10.0.0.1 12345 443\r\n",
        b"PROXY UNKNOWN " + b"x" * 107 + b"\r\n",
        version_2(0x11, 0x11, OF_IPV4[16:]),
        version_2(0x22, 0x11, OF_IPV4[16:]),
        version_2(0x21, 0x11, OF_IPV4[16:20]),
        version_2(0x21, 0x55, OF_IPV4[16:]),
        version_2(0x21, 0x11, bytes(5000)),
    ],
)
async def test_a_proxy_that_sends_no_such_header_is_not_served(header: bytes) -> None:
    seen: list[str] = []
    async with serving(seen, proxies=["127.0.0.1"]) as port:
        assert await ask(port, header) == []
    assert seen == []


async def test_who_is_no_proxy_cannot_say_that_he_is_somebody_else() -> None:
    seen: list[str] = []
    async with serving(seen, proxies=["192.0.2.0/24"]) as port:
        assert await ask(port, b"PROXY TCP4 203.0.113.7 10.0.0.1 12345 443\r\n") == [BAD]
        assert await ask(port, OF_IPV4) == [BAD]
        assert await ask(port, b"") == [OK]
    assert seen == ["127.0.0.1"]


async def test_where_proxies_alone_are_served_nobody_else_is() -> None:
    seen: list[str] = []
    async with serving(seen, proxies=["192.0.2.0/24"], proxies_alone=True) as port:
        assert await ask(port, b"") == []
    assert seen == []


async def test_under_tls_the_header_comes_before_it_and_is_wanted_there_too() -> None:
    identity = certificates.server()
    context = wrapping(Pair(identity.pem.encode(), identity.key_pem.encode()), Rules())
    seen: list[str] = []
    async with serving(seen, proxies=["127.0.0.1"], tls=context) as port:
        for header in (OF_IPV4, b"PROXY TCP6 2001:db8::7 ::1 12345 443\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(header)
            await writer.start_tls(certificates.client_context(identity), server_hostname="127.0.0.1")
            writer.write(HEALTH % b"")
            assert await asyncio.wait_for(reader.readline(), 10) == OK + b"\r\n"
            writer.close()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port, ssl=certificates.client_context(identity))
    assert seen == ["203.0.113.7", "2001:db8::7"]


@given(line=st.binary(max_size=120), rest=st.binary(max_size=60), fixed=st.binary(min_size=4, max_size=4))
def test_whatever_is_sent_is_an_address_or_refused(line: bytes, rest: bytes, fixed: bytes) -> None:
    for beginning in (b"", b"PROXY TCP4 ", b"PROXY TCP6 "):
        try:
            found = proxy_protocol.of_line(beginning + line + b"\r\n")
        except NoHeader:
            continue
        assert found is None or found.strip("0123456789abcdef:.") == ""
    try:
        length = proxy_protocol.rest_of(fixed)
    except NoHeader:
        return
    found = proxy_protocol.of_rest(fixed, (rest * 100 + bytes(length))[:length])
    assert found is None or found.strip("0123456789abcdef:.") == ""


def forwarding(authorized: Sequence[str] = ("127.0.0.1",), **rules: Any) -> dict[str, Any]:
    return {"forwarding": Forwarding(authorized, **rules)}


async def forwarded(headers: bytes, **settings: Any) -> tuple[list[bytes], list[str]]:
    seen: list[str] = []
    async with serving(seen, **settings) as port:
        return await ask(port, b"", headers), seen


@pytest.mark.parametrize(
    ("headers", "skips", "address"),
    [
        (b"X-Forwarded-For: 203.0.113.7\r\n", 0, "203.0.113.7"),
        (b"X-Forwarded-For: 192.0.2.66, 203.0.113.7\r\n", 0, "203.0.113.7"),
        (b"X-Forwarded-For: 192.0.2.66, 203.0.113.7\r\nX-Forwarded-For: 10.0.0.9\r\n", 1, "203.0.113.7"),
        (b"X-Forwarded-For: 2001:DB8::7\r\n", 0, "2001:db8::7"),
        (b"X-Forwarded-For: ::ffff:203.0.113.7\r\n", 0, "203.0.113.7"),
    ],
)
async def test_the_last_entry_less_the_hops_is_the_client(headers: bytes, skips: int, address: str) -> None:
    """What the client itself has written there stands before it, and counts for nothing."""
    assert await forwarded(headers, **forwarding(hop_skips=skips)) == ([OK], [address])


@pytest.mark.parametrize(
    "value", [b"somebody", b"203.0.113.7:1234", b"", b"a," * 300, b"203.0.113.7,", b"fe80::1%x y"]
)
async def test_no_address_where_the_clients_is_is_refused(value: bytes) -> None:
    assert await forwarded(b"X-Forwarded-For: %b\r\n" % value, **forwarding()) == ([BAD], [])


async def test_fewer_entries_than_hops_are_refused() -> None:
    assert await forwarded(b"X-Forwarded-For: 203.0.113.7\r\n", **forwarding(hop_skips=1)) == ([BAD], [])


@pytest.mark.parametrize("rejects", [True, False])
async def test_of_others_the_header_is_refused_or_not_looked_at(rejects: bool) -> None:
    rules = forwarding(["192.0.2.0/24"], reject_not_authorized=rejects)
    expected = ([BAD], []) if rejects else ([OK], ["127.0.0.1"])
    assert await forwarded(b"X-Forwarded-For: 203.0.113.7\r\n", **rules) == expected


@pytest.mark.parametrize("rejects", [True, False])
async def test_a_request_without_the_header_is_refused_or_the_peers_own(rejects: bool) -> None:
    expected = ([BAD], []) if rejects else ([OK], ["127.0.0.1"])
    assert await forwarded(b"", **forwarding(reject_not_present=rejects)) == expected


@pytest.mark.parametrize("length", [20_000, 60_000])
async def test_of_a_refused_request_nothing_stays_counted(length: int) -> None:
    """Its body has come with it, and was counted before it was known from whom it is."""
    server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None)
    server.serve([Entry([socket.create_server(("127.0.0.1", 0))], **forwarding(["192.0.2.0/24"]))])
    head = b"PUT /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\nContent-Length: %d\r\n\r\n"
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head % length + b"x" * length)
        assert (await asyncio.wait_for(reader.readline(), 10)).startswith(BAD)
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(10):
        while server.open_connections:  # noqa: ASYNC110  # of code that knows no event
            await asyncio.sleep(0.01)
    assert server.body_bytes == 0
    await server.stop(1)


async def test_without_proxies_the_header_says_nothing() -> None:
    assert await forwarded(b"X-Forwarded-For: 203.0.113.7\r\n") == ([OK], ["127.0.0.1"])


async def test_the_proxy_of_a_connection_may_be_behind_another_one() -> None:
    """What the PROXY header says is the peer that the other header is believed of."""
    seen: list[str] = []
    async with serving(seen, proxies=["127.0.0.1"], **forwarding(["203.0.113.7"])) as port:
        assert await ask(port, OF_IPV4, b"X-Forwarded-For: 198.51.100.1\r\n") == [OK]
    assert seen == ["198.51.100.1"]
