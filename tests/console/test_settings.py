"""What a vault's operator sets: who people are, how often they may ask, and what mounts are like."""

from __future__ import annotations

import pytest

from tests.console.conftest import Console
from tests.support.browser import Browser
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer


@pytest.fixture
def root(console: Console, tenant: Tenant) -> Browser:
    assert tenant.root.token is not None
    return console.sign_in(tenant.root.token)


def test_people_are_entities_with_logins_in_groups(root: Browser, console: Console, tenant: Tenant) -> None:
    for path, kind in (("userpass", "userpass"), ("sso", "jwt")):
        assert tenant.root.post(f"sys/auth/{path}", {"type": kind}).status == 204
    console.sign_in(str(tenant.root.token))
    console.go("#/identity", "Identity")
    root.shows("None yet: logins make them.")
    root.click("New entity")
    root.fill("Name", "ann")
    root.fill("Policies", "reader, writer")
    root.fill("Metadata", "team=red\nno pair")
    root.click("Save")
    root.shows("Metadata has a line for each: name=value.")
    root.fill("Metadata", "team=red\nmail=a=b")
    root.click("Save")
    root.wait(lambda: console.heading == "ann", "the entity is shown")
    ann = tenant.root.get("identity/entity/name/ann").data
    assert (ann["policies"], ann["metadata"]) == (["reader", "writer"], {"team": "red", "mail": "a=b"})
    root.click("Add a login")
    root.choose("Mount", "userpass/")
    root.fill("Name there", "ann")
    root.click("Add")
    root.shows("The login is added.", "auth/userpass/")

    # Another one changes it meanwhile: nothing of that is lost.
    root.fill("Policies", "mine")
    tenant.root.post("identity/entity/name/ann", {"policies": ["theirs"]})
    root.click("Save")
    root.shows("Somebody has changed it meanwhile (policies)")
    assert tenant.root.get("identity/entity/name/ann").data["policies"] == ["theirs"]

    console.go("#/identity/groups", "Identity")
    root.click("New group")
    root.fill("Name", "staff")
    root.fill("Policies", "staff")
    root.fill("Member entities", "Ann\nnobody")
    root.click("Save")
    root.shows("There is no nobody.")
    root.fill("Member entities", "Ann")
    root.click("Save")
    root.wait(lambda: console.heading == "staff", "the group is shown")
    assert tenant.root.get("identity/group/name/staff").data["member_entity_ids"] == [ann["id"]]
    console.go("#/identity/groups/+", "New group")
    root.fill("Name", "oncall")
    root.choose("Members", "Are told by a provider at login")
    root.click("Save")
    root.wait(lambda: console.heading == "oncall", "the group is shown")
    root.click("Name it")
    root.choose("Mount", "sso/")
    root.fill("Name there", "kms-oncall")
    root.click("Add")
    root.shows("kms-oncall at auth/sso/")
    console.go(f"#/identity/entities/{ann['id']}", "ann")
    root.shows("staff")
    root.check("Disabled: its logins and tokens are of no use")
    root.fill("Policies", "")
    root.click("Save")
    root.shows("The entity is written.", "disabled")
    found = tenant.root.get("identity/entity/name/ann").data
    assert (found["disabled"], found["policies"]) == (True, [])
    root.click("Remove ann")
    root.answer("Remove")
    root.shows("The login is removed.")
    root.click("Delete")
    root.fill("Type ann to go on", "ann")
    root.answer("Delete")
    root.wait(lambda: tenant.root.get("identity/entity/name/ann").status == 404, "it is deleted")
    root.wait(lambda: console.heading == "Identity", "the list is shown")


