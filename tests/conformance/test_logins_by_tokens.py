"""Logins by signed tokens and by a browser, by the official command line and by hvac, as their users type them."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import hvac
import pytest
from hvac import exceptions

from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.api import Api, initialise, unseal
from tests.support.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, identity_provider
from tests.support.kubernetes_api import kubernetes_api
from tests.support.node import Node, StoreTable, free_port
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer, new_vault_id
from tests.support.web import Authority, make_authority

SECONDS = 20
VAULT = new_vault_id()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, store_table: StoreTable, issuer: Issuer) -> Iterator[Node]:
    """A node that may fetch from the loopback, and takes logins that name no vault for ours."""
    further = f'\n[tenants]\nlogin_urls = ["127.0.0.0/8"]\ndefault_vault = "{VAULT}"\n'
    node = Node.for_issuer(tmp_path_factory.mktemp("node"), store_table, issuer, further=further, forked=True)
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    yield node
    assert node.stop() == 0, node.log
    assert "Traceback" not in node.log


@pytest.fixture(scope="module")
def tenant(node: Node, issuer: Issuer) -> Tenant:
    return make_tenant(node, issuer, VAULT)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def provider(authority: Authority) -> Iterator[IdentityProvider]:
    with identity_provider(authority.server_context()) as running:
        yield running


@pytest.fixture
def client(tenant: Tenant) -> Iterator[Any]:
    client = hvac.Client(url=tenant.root.address, token=tenant.root.token)
    yield client
    for path in client.sys.list_auth_methods()["data"]:
        if path != "token/":
            client.sys.disable_auth_method(path)
    client.adapter.close()


@pytest.fixture
def nobody(tenant: Tenant) -> Iterator[Any]:
    client = hvac.Client(url=tenant.root.address, namespace=tenant.vault_id)
    yield client
    client.adapter.close()


@pytest.fixture
def operator(tenant: Tenant, tmp_path: Path, client: Any) -> VaultCli:
    """The command line with the root token of the vault."""
    home = tmp_path / "operator"
    home.mkdir()
    (home / ".vault-token").write_text(tenant.root.token or "")
    return VaultCli(find_vault(), tenant.root.address, home)


@pytest.fixture
def newcomer(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The command line of somebody without a token."""
    home = tmp_path / "newcomer"
    home.mkdir()
    return VaultCli(find_vault(), tenant.root.address, home)


class TestCommandLine:
    def test_a_token_of_an_issuer(
        self, operator: VaultCli, newcomer: VaultCli, tenant: Tenant, provider: IdentityProvider, authority: Authority
    ) -> None:
        operator("auth", "enable", "jwt")
        operator("write", "auth/jwt/config", f"jwks_url={provider.keys_url}", f"jwks_ca_pem={authority.pem}")
        operator(
            "write",
            "auth/jwt/role/deploy",
            "role_type=jwt",
            "user_claim=sub",
            "bound_audiences=kms",
            "claim_mappings=mail=email",
            "token_policies=deploy",
            "token_ttl=10m",
        )
        namespace = f"-namespace={tenant.vault_id}"
        provider.claims["mail"] = "anna@example.com"
        given = ("write", namespace, "auth/jwt/login", "role=deploy")
        shown = newcomer(*given, f"jwt={provider.token()}").out
        assert '["default" "deploy"]' in shown
        assert "token_meta_email" in shown
        assert "token is expired" in newcomer(*given, f"jwt={provider.token(exp=1)}", code=2).err
        assert "valid" in operator("read", "auth/jwt/config").out
        assert operator("list", "auth/jwt/role").out.split() == ["Keys", "----", "deploy"]

    def test_a_browser(
        self, operator: VaultCli, newcomer: VaultCli, tenant: Tenant, provider: IdentityProvider, authority: Authority
    ) -> None:
        _enable_flow(operator, provider, authority)
        with _logging_in(newcomer, tenant) as (login, url):
            with suppress(HTTPException, OSError):  # the program may be gone before its page is read
                _open(url, authority).close()  # the browser, which the provider sends back
            out, err = login.communicate(timeout=SECONDS)
        assert login.returncode == 0, err
        assert '["default" "people"]' in out
        assert (newcomer.home / ".vault-token").read_text().startswith("hvs.")
        assert "token_meta_role" in out

    def test_a_browser_that_brings_a_form(
        self,
        operator: VaultCli,
        newcomer: VaultCli,
        tenant: Tenant,
        provider: IdentityProvider,
        authority: Authority,
    ) -> None:
        """The client posts the form without a namespace, whatever it was given: the default vault's."""
        _enable_flow(operator, provider, authority, "oidc_response_mode=form_post", "oidc_response_types=id_token")
        with _logging_in(newcomer, tenant) as (login, url):
            with _open(url, authority) as answer:
                form = json.loads(answer.read())
            body = "&".join(f"{name}={value}" for name, value in form["fields"].items()).encode()
            with suppress(HTTPException, OSError):
                urllib.request.urlopen(form["action"], body, timeout=SECONDS).close()
            out, err = login.communicate(timeout=SECONDS)
        assert login.returncode == 0, err
        assert '["default" "people"]' in out

    def test_a_role_that_does_not_name_where_to(
        self, operator: VaultCli, newcomer: VaultCli, tenant: Tenant, provider: IdentityProvider, authority: Authority
    ) -> None:
        _enable_flow(operator, provider, authority)
        operator("write", "auth/oidc/role/people", "user_claim=sub", "allowed_redirect_uris=https://elsewhere")
        refused = newcomer("login", f"-namespace={tenant.vault_id}", "-method=oidc", "role=people", code=2)
        assert "Unable to authorize role" in refused.err


