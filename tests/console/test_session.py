"""How a session begins and ends, and that nothing of it stays."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.console.conftest import Console, NewNode
from tests.support.api import Api, initialise, unseal
from tests.support.browser import Browser
from tests.support.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, identity_provider
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        yield running


def test_a_wrong_token_is_told_and_not_kept(console: Console) -> None:
    window = console.window
    window.open(f"{console.address}/ui/")
    for wrong in ("hvs.000001" + "a" * 18, "no-token", "x" * 3000):
        window.fill("Token", wrong)
        window.click("Sign in")
        window.wait(lambda: window.script("return document.querySelector('[role=alert]')?.innerText"), "it is told")
    assert wrong not in window.text


def test_the_token_is_gone_with_a_reload_and_never_in_an_address(console: Console, tenant: Tenant) -> None:
    token = tenant.root.token
    assert token is not None
    window = console.sign_in(token)
    console.go("#/secrets/secret%2F/", "secret/")
    asked = json.dumps(window.script("return performance.getEntriesByType('resource').map((each) => each.name)"))
    assert "/v1/auth/token/lookup-self" in asked
    assert token not in asked + window.script("return location.href + document.documentElement.outerHTML")
    window.ask("POST", "/refresh", {})
    window.find("Sign in")
    assert console.menu == []
    assert tenant.root.get("auth/token/lookup-self").status == 200


def test_signing_out_leaves_the_token_or_revokes_it(console: Console, tenant: Tenant) -> None:
    made = tenant.root.post("auth/token/create", {"policies": ["default"]}).json["auth"]["client_token"]
    token = tenant.root.with_token(made)
    for button, told, status in (
        ("Sign out", "You are signed out.", 200),
        ("Sign out and revoke", "You are signed out, and the token is revoked.", 403),
    ):
        window = console.sign_in(made)
        window.click("Sign out")
        window.answer(button)
        window.shows(told)
        assert token.get("auth/token/lookup-self").status == status


def test_who_does_nothing_is_signed_out(console: Console, tenant: Tenant) -> None:
    assert tenant.root.token is not None
    window = console.sign_in(tenant.root.token)
    window.script("const real = Date.now; window.later = 0; Date.now = () => real() + window.later")
    window.script("window.later = 14 * 60000; window.dispatchEvent(new PointerEvent('pointerdown'))")
    window.script("window.later = 28 * 60000")
    window.find("Sign out")
    window.script("window.later = 30 * 60000")
    window.shows("You were signed out after 15 minutes without use.")


def test_a_token_that_ends_signs_out(console: Console, tenant: Tenant) -> None:
    body = {"policies": ["default"], "ttl": "1h"}
    made = tenant.root.post("auth/token/create", body).json["auth"]["client_token"]
    window = console.sign_in(made)
    window.script("window.dispatchEvent(new KeyboardEvent('keydown'))")
    window.script("const real = Date.now; Date.now = () => real() + 3601000")
    window.script("window.dispatchEvent(new KeyboardEvent('keydown'))")
    window.shows("You were signed out")


def test_a_browser_goes_to_a_provider_and_comes_back_signed_in(
    window: Browser, new_node: NewNode, issuer: Issuer, provider: IdentityProvider
) -> None:
    node = new_node(f'\n[tenants]\nlogin_urls = ["{provider.address}"]\n')
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator, 1, 1)["keys_base64"])
    tenant = make_tenant(node, issuer)
    root = tenant.root
    assert root.post("sys/auth/sso", {"type": "oidc"}).status == 204
    settings = {"oidc_discovery_url": provider.address, "oidc_client_id": CLIENT_ID, "jwt_supported_algs": "ES256"}
    answer = root.post("auth/sso/config", {**settings, "default_role": "people", "oidc_client_secret": CLIENT_SECRET})
    assert answer.status in {200, 204}, answer.body
    address = f"{node.address}/ui/vault/auth/sso/oidc/callback"
    role = {"user_claim": "sub", "allowed_redirect_uris": [f"{node.address}/elsewhere"], "token_policies": "default"}
    assert root.post("auth/sso/role/people", role).status in {200, 204}

    def begin() -> None:
        window.open(f"{node.address}/ui/")
        window.choose("How", "OpenID Connect")
        window.click("Vault and mount")
        window.fill("Vault", tenant.vault_id)
        window.fill("Mount", "sso")
        window.click("Go to the provider")

    begin()
    window.shows(f"Put {address} among its allowed_redirect_uris.")
    root.post("auth/sso/role/people", {**role, "allowed_redirect_uris": [address]})
    begin()
    window.find("Sign out")
    assert window.script("return location.pathname + location.search") == "/ui/"
    window.shows("sso-anna")
    assert provider.asked["/authorize"] == 1

    # Who is sent to the address by somebody else has begun nothing.
    window.open(f"{address}?code=c&state=s")
    window.shows("This tab began no sign-in: begin anew.")
    assert "code=" not in window.script("return location.href")
    window.click("Back to sign in")
    window.find("Sign in")
