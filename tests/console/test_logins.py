"""Sign-ins that somebody else vouches for: a provider's page, a signed token, a certificate of the browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.console.conftest import NewNode
from tests.support import certificates
from tests.support.api import Api, initialise, unseal
from tests.support.browser import Browser
from tests.support.browser_keys import People, require_certutil
from tests.support.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, identity_provider
from tests.support.jwt import Signer
from tests.support.node import Node, free_port
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer


@dataclass(frozen=True)
class Federated:
    """A vault with mounts `sso` (type `oidc`) and `cert`; `secure` is its address with TLS."""

    node: Node
    tenant: Tenant
    provider: IdentityProvider
    secure: str

    def begin(self, window: Browser, how: str, mount: str, address: str | None = None) -> None:
        """Open the console and fill in where to log in."""
        window.open(f"{address or self.node.address}/ui/")
        window.choose("How", how)
        window.click("Vault and mount")
        window.fill("Vault", self.tenant.vault_id)
        window.fill("Mount", mount)


@pytest.fixture(scope="module")
def federated(new_node: NewNode, issuer: Issuer, people: People) -> Iterator[Federated]:
    with identity_provider() as provider:
        port = free_port()
        server = certificates.server(people.authority)
        node = new_node(f'\n[tenants]\nlogin_urls = ["{provider.address}"]\n', secure=(port, server))
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator, 1, 1)["keys_base64"])
        tenant = make_tenant(node, issuer)
        root = tenant.root
        for kind, path in (("oidc", "sso"), ("cert", "cert")):
            assert root.post(f"sys/auth/{path}", {"type": kind}).status == 204
        settings = {"oidc_discovery_url": provider.address, "oidc_client_id": CLIENT_ID, "default_role": "people"}
        own = {"oidc_client_secret": CLIENT_SECRET, "jwt_supported_algs": "ES256"}
        assert root.post("auth/sso/config", {**settings, **own}).status in {200, 204}
        yield Federated(node, tenant, provider, f"https://127.0.0.1:{port}")


def test_a_browser_goes_to_a_provider_and_comes_back_signed_in(window: Browser, federated: Federated) -> None:
    root, node = federated.tenant.root, federated.node
    address = f"{node.address}/ui/vault/auth/sso/oidc/callback"
    role = {"user_claim": "sub", "allowed_redirect_uris": [f"{node.address}/elsewhere"], "token_policies": "default"}
    assert root.post("auth/sso/role/people", role).status in {200, 204}
    federated.begin(window, "OpenID Connect", "sso")
    window.click("Go to the provider")
    window.shows(f"Put {address} among its allowed_redirect_uris.")
    root.post("auth/sso/role/people", {**role, "allowed_redirect_uris": [address]})
    federated.begin(window, "OpenID Connect", "sso")
    window.click("Go to the provider")
    window.find("Sign out")
    assert window.script("return location.pathname + location.search") == "/ui/"
    window.shows("sso-anna")
    assert federated.provider.asked["/authorize"] == 1

    # Who is sent to the address by somebody else has begun nothing.
    window.open(f"{address}?code=c&state=s")
    window.shows("This tab began no sign-in: begin anew.")
    assert "code=" not in window.script("return location.href")
    window.click("Back to sign in")
    window.find("Sign in")


def test_who_has_a_signed_token_signs_in_by_it(window: Browser, federated: Federated) -> None:
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "kms", "token_policies": "default"}
    assert federated.tenant.root.post("auth/sso/role/jobs", role).status in {200, 204}
    federated.begin(window, "JWT", "sso")
    window.fill("Role", "jobs")
    for token, told in (
        (federated.provider.token(aud="other"), "audience"),
        (federated.provider.token(), "sso-anna"),
    ):
        window.fill("Signed token (JWT)", token)
        window.click("Sign in", "main button")
        window.shows(told)
        assert token not in window.script("return location.href + document.documentElement.outerHTML")
    window.find("Sign out")


def test_a_service_account_of_kubernetes_signs_in_by_its_token(window: Browser, federated: Federated) -> None:
    root, signer = federated.tenant.root, Signer.make("ES256")
    assert root.post("sys/auth/pods", {"type": "kubernetes"}).status == 204
    assert root.post("auth/pods/config", {"pem_keys": [signer.pem]}).status in {200, 204}
    role = {"bound_service_account_names": "app", "bound_service_account_namespaces": "prod", "audience": "kms"}
    assert root.post("auth/pods/role/app", {**role, "token_policies": "default"}).status in {200, 204}
    now = int(time.time())
    claims = {
        "iss": "https://kubernetes.default.svc",
        "sub": "system:serviceaccount:prod:app",
        "aud": ["kms"],
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "app", "uid": "uid-1"}},
    }
    federated.begin(window, "Kubernetes service account", "pods")
    window.fill("Role", "app")
    window.fill("Signed token (JWT)", signer.sign(claims))
    window.click("Sign in", "main button")
    window.find("Sign out")
    window.shows("pods-")


def test_who_has_a_certificate_in_the_browser_signs_in_by_it(
    window: Browser, federated: Federated, people: People
) -> None:
    require_certutil()
    path, rule = "auth/cert/certs/people", {"certificate": people.authority.pem, "token_policies": "default"}
    assert federated.tenant.root.post(path, {**rule, "allowed_common_names": "somebody else"}).status == 204
    federated.begin(window, "Certificate of this browser", "cert", federated.secure)
    window.click("Sign in", "main button")
    window.wait(lambda: window.script("return document.querySelector('[role=alert]')?.innerText"), "it is refused")
    assert federated.tenant.root.post(path, {**rule, "allowed_common_names": "anna"}).status == 204
    window.click("Sign in", "main button")
    window.shows("cert-people")
    window.find("Sign out")
