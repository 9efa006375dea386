"""Biscuits for tests, made as a platform's IAM would."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from kms_actors.auth.build import Privilege, build_token
from kms_actors.auth.keys import TokenKeys

NAMESPACE = "kms-c1"
OWNER = "orga_tests"


def new_vault_id() -> str:
    """Return the id of a tenant nobody has used."""
    return f"vault_{uuid4()}"


@dataclass(frozen=True)
class Issuer:
    """Holds one accepted pair of keys and signs with it."""

    keys: TokenKeys = field(default_factory=TokenKeys.generate)

    def cluster_operator(self, ttl: int | None = None, *, namespace: str = NAMESPACE) -> str:
        return self._token(namespace, Privilege.CLUSTER_OPERATOR, ttl)

    def tenant_operator(self, vault_id: str) -> str:
        return self._token(vault_id, Privilege.TENANT_OPERATOR)

    def tenant(self, vault_id: str, ttl: int | None = None, policies: Sequence[str] = ()) -> str:
        return self._token(vault_id, Privilege.TENANT, ttl, policies)

    def _token(
        self, resource: str, privilege: Privilege, ttl: int | None = None, policies: Sequence[str] = ()
    ) -> str:
        root, service = self.keys.root, self.keys.service
        now = time.time()
        return build_token(root, service, resource, privilege, owner=OWNER, now=now, ttl=ttl, policies=policies)
