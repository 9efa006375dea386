"""docs/operator-keys.md as an operator types it: each command works, in order, with both command lines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.vault_cli import find_vault
from tests.support.api import Api, initialise, unseal
from tests.support.documents import commands
from tests.support.node import NewNode
from tests.support.reference import find_bao
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

PAGE = Path(__file__).parents[2] / "docs" / "operator-keys.md"


@pytest.mark.parametrize("program", ["vault", "bao"])
def test_every_command_works(new_node: NewNode, issuer: Issuer, tmp_path: Path, program: str) -> None:
    node = new_node()
    cluster = Api(node.address, issuer.cluster_operator())
    made = initialise(cluster)
    unseal(cluster, made["keys_base64"])
    tenant = make_tenant(node, issuer)
    for number in range(30):
        tenant.user.post(f"secret/data/n{number}", {"data": {"n": number}})
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "vault").symlink_to(find_vault() if program == "vault" else find_bao())
    (home / ".vault-token").write_text(tenant.operator.token or "")
    shutil.copy(node.directory / "node.toml", home)
    (script,) = commands(PAGE.read_text(encoding="utf-8"), PAGE.name).shells
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=home,
        env={
            **os.environ,
            "HOME": str(home),
            "PATH": f"{home / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "VAULT_ADDR": node.address,
            "SHARES": " ".join(tenant.shares[:3]),
            "CLUSTER_SHARES": " ".join(made["keys_base64"][:3]),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    token = re.findall(r"hvs\.[0-9A-Za-z]{24}", done.stdout)[-1]
    assert tenant.operator.with_token(token).get("auth/token/lookup-self").data["policies"] == ["root"]
    assert tenant.operator.get("sys/key-status").data["term"] == 2
    assert tenant.operator.get("sys/rotate/config").data["interval"] == "2160h0m0s"
    assert tenant.operator.get("sys/seal-status").json["t"] == 2
    assert int(re.findall(r"^(\d+) records sealed anew$", done.stdout, re.MULTILINE)[0]) >= 30
    assert tenant.user.get("secret/data/n7").data["data"] == {"n": 7}
