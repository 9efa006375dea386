"""Odd paths, tokens, scopes and bytes: refused in JSON, or meaning just themselves, on a node that goes on."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conformance.victim import CANARY, Caller, Victim, check
from tests.support.api import Api, b64
from tests.support.node import Node
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer, new_vault_id

pytestmark = pytest.mark.usefixtures("unharmed")


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
        "/v1/secret%2f%2fdata%2fsentinel",
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
    yield victim.issuer.cluster_operator(namespace="another-cluster")
    yield "é" * 20


def test_bad_tokens_prove_nothing(victim: Victim, caller: Caller) -> None:
    for token in bad_tokens(victim):
        for path in ("secret/data/sentinel", "sys/mounts", "auth/token/lookup-self", "nothing"):
            answer = caller.send("GET", f"/v1/{path}", X_Vault_Token=token)
            assert answer.errors == ["permission denied"], (token, path)
            assert answer.status == 403
            bearer = caller.send("GET", f"/v1/{path}", Authorization=f"Bearer {token}")
            assert (bearer.status, bearer.errors) == (403, ["permission denied"])
        assert caller.send("GET", "/v1/sys/seal-status", X_Vault_Token=token).json["cluster_name"] == "kms-c1"


def test_a_namespace_that_is_not_the_tokens_own_is_refused(victim: Victim, caller: Caller) -> None:
    token = victim.tenant.user.token or ""
    for namespace in (new_vault_id(), "kms-c1", "Root", "../root", "%72oot", "a/b", "é", "x" * 9000):
        for path in ("secret/data/sentinel", "sys/seal-status", "auth/token/lookup-self"):
            answer = caller.send("GET", f"/v1/{path}", X_Vault_Token=token, X_Vault_Namespace=namespace)
            assert answer.status == 403, namespace
            check(answer)
    for namespace in ("root", "/", victim.tenant.vault_id, f"/{victim.tenant.vault_id}/"):
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
