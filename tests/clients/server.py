"""What a client of the matrix is run against, and how it is told: address, namespace and tokens."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.support.api import Api
from tests.support.reference import Reference, clean_environment
from tests.support.tenant import Tenant


class Server(NamedTuple):
    """An unsealed server with KV 2 at `secret/` and Transit at `transit/`."""

    root: Api  # with a root token
    user: str  # a token that may use secrets and keys; a biscuit, where it is of a tenant
    namespace: str | None  # of logins

    @property
    def address(self) -> str:
        return self.root.address

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """Return the variables of a client in `home` with `token`, by default the root token, and nothing else."""
        given = {"ADDR": self.address, "TOKEN": token or self.root.token or "", "NAMESPACE": self.namespace or ""}
        named = {f"{prefix}_{name}": value for prefix in ("VAULT", "BAO") for name, value in given.items() if value}
        return clean_environment(home) | named | {"BAO_MAX_RETRIES": "0"}


def of_tenant(tenant: Tenant) -> Server:
    """Return a tenant of a node."""
    assert tenant.user.token is not None
    return Server(tenant.root, tenant.user.token, tenant.vault_id)


def of_reference(started: Reference) -> Server:
    """Return a reference server, on which Transit is mounted first."""
    root = Api(started.address, started.token)
    assert root.post("sys/mounts/transit", {"type": "transit"}).status == 204
    return Server(root, started.token, None)
