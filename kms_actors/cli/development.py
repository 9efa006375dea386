"""Development mode: a node on the embedded store that is ready at once.

Everything lies in one directory (0700): token keys, master key, the vault's share, store. A second start finds and
uses them.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import click

from kms_actors import config
from kms_actors.actors.node.service import NodeService
from kms_actors.auth.build import Privilege, build_token
from kms_actors.auth.keys import TokenKeys
from kms_actors.cli.key_file import read_key_file, write_key_file
from kms_actors.cli.private_file import create_private, replace_private
from kms_actors.errors import InvalidShares
from kms_actors.keyring.shamir import encode_share, parse_share
from kms_actors.messages import (
    Initialize,
    ReadSealStatus,
    Unseal,
)

VAULT_ID = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"
_OWNER = "orga_development"


@dataclass(frozen=True, slots=True)
class Development:
    """A configuration with its keys at hand."""

    configuration: config.Configuration
    keys: TokenKeys
    directory: Path

    @classmethod
    def prepare(cls, path: Path, directory: Path) -> Development:
        """Read the file, and put keys, master key and store of `directory` in place of what it names."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = _token_keys(directory / "keys.toml")
        tree = config.read(path)
        tree.setdefault("cluster", {}).update(backend="sqlite", path=str(directory / "kms.sqlite"))
        tree.setdefault("master_keyring_provider", {}).update(name="static", key_file=str(_master_key(directory)))
        tree.setdefault("tenants", {}).setdefault("default_vault", VAULT_ID)
        tree.setdefault("ui", True)
        tree.setdefault("authenticator", {}).setdefault("provider", {}).update(keys=[list(keys.public)])
        return cls(config.check(tree, path), keys, directory)

    async def ready(self, service: NodeService) -> None:
        """Unseal one vault, made at the first start, write tokens, and print how to use it."""
        tenant = await service.tenant(VAULT_ID)
        if tenant.sealed:
            status = await tenant.ask(ReadSealStatus())
            if not status.initialized:
                made = await tenant.ask(Initialize(1, 1))
                replace_private(self._unseal_key, encode_share(made.shares[0]) + "\n")
            if status.sealed and self._unseal_key.exists():
                with contextlib.suppress(InvalidShares):  # it has been given other shares since
                    share = parse_share(self._unseal_key.read_text(encoding="utf-8").strip())
                    status = await tenant.ask(Unseal(share))
            if status.sealed:
                click.echo(_SEALED.format(vault=VAULT_ID, key=self._unseal_key, directory=self.directory))
        click.echo(self._welcome())

    @property
    def _unseal_key(self) -> Path:
        return self.directory / "unseal.key"

    def _welcome(self) -> str:
        tokens = {
            privilege: build_token(
                self.keys.root,
                self.keys.service,
                self.configuration.master_keyring_provider.namespace
                if privilege is Privilege.CLUSTER_OPERATOR
                else VAULT_ID,
                privilege,
                owner=_OWNER,
                now=time.time(),
            )
            for privilege in Privilege
        }
        for privilege, token in tokens.items():
            replace_private(self.directory / f"{privilege.value}.token", token + "\n")
        listeners = [listener for _, listener in self.configuration.keyed_listeners]
        address = listeners[0].address
        pages = [each.address for each in listeners if each.unix is None and self.configuration.console_at(each)]
        return _WELCOME.format(
            address=address,
            vault=VAULT_ID,
            cluster_operator=tokens[Privilege.CLUSTER_OPERATOR],
            tenant_operator=tokens[Privilege.TENANT_OPERATOR],
            tenant=tokens[Privilege.TENANT],
            directory=self.directory,
            console=f" The console takes them: {pages[0]}/ui/" if pages else "",
        )


_SEALED = """
{vault} is sealed, and {key} does not open it: unseal it with its shares, or remove {directory} to begin anew."""

_WELCOME = """
Development mode: all keys are in files of {directory}. Do not keep anything here that matters.

Cluster operator's token:
{cluster_operator}

Tenant operator's token, for {vault}:
{tenant_operator}

Tenant's token, for {vault}:
{tenant}

They are in {directory}/*.token, too, and the vault's unseal key in {directory}/unseal.key.{console}

With the vault command line, in another terminal:
  export VAULT_ADDR={address}
  export VAULT_TOKEN=$(cat {directory}/tenant.token)
  vault kv put -mount=secret creds passcode=my-long-passcode
  vault kv get -mount=secret creds
  vault write -f transit/keys/orders
  vault write transit/encrypt/orders plaintext=$(base64 <<<hello)

With curl:
  curl -H "X-Vault-Token: $VAULT_TOKEN" -d '{{"data": {{"passcode": "x"}}}}' $VAULT_ADDR/v1/secret/data/creds
  curl -H "X-Vault-Token: $VAULT_TOKEN" $VAULT_ADDR/v1/secret/data/creds
"""


def _token_keys(path: Path) -> TokenKeys:
    if not path.exists():
        write_key_file(path, TokenKeys.generate())
    return read_key_file(path)


def _master_key(directory: Path) -> Path:
    path = directory / "master.key"
    if not path.exists():
        create_private(path, os.urandom(32).hex() + "\n")
    return path
