"""A tenant of a node, initialised and unsealed over HTTP."""

from __future__ import annotations

from typing import NamedTuple

from tests.support.api import Api, initialise, unseal
from tests.support.node import Node
from tests.support.tokens import Issuer, new_vault_id


class Tenant(NamedTuple):
    """An initialised, unsealed vault of its own, and callers of it."""

    vault_id: str
    operator: Api
    user: Api
    root: Api  # with the initial root token
    shares: list[str]


def make_tenant(node: Node, issuer: Issuer, vault_id: str | None = None) -> Tenant:
    """Initialise and unseal a tenant of `node`."""
    vault_id = vault_id or new_vault_id()
    operator = Api(node.address, issuer.tenant_operator(vault_id))
    made = initialise(operator)
    unseal(operator, made["keys_base64"])
    return Tenant(
        vault_id,
        operator,
        operator.with_token(issuer.tenant(vault_id)),
        operator.with_token(made["root_token"]),
        made["keys_base64"],
    )
