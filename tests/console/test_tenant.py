"""What a vault's operator does day by day, with its root token."""

from __future__ import annotations

import re

import pytest

from tests.console.conftest import Console
from tests.support.browser import ESCAPE, Browser
from tests.support.tenant import Tenant

_CELLS = (
    "return [...document.querySelectorAll('tr.diff')].map((row) => [...row.children].map((e) => e.innerText.trim()))"
)


@pytest.fixture
def root(console: Console, tenant: Tenant) -> Browser:
    assert tenant.root.token is not None
    return console.sign_in(tenant.root.token)


def test_a_secret_is_written_changed_compared_deleted_and_brought_back(
    root: Browser, console: Console, tenant: Tenant
) -> None:
    console.go("#/secrets/secret%2F/", "secret/")
    root.click("New secret")
    root.fill("Name", "app/db")
    root.fill("Name 1", "user")
    root.fill("Value 1", "orders")
    root.click("Add a field")
    root.fill("Name 2", "password")
    root.fill("Value 2", "first-passcode")
    root.click("Save")
    root.wait(lambda: console.heading == "db", "the secret is shown")
    assert tenant.user.get("secret/data/app/db").data["data"] == {"user": "orders", "password": "first-passcode"}
    root.shows("Version 1")
    assert "first-passcode" not in root.text
    root.click("Copy the value of user")
    root.shows("the value of user is copied.")
    root.click("Show the value of password")
    root.shows("first-passcode")

    root.click("Edit")
    root.fill("Value 1", "second-passcode")
    root.click("Remove field user")
    root.click("Add a field")
    root.fill("Name 2", "host")
    root.fill("Value 2", "db-1")
    root.click("Save")
    root.shows("A new version is written.")
    assert tenant.user.get("secret/data/app/db").data["metadata"]["version"] == 2

    root.click("Edit")
    tenant.user.post("secret/data/app/db", {"data": {"password": "of another"}})
    root.fill("Value 2", "db-2")
    root.click("Save")
    root.shows("check-and-set parameter did not match", "Somebody has written it meanwhile.")
    root.click("Cancel")

    root.click("Versions")
    root.check("Mark version 1")
    root.check("Mark version 2")
    root.click("Compare two")
    root.shows("Version 1 and version 2", "changed")
    assert "first-passcode" not in root.text
    root.click("Show all values")
    assert root.script(_CELLS) == [
        ["host", "added", "\N{EN DASH}", "db-1"],
        ["password", "changed", "first-passcode", "second-passcode"],
        ["user", "removed", "orders", "\N{EN DASH}"],
    ]
    root.click("Delete")
    root.shows("Deleted: 2 versions.")
    root.wait(lambda: tenant.user.get("secret/data/app/db?version=1").status == 404, "it is deleted")
    root.check("Mark version 1")
    root.click("Undelete")
    root.shows("Undeleted: version 1.")
    assert tenant.user.get("secret/data/app/db?version=1").data["data"]["user"] == "orders"
    root.check("Mark version 1")
    root.click("Destroy")
    root.shows("Destroy version 1?")
    root.press(ESCAPE)
    root.wait(lambda: "Destroy version 1?" not in root.text, "the question is gone")
    assert tenant.user.get("secret/data/app/db?version=1").status == 200

    root.click("Metadata")
    root.click("Edit")
    root.click("Add")
    root.fill("Name 1", "owner")
    root.fill("Value 1", "team-orders")
    root.click("Save")
    root.shows("team-orders")
    root.click("Delete all")
    root.fill("Type db to go on", "db")
    root.answer("Delete all")
    root.wait(lambda: tenant.user.get("secret/metadata/app/db").status == 404, "all of it is gone")
    root.wait(lambda: console.heading == "app", "its folder is shown")


def test_version_1_of_kv_keeps_the_last_value(root: Browser, console: Console, tenant: Tenant) -> None:
    console.go("#/secrets", "Secrets")
    root.click("New mount")
    root.fill("Path", "old")
    root.choose("Kind", "Version 1: the last value alone")
    root.click("Mount")
    root.click("old/")
    root.wait(lambda: console.heading == "old/", "the mount is shown")
    root.click("New secret")
    root.fill("Name", "a")
    root.click("As JSON")
    root.fill("JSON", '{"list": [1, 2]}')
    root.click("Save")
    root.wait(lambda: console.heading == "a", "the secret is shown")
    assert tenant.user.get("old/a").data == {"list": [1, 2]}
    root.click("Show all values")
    root.shows("[1,2]")
    root.click("Delete")
    root.answer("Delete")
    root.wait(lambda: tenant.user.get("old/a").status == 404, "it is gone")


