"""Tokens, their roles and their leases by hvac, the Python client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import hvac
import pytest
from hvac import exceptions

from tests.support.tenant import Tenant

READS = 'path "secret/data/app/*" { capabilities = ["read"] } path "auth/token/create" { capabilities = ["update"] }'


@pytest.fixture
def bearer(tenant: Tenant) -> Iterator[Callable[[str], Any]]:
    """Makes clients of a vault, by their tokens."""
    clients = []

    def make(token: str) -> Any:
        client = hvac.Client(url=tenant.root.address, token=token)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.adapter.close()


@pytest.fixture
def root(tenant: Tenant, bearer: Callable[[str], Any]) -> Any:
    client = bearer(tenant.root.token or "")
    client.sys.create_or_update_policy("app", READS)
    return client


def test_a_token_made_under_an_alias_is_of_the_entity_that_has_it(root: Any, bearer: Callable[[str], Any]) -> None:
    accessor = root.sys.list_auth_methods()["data"]["token/"]["accessor"]
    ann = root.secrets.identity.create_or_update_entity("ann")["data"]["id"]
    root.secrets.identity.create_or_update_entity_alias("ann-app", ann, accessor)
    root.auth.token.create_or_update_role("by-alias", allowed_policies="app", allowed_entity_aliases="ann-*")
    made = root.auth.token.create(role_name="by-alias", policies=["app"], entity_alias="ann-app")["auth"]
    assert made["entity_id"] == ann
    assert bearer(made["client_token"]).auth.token.lookup_self()["data"]["entity_id"] == ann


def test_the_class_for_tokens(root: Any, bearer: Callable[[str], Any]) -> None:
    made = root.auth.token.create(policies=["app"], ttl="1h", meta={"who": "me"}, display_name="x", renewable=True)
    child = bearer(made["auth"]["client_token"])
    accessor = made["auth"]["accessor"]
    assert child.auth.token.lookup_self()["data"]["meta"] == {"who": "me"}
    assert root.auth.token.lookup(made["auth"]["client_token"])["data"]["accessor"] == accessor
    assert root.auth.token.lookup_accessor(accessor)["data"]["id"] == ""
    assert accessor in root.auth.token.list_accessors()["data"]["keys"]
    assert root.auth.token.renew(made["auth"]["client_token"], increment="2h")["auth"]["lease_duration"] == 7200
    assert child.auth.token.renew_self(increment="10m")["auth"]["lease_duration"] == 600
    assert root.auth.token.renew_accessor(accessor, increment="20m")["auth"]["lease_duration"] == 1200
    grandchild = bearer(child.auth.token.create(ttl="30m")["auth"]["client_token"])
    orphan = root.auth.token.create_orphan(policies=["app"], ttl="1h")["auth"]
    assert orphan["orphan"]
    root.auth.token.revoke_and_orphan_children(made["auth"]["client_token"])
    assert grandchild.auth.token.lookup_self()["data"]["orphan"]
    grandchild.auth.token.revoke_self()
    root.auth.token.revoke(orphan["client_token"])
    last = root.auth.token.create(ttl="1h")["auth"]
    root.auth.token.revoke_accessor(last["accessor"])
    for token in (made["auth"]["client_token"], orphan["client_token"], last["client_token"]):
        with pytest.raises(exceptions.Forbidden):
            bearer(token).auth.token.lookup_self()
    with pytest.raises(exceptions.InvalidRequest, match="invalid accessor"):
        root.auth.token.lookup_accessor(accessor)


def test_roles(root: Any, bearer: Callable[[str], Any]) -> None:
    root.auth.token.create_or_update_role("app", allowed_policies="app", orphan=True, token_period="1h")
    assert root.auth.token.list_roles()["data"]["keys"] == ["app"]
    assert root.auth.token.read_role("app")["data"]["token_period"] == 3600
    made = root.auth.token.create(role_name="app")["auth"]
    assert (made["policies"], made["orphan"], made["lease_duration"]) == (["app", "default"], True, 3600)
    assert bearer(made["client_token"]).auth.token.lookup_self()["data"]["role"] == "app"
    with pytest.raises(exceptions.InvalidRequest):
        root.auth.token.create(role_name="app", policies=["other"])
    root.auth.token.delete_role("app")
    with pytest.raises(exceptions.InvalidPath):
        root.auth.token.list_roles()


def test_leases(root: Any, bearer: Callable[[str], Any]) -> None:
    tokens = [root.auth.token.create(policies=["app"], ttl="1h")["auth"]["client_token"] for _ in range(3)]
    assert root.sys.list_leases("")["data"]["keys"] == ["auth/"]
    assert root.sys.list_leases("auth/token/")["data"]["keys"] == ["create/"]
    names = root.sys.list_leases("auth/token/create/")["data"]["keys"]
    assert len(names) == 3
    lease = f"auth/token/create/{names[0]}"
    data = root.sys.read_lease(lease)["data"]
    assert (data["id"], data["path"], data["renewable"]) == (lease, "auth/token/create", True)
    with pytest.raises(exceptions.InvalidRequest, match="tokens cannot be renewed through this endpoint"):
        root.sys.renew_lease(lease)
    with pytest.raises(exceptions.InvalidRequest, match="invalid lease"):
        root.sys.read_lease("nope")
    root.sys.revoke_lease(lease)
    assert sum(bearer(token).is_authenticated() for token in tokens) == 2
    root.sys.revoke_prefix("auth/token/create")
    assert not any(bearer(token).is_authenticated() for token in tokens)
    assert root.is_authenticated()
