"""The TLS port: who speaks plain HTTP to it is told so, others are served; on both loops, as it peeks at sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from kms_http.server import HttpServer
from tests.http.conftest import FakeAuthenticator, FakeBackend

HEALTH = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LARGE = b"POST /v1/x HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 10**6
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate of 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "node.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


Run = Callable[[Coroutine[Any, Any, None]], None]

pytestmark = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = HttpServer(FakeBackend(), FakeAuthenticator(), lambda *_: None)
    await server.start("127.0.0.1", 0, context)
    try:
        yield server.port
    finally:
        await server.stop(1)


async def check_served(port: int, certificate: Path) -> None:
    context = ssl.create_default_context(cafile=str(certificate))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(HEALTH)
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200 ")
    writer.close()


def test_a_client_of_tls_is_served(certificate: Path, run: Run) -> None:
    async def main() -> None:
        async with serving(certificate) as port:
            await check_served(port, certificate)

    run(main())


@pytest.mark.parametrize("sent", [HEALTH, b"G", LARGE], ids=["request", "letter", "body"])
def test_a_client_of_plain_http_is_told_so(certificate: Path, run: Run, sent: bytes) -> None:
    async def main() -> None:
        async with serving(certificate) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert b"Content-Length: %d" % len(body) in head
            assert body == b"Client sent an HTTP request to an HTTPS server.\n"
            writer.close()

    run(main())


@pytest.mark.parametrize("sent", [b"", HELLO[:3], HELLO + b"\0" * 600], ids=["nothing", "cut", "nonsense"])
def test_what_is_neither_harms_nobody(certificate: Path, run: Run, sent: bytes) -> None:
    async def main() -> None:
        async with serving(certificate) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            await writer.drain()
            writer.close()
            await check_served(port, certificate)

    run(main())
