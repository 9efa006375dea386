"""Make what the demo cluster needs in `compose/run/`: token keys, one configuration a node, and tokens to use it.

Run with the project's environment: `.venv/bin/python compose/prepare.py`. Keys that are there are kept.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import click

from kms_actors.auth.build import Privilege, build_token
from kms_actors.auth.keys import TokenKeys
from kms_actors.cli.key_file import read_key_file, write_key_file

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / "compose" / "run"
NAMESPACE = "kms-c1"
VAULT_ID = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"


def token_keys(directory: Path) -> TokenKeys:
    """Return the demo's token keys, made at the first call."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "keys.toml"
    if not path.exists():
        write_key_file(path, TokenKeys.generate())
    return read_key_file(path)


def node_configuration(number: int, keys: TokenKeys) -> str:
    """Return `config/node-<number>.toml` with the demo's public keys in it."""
    text = (ROOT / "config" / f"node-{number}.toml").read_text(encoding="utf-8")
    root, service = keys.public
    return re.sub(r"^keys = .*$", f'keys = [["{root}", "{service}"]]', text, flags=re.MULTILINE)


def tokens(keys: TokenKeys) -> dict[Privilege, str]:
    """Return one token of each privilege, for the demo's cluster and its one vault."""
    return {
        privilege: build_token(
            keys.root,
            keys.service,
            NAMESPACE if privilege is Privilege.CLUSTER_OPERATOR else VAULT_ID,
            privilege,
            owner="orga_demo",
            now=time.time(),
        )
        for privilege in Privilege
    }


def main() -> None:
    """Write the files and print the tokens."""
    keys = token_keys(RUN)
    for number in (1, 2, 3):
        (RUN / f"node-{number}.toml").write_text(node_configuration(number, keys), encoding="utf-8")
    for privilege, token in tokens(keys).items():
        click.echo(f"{privilege} token:\n{token}\n")


if __name__ == "__main__":
    main()
