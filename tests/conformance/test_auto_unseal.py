"""A reference server that keeps its unseal key under a Transit key of ours, and unseals itself with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kms_actors.auth.build import attenuate
from tests.conformance.reference_server import ReferenceServer
from tests.support.api import Api, initialise, unseal
from tests.support.node import NewNode, Node, wait_until
from tests.support.reference import find_bao
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

KEY = "auto-unseal"
SECRET = {"passcode": "my-long-passcode"}


def _biscuit(tenant: Tenant) -> str:
    """Return the tenant's biscuit, narrowed to what an auto-unseal needs."""
    assert tenant.user.token is not None
    paths = [f"transit/{operation}/{KEY}" for operation in ("encrypt", "decrypt")]
    return attenuate(tenant.user.token, now=time.time(), ttl=3600, paths=paths)


def _service_token(tenant: Tenant) -> str:
    assert tenant.root.token is not None
    return tenant.root.token


#: What makes the token, whether it is told by the environment, and whether it is to be renewed.
WAYS = {
    "biscuit by configuration, renewed": (_biscuit, False, True),
    "biscuit by VAULT_TOKEN": (_biscuit, True, False),
    "service token by configuration": (_service_token, False, False),
    "service token by VAULT_TOKEN, renewed": (_service_token, True, True),
}

#: Makes the reference server of a tenant.
NewServer = Callable[..., ReferenceServer]


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[NewServer]:
    """Makes reference servers sealed by a tenant's key; they end with the test."""
    find_bao()
    servers: list[ReferenceServer] = []

    def make(tenant: Tenant, way: str = "biscuit by VAULT_TOKEN", **seal: str) -> ReferenceServer:
        token_of, by_environment, renewed = WAYS[way]
        token = token_of(tenant)
        seal = {
            "address": tenant.user.address,
            "key_name": KEY,
            "mount_path": "transit/",
            "disable_renewal": "false" if renewed else "true",
        } | seal
        environment = {"VAULT_TOKEN": token} if by_environment else {}
        if not by_environment:
            seal["token"] = token
        directory = tmp_path / f"reference-{len(servers)}"
        directory.mkdir()
        servers.append(ReferenceServer(directory, seal, environment))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def filled(tenant: Tenant, new_server: NewServer) -> ReferenceServer:
    """A reference server, unsealed by the shared node, with a secret."""
    return _filled(tenant, new_server(tenant))


def _filled(tenant: Tenant, server: ReferenceServer) -> ReferenceServer:
    assert tenant.user.post(f"transit/keys/{KEY}").status == 200
    server.start()
    made = server.initialise()
    assert len(made["recovery_keys_base64"]) == 3
    assert server.api.post("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}).status == 204
    wait_until(lambda: server.api.post("secret/data/creds", {"data": SECRET}).status == 200, "the mount is upgraded")
    return server


def _restarted(server: ReferenceServer) -> None:
    server.kill()
    server.start()
    _assert_serves(server)


def _assert_serves(server: ReferenceServer) -> None:
    wait_until(lambda: server.serves, "the reference server unseals itself")
    assert server.status["type"] == "transit"
    assert server.status["recovery_seal"] is True
    assert server.api.get("secret/data/creds").data["data"] == SECRET


@pytest.mark.parametrize("way", WAYS)
def test_a_reference_server_unseals_itself_after_it_was_killed(
    tenant: Tenant, new_server: NewServer, way: str
) -> None:
    server = _filled(tenant, new_server(tenant, way))
    _restarted(server)


def test_the_vault_may_be_named_as_a_namespace(tenant: Tenant, new_server: NewServer) -> None:
    server = _filled(tenant, new_server(tenant, namespace=tenant.vault_id))
    _restarted(server)


def test_it_moves_to_a_rotated_key_and_needs_the_old_version_no_more(tenant: Tenant, filled: ReferenceServer) -> None:
    for version in (2, 3):
        assert tenant.user.post(f"transit/keys/{KEY}/rotate").data["latest_version"] == version
        _restarted(filled)  # reads what the last version sealed, and has it sealed anew
        settings = {"min_decryption_version": version, "min_encryption_version": version}
        assert tenant.user.post(f"transit/keys/{KEY}/config", settings).status == 200
        _restarted(filled)
    assert tenant.user.post(f"transit/keys/{KEY}/trim", {"min_available_version": 3}).status == 200
    _restarted(filled)


def test_it_stays_sealed_while_its_version_is_disallowed_and_unseals_itself_then(
    tenant: Tenant, filled: ReferenceServer
) -> None:
    filled.kill()
    tenant.user.post(f"transit/keys/{KEY}/rotate")
    tenant.user.post(f"transit/keys/{KEY}/config", {"min_decryption_version": 2})
    filled.start()
    wait_until(lambda: "disallowed by policy (too old)" in filled.log, "the reference server is refused")
    assert filled.status["sealed"] is True
    assert filled.api.get("secret/data/creds").status == 503
    tenant.user.post(f"transit/keys/{KEY}/config", {"min_decryption_version": 1})
    _assert_serves(filled)


def test_it_does_not_start_while_our_vault_is_sealed_and_does_afterwards(
    tenant: Tenant, filled: ReferenceServer
) -> None:
    assert tenant.operator.put("sys/seal").status == 204
    assert filled.serves  # what is unsealed goes on
    filled.kill()
    assert "Vault is sealed" in filled.start_in_vain()
    unseal(tenant.operator, tenant.shares)
    filled.start()
    _assert_serves(filled)


def test_it_does_not_start_while_our_node_is_away_and_does_afterwards(
    new_node: NewNode, issuer: Issuer, new_server: NewServer
) -> None:
    node = new_node()
    operator = Api(node.address, issuer.cluster_operator())
    shares = initialise(operator)["keys_base64"]
    unseal(operator, shares)
    tenant = make_tenant(node, issuer)
    server = _filled(tenant, new_server(tenant))
    assert node.stop() == 0
    assert server.api.get("secret/data/creds").data["data"] == SECRET
    server.kill()
    assert "connection refused" in server.start_in_vain()
    node.start()
    assert "Vault is sealed" in server.start_in_vain()
    unseal(operator, shares)
    server.start()
    _assert_serves(server)


def test_another_vaults_token_does_not_unseal_it(
    node: Node, issuer: Issuer, filled: ReferenceServer, new_server: NewServer
) -> None:
    stranger = make_tenant(node, issuer)
    stranger.user.post(f"transit/keys/{KEY}")
    filled.kill()
    filled.environment["VAULT_TOKEN"] = _biscuit(stranger)
    filled.start()
    wait_until(lambda: "message authentication failed" in filled.log, "the reference server is refused")
    assert filled.status["sealed"] is True