def _enable_flow(operator: VaultCli, provider: IdentityProvider, authority: Authority, *more: str) -> None:
    operator("auth", "enable", "oidc")
    operator(
        "write",
        "auth/oidc/config",
        f"oidc_discovery_url={provider.address}",
        f"oidc_discovery_ca_pem={authority.pem}",
        f"oidc_client_id={CLIENT_ID}",
        f"oidc_client_secret={CLIENT_SECRET}",
        "jwt_supported_algs=ES256",
        "default_role=people",
        *more,
    )
    uri = "allowed_redirect_uris=http://localhost:8250/oidc/callback"
    operator("write", "auth/oidc/role/people", "user_claim=sub", uri, "token_policies=people")


@contextmanager
def _logging_in(newcomer: VaultCli, tenant: Tenant) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `vault login -method=oidc`; yield it, and the URL that it shows."""
    arguments = (
        "login",
        f"-namespace={tenant.vault_id}",
        "-method=oidc",
        "skip_browser=true",
        f"port={free_port()}",
        "listenaddress=127.0.0.1",
    )
    login = subprocess.Popen(
        [str(newcomer.binary), *arguments],
        env=newcomer._environment,
        cwd=newcomer.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert login.stderr is not None
        for line in login.stderr:
            found = re.search(r"https://127\S+", line)
            if found is not None:
                yield login, found[0]
                break
        else:
            pytest.fail("no URL was shown")
    finally:
        login.kill()
        login.communicate()


def _open(url: str, authority: Authority) -> Any:
    return urllib.request.urlopen(url, timeout=SECONDS, context=ssl.create_default_context(cadata=authority.pem))


class TestHvac:
    def test_jwt(self, client: Any, nobody: Any, provider: IdentityProvider, authority: Authority) -> None:
        client.sys.enable_auth_method("jwt")
        method = client.auth.jwt
        method.configure(
            oidc_discovery_url=provider.address,
            oidc_discovery_ca_pem=authority.pem,
            bound_issuer=provider.address,
            jwt_supported_algs=["ES256"],
        )
        assert method.read_config()["data"]["bound_issuer"] == provider.address
        method.create_role(
            "dev",
            user_claim="sub",
            allowed_redirect_uris=[],
            role_type="jwt",
            bound_audiences=["kms"],
            bound_claims={"team": "red"},
            token_policies=["devs"],
            token_ttl=60,
        )
        assert method.read_role("dev")["data"]["token_policies"] == ["devs"]
        assert method.list_roles()["data"]["keys"] == ["dev"]
        with pytest.raises(exceptions.InvalidRequest, match='claim "team" is missing'):
            nobody.auth.jwt.jwt_login("dev", provider.token())
        auth = nobody.auth.jwt.jwt_login("dev", provider.token(team="red"))["auth"]
        assert (auth["policies"], auth["metadata"], auth["lease_duration"]) == (
            ["default", "devs"],
            {"role": "dev"},
            60,
        )
        method.delete_role("dev")
        with pytest.raises(exceptions.InvalidPath):
            method.list_roles()

    def test_oidc(self, client: Any, nobody: Any, provider: IdentityProvider, authority: Authority) -> None:
        client.sys.enable_auth_method("oidc")
        client.auth.oidc.configure(
            oidc_discovery_url=provider.address,
            oidc_discovery_ca_pem=authority.pem,
            oidc_client_id=CLIENT_ID,
            oidc_client_secret=CLIENT_SECRET,
            jwt_supported_algs=["ES256"],
        )
        uri = "http://localhost:8250/oidc/callback"
        client.auth.oidc.create_role("people", user_claim="sub", allowed_redirect_uris=[uri], token_policies=["p"])
        url = nobody.auth.oidc.oidc_authorization_url_request("people", uri)["data"]["auth_url"]
        query = parse_qs(urlsplit(_sent_back(url, authority)).query)
        state, code = query["state"][0], query["code"][0]
        auth = nobody.auth.oidc.oidc_callback(state, "", code, path="oidc")["auth"]
        assert auth["policies"] == ["default", "p"]
        with pytest.raises(exceptions.InvalidRequest, match="Expired or missing OAuth state"):
            nobody.auth.oidc.oidc_callback(state, "", code, path="oidc")

    def test_kubernetes(self, client: Any, nobody: Any, authority: Authority) -> None:
        client.sys.enable_auth_method("kubernetes")
        method = client.auth.kubernetes
        with kubernetes_api(authority.server_context()) as api:
            api.reviewers.add("reviewer")
            method.configure(
                kubernetes_host=api.address,
                kubernetes_ca_cert=authority.pem,
                token_reviewer_jwt="reviewer",
            )
            assert method.read_config()["token_reviewer_jwt_set"]
            method.create_role("app", ["app"], ["dev"], ttl="10m", policies=["apps"])
            assert method.read_role("app")["policies"] == ["apps"]
            assert method.list_roles()["keys"] == ["app"]
            auth = nobody.auth.kubernetes.login("app", api.token())["auth"]
            assert (auth["policies"], auth["lease_duration"]) == (["apps", "default"], 600)
            assert auth["metadata"]["service_account_name"] == "app"
            with pytest.raises(exceptions.Forbidden, match="namespace not authorized"):
                nobody.auth.kubernetes.login("app", api.token(namespace="prod"))
        method.delete_role("app")


def _sent_back(url: str, authority: Authority) -> str:
    """Return where the provider sends a browser that does not go there."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    context = ssl.create_default_context(cadata=authority.pem)
    opener = urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=context))
    with pytest.raises(urllib.error.HTTPError) as answer:
        opener.open(url, timeout=SECONDS)
    with answer.value:
        return answer.value.headers["Location"]
