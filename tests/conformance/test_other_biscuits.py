"""Biscuits that are not the caller's own: looked up and revoked by their text, in their own vault alone."""

from __future__ import annotations

import base64
import time

import pytest

from kms_actors.auth.build import attenuate
from kms_actors.auth.principal import Capability
from tests.support.api import Answer, Api
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import OWNER, Issuer

LOOKUP, REVOKE = "auth/token/lookup", "auth/token/revoke"


@pytest.fixture(params=["root", "operator"])
def admin(request: pytest.FixtureRequest, tenant: Tenant) -> Api:
    """Who may do so: the root token, and the operator's biscuit."""
    found = getattr(tenant, request.param)
    assert isinstance(found, Api)
    return found


@pytest.fixture
def biscuit(tenant: Tenant, issuer: Issuer) -> str:
    """A biscuit of the vault's users, which nobody else has."""
    return issuer.tenant(tenant.vault_id, 3600)


def narrowed(token: str) -> str:
    return attenuate(token, now=time.time(), ttl=60, paths=["secret/data/app/*"], operations=[Capability.READ])


def ask(api: Api, path: str, token: str) -> Answer:
    return api.post(path, {"token": token})


def works(api: Api, token: str) -> bool:
    status = api.with_token(token).get("auth/token/lookup-self").status
    assert status in {200, 403}
    return status == 200


def test_a_look_tells_what_a_biscuit_is(admin: Api, tenant: Tenant, biscuit: str) -> None:
    found = ask(admin, LOOKUP, biscuit).data
    own = admin.with_token(biscuit).get("auth/token/lookup-self").data
    for name in ("display_name", "policies", "type", "accessor", "expire_time", "id", "orphan", "renewable"):
        assert found[name] == own[name], name
    assert found["id"] == biscuit
    assert 3500 < found["ttl"] <= 3600
    for word in (tenant.vault_id, OWNER):
        assert word in found["display_name"]


def test_a_look_tells_what_narrows_it(admin: Api, biscuit: str) -> None:
    found = ask(admin, LOOKUP, narrowed(biscuit)).data
    assert found["ttl"] <= 60
    for word in ("secret/data/app/*", "read"):
        assert word in found["display_name"]


def test_a_biscuit_ends_with_what_was_narrowed_from_it_and_made_by_it(
    admin: Api, tenant: Tenant, biscuit: str
) -> None:
    child = admin.with_token(biscuit).post("auth/token/create", {}).json["auth"]["client_token"]
    tokens = [biscuit, narrowed(biscuit), child]
    assert all(works(admin, token) for token in tokens)
    assert ask(admin, REVOKE, biscuit).status == 204
    assert not any(works(admin, token) for token in tokens)
    for path in (LOOKUP, REVOKE):
        assert (ask(admin, path, biscuit).status, ask(admin, path, biscuit).errors) == (403, ["bad token"])


def test_what_was_narrowed_ends_without_what_it_was_narrowed_from(admin: Api, biscuit: str) -> None:
    weaker = narrowed(biscuit)
    assert ask(admin, REVOKE, weaker).status == 204
    assert works(admin, biscuit)
    assert not works(admin, weaker)


def test_biscuits_of_others_and_forged_ones_are_refused_alike(
    admin: Api, node: Node, tenant: Tenant, biscuit: str, issuer: Issuer
) -> None:
    other = make_tenant(node, issuer)
    raw = bytearray(base64.urlsafe_b64decode(biscuit + "=" * (-len(biscuit) % 4)))
    raw[-40] ^= 1
    strangers = [
        issuer.tenant(other.vault_id),
        issuer.tenant_operator(other.vault_id),
        issuer.cluster_operator(),
        Issuer().tenant(tenant.vault_id),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        issuer.tenant(tenant.vault_id, 1),
        "x" * 200,
    ]
    time.sleep(2)  # until the one of a second has ended
    for path in (LOOKUP, REVOKE):
        answers = {(answer.status, answer.body) for answer in (ask(admin, path, text) for text in strangers)}
        assert answers == {(403, b'{"errors":["bad token"]}\n')}
    assert works(admin, strangers[0])
    assert works(admin, strangers[1])
    assert works(admin, biscuit)


def test_whoever_has_no_right_to_do_so_learns_and_ends_nothing(tenant: Tenant, biscuit: str) -> None:
    maker = {"policies": ["default"], "ttl": "1h"}
    weak = tenant.root.with_token(tenant.root.post("auth/token/create", maker).json["auth"]["client_token"])
    for api in (tenant.user, weak):
        for path in (LOOKUP, REVOKE):
            assert ask(api, path, biscuit).status == 403
            assert "permission denied" in ask(api, path, biscuit).errors[0]
    assert works(tenant.user, biscuit)


def test_policies_give_the_right_to_it(tenant: Tenant, biscuit: str) -> None:
    text = f'path "{LOOKUP}" {{ capabilities = ["update"] }} path "{REVOKE}" {{ capabilities = ["update"] }}'
    assert tenant.root.post("sys/policies/acl/ends", {"policy": text}).status == 204
    made = tenant.root.post("auth/token/create", {"policies": ["ends"], "ttl": "1h"}).json["auth"]
    helper = tenant.root.with_token(made["client_token"])
    assert ask(helper, LOOKUP, biscuit).data["id"] == biscuit
    assert ask(helper, REVOKE, biscuit).status == 204
    assert not works(helper, biscuit)


def test_a_biscuit_is_neither_renewed_nor_left_by_its_children(admin: Api, biscuit: str) -> None:
    for path, text in (("auth/token/renew", "cannot be renewed"), ("auth/token/revoke-orphan", "what it has made")):
        answer = ask(admin, path, biscuit)
        assert (answer.status, text in answer.errors[0]) == (400, True)
    assert works(admin, biscuit)


def test_the_callers_own_biscuit_may_be_named(tenant: Tenant, issuer: Issuer) -> None:
    own = tenant.root.with_token(issuer.tenant_operator(tenant.vault_id))
    assert own.token is not None
    assert ask(own, LOOKUP, own.token).data["id"] == own.token
    assert ask(own, REVOKE, own.token).status == 204
    assert not works(own, own.token)
