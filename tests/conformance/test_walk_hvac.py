"""The walk by hvac, the Python client, and what its error classes make of our answers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import hvac
import pytest
from hvac import exceptions

from tests.support.node import NewNode, Node
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer, new_vault_id
from tests.support.walkthrough import FOREIGN_SHARES

NewClient = Callable[[str, str | None], Any]
PLAINTEXT = base64.b64encode(b"hello\n").decode()


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    """Makes clients and closes their connections."""
    clients = []

    def make(address: str, token: str | None) -> Any:
        client = hvac.Client(url=address, token=token)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.adapter.close()


@pytest.fixture
def client(tenant: Tenant, new_client: NewClient) -> Any:
    """The client of a tenant's user."""
    return new_client(tenant.user.address, tenant.user.token)


def test_walk(new_node: NewNode, issuer: Issuer, new_client: NewClient) -> None:
    node = new_node()
    vault_id, other_id = new_vault_id(), new_vault_id()
    operator = new_client(node.address, issuer.cluster_operator())
    assert not operator.sys.is_initialized()
    assert operator.sys.is_sealed()
    made = operator.sys.initialize(secret_shares=5, secret_threshold=3)
    assert len(made["keys"]) == len(made["keys_base64"]) == 5
    assert operator.sys.is_initialized()
    assert operator.sys.submit_unseal_key(made["keys"][4])["progress"] == 1
    assert operator.sys.submit_unseal_key(made["keys_base64"][0])["progress"] == 2
    assert not operator.sys.submit_unseal_key(made["keys"][2])["sealed"]

    tenant_operator = new_client(node.address, issuer.tenant_operator(vault_id))
    shares = tenant_operator.sys.initialize(5, 3)["keys"]
    assert not tenant_operator.sys.submit_unseal_keys(shares[:3])["sealed"]
    client = new_client(node.address, issuer.tenant(vault_id))
    assert client.is_authenticated()
    kv = client.secrets.kv.v2
    kv.create_or_update_secret("creds", secret={"passcode": "my-long-passcode"})
    assert kv.read_secret_version("creds", raise_on_deleted_version=True)["data"]["data"] == {
        "passcode": "my-long-passcode"
    }
    client.secrets.transit.create_key("orders")
    ciphertext = client.secrets.transit.encrypt_data("orders", PLAINTEXT)["data"]["ciphertext"]
    assert client.secrets.transit.decrypt_data("orders", ciphertext)["data"]["plaintext"] == PLAINTEXT

    other_operator = new_client(node.address, issuer.tenant_operator(other_id))
    other_operator.sys.submit_unseal_keys(other_operator.sys.initialize(5, 3)["keys"])
    other = new_client(node.address, issuer.tenant(other_id))
    tenant_operator.sys.seal()
    with pytest.raises(exceptions.VaultDown):
        kv.read_secret_version("creds", raise_on_deleted_version=True)
    assert other.is_authenticated()
    operator.sys.seal()
    with pytest.raises(exceptions.VaultDown):
        other.secrets.transit.create_key("orders")
    assert operator.sys.is_sealed()


def test_health_needs_no_token(node: Node, new_client: NewClient) -> None:
    client = new_client(node.address, None)
    assert client.sys.read_health_status(method="GET")["sealed"] is False
    assert client.sys.read_health_status().status_code == 200
    assert client.sys.read_leader_status()["ha_enabled"] is False


def test_lookup_renew_revoke(tenant: Tenant, issuer: Issuer, new_client: NewClient) -> None:
    client = new_client(tenant.user.address, issuer.tenant(tenant.vault_id, ttl=3600))
    looked_up = client.auth.token.lookup_self()["data"]
    assert 3590 <= looked_up["ttl"] <= 3600
    assert looked_up["expire_time"].endswith("Z")
    renewed = client.auth.token.renew_self()["auth"]
    assert renewed["client_token"] == client.token
    assert 0 < renewed["lease_duration"] <= 3600
    client.auth.token.revoke_self()
    assert not client.is_authenticated()
    assert new_client(tenant.user.address, tenant.user.token).is_authenticated()


