"""How a session begins and ends, and that nothing of it stays."""

from __future__ import annotations

import json

from tests.console.conftest import Console
from tests.support.tenant import Tenant


def test_a_wrong_token_is_told_and_not_kept(console: Console) -> None:
    window = console.window
    window.open(f"{console.address}/ui/")
    for wrong in ("hvs.000001" + "a" * 18, "no-token", "x" * 3000):
        window.fill("Token", wrong)
        window.click("Sign in")
        window.wait(lambda: window.script("return document.querySelector('[role=alert]')?.innerText"), "it is told")
    window.shows("This token is not known here, or may not look itself up.")
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