def test_a_number_that_a_browser_would_round_is_neither_read_nor_written_by_it(
    root: Browser, console: Console, tenant: Tenant
) -> None:
    data = {"id": 2**70 + 1, "password": "x"}
    assert tenant.user.post("secret/data/large", {"data": data}).status == 200
    console.go("#/secrets/secret%2F/large", "large")
    root.shows("is shown rounded")
    root.click("Edit")
    root.shows("more digits than a browser keeps. Change it by the API")
    assert root.script("return document.querySelector('form button[type=submit]').disabled") is True
    root.click("Cancel")
    assert tenant.user.get("secret/data/large").data["metadata"]["version"] == 1

    console.go("#/secrets/secret%2F/", "secret/")
    root.click("New secret")
    root.fill("Name", "other")
    root.click("As JSON")
    root.fill("JSON", '{"id": 1180591620717411303425}')
    root.click("Save")
    root.shows("more digits than a browser keeps: write it by the API")
    assert tenant.user.get("secret/data/other").status == 404


def test_a_key_is_made_used_rotated_and_set(root: Browser, console: Console, tenant: Tenant) -> None:
    console.go("#/transit/transit%2F", "transit/")
    root.click("New key")
    root.fill("Name", "orders")
    root.click("Make the key")
    root.wait(lambda: console.heading == "orders", "the key is shown")
    root.click("Playground")
    root.fill("Plaintext", "grüße")
    root.click("Encrypt")
    root.shows("vault:v1:")
    root.click("Decrypt it")
    root.click("Decrypt")
    root.wait(lambda: root.script("return document.querySelector('.result pre')?.innerText") == "grüße", "it is back")
    root.choose("What", "HMAC")
    root.fill("Input", "a")
    root.find("HMAC")
    root.click("HMAC")
    root.click("Verify it")
    root.click("Verify an HMAC")
    root.shows("It is valid.")
    root.click("Rotate")
    root.shows("Rotate the key?")
    root.answer("Rotate")
    root.shows("The key has a new version.")
    root.click("Settings")
    root.fill("Oldest version that decrypts", "2")
    root.check("May be deleted")
    root.click("Save")
    root.shows("may be deleted")
    key = tenant.user.get("transit/keys/orders").data
    assert (key["latest_version"], key["min_decryption_version"], key["deletion_allowed"]) == (2, 2, True)


def test_signatures_are_made_and_verified(root: Browser, console: Console, tenant: Tenant) -> None:
    for kind in ("ed25519", "ecdsa-p256", "rsa-2048"):
        assert tenant.user.post(f"transit/keys/{kind}", {"type": kind}).status == 200
        console.go(f"#/transit/transit%2F/{kind}", kind)
        root.click("Playground")
        root.choose("What", "Sign")
        root.fill("Input", "a message")
        root.click("Sign")
        root.click("Verify it")
        root.click("Verify a signature")
        root.shows("It is valid.")
        root.fill("Input", "another message")
        root.click("Verify a signature")
        root.shows("It is not valid.")


def test_policies_are_written_and_asked_about(root: Browser, console: Console, tenant: Tenant) -> None:
    console.go("#/policies", "Policies")
    root.click("New policy")
    root.fill("Name", "app")
    root.fill("Rules (HCL or JSON)", 'path "secret/data/app/*" {\n  capabilities = ["reed"]\n}')
    root.click("Save")
    root.wait(lambda: root.script("return document.querySelector('[role=alert]')?.innerText"), "it is refused")
    assert root.script("return document.querySelector('[aria-label=\"Line 2\"]')?.innerText.includes('reed')")
    assert tenant.root.get("sys/policies/acl/app").status == 404
    root.fill("Rules (HCL or JSON)", 'path "secret/data/app/*" { capabilities = ["read"] }')
    root.click("Save")
    root.wait(lambda: console.heading == "app", "the policy is shown")
    made = tenant.root.post("auth/token/create", {"policies": ["app"]}).json["auth"]
    for whose, field, value in (
        ("Another token", "Token", made["client_token"]),
        ("A token by its accessor", "Accessor", made["accessor"]),
    ):
        console.go("#/checker", "May it?")
        root.choose("Who", whose)
        root.fill(field, value)
        root.fill("Paths, one a line", "secret/data/app/x\n/v1/secret/data/other")
        root.click("Check")
        root.shows("secret/data/other")
        rows = root.script("return [...document.querySelectorAll('tbody tr')].map((e) => e.innerText)")
        assert [re.findall(r"\b(?:yes|no)\b", row) for row in rows] == [
            ["no", "yes", "no", "no", "no", "no", "no", "no"],
            ["no"] * 8,
        ]
        assert "nothing" in rows[1]
    console.go("#/policies/app", "app")
    root.click("Delete")
    root.answer("Delete")
    root.wait(lambda: tenant.root.get("sys/policies/acl/app").status == 404, "it is deleted")


