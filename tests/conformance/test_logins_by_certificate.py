"""Logins by certificate as users type them: the command lines of Vault and OpenBao, and hvac's class."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
from hvac import exceptions

from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support import certificates
from tests.support.reference import find_bao
from tests.support.tenant import Tenant, make_tenant
from tests.support.tls_node import TlsNode
from tests.support.tokens import Issuer

ROOT = certificates.authority("root")
MIDDLE = certificates.authority("middle", ROOT)
APP = certificates.client("app", MIDDLE)


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "workers"])
def secured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, issuer: Issuer
) -> Iterator[TlsNode]:
    started = TlsNode.started(tmp_path_factory.mktemp("node"), issuer, request.param)
    yield started
    assert started.node.stop() == 0, started.node.log
    assert "Traceback" not in started.node.log


@pytest.fixture
def vault(secured: TlsNode) -> Tenant:
    """A vault with a mount, and a role that trusts an authority."""
    tenant = make_tenant(secured.node, secured.issuer)
    tenant.root.post("sys/auth/cert", {"type": "cert"})
    made = tenant.root.post("auth/cert/certs/app", {"certificate": ROOT.pem, "token_policies": "readers"})
    assert made.status == 204
    return tenant


@pytest.fixture(params=["vault", "bao"])
def newcomer(request: pytest.FixtureRequest, secured: TlsNode, vault: Tenant, tmp_path: Path) -> VaultCli:
    """The command line of somebody without a token."""
    home = tmp_path / "newcomer"
    home.mkdir()
    return VaultCli(find_vault() if request.param == "vault" else find_bao(), secured.address, home)


def shown(directory: Path, *identities: certificates.Identity) -> tuple[str, str]:
    own, *chain = identities
    certificate, key = own.files(directory, "client", *chain)
    return str(certificate), str(key)


class TestCommandLine:
    def test_log_in_and_renew(self, secured: TlsNode, vault: Tenant, newcomer: VaultCli, tmp_path: Path) -> None:
        certificate, key = shown(tmp_path, APP, MIDDLE)
        flags = (f"-namespace={vault.vault_id}", f"-ca-cert={secured.certificate}")
        own = (*flags, f"-client-cert={certificate}", f"-client-key={key}")
        refused = newcomer("login", *flags, "-method=cert", "name=app", code=2)
        assert "no client certificate found" in refused.err
        printed = newcomer("login", *own, "-method=cert", "name=app").out
        assert '["default" "readers"]' in printed
        assert "token_meta_common_name" in printed
        about = json.loads(newcomer("token", "lookup", *own, "-format=json").out)["data"]
        assert (about["display_name"], about["path"]) == ("cert-app", "auth/cert/login")
        assert about["meta"]["cert_name"] == "app"
        assert about["entity_id"]
        newcomer("token", "renew", *own)
        assert "no client certificate found" in newcomer("token", "renew", *flags, code=2).err
        other, other_key = shown(tmp_path, certificates.client("app", MIDDLE), MIDDLE)
        stranger = (*flags, f"-client-cert={other}", f"-client-key={other_key}")
        assert "client identity during renewal" in newcomer("token", "renew", *stranger, code=2).err


class TestHvac:
    @pytest.fixture
    def operator(self, vault: Tenant) -> Iterator[Any]:
        client = hvac.Client(url=vault.root.address, token=vault.root.token)
        yield client
        client.adapter.close()

    def nobody(self, secured: TlsNode, vault: Tenant, pair: tuple[str, str]) -> Any:
        return hvac.Client(url=secured.address, namespace=vault.vault_id, verify=str(secured.certificate), cert=pair)

    def test_roles(self, operator: Any) -> None:
        cert = operator.auth.cert
        cert.create_ca_certificate_role("web", certificate=ROOT.pem, allowed_common_names="a*", token_ttl=60)
        role = cert.read_ca_certificate_role("web")["data"]
        assert (role["allowed_common_names"], role["token_ttl"], role["display_name"]) == (["a*"], 60, "web")
        assert cert.list_certificate_roles()["data"]["keys"] == ["app", "web"]
        cert.delete_certificate_role("web")
        with pytest.raises(exceptions.InvalidPath):
            cert.read_ca_certificate_role("web")
        cert.configure_tls_certificate(disable_binding=True)
        assert operator.read("auth/cert/config")["data"]["disable_binding"] is True

    def test_log_in(self, secured: TlsNode, vault: Tenant, tmp_path: Path) -> None:
        pair = shown(tmp_path, APP, MIDDLE)
        client = self.nobody(secured, vault, pair)
        done = client.auth.cert.login(name="app", cert_pem=pair[0], key_pem=pair[1])
        assert done["auth"]["policies"] == ["default", "readers"]
        assert client.auth.token.lookup_self()["data"]["meta"]["common_name"] == "app"
        assert client.auth.token.renew_self()["auth"]["client_token"] == client.token
        client.adapter.close()

    def test_a_stranger_is_refused(self, secured: TlsNode, vault: Tenant, tmp_path: Path) -> None:
        pair = shown(tmp_path, certificates.client("app"))
        client = self.nobody(secured, vault, pair)
        with pytest.raises(exceptions.InvalidRequest, match="invalid certificate or no client certificate supplied"):
            client.auth.cert.login(name="app", cert_pem=pair[0], key_pem=pair[1])
        client.adapter.close()


def test_what_one_vault_trusts_is_nothing_to_another(secured: TlsNode, vault: Tenant, tmp_path: Path) -> None:
    """A role of the same name, with another authority; and the token of one vault is none in the other."""
    other = make_tenant(secured.node, secured.issuer)
    other.root.post("sys/auth/cert", {"type": "cert"})
    other.root.post("auth/cert/certs/app", {"certificate": certificates.authority("root").pem})
    pair = shown(tmp_path, APP, MIDDLE)
    client = hvac.Client(url=secured.address, namespace=other.vault_id, verify=str(secured.certificate), cert=pair)
    with pytest.raises(exceptions.InvalidRequest):
        client.auth.cert.login(name="app", cert_pem=pair[0], key_pem=pair[1])
    client.adapter.close()
