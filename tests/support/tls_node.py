"""A node that asks clients for certificates, beside a plain listener, and a caller that shows one."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import certificates
from tests.support.api import Api, initialise, unseal
from tests.support.certificates import Identity
from tests.support.node import Node, free_port, sqlite_table
from tests.support.tokens import Issuer

_SECONDS = 30


@dataclass(frozen=True)
class TlsNode:
    """A node, unsealed; `Node.address` is that of its plain listener."""

    node: Node
    issuer: Issuer
    identity: Identity
    certificate: Path
    port: int

    @classmethod
    def started(cls, directory: Path, issuer: Issuer, workers: int = 1) -> TlsNode:
        """Start one."""
        node = Node.for_issuer(directory, sqlite_table, issuer, forked=True)
        identity, port = certificates.server(), free_port()
        certificate, key = identity.files(directory, "server")
        node.listed, node.settings = True, f"workers = {workers}"
        node.further = (
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {node.port}\n'
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n[listeners.tls]\nclient_certificates = "request"\n'
            f'certificate_file = "{certificate}"\nprivate_key_file = "{key}"\n'
        )
        node.start()
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        return cls(node, issuer, identity, certificate, port)

    @property
    def address(self) -> str:
        """The address of its TLS listener."""
        return f"https://127.0.0.1:{self.port}"


@dataclass
class Caller:
    """Calls a server at a port under TLS, a connection a request, showing certificates."""

    port: int
    context: ssl.SSLContext
    directory: Path

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        shown: Sequence[Identity] = (),
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and JSON of an answer; None for an empty one."""
        if shown:
            own, *chain = shown
            self.context.load_cert_chain(*own.files(self.directory, "shown", *chain))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=_SECONDS)
        try:
            connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers or {})
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        return response.status, json.loads(raw) if raw else None


def caller(port: int, directory: Path, trusted: Identity | None = None) -> Caller:
    """Return what calls a server; without one that is trusted, whatever server it is."""
    context = ssl.create_default_context(cadata=trusted.pem) if trusted is not None else ssl.create_default_context()
    if trusted is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Caller(port, context, directory)
