"""Whatever is sent to a live node, the answer is JSON, no 500, and nothing that was kept is lost or shown.

Routes and fields come from the routers, so a new one is tried as soon as it exists.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import pytest

from kms_http import kv, transit
from kms_http.capabilities import SYSTEM_ROUTES
from kms_http.routing import Endpoint, Operation, Route
from tests.conformance.conftest import Tenant, make_tenant
from tests.support.api import Answer, Api, b64
from tests.support.node import Node
from tests.support.tokens import Issuer, new_vault_id

#: Stands for a secret: sent everywhere, and never to be seen in an error, a log or a metric.
CANARY: Final = "canary-6b1f2d0c"
MERGE_PATCH: Final = "application/merge-patch+json"

METHODS: Final = {
    Operation.READ: "GET",
    Operation.LIST: "LIST",
    Operation.WRITE: "POST",
    Operation.PATCH: "PATCH",
    Operation.DELETE: "DELETE",
}
ALL_METHODS: Final = (*METHODS.values(), "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "SCAN", "X")

#: Errors that repeat what was sent as the name of an algorithm or a format, as Vault's do.
ECHOING: Final = (
    "unknown key type ",
    "unsupported encoding format ",
    "unsupported algorithm ",
    "unsupported entropy source ",
)

#: Values of every type, one after the other put into every declared field; raw JSON.
VALUES: Final = (
    "null",
    "true",
    "-1",
    "0.5",
    "1e400",
    "9" * 30,
    "9" * 5000,
    f'"{CANARY}"',
    '""',
    '"\\ud800"',
    '"\\u0000"',
    "[]",
    f'[["{CANARY}"], {{}}, null, -1]',
    f'[{{"plaintext": "{CANARY}", "ciphertext": "{CANARY}", "input": 5, "reference": {{}}}}]',
    "{}",
    f'{{"{CANARY}": {{"{CANARY}": ["{CANARY}"]}}, "cas": "x", "\\ud800": 1}}',
    "[" * 100 + "]" * 100,
)

#: Bodies that are wrong as a whole.
BODIES: Final = (
    b"",
    b"null",
    b"5",
    b'"text"',
    b"[1, 2]",
    b"{",
    b'{"data":',
    b"{'a': 1}",
    b"NaN",
    b'{"a": NaN}',
    b'\xff\xfe{"data": {}}',
    b'{"data": "\xff"}',
    b"\x00" * 64,
    b"[" * 10_000,
    b'{"data":' * 10_000,
    b'{"data":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"plaintext": "' + b"A" * 1_000_001 + b'"}',
    random.Random(3).randbytes(1_000_000),
    b'{"batch_input": [' + b"{}," * 100_000 + b"{}]}",
    b'{"versions": [' + b"1," * 250_000 + b"1]}",
    b"{" + b",".join(b'"k%d": 1' % number for number in range(50_000)) + b"}",
)


class Target(NamedTuple):
    """One operation of one route, on a path of its own."""

    name: str
    path: str
    operation: Operation
    endpoint: Endpoint


def targets() -> Iterator[Target]:
    """Yield everything the routers know."""
    for mount, routes in (("", SYSTEM_ROUTES), ("secret/", kv.ROUTES), ("transit/", transit.ROUTES)):
        for route in routes:
            yield from targets_of(mount, route)


def targets_of(mount: str, route: Route) -> Iterator[Target]:
    path = mount + re.sub(r"\{(\w+)(\.\.\.)?\}", "victim", route.pattern)
    for operation, endpoint in route.operations.items():
        yield Target(f"{operation.value} {mount}{route.pattern}", path, operation, endpoint)


TARGETS: Final = {target.name: target for target in targets()}


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

    tenant: Tenant
    issuer: Issuer
    ciphertext: str

    def token_for(self, target: Target) -> str:
        """The operator's, to get as far as possible; a new one where one use may be its end."""
        if target.path == "auth/token/revoke-self":
            return self.issuer.tenant_operator(self.tenant.vault_id)
        if target.path == "sys/seal":
            return self.tenant.user.token or ""  # an operator would be obeyed, whatever the body
        return self.tenant.operator.token or ""

    def assert_unharmed(self) -> None:
        user = self.tenant.user
        assert user.get("secret/data/sentinel").data["data"] == {"kept": CANARY}
        decrypted = user.put("transit/decrypt/sentinel", {"ciphertext": self.ciphertext})
        assert decrypted.data["plaintext"] == b64(CANARY)


