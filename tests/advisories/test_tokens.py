"""Tokens: none that nobody asked for, none beside an error, none that lives longer than it may."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.advisories.conftest import token_of
from tests.fuzz.api.operations import Operation, operations
from tests.support.api import Api
from tests.support.certificates import authority, client, client_context
from tests.support.tenant import Tenant, make_tenant
from tests.support.tls_node import Caller, TlsNode
from tests.support.tokens import Issuer

INLINE: Final = {
    "X-Vault-Inline-Auth-Path": "auth/userpass/login/ann",
    "X-Vault-Inline-Auth-Operation": "update",
    "X-Vault-Inline-Auth-Parameter-password": "eyJrZXkiOiJwYXNzd29yZCIsInZhbHVlIjoicGFzc3dvcmQifQ==",
}
#: Operations that servers of this kind send to themselves, as methods and as what a header could ask for.
INTERNAL: Final = (
    "RENEW",
    "REVOKE",
    "ROLLBACK",
    "RESOLVE-ROLE",
    "ALIAS-LOOKAHEAD",
    "ROTATE-CREDENTIAL",
    "CREATE",
    "UPDATE",
)


@pytest.fixture
def ann(tenant: Tenant) -> Tenant:
    """A vault with a user."""
    tenant.operator.post("sys/auth/userpass", {"type": "userpass"})
    fields = {"password": "password", "token_policies": "default"}
    assert tenant.operator.post("auth/userpass/users/ann", fields).status == 204
    return tenant


def accessors(tenant: Tenant) -> set[str]:
    """Return those of all tokens that there are; that of the initial root token always."""
    return set(tenant.operator.list("auth/token/accessors").data["keys"])


@pytest.mark.parametrize("operation", ["update", "renew", "alias-lookahead", "resolve-role", "revoke", "create"])
def test_ghsa_rh46_vc3j_w2w3_no_layer_of_convenience_makes_a_token(operation: str, ann: Tenant, nobody: Api) -> None:
    """Inline logins and workflows dispatched operations that only the server itself sends, and gave tokens for them.

    Here a request has one token in one header, a header asks for no further operation, and there are no workflows.
    """
    before = accessors(ann)
    inline = nobody.with_headers(**INLINE | {"X-Vault-Inline-Auth-Operation": operation})
    for caller in (inline, inline.with_token(ann.user.token), inline.with_token("hvs.madeup")):
        answer = caller.get("auth/token/lookup-self")
        assert answer.status == (200 if caller.token == ann.user.token else 403)
        assert answer.status == 403 or answer.data["display_name"].startswith("tenant of ")
    for path in ("sys/workflows/execute/a", "sys/workflows/manage/a", "sys/workflows/trace/a"):
        for caller in (ann.operator, ann.root):
            answer = caller.post(path, {"request": {"path": "auth/token/create", "operation": operation}})
            assert 400 <= answer.status < 500, path
    assert accessors(ann) == before


@pytest.mark.parametrize("method", INTERNAL)
def test_operations_of_the_server_itself_are_no_methods(method: str, ann: Tenant) -> None:
    """The class: what HTTP may ask for is a list, and these are not on it."""
    before = accessors(ann)
    for caller in (ann.root, ann.operator, Api(ann.root.address, None, {"X-Vault-Namespace": ann.vault_id})):
        for path in ("auth/userpass/login/ann", "auth/token/create", "secret/data/a", "sys/leases/revoke"):
            assert caller.call(method, path, {"password": "password"}).status == 405, path
    assert accessors(ann) == before


#: What makes something called `ann` below mounts of logins, by the mount.
MADE: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "approle": {"role/ann": {"token_policies": "default"}},
    "jwt": {"role/ann": {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "x"}},
    "kubernetes": {
        "role/ann": {"bound_service_account_names": "a", "bound_service_account_namespaces": "b"},
        "config": {"kubernetes_host": "https://k.example"},
    },
    "cert": {"certs/ann": {"certificate": authority().pem}},
}


def test_cve_2026_46405_endpoints_of_logins_give_no_hidden_token(ann: Tenant) -> None:
    """Whatever an endpoint of a login mount answered became a token, not a login alone.

    Here the routes that give tokens are named, and every other answer of a login mount has none, shown or hidden.
    """
    operator = ann.operator
    for kind, made in MADE.items():
        assert operator.post(f"sys/auth/{kind}", {"type": kind}).status == 204
        for path, fields in made.items():
            assert operator.post(f"auth/{kind}/{path}", fields).status in {200, 204}, path
    before, asked = accessors(ann), 0
    given, told = set(), set()
    of_logins = [each for each in operations(operator.get("sys/internal/specs/openapi").json) if _of_login(each)]
    for operation in sorted(of_logins, key=lambda each: each.verb == "DELETE"):
        path = operation.path(dict.fromkeys(operation.captures, "ann"))[1:]
        for body in ({}, {"password": "password", "policies": "root", "token_policies": ["root"], "role": "ann"}):
            answer = operator.call(operation.verb, path, body if operation.verb == "POST" else None)
            asked += 1
            if operation.template == "/auth/userpass/login/{username}" and answer.status == 200:
                given.add(answer.json["auth"]["accessor"])
            elif answer.status == 200 and answer.body:
                assert answer.json.get("auth") is None, path
                assert b"client_token" not in answer.body
                told.add(operation.template)
    assert asked > 80
    assert len(told) > 20, sorted(told)  # endpoints that had something to answer
    assert len(given) == 1
    assert accessors(ann) == before | given


def _of_login(operation: Operation) -> bool:
    return operation.template.startswith("/auth/") and not operation.template.startswith("/auth/token/")


def test_no_token_is_left_of_a_login_that_failed(ann: Tenant, nobody: Api) -> None:
    """The class: a token issued beside an error, whose caller saw only that."""
    before = accessors(ann)
    for fields in ({"password": "wrong"}, {}, {"password": ["password"]}, {"password": None}, {"password": 1}):
        answer = nobody.post("auth/userpass/login/ann", fields)
        assert answer.status == 400
        assert list(answer.json) == ["errors"]
    for body in ({"policies": ["root"], "ttl": "x"}, {"type": "odd"}, {"num_uses": -1}, {"period": "-1h"}):
        assert ann.operator.post("auth/token/create", body).status == 400
    wrapped = nobody.with_headers(**{"X-Vault-Wrap-TTL": "x"})
    assert wrapped.post("auth/userpass/login/ann", {"password": "password"}).status == 400
    assert accessors(ann) == before


def test_cve_2021_32923_no_renewal_goes_past_the_end(tenant: Tenant) -> None:
    """A lease renewed within its last second became one without an end.

    Here the end of a token is fixed when it is made, and a renewal is cut off there.
    """
    made = tenant.operator.post("auth/token/create", {"ttl": "2s", "explicit_max_ttl": "3s", "renewable": True})
    bearer = tenant.operator.with_token(token_of(made))
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        answer = bearer.post("auth/token/renew-self", {"increment": "9999h"})
        shown = bearer.get("auth/token/lookup-self")
        if shown.status != 200:
            break
        assert answer.status == 400 or answer.json["auth"]["lease_duration"] <= 3  # 400 at its very end
        assert shown.data["expire_time"] is not None
        assert shown.data["ttl"] <= 3
        time.sleep(0.1)
    assert bearer.post("auth/token/renew-self", {"increment": "9999h"}).status == 403
    assert bearer.get("auth/token/lookup-self").status == 403


@pytest.mark.parametrize("spelling", ["ANN", "Ann", "aNn"])
def test_cve_2025_6004_a_lock_holds_for_every_spelling(spelling: str, ann: Tenant, nobody: Api) -> None:
    """Failed logins were counted by the name as it was written, so capitals gave new tries at one password."""
    for number in range(5):
        name = "ann" if number % 2 else spelling
        assert nobody.post(f"auth/userpass/login/{name}", {"password": f"wrong-{number}"}).status in {400, 403}
    for name in ("ann", spelling, spelling.swapcase()):
        assert nobody.post(f"auth/userpass/login/{name}", {"password": "password"}).status == 403, name


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[TlsNode]:
    node = TlsNode.started(tmp_path_factory.mktemp("tls"), issuer)
    yield node
    assert node.node.stop() == 0


def test_cve_2026_39388_a_token_is_renewed_by_the_certificate_that_it_is_of(
    secured: TlsNode, issuer: Issuer, tmp_path: Path
) -> None:
    """A token of one certificate was renewed with another that the same role would let in.

    Here a token keeps the SHA-256 of its certificate, and no other renews it.
    """
    tenant = make_tenant(secured.node, issuer)
    root = authority()
    ann, bob = client("ann", root), client("bob", root)
    tenant.operator.post("sys/auth/cert", {"type": "cert"})
    fields = {"certificate": root.pem, "token_policies": "default", "token_ttl": "1h"}
    assert tenant.operator.post("auth/cert/certs/all", fields).status == 204
    caller = Caller(secured.port, client_context(secured.identity), tmp_path)
    status, made = caller.call(
        "POST", "auth/cert/login", {}, shown=[ann], headers={"X-Vault-Namespace": tenant.vault_id}
    )
    assert status == 200, made
    headers = {"X-Vault-Token": made["auth"]["client_token"]}
    fresh = Caller(secured.port, client_context(secured.identity), tmp_path)
    assert fresh.call("POST", "auth/token/renew-self", {}, shown=[bob], headers=headers)[0] in {400, 403}
    nothing = Caller(secured.port, client_context(secured.identity), tmp_path)
    assert nothing.call("POST", "auth/token/renew-self", {}, headers=headers)[0] in {400, 403}
    assert caller.call("POST", "auth/token/renew-self", {}, shown=[ann], headers=headers)[0] == 200
