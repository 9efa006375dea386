"""Recovery shares by the real command lines: what they are given for, and what they are not.

They allow what no single operator may do; see `docs/seals.md`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kms_actors.keyring import shamir
from kms_actors.keyring.shamir import encode_share
from kms_actors.secret import SecretBytes
from tests.conformance.keepers import (
    NewKeeper,
    bao,
    command_line,
    configure,
    initialise_kept,
    keep,
    kept_node,
    operator_of,
    server,
    type_in,
)
from tests.conformance.vault_cli import Outcome, VaultCli
from tests.support.node import Node
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

__all__ = ["bao", "command_line", "keep", "kept_node", "server"]


def test_init_by_the_command_line_gives_recovery_keys(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, tmp_path: Path, command_line: Path
) -> None:
    keeper, node = keep("transit of a node"), kept_node
    configure(node, keeper.name, keeper)
    node.start()
    vault = VaultCli(command_line, node.address, tmp_path)
    vault.login(issuer.cluster_operator())
    made = vault("operator", "init", "-recovery-shares=3", "-recovery-threshold=2").out
    keys = [line.rpartition(" ")[2] for line in made.splitlines() if line.startswith("Recovery Key ")]
    assert len(keys) == 3
    assert "Recovery key initialized with 3 key shares and a key threshold of 2" in made
    table = vault("status").table
    assert (type_in(table), table["Total Recovery Shares"], table["Sealed"]) == ("transit", "3", "false")
    vault("operator", "seal")
    assert vault("status", code=2).table["Sealed"] == "true"
    assert vault("operator", "unseal", keys[0]).table["Unseal Progress"] == "1/2"
    assert vault("operator", "unseal", keys[2]).table["Sealed"] == "false"


def test_recovery_keys_are_changed_by_the_command_line(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, tmp_path: Path, command_line: Path
) -> None:
    keeper, node = keep("static"), kept_node
    configure(node, "static", keeper)
    node.start()
    wanted = {"secret_shares": 3, "secret_threshold": 2}
    operator = operator_of(node, issuer)
    made = operator.post("sys/rotate/recovery/init", wanted).data
    keys = made["keys_base64"]
    assert (made["complete"], len(keys)) == (True, 3)
    vault = VaultCli(command_line, node.address, tmp_path)
    vault.login(issuer.cluster_operator())
    command = ("operator", "rotate-keys" if command_line.name == "bao" else "rekey")

    def begin() -> str:
        return vault(*command, "-init", "-target=recovery", "-key-shares=1", "-key-threshold=1").table["Nonce"]

    def give(nonce: str, key: str, code: int = 0) -> Outcome:
        return vault(*command, "-target=recovery", f"-nonce={nonce}", key, code=code)

    nonce = begin()
    assert give(nonce, keys[0]).table["Rekey Progress" if command[1] == "rekey" else "Progress"] == "1/2"
    assert "incorrect nonce supplied" in give("another", keys[1], code=2).err
    vault(*command, "-cancel", "-target=recovery")
    assert "is in progress" in " ".join(give(nonce, keys[1], code=1).err.split())  # none is
    nonce = begin()
    give(nonce, keys[0])
    foreign = encode_share(shamir.split(SecretBytes(bytes(32)), 3, 2)[1])
    assert "the shares do not give the key" in give(nonce, foreign, code=2).err
    give(nonce, keys[0])
    (new,) = re.findall(r"^Key 1: (\S+)$", give(nonce, keys[2]).out, re.MULTILINE)
    vault("operator", "seal")
    assert "the shares do not give the key" in vault("operator", "unseal", keys[0], code=2).err
    assert vault("operator", "unseal", new).table["Sealed"] == "false"


def test_a_root_token_of_a_vault_takes_its_own_shares_whoever_keeps_the_master_key(
    kept_node: Node, issuer: Issuer, keep: NewKeeper, tmp_path: Path, command_line: Path
) -> None:
    """Recovery shares are the cluster's, which has no root token; they give none of a vault either."""
    keeper, node = keep("transit of a node"), kept_node
    configure(node, keeper.name, keeper)
    node.start()
    recovery = initialise_kept(node, issuer, keeper)
    tenant = make_tenant(node, issuer)
    vault = VaultCli(command_line, node.address, tmp_path)
    vault.login(issuer.cluster_operator())
    generate = ("operator", "generate-root")
    assert "a cluster has no root token" in vault(*generate, "-init", code=2).err

    (tmp_path / ".vault-token").write_text(str(tenant.operator.token))
    otp = vault(*generate, "-generate-otp").out.strip()
    nonce = told(vault(*generate, "-init", f"-otp={otp}", "-format=json"))["nonce"]

    def give(share: str, code: int = 0, nonce: str = nonce) -> Outcome:
        return vault(*generate, f"-nonce={nonce}", "-format=json", share, code=code)

    for share in recovery[:2]:
        give(share)
    assert "the shares do not give the key" in give(tenant.shares[0], code=2).err
    give(tenant.shares[0])
    node.kill()  # what was given is in the store: any process goes on
    node.start()
    assert "incorrect nonce" in give(tenant.shares[1], 2, "another").err
    assert told(give(tenant.shares[1]))["progress"] == 2
    encoded = told(give(tenant.shares[4]))["encoded_token"]
    token = vault(*generate, f"-decode={encoded}", f"-otp={otp}").out.strip()
    assert tenant.user.with_token(token).get("auth/token/lookup-self").data["policies"] == ["root"]
    vault(*generate, "-init")
    vault(*generate, "-cancel")
    assert told(vault(*generate, "-status", "-format=json"))["started"] is False


def told(outcome: Outcome) -> Any:
    """Return what a command has printed as JSON."""
    printed = json.loads(outcome.out)
    return printed.get("data") or printed
