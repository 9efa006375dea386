"""The address that a proxy tells is what decides: tokens and logins that are bound to addresses see no other."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, free_port, sqlite_table
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

INSIDE, OUTSIDE = "203.0.113.7", "198.51.100.1"
USER = {"password": "right", "token_bound_cidrs": "203.0.113.0/24", "token_policies": "default"}


class Proxied:
    """A node of two workers with a plain listener, one by PROXY headers, and one by X-Forwarded-For."""

    def __init__(self, directory: Path, issuer: Issuer) -> None:
        self.node = Node.for_issuer(directory, sqlite_table, issuer, forked=True)
        self.node.listed, self.node.settings = True, "workers = 2"
        self.by_header, self.by_request = free_port(), free_port()
        listeners = {
            self.node.port: "",
            self.by_header: 'proxy_protocol_authorized_addrs = ["127.0.0.1"]',
            self.by_request: 'x_forwarded_for_authorized_addrs = ["127.0.0.0/8"]',
        }
        self.node.further = "".join(
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n{rules}\n' for port, rules in listeners.items()
        )
        self.node.start()
        operator = Api(self.node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        self.tenant: Tenant = make_tenant(self.node, issuer)
        self.tenant.root.post("sys/auth/userpass", {"type": "userpass"})
        assert self.tenant.root.post("auth/userpass/users/ann", USER).status == 204

    def ask(  # noqa: PLR0917 - a request has as many parts
        self, kind: str, client: str, method: str, path: str, body: Any = None, token: str = ""
    ) -> tuple[int, Any]:
        """Ask as a client behind a proxy."""
        headers = {"X-Vault-Token": token} if token else {"X-Vault-Namespace": self.tenant.vault_id}
        if kind == "X-Forwarded-For":
            headers["X-Forwarded-For"] = f"{INSIDE}, {client}"  # the first is what the client itself has sent
        port = self.by_request if kind == "X-Forwarded-For" else self.by_header
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
        if kind == "PROXY":
            connection.sock.sendall(f"PROXY TCP4 {client} 10.0.0.1 1234 443\r\n".encode())
        try:
            connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    found = Proxied(tmp_path_factory.mktemp("node"), Issuer())
    yield found
    assert found.node.stop() == 0, found.node.log
    assert "Traceback" not in found.node.log


@pytest.mark.parametrize("kind", ["PROXY", "X-Forwarded-For"])
def test_logins_and_tokens_see_the_client_that_a_proxy_speaks_for(proxied: Proxied, kind: str) -> None:
    login = ("POST", "auth/userpass/login/ann", {"password": "right"})
    assert proxied.ask(kind, OUTSIDE, *login)[0] == 403
    status, body = proxied.ask(kind, INSIDE, *login)
    assert status == 200
    token = body["auth"]["client_token"]
    assert proxied.ask(kind, INSIDE, "GET", "auth/token/lookup-self", token=token)[0] == 200
    assert proxied.ask(kind, OUTSIDE, "GET", "auth/token/lookup-self", token=token)[0] == 403
    direct = Api(proxied.node.address, token)
    assert direct.get("auth/token/lookup-self").status == 403
    assert direct.with_headers(**{"X-Forwarded-For": INSIDE}).get("auth/token/lookup-self").status == 403