@pytest.fixture(scope="module")
def victim(node: Node, issuer: Issuer) -> Victim:
    tenant = make_tenant(node, issuer)
    user = tenant.user
    assert user.post("secret/data/sentinel", {"data": {"kept": CANARY}}).status == 200
    assert user.post("secret/data/victim", {"data": {"kept": CANARY}}).status == 200
    assert user.post("transit/keys/sentinel").status == 200
    assert user.post("transit/keys/victim").status == 200
    encrypted = user.put("transit/encrypt/sentinel", {"plaintext": b64(CANARY)})
    return Victim(tenant, issuer, encrypted.data["ciphertext"])


@pytest.fixture
def caller(node: Node) -> Iterator[Caller]:
    caller = Caller(node.address)
    yield caller
    caller.close()


@pytest.fixture(autouse=True)
def unharmed(node: Node, victim: Victim) -> Iterator[None]:
    """After each test: what was kept is there, and its contents were told nowhere."""
    yield
    victim.assert_unharmed()
    metrics = Api(node.metrics_address).call("GET", "/metrics").body.decode()
    for told in (node.log, metrics):
        assert CANARY not in told
        assert (victim.tenant.user.token or "") not in told
        assert b64(CANARY) not in told
    assert 'code="500"' not in metrics


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


def with_each_value(fields: Iterable[str]) -> Iterator[bytes]:
    """Yield bodies with one value in one field, and with one value in all of them."""
    names = sorted(fields)
    for value in VALUES:
        for name in names:
            yield f'{{"{name}": {value}}}'.encode()
        yield ("{" + ", ".join(f'"{name}": {value}' for name in names) + "}").encode()


def fields_of(endpoint: Endpoint) -> set[str]:
    """Return the declared fields, and those that strict and nested readers look for."""
    return set(endpoint.fields._converters) | {"secret_shares", "secret_threshold", "key", "reset", "undeclared"}


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_types_in_every_field(name: str, victim: Victim, caller: Caller) -> None:
    target = TARGETS[name]
    for body in with_each_value(fields_of(target.endpoint)):
        token = victim.token_for(target)
        headers = {"X_Vault_Token": token, "Content_Type": MERGE_PATCH}
        check(caller.send(METHODS[target.operation], f"/v1/{target.path}", body, **headers))


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_bodies(name: str, victim: Victim, caller: Caller) -> None:
    target = TARGETS[name]
    for body in BODIES:
        for content_type in (MERGE_PATCH, "application/x-www-form-urlencoded"):
            headers = {"X_Vault_Token": victim.token_for(target), "Content_Type": content_type}
            check(caller.send(METHODS[target.operation], f"/v1/{target.path}", body, **headers))


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_queries(name: str, victim: Victim, caller: Caller) -> None:
    target = TARGETS[name]
    fields = sorted(fields_of(target.endpoint))
    for query in (
        "list=maybe",
        "list=true&list=false",
        "version=x&depth=-1&limit=-9&after=%00",
        "a=%ff&b=%ZZ&=&&;",
        "&".join(f"{name}={'9' * 40}" for name in fields),
        "&".join(f"{name}=x&{name}=y" for name in fields),
        "&".join(f"p{number}=1" for number in range(1000)),
        "sealedcode=999999&activecode=-1&uninitcode=%F0%9F%92%A5&standbyok=perhaps",
    ):
        token = victim.token_for(target)
        check(caller.send(METHODS[target.operation], f"/v1/{target.path}?{query}", X_Vault_Token=token))


