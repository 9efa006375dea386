"""From an empty store to an unsealed vault, in a browser alone; and back."""

from __future__ import annotations

from pathlib import Path

from tests.console.conftest import Console, NewNode
from tests.support.api import Api, sealed
from tests.support.browser import Browser
from tests.support.node import wait_until
from tests.support.tokens import Issuer, new_vault_id

_SHARES = "return [...document.querySelectorAll('.shares code')].map((e) => e.innerText)"


def taken_shares(window: Browser, count: int) -> list[str]:
    """Show all shares, and return them."""
    assert set(window.script(_SHARES)) == {"••••••••"}
    for number in range(1, count + 1):
        window.click(f"Show share {number}")
    found: list[str] = window.script(_SHARES)
    assert len(set(found)) == count
    return found


def test_cluster_and_vault_are_initialised_unsealed_and_sealed(
    window: Browser, new_node: NewNode, issuer: Issuer, tmp_path: Path
) -> None:
    node = new_node()
    console = Console(window, node.address)
    operator = Api(node.address, issuer.cluster_operator())

    window.open(f"{node.address}/")
    window.shows("This node is not initialised")
    console.sign_in(issuer.cluster_operator())
    console.go("#/seal", "Seal")
    window.fill("Shares", "3")
    window.fill("Needed to unseal", "2")
    window.click("Initialise")
    window.shows("Shares of the cluster", "They are shown this once")
    assert console.accessible() == []
    shares = taken_shares(window, 3)
    assert window.script(
        "return [...document.querySelectorAll('button')].find((e) => e.innerText === 'Go on').disabled"
    )
    window.develop("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    window.click("Download all")
    file = tmp_path / "shares.txt"
    wait_until(lambda: file.is_file() and file.stat().st_size > 0, "the shares are saved")
    assert file.read_text(encoding="utf-8") == "".join(
        f"Unseal Key {number}: {share}\n" for number, share in enumerate(shares, 1)
    )
    window.check("All of them are kept, each where it belongs.")
    window.click("Go on")
    window.shows("0 of 2 shares given.")
    assert not any(share in window.script("return document.documentElement.outerHTML") for share in shares)

    window.fill("Share", shares[0])
    window.click("Give this share")
    window.shows("1 of 2 shares given.")
    assert console.accessible() == []
    window.click("Begin anew")
    window.shows("0 of 2 shares given.")
    window.fill("Share", shares[2])
    window.click("Give this share")
    window.shows("1 of 2 shares given.")
    window.fill("Share", shares[1])
    window.click("Give this share")
    window.shows("2 of 3 unseal", "Unsealed")
    assert not sealed(operator)

    console.go("#/ceremonies", "Ceremonies")
    window.shows("2 shares of those that there are must be given for it.")
    window.fill("Shares", "1")
    window.fill("Needed to unseal", "1")
    window.check("New shares are given back before they hold")
    window.click("Begin", "main button")
    for share, told in ((shares[1], "1 of 2 shares given."), (shares[2], "They hold from now on")):
        window.fill("Share", share)
        window.click("Give this share")
        window.shows(told)
    (only,) = taken_shares(window, 1)
    assert operator.put("sys/seal").status == 204
    assert not operator.put("sys/unseal", {"key": only}).json["sealed"]

    vault_id = new_vault_id()
    console.sign_in(issuer.tenant_operator(vault_id))
    console.go("#/seal", "Seal")
    window.fill("Shares", "1")
    window.fill("Needed to unseal", "1")
    window.click("Initialise")
    window.shows("Shares of the vault", "Initial root token")
    (share,) = taken_shares(window, 1)
    window.click("Show the root token")
    root = window.script("return [...document.querySelectorAll('code')].at(-1).innerText")
    window.check("All of them are kept, each where it belongs.")
    window.click("Go on")
    window.fill("Share", "not a share")
    window.click("Give this share")
    window.wait(lambda: window.script("return document.querySelector('[role=alert]')?.innerText"), "it is refused")
    window.fill("Share", share)
    window.click("Give this share")
    window.shows("It is unsealed.")
    assert Api(node.address, root).get("auth/token/lookup-self").data["policies"] == ["root"]

    window.click("Seal", "main button")
    window.shows("Seal the vault?")
    window.answer("Seal")
    window.shows("0 of 1 shares given.")
    assert sealed(Api(node.address, issuer.tenant_operator(vault_id)))
    console.sign_in(issuer.tenant(vault_id))
    console.go("#/seal", "Seal")
    console.sign_in(issuer.cluster_operator())
    console.go("#/tenants", "Tenants")
    window.shows(vault_id, "sealed")


def test_a_cluster_whose_key_is_kept_elsewhere_gets_recovery_shares(
    window: Browser, new_node: NewNode, issuer: Issuer
) -> None:
    node = new_node(kept=True)
    console = Console(window, node.address)
    console.sign_in(issuer.cluster_operator())
    console.go("#/ceremonies", "Ceremonies")
    window.shows("There are no recovery shares yet, and they are made at once.")
    given: list[str] = []
    for told in ("New shares", "They hold from now on"):
        window.fill("Shares", "2")
        window.fill("Needed together", "2")
        if given:
            window.check("New shares are given back before they hold")
        window.click("Begin", "main button")
        for count, share in enumerate(given, 1):
            window.shows(f"{count - 1} of 2 shares given.")
            window.fill("Share", share)
            window.click("Give this share")
        window.shows(told, "Who has enough of them")
        given = taken_shares(window, 2)
        window.check("All of them are kept, each where it belongs.")
        window.click("Go on")
        window.shows("2 shares of those that there are must be given for it.")
