"""`kms-cli`: keys, tokens and master keys made offline; checks and backups of the store; rewrap campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kms_actors import __version__
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.wire import TokenRefused
from kms_actors.cli.audit.commands import audit
from kms_actors.cli.biscuit.commands import (
    KEY_FILE,
    biscuit,
)
from kms_actors.cli.key_file import write_key_file
from kms_actors.cli.kubernetes.command import kubernetes
from kms_actors.cli.looking.client import look
from kms_actors.cli.looking.findings import show
from kms_actors.cli.master_key import master_key
from kms_actors.cli.migrate.command import migrate
from kms_actors.cli.rewrap.command import transit
from kms_actors.cli.store import commands as store_commands
from kms_actors.cli.tenants.commands import tenants
from kms_actors.errors import InvalidRequest


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
    """Make keys, tokens and master keys for Clever KMS; look after its store, its vaults and its audit logs.

    Only `doctor`, `kubernetes`, `migrate`, `tenants` and `transit` talk to servers.

    \b
    kms-cli keys
    kms-cli biscuit --addon-id kms-c1 --privilege cluster-operator
    kms-cli biscuit attenuate - --ttl 1h --path 'secret/data/app/*' < token
    kms-cli master-key create
    kms-cli store check --configuration kms.toml
    kms-cli backup --configuration kms.toml --output kms.backup
    kms-cli audit verify audit.log --device file
    kms-cli tenants list
    kms-cli doctor
    kms-cli transit rewrap --key orders ciphertexts.txt --output rewrapped.txt
    """  # noqa: D301  click keeps lines after \b


main.add_command(audit)
main.add_command(biscuit)
main.add_command(master_key)
main.add_command(transit)
main.add_command(tenants)
main.add_command(migrate)
main.add_command(kubernetes)
store_commands.register(main)


@main.command()
@click.option("--address", envvar="VAULT_ADDR", show_envvar=True, required=True, metavar="URL")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def doctor(*, address: str, as_json: bool) -> None:
    """Look at all that a client needs: address, TLS, clock, seal and token, as VAULT_* and ~/.vault-token have them.

    Nothing is changed. The exit code is 1 where something is wrong.
    """
    show(look(address), as_json=as_json)


@main.command()
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help=f"Key file.  [default: {KEY_FILE}]")
@click.option(
    "--namespace", metavar="NAME", help="The cluster's namespace: `biscuit` then knows what tokens may name."
)
@click.option("--show-private", is_flag=True, help="Print the private keys; without --output, write no file.")
def keys(*, output: Path | None, namespace: str | None, show_private: bool) -> None:
    """Make the root and service key pairs that sign tokens.

    Writes the private keys to a file that only you can read, never over another, and prints the public
    keys and the line for the nodes' configuration.
    """
    made = TokenKeys.generate()
    root, service = made.public
    if output is not None or not show_private:
        write_key_file(output or KEY_FILE, made, namespace)
        click.echo(f"Key file {output or KEY_FILE}")
    if show_private:
        click.echo(f"Root Private Key ed25519-private/{made.root.reveal().hex()}")
        click.echo(f"Service Private Key ed25519-private/{made.service.reveal().hex()}")
    click.echo(f"Root Public Key ed25519/{root}")
    click.echo(f"Service Public Key ed25519/{service}")
    click.echo(f'\n[authenticator.provider]\nkeys = [["{root}", "{service}"]]')
