"""Ceremonies in a browser: other shares and root tokens of a vault, with and without PGP keys; who may hold them."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from kms_actors.auth.build import attenuate
from tests.console.conftest import Console
from tests.support.api import Api
from tests.support.browser import Browser
from tests.support.node import wait_until
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer

_SECRETS = "return [...document.querySelectorAll('.secret code')].map((e) => e.innerText)"


@pytest.fixture
def window(window: Browser, tmp_path: Path) -> Browser:
    window.develop("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    return window


def give(window: Browser, share: str, told: str, button: str = "Give this share") -> None:
    window.fill("Share", share)
    window.click(button)
    window.shows(told)


def downloaded(window: Browser, folder: Path) -> list[str]:
    """Save the shares that are shown; return them."""
    window.click("Download all")
    file = folder / "shares.txt"
    wait_until(lambda: file.is_file() and file.stat().st_size > 0, "the shares are saved")
    found = [line.rsplit(": ", 1)[1] for line in file.read_text(encoding="utf-8").splitlines()]
    file.unlink()
    return found


def nonce_of(api: Api, path: str) -> str:
    return str(api.get(path).json["nonce"])


def test_operators_give_a_vault_other_shares_that_are_shown_to_be_kept(
    console: Console, tenant: Tenant, tmp_path: Path, issuer: Issuer
) -> None:
    assert tenant.root.token is not None
    window = console.sign_in(tenant.root.token)
    console.go("#/ceremonies", "Ceremonies")
    window.shows("3 shares of those that there are must be given for it.")
    window.fill("Shares", "2")
    window.fill("Needed to unseal", "2")
    window.click("Begin")
    window.shows("0 of 3 shares given.", "2 of 2 shares", nonce_of(tenant.root, "sys/rekey/init"))
    assert console.accessible() == []
    # Somebody else cancels it, and begins another one: what is given here does not count for that.
    tenant.root.call("DELETE", "sys/rekey/init")
    tenant.root.put("sys/rekey/init", {"secret_shares": 1, "secret_threshold": 1})
    window.fill("Share", tenant.shares[0])
    window.click("Give this share")
    window.wait(lambda: window.script("return document.querySelector('[role=alert]')?.innerText"), "it is refused")
    assert tenant.root.get("sys/rekey/init").json["progress"] == 0
    window.click("Look again")
    window.shows("1 of 1 shares")
    window.click("Cancel it")
    window.answer("Cancel it")
    window.shows("The ceremony is cancelled.")

    window.fill("Shares", "2")
    window.fill("Needed to unseal", "2")
    window.click("Begin")
    window.shows("0 of 3 shares given.")
    give(window, tenant.shares[0], "1 of 3 shares given.")
    # Another operator gives the second one, in another browser.
    nonce = nonce_of(tenant.root, "sys/rekey/init")
    assert tenant.operator.put("sys/rekey/update", {"key": tenant.shares[1], "nonce": nonce}).status == 200
    give(window, tenant.shares[2], "They do not hold yet, and the old ones do")
    assert set(window.script(_SECRETS)) == {"••••••••"}
    assert console.accessible() == []
    shares = downloaded(window, tmp_path)
    assert len(shares) == 2
    window.check("All of them are kept, each where it belongs.")
    window.click("Go on")
    window.shows("Give new shares back", "0 of 2 shares given.")
    give(window, shares[0], "1 of 2 shares given.")
    window.click("Give them anew")
    window.shows("0 of 2 shares given.")
    give(window, shares[1], "1 of 2 shares given.")
    give(window, shares[0], "The new shares hold from now on.")
    window.shows("2 shares of those that there are must be given for it.")
    assert not any(share in window.script("return document.documentElement.outerHTML") for share in shares)

    tenant.root.put("sys/seal")
    operator = Api(console.address, issuer.tenant_operator(tenant.vault_id))
    assert [operator.put("sys/unseal", {"key": share}).json["sealed"] for share in shares] == [True, False]


def test_shares_are_encrypted_to_pgp_keys_and_kept(console: Console, tenant: Tenant, tmp_path: Path) -> None:
    pysequoia: Any = pytest.importorskip("pysequoia")
    holders = [pysequoia.Tsk.generate(f"{name} <{name}@example.org>") for name in ("ann", "bob")]
    certificates = [holder.extract_certificate() for holder in holders]
    assert tenant.operator.token is not None
    window = console.sign_in(tenant.operator.token)
    console.go("#/ceremonies", "Ceremonies")
    window.fill("Shares", "2")
    window.fill("Needed to unseal", "2")
    window.click("Encrypt the shares")
    # One armored, as programs write it, the other one as the API takes it.
    window.fill("PGP public keys", f"{certificates[0]}\n{base64.b64encode(bytes(certificates[1])).decode()}\n")
    window.check("The server keeps the encrypted shares, too")
    window.check("New shares are given back before they hold")
    window.click("Begin")
    window.shows(*(certificate.fingerprint for certificate in certificates))
    for count in (1, 2):
        give(window, tenant.shares[count], f"{count} of 3 shares given.")
    give(window, tenant.shares[3], "They hold from now on")
    window.shows(certificates[1].fingerprint)
    for holder, encrypted in zip(holders, downloaded(window, tmp_path), strict=True):
        share = bytes(pysequoia.decrypt(base64.b64decode(encrypted), decryptor=holder.decryptor()).bytes)
        assert len(bytes.fromhex(share.decode())) == 33
    window.check("All of them are kept, each where it belongs.")
    window.click("Go on")
    window.shows("Encrypted shares that the server keeps", certificates[0].fingerprint)
    window.click("Forget them")
    window.answer("Forget them")
    window.wait(lambda: tenant.root.get("sys/rekey/backup").status == 400, "they are forgotten")


def test_a_root_token_is_made_by_shares_and_read_by_who_began_it(console: Console, tenant: Tenant) -> None:
    assert tenant.operator.token is not None
    window = console.sign_in(tenant.operator.token)
    console.go("#/ceremonies", "Ceremonies")
    window.click("Root token")
    window.click("Begin", "main button")
    window.shows("0 of 3 shares given.", "The password of this ceremony is shown this once.")
    assert console.accessible() == []
    for count in (1, 2):
        give(window, tenant.shares[count], f"{count} of 3 shares given.")
    give(window, tenant.shares[3], "The root token is made.")
    window.click("Show the root token")
    token = window.script(_SECRETS)[0]
    assert Api(console.address, token).get("auth/token/lookup-self").data["policies"] == ["root"]
    window.click("Hide it")
    window.wait(lambda: token not in window.script("return document.documentElement.outerHTML"), "it is gone")

    # Where somebody else gives the last share, he has the encoded token, and who began it has the password.
    window.click("Begin", "main button")
    window.click("Show the password")
    password = window.script(_SECRETS)[0]
    nonce = nonce_of(tenant.operator, "sys/generate-root/attempt")
    for share in tenant.shares[:3]:
        answer = tenant.operator.put("sys/generate-root/update", {"key": share, "nonce": nonce})
    window.fill("Encoded token", answer.json["encoded_token"][:-2])
    window.fill("Password", password)
    window.click("Decode")
    window.shows("do not belong together")
    window.fill("Encoded token", answer.json["encoded_token"])
    window.click("Decode")
    window.click("Show the decoded token")
    other = window.script(_SECRETS)[-1]
    assert Api(console.address, other).get("auth/token/lookup-self").status == 200
    window.click("Look again")
    window.click("Begin", "main button")
    window.click("Cancel it")
    window.answer("Cancel it")
    window.shows("The ceremony is cancelled.")
    assert not tenant.operator.get("sys/generate-root/attempt").json["started"]


def test_a_token_of_another_ceremony_is_not_read_by_the_password_of_this_one(
    console: Console, tenant: Tenant
) -> None:
    """The kind: somebody cancels a ceremony and begins his own; who began the first gives the last share of it."""
    assert tenant.operator.token is not None
    window = console.sign_in(tenant.operator.token)
    console.go("#/ceremonies", "Ceremonies")
    window.click("Root token")
    window.click("Begin", "main button")
    window.shows("The password of this ceremony is shown this once.")
    tenant.operator.delete("sys/generate-root/attempt")
    begun = tenant.operator.put("sys/generate-root/attempt", {}).json
    window.click("Look again")
    window.shows("which is not the one below", begun["nonce"])
    for count in (1, 2):
        give(window, tenant.shares[count], f"{count} of 3 shares given.")
    give(window, tenant.shares[3], "Encoded: give it to whoever began the ceremony, who has the password.")
    window.click("Show the encoded token")
    encoded = next(text for text in window.script(_SECRETS) if set(text) != {"•"})
    token = tenant.operator.post("sys/decode-token", {"encoded_token": encoded, "otp": begun["otp"]}).data["token"]
    assert Api(console.address, token).get("auth/token/lookup-self").data["policies"] == ["root"]


def test_operators_are_known_by_what_they_may_do(console: Console, tenant: Tenant, issuer: Issuer) -> None:
    """The kind: a name in a token's own words, or rules of a vault, make somebody the cluster's operator."""
    rules = (
        'path "sys/*" { capabilities = ["create", "read", "update", "list", "sudo"] }\n'
        'path "sys/internal/ui/mounts" { capabilities = ["deny"] }'
    )
    assert tenant.root.post("sys/policies/acl/much", {"policy": rules}).status == 204
    window = console.sign_in(issuer.tenant(tenant.vault_id, policies=["much", "default"]))
    assert {"Policies", "Mounts", "Quotas", "Ceremonies"} <= set(console.menu)
    assert not {"Tenants", "Nodes", "Identity"} & set(console.menu)
    console.go("#/ceremonies", "Ceremonies")
    window.shows("shares of the vault")
    narrowed = attenuate(issuer.cluster_operator(), now=time.time(), paths=["sys/seal", "sys/tenants*"])
    console.sign_in(narrowed)
    assert console.menu == ["Overview", "Tenants", "Seal"]
    window.shows("As an operator of the cluster")
    console.sign_in(issuer.cluster_operator())
    console.go("#/ceremonies", "Ceremonies")
    window.shows("shares of the cluster")
    assert not window.has("Root token")
    console.sign_in(issuer.tenant(tenant.vault_id))
    console.go("#/ceremonies", "Ceremonies")
    window.shows("This token may hold none.")
