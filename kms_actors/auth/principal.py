"""The outcome of authentication: a scope, a right and a way to ask what is allowed."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Protocol

import msgspec


class Right(enum.StrEnum):
    """What a token's `rights` fact, or its service token record, gives within its scope. A string hashes fast."""

    OPERATOR = "operator"  # cluster: init, unseal, seal, rekey of the node
    ROOT = "root"  # tenant: everything
    DATA = "data"  # tenant: KV and Transit


class Capability(enum.StrEnum):
    """Vault's capabilities; also the value of the `operation` fact biscuit checks see."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    LIST = "list"
    SUDO = "sudo"


class Access(msgspec.Struct, frozen=True):
    """One use of a token: the facts that the checks of a narrowed biscuit decide on."""

    operation: Capability
    path: str  # without /v1/, as the router sees it: `secret/data/app/db`
    mount: str  # `secret/`; empty for sys and auth paths
    method: str  # GET, LIST, POST, PATCH or DELETE: one for an operation, however it was asked for
    client_ip: str
    time: float  # seconds since 1970


class Principal(Protocol):
    """Who asks. `resource` is a cluster's namespace (right OPERATOR) or a vault id."""

    @property
    def resource(self) -> str: ...

    @property
    def right(self) -> Right: ...

    @property
    def policies(self) -> tuple[str, ...]:
        """Policy names shown to the caller: `default` for biscuits, `root` for the initial root token."""

    @property
    def accessor(self) -> str:
        """`n/a` for biscuits."""

    @property
    def display_name(self) -> str: ...

    @property
    def metadata(self) -> Mapping[str, str] | None: ...

    @property
    def issued_at(self) -> int:
        """Seconds since 1970; 0 when the token does not say."""

    @property
    def expires_at(self) -> float | None:
        """Seconds since 1970, or None for a token without end."""

    @property
    def revocation_ids(self) -> tuple[str, ...]:
        """What a revocation list is compared with: one id a block for biscuits; empty for service tokens."""

    @property
    def narrowed(self) -> bool:
        """False where `allows` refuses nothing before the token expires."""

    def allows(self, access: Access) -> bool:
        """Tell whether the token's own checks allow `access`; scope and right are checked by the caller."""
