"""The outcome of authentication: a scope, a right and a way to ask what is allowed."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol, TypeAlias

import msgspec


class Right(enum.StrEnum):
    """What a token's `rights` fact, or its service token record, gives within its scope. A string hashes fast."""

    OPERATOR = "operator"  # cluster: init, unseal, seal, rekey of the node
    ROOT = "root"  # tenant: everything
    DATA = "data"  # tenant: KV and Transit
    POLICY = "policy"  # tenant: what the policies of the token give


class Capability(enum.StrEnum):
    """Vault's capabilities, and OpenBao's `scan`; also the value of the `operation` fact biscuit checks see."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"
    LIST = "list"
    SCAN = "scan"  # a folder, with all that lies below it
    SUDO = "sudo"


class Access(msgspec.Struct, frozen=True):
    """One use of a token: the facts that the checks of a narrowed biscuit decide on."""

    operation: Capability
    path: str  # without /v1/, as the router sees it: `secret/data/app/db`
    mount: str  # `secret/`; empty for sys and auth paths
    method: str  # GET, LIST, POST, PATCH, DELETE or SCAN: one for an operation, however it was asked for
    client_ip: str
    time: float  # seconds since 1970


#: Names of policies, each with the stamp of its record; an empty one where it is not stored.
MadeOf: TypeAlias = tuple[tuple[str, bytes], ...]


class Rule(Protocol):
    """What policies say of one path."""

    @property
    def capabilities(self) -> AbstractSet[Capability]:
        """Empty where all is denied."""

    @property
    def restricts_parameters(self) -> bool:
        """False where `check_parameters` refuses nothing."""

    def check_parameters(self, sent: Mapping[str, Any]) -> None:
        """Raise PermissionDenied for fields, or values of them, that the policies do not let through."""

    def limited(self, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a list was sent, its `limit` as the policies let it be; raises PermissionDenied."""

    def check_wrapping(self, seconds: int | None) -> None:
        """Raise PermissionDenied for an answer that is to be wrapped for so long, or not at all (None)."""


class Acl(Protocol):
    """What a set of policies gives, compiled."""

    @property
    def made_of(self) -> MadeOf:
        """The name of each policy, and what tells its record from all that ever were in its place."""

    @property
    def is_root(self) -> bool:
        """True where everything may be done."""

    def rule(self, path: str, *, listing: bool = False) -> Rule | None:
        """Return what holds for a path, without /v1/; None where no policy speaks of it."""

    def touches(self, prefix: str) -> bool:
        """Tell whether anything may be done at `prefix` or below it."""

    def resultant(self) -> Mapping[str, Any]:
        """Return all rules as `sys/internal/ui/resultant-acl` has them."""


def makers(principal: Principal) -> Iterator[Principal]:
    """Yield whom a token may never exceed: who made it, and who made that one."""
    under = principal.under
    while under is not None:
        yield under
        under = under.under


class Principal(Protocol):
    """Who asks. `resource` is a cluster's namespace (right OPERATOR) or a vault id."""

    @property
    def resource(self) -> str: ...

    @property
    def right(self) -> Right: ...

    @property
    def acl(self) -> Acl | None:
        """What the policies give, of right POLICY; None where the right alone decides."""

    @property
    def under(self) -> Principal | None:
        """Who made the token, where it can never do more than that one."""

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