@pytest.mark.filterwarnings("ignore:The raise_on_deleted_version parameter")  # hvac's own call within `patch`
def test_kv_versions(client: Any) -> None:
    kv = client.secrets.kv.v2
    for value in ("1", "2", "3"):
        kv.create_or_update_secret("app/db", secret={"a": value})
    with pytest.raises(exceptions.InvalidRequest, match="check-and-set parameter did not match"):
        kv.create_or_update_secret("app/db", secret={"a": "4"}, cas=1)
    kv.patch("app/db", secret={"b": "5"})
    assert kv.read_secret_version("app/db", raise_on_deleted_version=True)["data"]["data"] == {"a": "3", "b": "5"}
    assert kv.list_secrets("app")["data"]["keys"] == ["db"]
    kv.delete_secret_versions("app/db", versions=[1, 4])
    with pytest.raises(exceptions.InvalidPath):
        kv.read_secret_version("app/db", raise_on_deleted_version=True)
    deleted = kv.read_secret_version("app/db", raise_on_deleted_version=False)
    assert deleted["data"]["data"] is None
    kv.undelete_secret_versions("app/db", versions=[4])
    assert kv.read_secret_version("app/db", raise_on_deleted_version=True)["data"]["metadata"]["version"] == 4
    kv.destroy_secret_versions("app/db", versions=[2])
    kv.update_metadata("app/db", max_versions=3, custom_metadata={"team": "blue"})
    metadata = kv.read_secret_metadata("app/db")["data"]
    assert metadata["versions"]["2"]["destroyed"] is True
    assert (metadata["max_versions"], metadata["custom_metadata"]) == (3, {"team": "blue"})
    kv.delete_metadata_and_all_versions("app/db")
    with pytest.raises(exceptions.InvalidPath):
        kv.read_secret_metadata("app/db")


def test_kv_configuration(tenant: Tenant, new_client: NewClient) -> None:
    kv = new_client(tenant.operator.address, tenant.operator.token).secrets.kv.v2
    kv.configure(max_versions=2, cas_required=True)
    assert kv.read_configuration()["data"]["cas_required"] is True
    with pytest.raises(exceptions.InvalidRequest, match="check-and-set parameter required"):
        kv.create_or_update_secret("app", secret={"a": "1"})


def test_transit_batch_rotate_rewrap(client: Any) -> None:
    transit = client.secrets.transit
    transit.create_key("orders")
    items = [{"plaintext": base64.b64encode(text).decode()} for text in (b"one", b"two")]
    encrypted = transit.encrypt_data("orders", plaintext=None, batch_input=items)["data"]["batch_results"]
    transit.rotate_key("orders")
    rewrapped = [transit.rewrap_data("orders", item["ciphertext"])["data"]["ciphertext"] for item in encrypted]
    assert all(text.startswith("vault:v2:") for text in rewrapped)
    batch = [{"ciphertext": text} for text in rewrapped]
    decrypted = transit.decrypt_data("orders", ciphertext=None, batch_input=batch)["data"]["batch_results"]
    assert [item["plaintext"] for item in decrypted] == [item["plaintext"] for item in items]
    assert transit.list_keys()["data"]["keys"] == ["orders"]
    transit.update_key_configuration("orders", min_decryption_version=2, deletion_allowed=True)
    with pytest.raises(exceptions.InvalidRequest, match="too old"):
        transit.decrypt_data("orders", encrypted[0]["ciphertext"])
    transit.delete_key("orders")
    with pytest.raises(exceptions.InvalidPath):
        transit.read_key("orders")


def test_errors_become_the_classes_users_catch(client: Any, tenant: Tenant, new_client: NewClient) -> None:
    with pytest.raises(exceptions.Forbidden, match="permission denied"):
        new_client(tenant.user.address, "no-token").auth.token.lookup_self()
    with pytest.raises(exceptions.Forbidden, match="permission denied"):
        client.sys.enable_secrets_engine("kv", path="mine")
    with pytest.raises(exceptions.InvalidPath):
        client.secrets.kv.v2.read_secret_metadata("nothing")
    with pytest.raises(exceptions.InvalidRequest, match="encryption key not found"):
        client.secrets.transit.decrypt_data("nothing", "vault:v1:AAAA")
    with pytest.raises(exceptions.InvalidPath, match="no handler for route"):
        client.write_data("nothing/here", data={"a": "b"})
    with pytest.raises(exceptions.UnexpectedError, match="unsupported operation"):
        client.delete("secret/config")


def test_mounts(tenant: Tenant, new_client: NewClient) -> None:
    operator = new_client(tenant.operator.address, tenant.operator.token)
    operator.sys.enable_secrets_engine("kv", path="team", options={"version": "2"})
    assert operator.sys.list_mounted_secrets_engines()["data"]["team/"]["options"] == {"version": "2"}
    operator.sys.disable_secrets_engine("team")
    assert "team/" not in operator.sys.list_mounted_secrets_engines()["data"]


def test_shares_of_another_key_are_an_invalid_request(tenant: Tenant, new_client: NewClient) -> None:
    operator = new_client(tenant.operator.address, tenant.operator.token)
    operator.sys.seal()
    with pytest.raises(exceptions.InvalidRequest):
        operator.sys.submit_unseal_keys(FOREIGN_SHARES[:3])
    assert operator.sys.is_sealed()
    assert not operator.sys.submit_unseal_keys(tenant.shares[1:4])["sealed"]
