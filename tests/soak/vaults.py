"""The vaults of a long run: some that were made over the API, so that their shares are known, and many others."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.api import Api, initialise, unseal
from tests.support.node import Node
from tests.support.tokens import Issuer, new_vault_id


@dataclass(frozen=True)
class Vault:
    """One vault. `shares` are empty where they are not known."""

    id: str
    token: str = field(repr=False)
    operator: str = field(default="", repr=False)
    root: str = field(default="", repr=False)
    shares: tuple[str, ...] = field(default=(), repr=False)


def new_vault(node: Node, issuer: Issuer) -> Vault:
    """Make a vault, unsealed."""
    vault_id = new_vault_id()
    operator = Api(node.address, issuer.tenant_operator(vault_id))
    made = initialise(operator, 1, 1)
    shares = tuple(made["keys_base64"])
    unseal(operator, shares)
    return Vault(vault_id, issuer.tenant(vault_id), operator.token or "", made["root_token"], shares)


def prepared(node: Node, vault: Vault) -> Vault:
    """Give a vault the key that clients encrypt by."""
    answer = Api(node.address, vault.token).post("transit/keys/soak", {})
    assert answer.status in {200, 204}, (answer.status, answer.body)
    return vault
