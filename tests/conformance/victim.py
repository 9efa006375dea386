"""A tenant to try wrong things on, and what must hold of every answer it gets."""

from __future__ import annotations

import http.client
import json
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tests.support.api import Answer, Api, b64
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

#: Stands for a secret: sent everywhere, and never to be seen in an error, a log or a metric.
CANARY: Final = "canary-6b1f2d0c"

#: Errors that repeat what was sent as the name of an algorithm or a format, as Vault's do.
ECHOING: Final = (
    "invalid hash algorithm ",
    "unknown key type",
    "unknown backend type: ",
    "unknown option: ",
    "no matching mount at ",
    "path already in use at ",
    "unknown hash function: ",
    "unsupported encoding format ",
    "unsupported algorithm ",
    "unsupported entropy source ",
    "unsupported rsa signature algorithm ",
    "invalid marshaling type ",
    "invalid export type: ",
    "invalid format: ",
    "salt length neither ",
    "key derivation algorithm ",
)


class Caller:
    """Sends many requests over one connection, each as it is."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=30)
        # Targets that http.client finds odd are the point.
        self._connection._validate_path = lambda _: None  # type: ignore[attr-defined]

    def close(self) -> None:
        self._connection.close()

    def send(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return self._send(method, target, body, named)
        except (ConnectionError, http.client.RemoteDisconnected):
            # The server closed the connection after its last answer; a second failure is one.
            self._connection.close()
            return self._send(method, target, body, named)

    def _send(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        self._connection.request(method, target, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


class Victim(NamedTuple):
    """A tenant to try things on, and what it must keep."""

    node: Node
    issuer: Issuer
    tenant: Tenant
    ciphertext: str

    @classmethod
    def make(cls, node: Node, issuer: Issuer) -> Victim:
        """Keep a sentinel, secret and key, and others that may be harmed."""
        tenant = make_tenant(node, issuer)
        user = tenant.user
        assert tenant.operator.post("sys/mounts/plain", {"type": "kv-v1"}).status == 204
        for name in ("sentinel", "victim"):
            assert user.post(f"secret/data/{name}", {"data": {"kept": CANARY}}).status == 200
            assert user.post(f"plain/{name}", {"kept": CANARY}).status == 204
            assert user.post(f"transit/keys/{name}").status == 200
        encrypted = user.put("transit/encrypt/sentinel", {"plaintext": b64(CANARY)})
        return cls(node, issuer, tenant, encrypted.data["ciphertext"])

    def token_for(self, path: str) -> str:
        """Return the operator's, to get as far as possible; a new one where one use may be its end."""
        if path == "auth/token/revoke-self":
            return self.issuer.tenant_operator(self.tenant.vault_id)
        if path == "sys/seal":
            return self.tenant.user.token or ""  # an operator would be obeyed, whatever the body
        return self.tenant.operator.token or ""

    def assert_unharmed(self) -> None:
        """Read everything back, and look for it where it must not be."""
        user = self.tenant.user
        assert user.get("secret/data/sentinel").data["data"] == {"kept": CANARY}
        assert user.get("plain/sentinel").data == {"kept": CANARY}
        decrypted = user.put("transit/decrypt/sentinel", {"ciphertext": self.ciphertext})
        assert decrypted.data["plaintext"] == b64(CANARY)
        metrics = Api(self.node.metrics_address).call("GET", "/metrics").body.decode()
        assert 'code="500"' not in metrics
        for told in (self.node.log, metrics):
            assert CANARY not in told
            assert b64(CANARY) not in told
            assert (user.token or "") not in told


def check(answer: Answer, *, head: bool = False) -> None:
    """Assert that an answer is one of the few kinds there are."""
    assert answer.status < 500, (answer.status, answer.body)
    assert answer.headers["cache-control"] == "no-store"
    if answer.status == 204 or head:
        assert answer.body == b""
        return
    assert answer.headers["content-type"] == "application/json"
    if answer.status == 404 and not answer.body:  # a patch of nothing, as in Vault
        return
    body = json.loads(answer.body)
    assert isinstance(body, dict)
    if answer.status < 400:
        return
    if "errors" in body:
        assert list(body) == ["errors"]
        assert not any(CANARY in error for error in body["errors"] if not error.startswith(ECHOING))
    else:  # a version that is not readable, a wrong path, a batch with failures
        assert body["data"] is not None or body["warnings"]
        assert CANARY not in answer.body.decode()
