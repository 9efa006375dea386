"""Clients that are asked for certificates: what they show is handed on, and proved to be theirs; on both loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509

from kms_http.server import HttpServer
from kms_http.wire.tls import Asking, Pair, ReloadableContext, Rules, offers_post_quantum, wrapping
from tests.http.conftest import FakeAuthenticator, FakeBackend
from tests.support import certificates
from tests.support.certificates import Identity

HEALTH = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n"
SERVER = certificates.server()
ROOT = certificates.authority("root")
INTERMEDIATE = certificates.authority("intermediate", ROOT)
CLIENT = certificates.client("app", INTERMEDIATE)

Run = Callable[[Coroutine[Any, Any, None]], None]

pytestmark = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


def context_of(identity: Identity = SERVER, **rules: Any) -> ReloadableContext:
    return ReloadableContext(wrapping(Pair(identity.pem.encode(), identity.key_pem.encode()), Rules(**rules)))


@asynccontextmanager
async def serving(context: ssl.SSLContext, seen: list[tuple[bytes, ...] | None]) -> AsyncIterator[int]:
    """A server that puts what each request's client has shown into `seen`."""
    server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None)
    await server.start("127.0.0.1", 0, context)
    assert server._hub is not None
    answer = server._hub.answer

    def note(request: Any) -> Any:
        seen.append(request.certificates)
        return answer(request)

    server._hub.answer = note
    try:
        yield server.port
    finally:
        await server.stop(1)


async def ask(port: int, context: ssl.SSLContext | None, times: int = 1) -> list[int]:
    """Return the statuses of requests on one connection; none where there is no connection."""
    found: list[int] = []
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        for _ in range(times):
            writer.write(HEALTH)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
            found.append(int(head[9:12]))
        writer.close()
        await writer.wait_closed()
    except (asyncio.IncompleteReadError, OSError):
        pass
    return found


def shows(directory: Path, identity: Identity, *chain: Identity) -> ssl.SSLContext:
    return certificates.client_context(SERVER, identity.files(directory, "client", *chain))


def test_whatever_certificate_is_shown_is_handed_on(tmp_path: Path, run: Run) -> None:
    """With all that it comes from: by whom it must be vouched for is not the listener's to say."""

    async def main() -> None:
        seen: list[tuple[bytes, ...] | None] = []
        stranger = certificates.client("stranger")
        async with serving(context_of(asks=True), seen) as port:
            assert await ask(port, shows(tmp_path, CLIENT, INTERMEDIATE), times=2) == [200, 200]
            assert await ask(port, shows(tmp_path, stranger)) == [200]
            assert await ask(port, certificates.client_context(SERVER)) == [200]
        chain = (CLIENT.der, INTERMEDIATE.der)
        assert seen == [chain, chain, (stranger.der,), ()]

    run(main())


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_authorities_of_the_listener_are_required(tmp_path: Path, run: Run, version: str) -> None:
    async def main() -> None:
        seen: list[tuple[bytes, ...] | None] = []
        rules: dict[str, Any] = {"asks": True, "requires": True, "authorities": ROOT.pem.encode()}
        async with serving(context_of(max_version=version, **rules), seen) as port:
            assert await ask(port, shows(tmp_path, CLIENT, INTERMEDIATE)) == [200]
            assert await ask(port, shows(tmp_path, CLIENT)) == []  # nothing leads to the authority
            assert await ask(port, shows(tmp_path, certificates.client("stranger"))) == []
            assert await ask(port, certificates.client_context(SERVER)) == []
            assert await ask(port, shows(tmp_path, certificates.make("x", ROOT, usages=SERVER_ONLY))) == []
        assert seen == [(CLIENT.der, INTERMEDIATE.der)]

    run(main())


SERVER_ONLY = [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]


