"""What a person may lose by the console, unseen: lines, digits, somebody else's version; a session that is over.

The kind: the page shows something less than what there is, and then writes what it shows.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.conftest import Console
from tests.support.browser import Browser
from tests.support.tenant import Tenant

_PEM = "-----BEGIN KEY-----\nAAAA\nBBBB\n-----END KEY-----\n"
_PASTE = """
const [field, text] = arguments;
field.focus(); field.select();
const data = new DataTransfer(); data.setData("text/plain", text);
const event = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
if (field.dispatchEvent(event)) document.execCommand("insertText", false, text);
"""
_FIELD = "input, textarea"
_CELLS = (
    "return [...document.querySelectorAll('tr.diff')].map((row) => [...row.children].map((e) => e.innerText.trim()))"
)


def lister(tenant: Tenant) -> Any:
    """Return a token that may list secrets, and see none."""
    rules = 'path "secret/metadata/*" { capabilities = ["list"] }'
    assert tenant.root.post("sys/policies/acl/lists", {"policy": rules}).status == 204
    return tenant.root.post("auth/token/create", {"policies": ["lists"], "ttl": "1h"}).json["auth"]


@pytest.fixture
def root(console: Console, tenant: Tenant) -> Browser:
    assert tenant.root.token is not None
    return console.sign_in(tenant.root.token)


def test_a_value_of_several_lines_keeps_them(root: Browser, console: Console, tenant: Tenant) -> None:
    console.go("#/secrets/secret%2F/", "secret/")
    root.click("New secret")
    root.fill("Name", "pem")
    root.fill("Name 1", "key")
    root.script(_PASTE, root.find("Value 1", _FIELD), _PEM)
    root.click("Add a field")
    root.fill("Name 2", "user")
    root.fill("Value 2", "a")
    root.click("Save")
    root.wait(lambda: console.heading == "pem", "the secret is shown")
    assert tenant.user.get("secret/data/pem").data["data"] == {"key": _PEM, "user": "a"}

    # It is hidden when it is edited, and changed only where it is seen.
    root.click("Edit")
    root.fill("Value 2", "b")
    assert "AAAA" not in root.script("return [...document.querySelectorAll('textarea')].map((e) => e.value).join()")
    root.script(_PASTE, root.find("Value 2", _FIELD), "one\ntwo")
    root.click("Show values")
    root.fill("Value 1", _PEM + "more")
    root.click("Save")
    root.shows("A new version is written.")
    assert tenant.user.get("secret/data/pem").data["data"] == {"key": _PEM + "more", "user": "one\ntwo"}


def test_the_version_that_is_seen_is_deleted_and_no_newer_one(
    root: Browser, console: Console, tenant: Tenant
) -> None:
    for text in ("first", "second"):
        tenant.user.post("secret/data/seen", {"data": {"a": text}})
    console.go("#/secrets/secret%2F/seen", "seen")
    root.click("Delete")
    root.shows("Delete version 2?")
    tenant.user.post("secret/data/seen", {"data": {"a": "of another"}})
    root.answer("Delete")
    root.wait(lambda: tenant.user.get("secret/data/seen?version=2").status == 404, "version 2 is deleted")
    assert tenant.user.get("secret/data/seen").data["data"] == {"a": "of another"}


def test_what_changes_its_type_alone_is_told_as_changed(root: Browser, console: Console, tenant: Tenant) -> None:
    for data in ({"port": 5432, "on": True, "same": 1}, {"port": "5432", "on": "true", "same": 1}):
        tenant.user.post("secret/data/types", {"data": data})
    console.go("#/secrets/secret%2F/types", "types")
    root.click("Versions")
    root.check("Mark version 1")
    root.check("Mark version 2")
    root.click("Compare two")
    root.shows("Version 1 and version 2")
    root.click("Show all values")
    assert root.script(_CELLS) == [
        ["on", "changed", "true", '"true"'],
        ["port", "changed", "5432", '"5432"'],
        ["same", "same", "1", "1"],
    ]


def test_digits_behind_the_point_are_not_rounded(root: Browser, console: Console, tenant: Tenant) -> None:
    tenant.user.post(
        "secret/data/exact", b'{"data": {"rate": 0.12345678901234567891, "plain": 1.50, "large": 1e300}}'
    )
    console.go("#/secrets/secret%2F/exact", "exact")
    root.shows("is shown rounded")
    tenant.user.post(
        "secret/data/fine", b'{"data": {"plain": 1.50, "large": 1.0E+3, "small": -0.25e-7, "none": 0.0}}'
    )
    console.go("#/secrets/secret%2F/fine", "fine")
    root.shows("Fields", "small")
    assert "is shown rounded" not in root.text
    root.click("Edit")
    root.fill("JSON", '{"rate": 0.12345678901234567891}')
    root.click("Save")
    root.shows("more digits than a browser keeps: write it by the API")


def test_a_token_that_is_revoked_elsewhere_signs_out(console: Console, tenant: Tenant) -> None:
    made = lister(tenant)
    window = console.sign_in(made["client_token"])
    tenant.root.post("auth/token/revoke-accessor", {"accessor": made["accessor"]})
    window.script("location.hash = '#/secrets/secret%2F/'")
    window.shows("You were signed out: the server no longer takes the token")
    window.find("Sign in")


def test_what_a_token_may_not_see_does_not_sign_it_out(console: Console, tenant: Tenant) -> None:
    window = console.sign_in(lister(tenant)["client_token"])
    console.go("#/secrets/secret%2F/any", "any")
    window.shows("This token may not see or do that here.", "Sign out")
