"""A tenant to try wrong things on, and what must hold of every answer it gets."""

from __future__ import annotations

import json
import socket
from io import BufferedReader
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tests.support.api import TIMEOUT, Answer, Api, b64
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
    """Sends many requests over one connection, each as it is, odd ones too.

    Of ten thousands of requests `http.client` would take most of the time, with the headers of their answers.
    """

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._place = url.hostname or "", url.port or 80
        self._host = url.netloc
        self._socket: socket.socket | None = None
        self._answers: BufferedReader | None = None

    def close(self) -> None:
        if self._answers is not None:
            self._answers.close()
        if self._socket is not None:
            self._socket.close()
        self._socket = self._answers = None

    def send(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None or method in {"POST", "PUT", "PATCH"}:
            named["Content-Length"] = str(len(body or b""))
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", *map(": ".join, named.items()), "", ""]
        request = "\r\n".join(lines).encode("latin-1") + (body or b"")
        try:
            return self._exchange(request, method)
        except ConnectionError:
            # The server closed the connection after its last answer; a second failure is one.
            self.close()
            return self._exchange(request, method)

    def _exchange(self, request: bytes, method: str) -> Answer:
        if self._socket is None or self._answers is None:
            self._socket = socket.create_connection(self._place, TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._answers = self._socket.makefile("rb")
        self._socket.sendall(request)
        status, headers = self._head(self._answers)
        content = b""
        if method != "HEAD" and status not in {204, 304}:
            content = self._answers.read(int(headers["content-length"]))  # an answer without one is not of these
            assert len(content) == int(headers["content-length"])
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, content)

    def _head(self, answers: BufferedReader) -> tuple[int, dict[str, str]]:
        first = answers.readline()
        if not first:
            raise ConnectionResetError("closed without an answer")
        version, status, _ = first.decode("ascii").split(" ", 2)
        assert version == "HTTP/1.1"
        headers: dict[str, str] = {}
        while (line := answers.readline()) != b"\r\n":
            assert line.endswith(b"\r\n"), line
            name, separator, value = line.decode("latin-1").partition(": ")
            assert separator, line
            headers[name.lower()] = value.rstrip("\r\n")
        return int(status), headers


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
        """Read everything back."""
        user = self.tenant.user
        assert user.get("secret/data/sentinel").data["data"] == {"kept": CANARY}
        assert user.get("plain/sentinel").data == {"kept": CANARY}
        decrypted = user.put("transit/decrypt/sentinel", {"ciphertext": self.ciphertext})
        assert decrypted.data["plaintext"] == b64(CANARY)

    def assert_told_nothing(self) -> None:
        """Look for what it keeps where it must not be, in all that the node has told so far."""
        user = self.tenant.user
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