def test_with_authorities_a_certificate_may_be_left_out_where_it_is_only_asked_for(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen: list[tuple[bytes, ...] | None] = []
        async with serving(context_of(asks=True, authorities=ROOT.pem.encode()), seen) as port:
            assert await ask(port, certificates.client_context(SERVER)) == [200]
            assert await ask(port, shows(tmp_path, certificates.client("stranger"))) == []
        assert seen == [()]

    run(main())


def test_where_nobody_asks_there_is_none(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        seen: list[tuple[bytes, ...] | None] = []
        async with serving(context_of(), seen) as port:
            assert await ask(port, shows(tmp_path, CLIENT, INTERMEDIATE)) == [200]
        assert seen == [()]

    run(main())


def test_large_answers_and_bodies_pass(run: Run) -> None:
    """Of more than a record, and more than a buffer."""

    async def main() -> None:
        async with serving(context_of(asks=True), []) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=certificates.client_context(SERVER))
            body = b'{"x":"' + b"y" * 900_000 + b'"}'
            writer.write(b"PUT /v1/sys/wrapping/lookup HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
            writer.write(body)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert head.startswith(b"HTTP/1.1 403 ")  # what is not there was looked for
            writer.write(HEALTH)
            writer.close()

    run(main())


def test_a_new_pair_is_of_new_connections(run: Run) -> None:
    """Those there are go on with the one they began with."""

    async def main() -> None:
        other = certificates.server()
        context = context_of()
        async with serving(context, []) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=certificates.client_context(SERVER))
            context.current = context_of(other).current
            assert await ask(port, certificates.client_context(other)) == [200]
            assert await ask(port, certificates.client_context(SERVER)) == []
            writer.write(HEALTH)
            assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200 ")
            writer.close()

    run(main())


@pytest.mark.parametrize(("least", "most"), [("1.2", "1.2"), ("1.2", "1.3"), ("1.3", "1.3")])
@pytest.mark.parametrize("asks", [False, True])
def test_no_version_outside_of_the_bounds_is_spoken(run: Run, least: str, most: str, asks: bool) -> None:
    async def main() -> None:
        versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
        async with serving(context_of(min_version=least, max_version=most, asks=asks), []) as port:
            for name, version in versions.items():
                context = certificates.client_context(SERVER)
                context.minimum_version = context.maximum_version = version
                assert await ask(port, context) == ([200] if least <= name <= most else [])

    run(main())


def test_post_quantum_key_exchange_is_agreed_on_where_both_can(run: Run) -> None:
    """With whatever OpenSSL the system has: the client here is the one that pyOpenSSL brings."""
    from OpenSSL import SSL  # noqa: PLC0415

    async def main() -> None:
        context = context_of(post_quantum=True)
        assert offers_post_quantum(context.current, Rules(post_quantum=True))
        assert not offers_post_quantum(context.current, Rules(max_version="1.2"))
        wraps = context.current
        server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = wraps.wrap_bio(server_in, server_out, server_side=True)
        client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        client.set_connect_state()
        for _ in range(4):
            for side in (client, session):
                with suppress(SSL.WantReadError, ssl.SSLWantReadError):
                    side.do_handshake()
                with suppress(SSL.WantReadError):
                    server_in.write(client.bio_read(65536))
                if data := server_out.read():
                    client.bio_write(data)
        assert client.get_group_name() == "X25519MLKEM768"
        assert isinstance(wraps, Asking) or ssl.OPENSSL_VERSION_INFO[:2] >= (3, 5)

    run(main())


@pytest.mark.parametrize("asks", [False, True])
def test_a_key_of_another_certificate_is_refused(run: Run, asks: bool) -> None:
    async def main() -> None:
        with pytest.raises(ssl.SSLError):
            wrapping(Pair(SERVER.pem.encode(), CLIENT.key_pem.encode()), Rules(asks=asks))

    run(main())


@pytest.mark.parametrize("asks", [False, True])
def test_who_speaks_no_tls_after_its_first_byte_is_sent_away(run: Run, asks: bool) -> None:
    async def main() -> None:
        async with serving(context_of(asks=asks), []) as port:
            for garbage in (b"\x16" + b"x" * 100, b"\x16\x03\x01\x00\x05hello"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(garbage)
                await asyncio.wait_for(reader.read(), 10)
                writer.close()
            assert await ask(port, certificates.client_context(SERVER)) == [200]

    run(main())