def test_nobody_writes_over_a_policy_that_he_has_not_seen(root: Browser, console: Console, tenant: Tenant) -> None:
    rule = 'path "{}" {{ capabilities = ["read"] }}'.format
    body = {"policy": rule("first"), "expiration": "2099-01-01T00:00:00Z", "cas_required": True}
    assert tenant.root.post("sys/policies/acl/app", {**body, "cas": -1}).status == 204
    console.go("#/policies/app", "app")
    root.shows("Written only if version 1 is still the latest")
    tenant.root.post("sys/policies/acl/app", {**body, "policy": rule("theirs"), "cas": 1})
    root.fill("Rules (HCL or JSON)", rule("mine"))
    root.click("Save")
    root.shows("Somebody has written it meanwhile. This is there now (version 2", rule("theirs"))
    assert console.accessible() == []
    assert tenant.root.get("sys/policies/acl/app").data["policy"] == rule("theirs")
    root.click("Keep mine, to write over it")
    root.click("Save")
    root.shows("The policy is written, and holds from now on.", "Written only if version 3")
    found = tenant.root.get("sys/policies/acl/app").data
    assert (found["policy"], found["version"], found["cas_required"]) == (rule("mine"), 3, True)
    assert found["expiration"].startswith("2099-01-01")
    # Two who make one of the same name.
    console.go("#/policies/new/", "New policy")
    root.fill("Name", "app")
    root.click("Save")
    root.click("Take this text")
    assert root.script("return document.querySelector('textarea').value") == rule("mine")
    assert tenant.root.get("sys/policies/acl/app").data["version"] == 3


def test_tokens_are_made_looked_up_renewed_and_revoked(root: Browser, console: Console, tenant: Tenant) -> None:
    console.go("#/tokens", "Tokens")
    root.fill("Policies", "default")
    root.fill("Time to live", "1h")
    root.fill("Display name", "ci")
    root.click("Make the token")
    root.click("Show the token")
    made = root.script("return document.querySelector('.facts code.value').innerText")
    token = tenant.root.with_token(made)
    accessor = token.get("auth/token/lookup-self").data["accessor"]
    root.click("All tokens")
    root.click(f"Look up {accessor}")
    root.click("Look up")
    root.shows("token-ci")
    root.click("Renew")
    root.shows("The token is renewed.")
    root.click("Revoke")
    root.answer("Revoke")
    root.shows("The token is revoked.")
    assert token.get("auth/token/lookup-self").status == 403


def test_people_and_machines_are_let_in(root: Browser, console: Console, tenant: Tenant) -> None:
    for method in ("userpass", "approle"):
        console.go("#/logins", "Logins and roles")
        root.click("New method")
        root.choose("Method", method)
        root.click("Enable")
        root.shows(f"{method}/ is enabled.")
    tenant.root.post("sys/policies/acl/app", {"policy": 'path "secret/data/app/*" { capabilities = ["read"] }'})
    root.click("approle/")
    root.click("New role")
    root.fill("Name", "app")
    root.fill("Policies of its tokens", "app")
    root.click("Save")
    root.wait(lambda: console.heading == "app", "the role is shown")
    root.click("New secret id")
    root.click("Show the secret id")
    secret_id = root.script("return document.querySelector('.note code.value').innerText")
    role_id = tenant.root.get("auth/approle/role/app/role-id").data["role_id"]
    console.go("#/logins/userpass%2F/+", "New user")
    root.fill("Name", "ann")
    root.fill("Password", "correct-horse")
    root.fill("Policies of its tokens", "app")
    root.click("Save")
    root.wait(lambda: console.heading == "ann", "the user is shown")
    for how, fields in (
        ("User name and password", {"User name": "ann", "Password": "correct-horse"}),
        ("AppRole", {"Role id": role_id, "Secret id": secret_id}),
    ):
        root.open(f"{console.address}/ui/")
        root.choose("How", how)
        root.click("Vault and mount")
        root.fill("Vault", tenant.vault_id)
        for field, value in fields.items():
            root.fill(field, value)
        root.click("Sign in")
        root.find("Sign out")
        root.shows("app, default")
        root.click("Sign out")
        root.click("Sign out and revoke")
        root.shows("You are signed out, and the token is revoked.")
