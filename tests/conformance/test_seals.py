"""Nodes whose master key somebody keeps, as processes: a file, the reference, another node, an HSM.

They unseal themselves, after an outage, too; and the key changes hands by the real command lines.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from pathlib import Path

import pytest

from tests.conformance.keepers import (
    KEEPERS,
    SECRET,
    NewKeeper,
    assert_serves,
    bao,
    command_line,
    configure,
    initialise_kept,
    keep,
    kept_node,
    operator_of,
    server,
    status_of,
    type_in,
)
from tests.conformance.vault_cli import VaultCli
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, wait_until
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

__all__ = ["bao", "command_line", "keep", "kept_node", "server"]


@pytest.mark.parametrize("name", KEEPERS)
def test_a_node_unseals_itself_at_its_start_and_after_an_outage(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, name: str
) -> None:
    keeper, node = keep(name), kept_node
    configure(node, keeper.name, keeper)
    node.start()
    shares = initialise_kept(node, issuer, keeper)
    found = status_of(node)
    expected = {"type": keeper.name, "sealed": False, "recovery_seal": True, "recovery_seal_type": "shamir"}
    assert {key: found[key] for key in expected} == expected
    assert (found["n"], found["t"]) == ((3, 2) if shares else (0, 0))
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/app", SECRET).status == 200

    node.kill()
    node.start()
    assert not status_of(node)["sealed"]
    assert_serves(tenant)
    node.stop()

    keeper.away()
    if keeper.name != "static":  # without its file a node does not start at all, and says which
        node.start()
        sealed = status_of(node)
        assert (sealed["sealed"], sealed["initialized"], sealed["type"]) == (True, True, keeper.name)
        assert tenant.user.get("secret/data/app").status == 503
        assert Api(node.address).get("sys/health").status == 503
        wait_until(lambda: "not unsealed; this is tried again" in node.log, "the log says that it is tried again")
    keeper.back()
    if keeper.name == "static":
        node.start()
    wait_until(lambda: not status_of(node)["sealed"], "the node unseals itself")
    assert_serves(tenant)

    keeper.away()  # whoever is unsealed needs nobody
    assert_serves(tenant)
    keeper.back()
    node.stop()
    assert keeper.secret not in node.log


@pytest.mark.parametrize("name", KEEPERS[1:])
def test_a_rotated_key_of_the_keeper_wraps_the_master_key_from_the_next_start_on(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, name: str
) -> None:
    keeper, node = keep(name), kept_node
    configure(node, keeper.name, keeper)
    node.start()
    initialise_kept(node, issuer, keeper)
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/app", SECRET).status == 200
    node.stop()
    keeper.rotate()
    configure(node, keeper.name, keeper, rotated=True)
    for _ in range(2):
        node.start()
        assert_serves(tenant)
        node.stop()
    assert node.log.count("the master key is wrapped by a newer key") == 1
    assert keeper.key_ids[1] in node.log


@pytest.mark.parametrize("name", KEEPERS[1:])
def test_the_master_key_changes_hands_by_the_command_line_and_back(
    *, kept_node: Node, issuer: Issuer, keep: NewKeeper, tmp_path: Path, name: str, command_line: Path
) -> None:
    keeper, node = keep(name), kept_node
    node.start()
    operator = operator_of(node, issuer)
    shares = initialise(operator)["keys_base64"]
    unseal(operator, shares)
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/app", SECRET).status == 200
    vault = VaultCli(command_line, node.address, tmp_path)
    vault.login(issuer.cluster_operator())
    assert vault("status").table["Seal Type"] == "n/a"
    for before, after in (("shamir", keeper.name), (keeper.name, "shamir")):
        node.stop()
        configure(node, after, keeper, migrate_from=before)
        node.start()
        table = vault("status", code=2).table
        assert (type_in(table), table["Sealed"]) == (before, "true")
        assert table["Seal Migration in Progress"] == "true"
        refused = vault("operator", "unseal", shares[0], code=2).err
        assert "migrate option not provided and seal migration is pending" in refused
        for number, share in enumerate(shares[:3], start=1):
            table = vault("operator", "unseal", "-migrate", share).table
            assert table["Sealed"] == ("true" if number < 3 else "false")
        assert "Seal Migration in Progress" not in table
        assert type_in(table) == after
        assert table["Total Recovery Shares" if after != "shamir" else "Total Shares"] == "5"
        assert_serves(tenant)

        node.stop()
        configure(node, after, *([keeper] if after != "shamir" else []))
        node.start()
        if after == "shamir":
            assert vault("status", code=2).table["Sealed"] == "true"
            unseal(operator, shares[2:])
        assert_serves(tenant)


def test_a_node_that_is_killed_while_the_key_changes_hands_leaves_a_store_that_opens(
    kept_node: Node, issuer: Issuer, keep: NewKeeper
) -> None:
    keeper, node, chance = keep("static"), kept_node, random.Random(5)
    node.settings = "workers = 1"
    node.start()
    operator = operator_of(node, issuer)
    shares = initialise(operator, 1, 1)["keys_base64"]
    unseal(operator, shares)
    tenant = make_tenant(node, issuer)
    assert tenant.user.post("secret/data/app", SECRET).status == 200
    kept_by = "shamir"
    for _ in range(6):
        node.kill()
        after = keeper.name if kept_by == "shamir" else "shamir"
        configure(node, after, keeper, migrate_from=kept_by)
        node.start()
        assert status_of(node)["migration"] is True
        giving = threading.Thread(target=_give, args=(operator, shares[0]), daemon=True)
        giving.start()
        time.sleep(chance.uniform(0, 0.04))
        node.kill()
        giving.join(30)
        node.start()
        found = status_of(node)
        type_found = "shamir" if found["type"] == "n/a" else found["type"]
        assert type_found == (kept_by if found["migration"] else after)
        if found["sealed"]:
            answer = operator.put("sys/unseal", {"key": shares[0], "migrate": found["migration"]})
            assert answer.json["sealed"] is False, answer.body
        kept_by = after
        assert_serves(tenant)


def _give(operator: Api, share: str) -> None:
    with contextlib.suppress(OSError):
        operator.put("sys/unseal", {"key": share, "migrate": True})
