"""`kms-cli`: keys, tokens and master keys made offline; checks and backups of the store; rewrap campaigns."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import click

from kms_actors import __version__
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.wire import TokenRefused
from kms_actors.cli.biscuit.commands import (
    KEY_FILE,
    biscuit,
)
from kms_actors.cli.key_file import write_key_file
from kms_actors.cli.rewrap.command import transit
from kms_actors.cli.store import commands as store_commands
from kms_actors.errors import InvalidRequest
from kms_actors.keyring.check_value import key_check_value
from kms_actors.keyring.seal import validate_counts
from kms_actors.keyring.shamir import SECRET_LENGTH, encode_share, split
from kms_actors.secret import SecretBytes


class _Commands(click.Group):
    """Turns the service's errors into exit codes: 2 for wrong input, 1 for what fails."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InvalidRequest as error:
            raise click.UsageError(str(error)) from None
        except TokenRefused as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Make keys, tokens and master keys for Clever KMS; look after its store. Only `transit` talks to a server.

    \b
    kms-cli keys
    kms-cli biscuit --addon-id kms-c1 --privilege cluster-operator
    kms-cli biscuit attenuate - --ttl 1h --path 'secret/data/app/*' < token
    kms-cli master-key create
    kms-cli store check --configuration kms.toml
    kms-cli backup --configuration kms.toml --output kms.backup
    kms-cli transit rewrap --key orders ciphertexts.txt --output rewrapped.txt
    """  # noqa: D301  click keeps lines after \b


main.add_command(biscuit)
main.add_command(transit)
store_commands.register(main)


@main.command()
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help=f"Key file.  [default: {KEY_FILE}]")
@click.option("--show-private", is_flag=True, help="Print the private keys; without --output, write no file.")
def keys(*, output: Path | None, show_private: bool) -> None:
    """Make the root and service key pairs that sign tokens.

    Writes the private keys to a file that only you can read, never over another, and prints the public
    keys and the line for the nodes' configuration.
    """
    made = TokenKeys.generate()
    root, service = made.public
    if output is not None or not show_private:
        write_key_file(output or KEY_FILE, made)
        click.echo(f"Key file {output or KEY_FILE}")
    if show_private:
        click.echo(f"Root Private Key ed25519-private/{made.root.reveal().hex()}")
        click.echo(f"Service Private Key ed25519-private/{made.service.reveal().hex()}")
    click.echo(f"Root Public Key ed25519/{root}")
    click.echo(f"Service Public Key ed25519/{service}")
    click.echo(f'\n[authenticator.provider]\nkeys = [["{root}", "{service}"]]')


@main.group("master-key")
def master_key() -> None:
    """The key of a cluster, from which everything else is unsealed."""


@master_key.command()
@click.option("--key-shares", type=int, default=5, show_default=True)
@click.option("--key-threshold", type=int, default=3, show_default=True)
def create(*, key_shares: int, key_threshold: int) -> None:
    """Make a master key in shares, and the value that nodes know it by.

    Give each share to another person; `vault operator unseal` takes them. With the key check value in
    its configuration, a new cluster is initialised for this key, and `vault operator init` returns no shares.
    """
    validate_counts(key_shares, key_threshold)
    key = SecretBytes(secrets.token_bytes(SECRET_LENGTH))
    for number, share in enumerate(split(key, key_shares, key_threshold), start=1):
        click.echo(f"Unseal Key {number}: {encode_share(share)}")
    check_value = key_check_value(key)
    click.echo(f"Key Check Value: {check_value}")
    click.echo(f'\n[master_keyring_provider]\nname = "shamir"\nkey_check_value = "{check_value}"')