@pytest.mark.parametrize("path", sorted({target.path for target in TARGETS.values()} - {"sys/seal"}))
def test_every_method_on_every_path(path: str, victim: Victim, caller: Caller) -> None:
    for method in ALL_METHODS:
        token = victim.issuer.tenant_operator(victim.tenant.vault_id)
        head = method == "HEAD"
        check(caller.send(method, f"/v1/{path}", X_Vault_Token=token), head=head)
        check(caller.send(method, f"/v1/{path}/", X_Vault_Token=token), head=head)
        check(caller.send(method, f"/v1/{path}"), head=head)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/",
        "*",
        "/v1",
        "/v1/",
        "/v2/sys/health",
        "/V1/secret/data/sentinel",
        "/v1/SECRET/data/sentinel",
        "//v1/secret/data/sentinel",
        "/v1//secret/data/sentinel",
        "/v1/secret//data/sentinel",
        "/v1/secret/data//sentinel",
        "/v1/./secret/data/sentinel",
        "/v1/secret/../secret/data/sentinel",
        "/v1/secret/data/x/../sentinel",
        "/v1/secret/data/%2e%2e/sentinel",
        "/v1/secret/data/..%2fdata/sentinel",
        "/v1/secret%2fdata%2fsentinel",
        "/v1/secret/data/a%00b",
        "/v1/secret/data/a%0d%0ab",
        "/v1/secret/data/%ff%fe",
        "/v1/secret/data/%ZZ",
        "/v1/secret/data/%",
        "/v1/secret/data/a\\b",
        "/v1/secret/data/" + "a" * 9000,
        "/v1/secret/data/" + "a/" * 4000 + "b",
        "/v1/secret/data/" + "a" * 20_000,
        "/v1/secret/data/" + "a" * 40_000,
        "/v1/transit/keys/..",
        "/v1/transit/keys/.",
        "/v1/transit/keys/-",
        "/v1/transit/keys/a%20b",
        "/v1/transit/encrypt/sentinel/more/segments",
        "/v1/sys/mounts/../seal",
        "/v1/sys/mounts/sys",
        "/v1/sys/mounts/%72oot",
        "/v1/sys/nothing",
        "/v1/auth/nothing/login",
        "/v1/root/secret/data/sentinel",
        "secret/data/sentinel",
    ],
)
@pytest.mark.parametrize("method", ["GET", "LIST", "POST", "DELETE"])
def test_odd_paths_are_refused(method: str, target: str, victim: Victim, caller: Caller) -> None:
    answer = caller.send(method, target, b"{}", X_Vault_Token=victim.tenant.user.token or "")
    check(answer)
    assert answer.status >= 400
    assert CANARY not in answer.body.decode()


@pytest.mark.parametrize(
    "name", ["a;b=c", "a&b", "a+b", "a%20b", "%c3%a9", "k" * 1000, "...", "~", "'\"", "%25", "a%3fb"]
)
def test_odd_names_mean_themselves(name: str, victim: Victim, caller: Caller) -> None:
    token = victim.tenant.user.token or ""
    others = [f"{name}x", name[:-1]]
    body = json.dumps({"data": {"name": name}}).encode()
    assert caller.send("POST", f"/v1/secret/data/odd/{name}", body, X_Vault_Token=token).status == 200
    assert caller.send("GET", f"/v1/secret/data/odd/{name}", X_Vault_Token=token).data["data"] == {"name": name}
    for other in others:
        assert caller.send("GET", f"/v1/secret/data/odd/{other}", X_Vault_Token=token).status >= 400
    assert caller.send("DELETE", f"/v1/secret/metadata/odd/{name}", X_Vault_Token=token).status == 204


