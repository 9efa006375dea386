"""All pages, with each kind of token: usable by everybody, on any screen, whatever names and values are.

The kind: a name that becomes markup, a colour that nobody can read, a field without a label, a page wider than the
screen, a secret that shows before it is asked for.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.console.conftest import Console, manifest
from tests.support.browser import ARROW_RIGHT, ENTER, TAB
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer

VENDOR = Path(__file__).parent / "vendor"
#: Would run, or show as an element, if it were taken for markup.
MARKUP = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
NAME = "<img src=x onerror=window.hit=1>"

OF_VAULT = [
    ("#/", "Overview"),
    ("#/secrets", "Secrets"),
    ("#/secrets/secret%2F/", "secret/"),
    ("#/secrets/secret%2F/app/db", "db"),
    ("#/transit", "Transit keys"),
    ("#/transit/transit%2F", "transit/"),
    ("#/transit/transit%2F/orders", "orders"),
    ("#/transit/transit%2F/signing", "signing"),
    ("#/policies", "Policies"),
    ("#/policies/app", "app"),
    ("#/checker", "May it?"),
    ("#/tokens", "Tokens"),
    ("#/logins", "Logins and roles"),
    ("#/logins/approle%2F", "approle/"),
    ("#/logins/approle%2F/app", "app"),
    ("#/logins/userpass%2F/+", "New user"),
    ("#/identity/entities", "Identity"),
    ("#/identity/groups", "Identity"),
    ("#/identity/groups/+", "New group"),
    ("#/mounts", "Mounts"),
    ("#/mounts/engines/secret%2F", "secret/"),
    ("#/mounts/logins/userpass%2F", "userpass/"),
    ("#/quotas", "Quotas"),
    ("#/quotas/all", "all"),
    ("#/rotations", "Rotations"),
    ("#/audit", "Audit devices"),
    ("#/ceremonies", "Ceremonies"),
    ("#/seal", "Seal"),
    ("#/nonsense", "There is no such page"),
]
OF_CLUSTER = [
    ("#/", "Overview"),
    ("#/tenants", "Tenants"),
    ("#/tenants/+", "New tenant"),
    ("#/nodes", "Nodes"),
    ("#/rotations", "Rotations"),
    ("#/audit", "Audit devices"),
    ("#/ceremonies", "Ceremonies"),
    ("#/seal", "Seal"),
]


@pytest.fixture
def furnished(tenant: Tenant) -> Tenant:
    """A vault with something on every page."""
    for number in (1, 2):
        data = {"user": "orders", "password": f"passcode-{number}"}
        assert tenant.root.post("secret/data/app/db", {"data": data}).status == 200
    for key in ("orders", "signing"):
        kind = {"orders": "aes256-gcm96", "signing": "ed25519"}[key]
        assert tenant.root.post(f"transit/keys/{key}", {"type": kind, "auto_rotate_period": "24h"}).status == 200
    tenant.root.post("transit/encrypt/orders", {"plaintext": "aGk="})
    rule = 'path "secret/data/app/*" { capabilities = ["read"] }'
    assert tenant.root.post("sys/policies/acl/app", {"policy": rule}).status == 204
    for method in ("approle", "userpass"):
        assert tenant.root.post(f"sys/auth/{method}", {"type": method}).status == 204
    assert tenant.root.post("auth/approle/role/app", {"token_policies": "app"}).status == 204
    file = {"type": "file", "options": {"file_path": "audit.log"}}
    assert tenant.root.post("sys/audit/file", file).status == 204
    assert tenant.root.post("sys/quotas/rate-limit/all", {"rate": 100_000}).status == 204
    people(tenant, "ann", "staff")
    return tenant


def people(tenant: Tenant, name: str, group: str) -> tuple[str, str]:
    """Make an entity with a login, in a group; return the ids of both."""
    accessor = tenant.root.get("sys/auth").data["userpass/"]["accessor"]
    made = {"name": name, "metadata": {name: name}}
    entity = tenant.root.post("identity/entity", made).data["id"]
    alias = {"name": name, "mount_accessor": accessor, "canonical_id": entity}
    assert tenant.root.post("identity/entity-alias", alias).status == 200
    return entity, tenant.root.post("identity/group", {"name": group, "member_entity_ids": entity}).data["id"]


def walked(console: Console, places: list[tuple[str, str]], *, detail: bool) -> None:
    """Look at each page in light and dark, and in a narrow window."""
    window = console.window
    for place, heading in places:
        console.go(place, heading)
        assert console.accessible() == [], place
        window.colours("dark")
        assert console.accessible("color-contrast") == [], place
        window.colours("light")
        window.resize(320, 640)
        assert console.overflow() <= 0, place
        if place in ("#/", "#/tenants"):
            window.click("Menu")
            assert console.accessible() == [], place
        if detail and place.endswith("app/db"):
            for tab in ("Versions", "Metadata"):
                window.click(tab)
                assert console.accessible() == [], tab
                assert console.overflow() <= 0, tab
        window.resize(1280, 900)


def test_pages_of_a_vault_are_for_everybody(console: Console, furnished: Tenant) -> None:
    assert furnished.root.token is not None
    console.window.open(f"{console.address}/ui/")
    console.window.find("Sign in")
    assert console.accessible() == []
    console.sign_in(furnished.root.token)
    found = [
        (f"#/identity/{kind}/{furnished.root.get(f'identity/{one}/name/{name}').data['id']}", name)
        for kind, one, name in (("entities", "entity", "ann"), ("groups", "group", "staff"))
    ]
    walked(console, [*OF_VAULT, *found], detail=True)


def test_pages_of_the_cluster_are_for_everybody(console: Console, furnished: Tenant, issuer: Issuer) -> None:
    console.sign_in(issuer.cluster_operator())
    walked(console, [*OF_CLUSTER, (f"#/tenants/{furnished.vault_id}", furnished.vault_id)], detail=False)


def test_names_and_values_stay_text(console: Console, tenant: Tenant) -> None:
    """Whoever may write a name could else act as whoever looks at it."""
    root = tenant.root
    assert root.post(f"secret/data/{_quoted(NAME)}", {"data": {MARKUP: MARKUP}}).status == 200
    assert root.post(f"secret/data/{_quoted(NAME)}", {"data": {MARKUP: MARKUP + "2"}}).status == 200
    assert root.post(f"secret/metadata/{_quoted(NAME)}", {"custom_metadata": {NAME: MARKUP}}).status == 204
    assert root.post(f"sys/policies/acl/{_quoted(NAME)}", {"policy": f"# {MARKUP}"}).status == 204
    assert root.post("sys/mounts/evil", {"type": "kv", "description": MARKUP}).status == 204
    root.post("sys/auth/userpass", {"type": "userpass", "description": MARKUP})
    entity, group = people(tenant, NAME, NAME)
    made = root.post("auth/token/create", {"display_name": MARKUP, "meta": {"a": MARKUP}}).json["auth"]
    window = console.sign_in(made["client_token"])
    for place, heading in (
        ("#/", "Overview"),
        ("#/secrets", "Secrets"),
        ("#/secrets/secret%2F/", "secret/"),
        (f"#/secrets/secret%2F/{_quoted(NAME)}", NAME),
        ("#/policies", "Policies"),
        (f"#/policies/{_quoted(NAME)}", NAME),
        ("#/logins", "Logins and roles"),
        ("#/mounts", "Mounts"),
        ("#/mounts/engines/evil%2F", "evil/"),
        ("#/identity/entities", "Identity"),
        (f"#/identity/entities/{entity}", NAME),
        (f"#/identity/groups/{group}", NAME),
    ):
        console.go(place, heading)
        assert window.script("return document.querySelectorAll('main img, main script').length") == 0, place
    console.go(f"#/secrets/secret%2F/{_quoted(NAME)}", NAME)
    window.click("Show all values")
    window.shows(MARKUP)
    window.click("Versions")
    window.check("Mark version 1")
    window.check("Mark version 2")
    window.click("Compare two")
    window.click("Show all values")
    window.shows(MARKUP + "2")
    window.click("Metadata")
    window.shows(MARKUP)
    console.go("#/tokens", "Tokens")
    window.click("Look one up")
    window.fill("Accessor", made["accessor"])
    window.click("Look up")
    window.shows("a: " + MARKUP)
    for place in ("#/" + MARKUP, "#/secrets/" + MARKUP, "#/tenants/%ff", "#/%"):
        window.script("location.hash = arguments[0]", place)
    assert window.script("return window.hit ?? null") is None
    assert window.script("return document.querySelectorAll('main img, main script').length") == 0


def test_it_is_used_by_the_keyboard_alone(console: Console, furnished: Tenant) -> None:
    window = console.window
    assert furnished.root.token is not None
    window.open(f"{console.address}/ui/")
    window.find("Sign in")
    focused = "return document.activeElement.getAttribute('aria-label') || document.activeElement.innerText || ''"
    window.press(TAB, TAB)
    window.press(*furnished.root.token, ENTER)  # a root token is short: 28 keys
    window.find("Sign out")
    assert window.script(focused) == "Overview"  # the heading: what was said of the page before is over
    console.window.script("document.body.focus()")
    for _ in range(12):
        window.press(TAB)
        if window.script(focused) == "secret/":
            break
    window.press(ENTER)
    window.wait(lambda: console.heading == "secret/", "the mount is shown")
    console.go("#/secrets/secret%2F/app/db", "db")
    window.script("document.querySelector('[role=tab]').focus()")
    window.press(ARROW_RIGHT)
    window.shows("Compare two")
    assert window.script(focused) == "Versions"
    console.go("#/ceremonies", "Ceremonies")
    window.wait(lambda: window.script(focused) == "Ceremonies", "the heading is read")
    window.press(TAB, ARROW_RIGHT)
    window.shows("A root token may do everything in the vault")
    assert window.script(focused) == "Root token"
    window.press(TAB, TAB, TAB, ENTER)  # "Look again", "Encrypt the token", "Begin"
    window.shows("0 of 3 shares given.")


def test_colours_can_be_chosen(console: Console, furnished: Tenant) -> None:
    assert furnished.root.token is not None
    window = console.sign_in(furnished.root.token)
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = window.script(ground)
    window.click("Colours: Auto")
    window.click("Colours: Light")
    dark = window.script(ground)
    assert light != dark
    console.sign_in(furnished.root.token)
    assert window.script(ground) == dark
    window.click("Colours: Dark")
    assert window.script(ground) == light


def test_axe_is_as_it_was_released() -> None:
    (package,) = manifest(VENDOR)
    assert package["licence"] == "MPL-2.0"
    for name, of in package["files"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == of["sha256"]
    assert {*package["files"], "manifest.json"} == {path.name for path in VENDOR.iterdir()}


def _quoted(name: str) -> str:
    return name.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20").replace("=", "%3D")
