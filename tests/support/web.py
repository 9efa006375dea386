"""A web site in a thread: what a node fetches from. It is used from outside of event loops, as a context."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

#: Seconds given to what is on its way.
_LATE = 0.02

Answers = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Authority(NamedTuple):
    """A CA of a test, and certificate and key files of a server at 127.0.0.1 and localhost that it has signed."""

    pem: str
    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Return the context of the server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_authority(directory: Path) -> Authority:
    """Make a CA and a certificate of it, with its files in `directory`."""
    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test CA")])
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(issuer_name=name, subject_name=subject, public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        return builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
            now + datetime.timedelta(days=1)
        )

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    ca = certificate(name, root).add_extension(x509.BasicConstraints(True, 0), True).add_extension(usage, True)
    key_id = x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    signed = ca.add_extension(key_id, False).sign(root, hashes.SHA256())
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = certificate(x509.Name([]), own).add_extension(x509.SubjectAlternativeName(names), True)
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
    leaf = server.add_extension(issued_by, False).sign(root, hashes.SHA256())
    made = Authority(signed.public_bytes(Encoding.PEM).decode(), directory / "site.pem", directory / "site.key")
    made.certificate.write_bytes(leaf.public_bytes(Encoding.PEM))
    made.key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


@contextlib.contextmanager
def site(answer: Answers, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Run a site that answers every request by `answer`; yield its address without a slash at the end."""
    loop = asyncio.new_event_loop()
    runners: list[web.ServerRunner] = []
    address: list[str] = []

    async def start() -> None:
        runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        place = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await place.start()
        port = runner.addresses[0][1]
        address.append(f"{'https' if context else 'http'}://127.0.0.1:{port}")

    async def stop() -> None:
        for runner in runners:
            server = runner.server
            await runner.cleanup()
            await asyncio.sleep(_LATE)  # a connection may have been taken on meanwhile
            if server is not None:
                await server.shutdown(0)
        await asyncio.sleep(_LATE)  # and transports close in a later turn

    thread = threading.Thread(target=loop.run_forever, name="site", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        yield address[0]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
