"""`kms-cli keys`: the key pairs that sign tokens."""

from __future__ import annotations

from pathlib import Path

import click

from kms_actors.auth.keys import TokenKeys
from kms_actors.cli.biscuit.commands import KEY_FILE
from kms_actors.cli.key_file import write_key_file
from kms_actors.cli.manners import tell, tells


@click.command()
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help=f"Key file.  [default: {KEY_FILE}]")
@click.option(
    "--namespace", metavar="NAME", help="The cluster's namespace: `biscuit` then knows what tokens may name."
)
@click.option("--show-private", is_flag=True, help="Print the private keys; without --output, write no file.")
@tells("Print the line of the nodes' configuration alone.")
def keys(*, output: Path | None, namespace: str | None, show_private: bool) -> None:
    """Make the root and service key pairs that sign tokens.

    Writes the private keys to a file that only you can read, never over another, and prints the public
    keys and the line for the nodes' configuration.
    """
    made = TokenKeys.generate()
    root, service = made.public
    data, lines = {"root_public_key": root, "service_public_key": service}, []
    if output is not None or not show_private:
        write_key_file(output or KEY_FILE, made, namespace)
        data["key_file"] = str(output or KEY_FILE)
        lines.append(f"Key file {output or KEY_FILE}")
    if show_private:
        data["root_private_key"], data["service_private_key"] = made.root.reveal().hex(), made.service.reveal().hex()
        lines.append(f"Root Private Key ed25519-private/{data['root_private_key']}")
        lines.append(f"Service Private Key ed25519-private/{data['service_private_key']}")
    lines += [f"Root Public Key ed25519/{root}", f"Service Public Key ed25519/{service}"]
    setting = f'keys = [["{root}", "{service}"]]'
    tell(data, "\n".join([*lines, "", "[authenticator.provider]", setting]), setting)