def test_quotas_are_made_changed_and_lifted(root: Browser, console: Console, tenant: Tenant) -> None:
    console.go("#/quotas", "Quotas")
    root.click("New quota")
    root.fill("Name", "secrets")
    root.fill("Path", "secret/")
    root.fill("Requests", "500")
    root.fill("In so long", "1m")
    root.choose("Counted", "for all together")
    root.click("Save")
    root.wait(lambda: console.heading == "secrets", "the quota is shown")
    found = tenant.root.get("sys/quotas/rate-limit/secrets").data
    assert (found["path"], found["rate"], found["interval"], found["group_by"]) == ("secret/", 500, 60, "none")
    tenant.root.post("sys/quotas/rate-limit/secrets", {"path": "secret/", "rate": 400})
    root.fill("Requests", "600")
    root.click("Save")
    root.shows("Somebody has changed it meanwhile")
    console.go("#/quotas/+", "New quota")
    root.fill("Name", "secrets")
    root.fill("Requests", "1")
    root.click("Save")
    root.shows("There is one of this name already")
    console.go("#/quotas", "Quotas")
    root.shows("400 in a second", "for each address")
    root.check("Answers tell how much is left (X-Ratelimit-… headers)")
    root.click("Save")
    root.shows("The settings are written.")
    assert tenant.root.get("sys/quotas/config").data["enable_rate_limit_response_headers"] is True
    root.click("secrets")
    root.click("Delete")
    root.answer("Delete")
    root.wait(lambda: tenant.root.get("sys/quotas/rate-limit/secrets").status == 404, "it is lifted")


def test_mounts_are_tuned_moved_and_disabled(root: Browser, console: Console, tenant: Tenant) -> None:
    tenant.root.post("sys/mounts/team", {"type": "kv", "options": {"version": "2"}})
    tenant.root.post("sys/auth/userpass", {"type": "userpass"})
    tenant.root.post("team/data/a", {"data": {"v": "kept"}})
    console.sign_in(str(tenant.root.token))
    console.go("#/mounts", "Mounts")
    root.click("team/")
    root.fill("Description", "of the team")
    root.fill("Leases last", "20m")
    root.click("Save")
    root.shows("The settings are written.")
    tuned = tenant.root.get("sys/mounts/team/tune").data
    assert (tuned["description"], tuned["default_lease_ttl"]) == ("of the team", 1200)
    root.fill("New path", "crew")
    root.click("Move")
    root.wait(lambda: console.heading == "crew/", "it has moved")
    assert tenant.root.get("crew/data/a").data["data"] == {"v": "kept"}
    root.click("Disable")
    root.fill("Type crew/ to go on", "crew/")
    root.answer("Disable")
    root.wait(lambda: console.heading == "Mounts", "the list is shown")
    assert "crew/" not in tenant.root.get("sys/mounts").data
    root.click("userpass/")
    root.choose("Tokens of its logins", "batch")
    root.choose("Shown before a login", "to anybody")
    root.click("Save")
    root.shows("The settings are written.")
    tuned = tenant.root.get("sys/auth/userpass/tune").data
    assert (tuned["token_type"], tuned["listing_visibility"]) == ("batch", "unauth")
    console.go("#/mounts/logins/token%2F", "token/")
    assert not root.has("Disable")


def test_who_may_only_look_is_offered_nothing_else(console: Console, tenant: Tenant, issuer: Issuer) -> None:
    rules = "\n".join(
        f'path "{path}" {{ capabilities = ["read", "list"] }}'
        for path in ("identity/*", "sys/quotas/*", "sys/policies/acl", "sys/policies/acl/*")
    )
    assert tenant.root.post("sys/policies/acl/look", {"policy": rules}).status == 204
    entity = tenant.root.post("identity/entity", {"name": "ann"}).data["id"]
    group = tenant.root.post("identity/group", {"name": "staff", "member_entity_ids": entity}).data["id"]
    assert tenant.root.post("sys/quotas/rate-limit/all", {"rate": 100_000}).status == 204
    window = console.sign_in(issuer.tenant(tenant.vault_id, policies=["look", "default"]))
    assert console.menu == ["Overview", "Policies", "May it?", "Tokens", "Identity", "Quotas", "Seal"]
    for place, heading in (
        ("#/identity/entities", "Identity"),
        ("#/identity/groups", "Identity"),
        (f"#/identity/entities/{entity}", "ann"),
        (f"#/identity/groups/{group}", "staff"),
        ("#/quotas", "Quotas"),
        ("#/quotas/all", "all"),
        ("#/policies/look", "look"),
        ("#/mounts", "Mounts"),
    ):
        console.go(place, heading)
        buttons = window.script("return [...document.querySelectorAll('main .button')].map((e) => e.innerText)")
        assert buttons == [], place
