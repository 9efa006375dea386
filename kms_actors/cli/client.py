"""`kms-cli`: keys, tokens and master keys made offline; checks and backups of the store; rewrap campaigns."""

from __future__ import annotations

from typing import Final

import click

from kms_actors import __version__
from kms_actors.cli.manners import Program

#: Where each command is; the order is that of their names.
_COMMANDS: Final = {
    "audit": "kms_actors.cli.audit.commands:audit",
    "backup": "kms_actors.cli.store.commands:backup",
    "biscuit": "kms_actors.cli.biscuit.commands:biscuit",
    "doctor": "kms_actors.cli.looking.client:doctor",
    "keys": "kms_actors.cli.biscuit.keys:keys",
    "kubernetes": "kms_actors.cli.kubernetes.command:kubernetes",
    "master-key": "kms_actors.cli.master_key:master_key",
    "migrate": "kms_actors.cli.migrate.command:migrate",
    "restore": "kms_actors.cli.store.commands:restore",
    "store": "kms_actors.cli.store.commands:store",
    "tenants": "kms_actors.cli.tenants.commands:tenants",
    "transit": "kms_actors.cli.rewrap.command:transit",
}


@click.group(cls=Program, later=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Make keys, tokens and master keys for Clever KMS; look after its store, its vaults and its audit logs.

    Only `audit`, `doctor`, `kubernetes`, `migrate`, `tenants` and `transit` talk to servers.

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