def bad_tokens(victim: Victim) -> Iterator[str]:
    good, root = victim.tenant.user.token or "", victim.tenant.root.token or ""
    yield from ("x", "hvs.", "hvs.AAAAAAAAAAAAAAAAAAAAAAAA", "s.token", "....", "=" * 40, "A" * 9000, "A" * 20_000)
    yield from (good[:-1], good[1:], good[: len(good) // 2], good + good, good.swapcase(), good + " x", f"{good}.")
    yield from (root[:-1], root.swapcase(), root + "A", "hvs." + root)
    yield Issuer().tenant(victim.tenant.vault_id)
    yield victim.issuer.cluster_operator("another-cluster")
    yield "é" * 20


def test_bad_tokens_prove_nothing(victim: Victim, caller: Caller) -> None:
    for token in bad_tokens(victim):
        for path in ("secret/data/sentinel", "sys/mounts", "auth/token/lookup-self", "sys/seal-status", "nothing"):
            answer = caller.send("GET", f"/v1/{path}", X_Vault_Token=token)
            assert answer.errors == ["permission denied"], (token, path)
            assert answer.status == 403
            bearer = caller.send("GET", f"/v1/{path}", Authorization=f"Bearer {token}")
            assert (bearer.status, bearer.errors) == (403, ["permission denied"])


def test_without_a_token_only_looks_at_the_seal_are_answered(caller: Caller) -> None:
    for target in TARGETS.values():
        answer = caller.send(METHODS[target.operation], f"/v1/{target.path}", b"{}", Content_Type=MERGE_PATCH)
        check(answer)
        if target.endpoint.anonymous:
            assert answer.status == 200
        else:
            assert (answer.status, answer.errors) == (403, ["permission denied"]), target.name


def test_a_namespace_that_is_not_the_tokens_own_is_refused(victim: Victim, caller: Caller) -> None:
    token = victim.tenant.user.token or ""
    for namespace in (new_vault_id(), "kms-c1", "root", "Root", "../root", "%72oot", "a/b", "é", "x" * 9000):
        for path in ("secret/data/sentinel", "sys/seal-status", "auth/token/lookup-self"):
            answer = caller.send("GET", f"/v1/{path}", X_Vault_Token=token, X_Vault_Namespace=namespace)
            assert answer.status == 403, namespace
            check(answer)
    for namespace in (victim.tenant.vault_id, f"/{victim.tenant.vault_id}/"):
        own = caller.send("GET", "/v1/secret/data/sentinel", X_Vault_Token=token, X_Vault_Namespace=namespace)
        assert own.status == 200


def test_one_tenant_never_reaches_another(victim: Victim, tenant: Tenant) -> None:
    assert tenant.user.get("secret/data/sentinel").status == 404
    assert tenant.root.get("secret/data/sentinel").status == 404
    refused = tenant.user.put("transit/decrypt/sentinel", {"ciphertext": victim.ciphertext})
    assert refused.errors == ["encryption key not found"]
    assert tenant.user.post("transit/keys/sentinel").status == 200
    refused = tenant.user.put("transit/decrypt/sentinel", {"ciphertext": victim.ciphertext})
    assert refused.errors == ["cipher: message authentication failed"]


def test_an_operator_of_the_cluster_reads_no_tenants_data(node: Node, issuer: Issuer, victim: Victim) -> None:
    operator = Api(node.address, issuer.cluster_operator())
    for path in ("secret/data/sentinel", "transit/keys/sentinel", "sys/mounts", f"{victim.tenant.vault_id}/secret"):
        assert operator.get(path).status == 403


def test_body_past_the_limit_is_refused(victim: Victim, caller: Caller) -> None:
    body = b'{"data": {"a": "' + b"A" * (33 << 20) + b'"}}'
    answer = caller.send("POST", "/v1/secret/data/victim", body, X_Vault_Token=victim.tenant.user.token or "")
    assert (answer.status, answer.errors) == (413, ["http: request body too large"])


@contextmanager
def raw_connection(node: Node) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", node.port), timeout=30) as connection:
        yield connection


def read_to_end(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS hello
        b"GET /v1/sys/health HTTP/9.9\r\n\r\n",
        b"GET /v1/secret/data/a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/sys/health HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v1/sys/health HTTP/1.1\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /v1/sys/health HTTP/1.1\r\n" + b"A: a\r\n" * 5000 + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /v1/sys/unseal HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x00" * 1000,
    ],
)
def test_what_is_not_http_is_answered_or_closed(sent: bytes, node: Node) -> None:
    with raw_connection(node) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = read_to_end(connection)
        except ConnectionError:  # closed while we were still sending
            return
    if answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert re.match(rb"HTTP/1\.[01] (400|403|405|408|413|431|505) ", head), head
        assert b"Content-Type: application/json\r\n" in head + b"\r\n"
        assert list(json.loads(body)) == ["errors"]


def test_list_after_a_body_nobody_read_is_understood(node: Node) -> None:
    with raw_connection(node) as connection:
        connection.sendall(b"POST /v1/sys/mounts/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")
        connection.sendall(b"{}LIST /v1/secret/metadata HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


def test_a_request_that_breaks_off_harms_nobody(node: Node, victim: Victim) -> None:
    token = (victim.tenant.user.token or "").encode()
    for length in (10, 1000, 10_000_000):
        with raw_connection(node) as connection:
            head = b"POST /v1/secret/data/sentinel HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %b\r\n" % token
            connection.sendall(head + b'Content-Length: %d\r\n\r\n{"data"' % length)


def test_secrets_never_leave_through_errors_of_shares(victim: Victim) -> None:
    share: Any = b64(b"\x09" + b"canary-share-canary-share-canary!")
    answer = victim.tenant.operator.put("sys/unseal", {"key": share + "AAAA"})
    assert answer.status == 400
    assert share not in answer.body.decode()
