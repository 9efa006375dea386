"""TLS of connections: what wraps each new connection at the moment. `secured` drives it.

`ssl` asks a client for no certificate that it would not verify itself, by authorities of the listener, and hands on
no intermediate certificates. Where clients are asked for theirs, pyOpenSSL takes its place, of which no more is used
than that: it brings an OpenSSL of its own, and takes some microseconds more a request.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from cryptography import x509
    from OpenSSL import SSL

#: Bytes that one record of TLS may carry (RFC 8446, section 5.1).
RECORD: Final = 16384
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
#: From which OpenSSL offers X25519MLKEM768 by itself.
_POST_QUANTUM: Final = (3, 5)


class Wraps(Protocol):
    """What makes TLS of a connection: an `ssl.SSLContext`, or `Asking`."""

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool = ...) -> Any:
        """Return an `ssl.SSLObject`, or what does for one."""


class Pair(NamedTuple):
    """A certificate chain and its key, PEM."""

    certificates: bytes
    private_key: bytes

    def __repr__(self) -> str:
        return "<Pair>"


class Rules(NamedTuple):
    """How TLS is spoken. `authorities` are certificates in PEM; empty: whatever a client shows is handed on."""

    min_version: str = "1.2"
    max_version: str = "1.3"
    asks: bool = False  # clients for their certificates
    requires: bool = False
    authorities: bytes = b""
    post_quantum: bool = False


class ReloadableContext(ssl.SSLContext):
    """A context that may be another one for the next connection; those there are go on with theirs."""

    current: Wraps

    def __new__(cls, _: Wraps) -> ReloadableContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, current: Wraps) -> None:
        self.current = current

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *_: Any, **__: Any) -> Any:
        """Begin a connection: of a server, whatever else is said."""
        return self.current.wrap_bio(incoming, outgoing, server_side=True)


def wrapping(pair: Pair, rules: Rules) -> Wraps:
    """Return what wraps connections by these rules. Raises ssl.SSLError where certificate and key do not fit."""
    if rules.asks or (rules.post_quantum and not _offers_post_quantum()):
        return Asking(pair, rules)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = _VERSIONS[rules.min_version], _VERSIONS[rules.max_version]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Each takes a tenth of a handshake, and is of use at one worker alone: they share no keys for tickets.
    context.num_tickets = 0
    with _file(pair.certificates) as certificates, _file(pair.private_key) as private_key:
        context.load_cert_chain(certificates, private_key)
    return context


def offers_post_quantum(wraps: Wraps, rules: Rules) -> bool:
    """Tell whether X25519MLKEM768 is offered."""
    return rules.max_version == "1.3" and (isinstance(wraps, Asking) or _offers_post_quantum())


def _offers_post_quantum() -> bool:
    return ssl.OPENSSL_VERSION_INFO[:2] >= _POST_QUANTUM


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[str]:
    """Give the name of a file with this content, in memory where the system can: `ssl` reads nothing else."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class Asking:
    """Wraps connections, and asks clients for certificates where the rules say so."""

    def __init__(self, pair: Pair, rules: Rules) -> None:
        # Here, for few listeners ask, and it takes memory and a tenth of a second.
        from cryptography import x509  # noqa: PLC0415
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
        from OpenSSL import SSL  # noqa: PLC0415

        self._ssl = SSL
        self._context = context = SSL.Context(SSL.TLS_SERVER_METHOD)
        versions = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
        context.set_min_proto_version(versions[rules.min_version])
        context.set_max_proto_version(versions[rules.max_version])
        context.set_cipher_list(_CIPHERS.encode())
        # What is resumed has no chain of certificates any more.
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"clever-kms")
        first, *others = x509.load_pem_x509_certificates(pair.certificates)
        try:
            context.use_certificate(first)
            for other in others:
                context.add_extra_chain_cert(other)
            context.use_privatekey(load_pem_private_key(pair.private_key, None))  # type: ignore[arg-type] # any kind
            context.check_privatekey()
        except SSL.Error:
            raise ssl.SSLError("certificate and key") from None
        if rules.asks:
            self._ask(rules, x509.load_pem_x509_certificates(rules.authorities) if rules.authorities else [])

    def _ask(self, rules: Rules, authorities: Sequence[x509.Certificate]) -> None:
        from OpenSSL import crypto  # noqa: PLC0415

        mode = self._ssl.VERIFY_PEER | (self._ssl.VERIFY_FAIL_IF_NO_PEER_CERT if rules.requires else 0)
        if not authorities:
            # The client still proves that it has the key; who vouches for it is looked at by who asks for it.
            self._context.set_verify(mode, lambda *_: True)
            return
        self._context.set_verify(mode)
        store = self._context.get_cert_store()
        assert store is not None
        for authority in authorities:
            store.add_cert(crypto.X509.from_cryptography(authority))
            self._context.add_client_ca(authority)

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool = True) -> Session:
        """Begin a connection."""
        assert server_side
        connection = self._ssl.Connection(self._context, None)
        connection.set_accept_state()
        return Session(self._ssl, connection, incoming, outgoing)


class Session:
    """One connection under TLS, by the part of `ssl.SSLObject` that `secured` uses."""

    def __init__(
        self, module: Any, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self._connection = connection
        self._incoming = incoming
        self._outgoing = outgoing
        self._wants = module.WantReadError
        self._end = module.ZeroReturnError
        self._failures = module.Error
        self._fed = False  # something was taken in that nobody has read to its end

    @property
    def client_certificates(self) -> tuple[bytes, ...]:
        """What the client has shown, DER, its own first, which it has proved to have the key of."""
        own = self._connection.get_peer_certificate(as_cryptography=True)
        if own is None:
            return ()
        others = self._connection.get_peer_cert_chain(as_cryptography=True) or []
        return tuple(_der(each) for each in [own, *(other for other in others if other != own)])

    def do_handshake(self) -> None:
        self._run(self._connection.do_handshake)
        self._send()

    def read(self, size: int) -> bytes:
        """Return bytes; none at the end."""
        try:
            data: bytes = self._run(lambda: self._connection.recv(size))
        except ssl.SSLZeroReturnError:
            return b""
        return data

    def write(self, data: Any) -> int:
        written: int = self._run(lambda: self._connection.send(data[:RECORD]))
        self._send()
        return written

    def pending(self) -> int:
        """Return how many bytes can be read; one where that is not known before it is tried."""
        return self._connection.pending() or int(self._fed)

    def unwrap(self) -> None:
        """Tell the client that no more follows; done once it has said so, too."""
        done = self._run(self._connection.shutdown)
        self._send()
        if not done:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the end is not confirmed")

    def _run(self, work: Callable[[], Any]) -> Any:
        while data := self._incoming.read(RECORD):
            self._connection.bio_write(data)
            self._fed = True
        try:
            return work()
        except self._end:
            raise ssl.SSLZeroReturnError(ssl.SSL_ERROR_ZERO_RETURN, "the client sends no more") from None
        except self._wants:
            self._fed = False
            self._send()
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "more is to come") from None
        except self._failures:
            self._send()  # an alert
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "TLS failed") from None

    def _send(self) -> None:
        with contextlib.suppress(self._wants):
            while True:
                data = self._connection.bio_read(RECORD)
                self._outgoing.write(data)
                if len(data) < RECORD:
                    return


def _der(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return certificate.public_bytes(Encoding.DER)
