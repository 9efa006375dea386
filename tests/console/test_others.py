"""Who is no vault's operator: the cluster's operator, a user of a vault, and one that policies bind."""

from __future__ import annotations

import pytest

from tests.console.conftest import Console
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

RULES = """
path "secret/data/app/*" { capabilities = ["read"] }
path "secret/metadata/app/*" { capabilities = ["read", "list"] }
path "transit/encrypt/orders" { capabilities = ["update"] }
path "transit/keys/orders" { capabilities = ["read"] }
"""


@pytest.fixture
def bound(tenant: Tenant, issuer: Issuer) -> str:
    """A biscuit that names a policy, in a vault that has more than that."""
    assert tenant.root.post("sys/policies/acl/app", {"policy": RULES}).status == 204
    for path in ("app/db", "other/db"):
        assert tenant.root.post(f"secret/data/{path}", {"data": {"password": "s3cret"}}).status == 200
    assert tenant.root.post("transit/keys/orders").status == 200
    return issuer.tenant(tenant.vault_id, policies=["app", "default"])


def test_the_operator_of_the_cluster_sees_how_vaults_stand_and_bounds_them(
    console: Console, node: Node, issuer: Issuer
) -> None:
    mine = make_tenant(node, issuer, "team-orders")
    for number in range(3):
        assert mine.user.post(f"secret/data/s{number}", {"data": {"v": "x"}}).status == 200
    window = console.sign_in(issuer.cluster_operator())
    assert console.menu == ["Overview", "Tenants", "Nodes", "Rotations", "Audit devices", "Ceremonies", "Seal"]
    console.go("#/tenants", "Tenants")
    window.shows("How they stand", "Who holds the most", "Secrets: the first")
    assert window.script("return document.querySelectorAll('.bars li').length") >= 1
    window.choose("Of", "Bytes of secrets")
    window.shows("Bytes of secrets: the first")
    window.click("team-orders")
    window.wait(lambda: console.heading == "team-orders", "the vault is shown")
    window.click("Limits")
    window.fill("Secrets", "100")
    window.fill("Requests a second", "500")
    window.click("Save")
    window.shows("3 of 100", "500 in 1 s")
    window.click("Seal", "main button")
    window.answer("Seal")
    window.shows("The vault is sealed.")
    assert mine.user.get("secret/data/s1").status == 503
    window.click("Delete")
    window.fill("Type team-orders to go on", "team-orders")
    window.answer("Delete")
    window.shows("It is to be deleted at")
    window.click("Keep it")
    window.answer("Keep it")
    window.shows("The vault stays.")
    console.go("#/tenants/+", "New tenant")
    window.fill("Vault id", "team-new")
    window.click("Make it")
    window.shows("Not initialised", "created")
    console.go("#/nodes", "Nodes")
    window.shows("kms-c1-n1", "serves", "sqlite")
    console.go("#/rotations", "Rotations")
    window.shows("The cluster's keyring", "Vaults' keyrings")
    console.go("#/audit", "Audit devices")
    window.shows("No device is enabled")
    # Where it may not go, it is told so, in a sentence.
    console.go("#/policies", "Policies")
    window.shows("This token may not see or do that here.")


def test_a_token_with_policies_sees_what_they_give(console: Console, bound: str, tenant: Tenant) -> None:
    window = console.sign_in(bound)
    assert console.menu == ["Overview", "Secrets", "Transit keys", "May it?", "Tokens", "Seal"]
    console.go("#/secrets/secret%2F/app/", "app")
    window.click("db")
    window.click("Show the value of password")
    window.shows("s3cret")
    assert not [name for name in ("Edit", "Delete", "Delete all") if window.has(name)]
    console.go("#/secrets/secret%2F/other/db", "db")
    window.shows("This token may not see or do that here.")
    console.go("#/secrets/secret%2F/", "secret/")
    window.shows("This token may not see or do that here.", "If you know the path of a secret, go there.")
    window.fill("Path", "app/db")
    window.click("Go")
    window.wait(lambda: console.heading == "db", "the secret is shown")
    console.go("#/transit/transit%2F/orders", "orders")
    assert not window.has("Rotate")
    window.click("Playground")
    assert window.script("return [...document.querySelectorAll('main select option')].map((e) => e.text)") == [
        "Encrypt"
    ]
    console.go("#/tokens", "Tokens")
    window.shows("This token may neither make tokens nor look at others.")
    console.go("#/checker", "May it?")
    window.fill("Paths, one a line", "secret/data/app/x")
    window.click("Check")
    window.shows("yes")
    for place, heading in (("#/audit", "Audit devices"), ("#/rotations", "Rotations")):
        console.go(place, heading)
        window.shows("This token may not see or do that here.")
    console.go("#/tenants", "Tenants")
    window.shows("This token may not see or do that here.")
    console.go("#/nonsense", "There is no such page")
    assert tenant.root.get("secret/data/other/db").status == 200


def test_a_user_of_a_vault_has_its_data_and_no_ceremonies(console: Console, tenant: Tenant) -> None:
    assert tenant.user.token is not None
    window = console.sign_in(tenant.user.token)
    assert console.menu == ["Overview", "Secrets", "Transit keys", "May it?", "Tokens", "Seal"]
    console.go("#/seal", "Seal")
    window.shows("This token may not seal it.")
    tenant.root.put("sys/seal")
    console.go("#/", "Overview")
    window.click("Look again")
    window.shows("Sealed")
    console.go("#/secrets/secret%2F/", "secret/")
    window.shows("Vault is sealed", "To the seal")
