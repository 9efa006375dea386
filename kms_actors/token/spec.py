"""What a token is to be, checked and complete, before it is made; and what came of it."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServiceToken

ROOT: Final = "root"

#: Parents that a token may have above it: each is looked for when the token is loaded.
MAX_LINE: Final = 64


class TokenSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is to be. Durations are in seconds."""

    policies: tuple[str, ...]  # in order
    display_name: str
    path: str  # of the request that made it
    metadata: dict[str, str] | None = None
    ttl: int = 0  # from now on; 0: without end, which root tokens alone may be
    explicit_max_ttl: int = 0
    period: int = 0
    num_uses: int = 0
    renewable: bool = True
    batch: bool = False
    bound_cidrs: tuple[str, ...] = ()
    entity_id: str = ""
    role: str = ""
    parent: str = ""  # accessor of the token that made it; empty for an orphan
    line: tuple[str, ...] = ()  # accessors of all its parents, the nearest last
    max_ttl: int = 0  # of a role of logins: it lives no longer, however often it is renewed; 0: the mount's
    not_after: float | None = None  # when it ends at the latest, in seconds since 1970
    mount: int | None = None  # number of the login mount that gave it: unmounting ends it
    mount_moves: int = 0  # how often that had been moved, when it gave this token or what made it
    certificate: str = ""  # SHA-256, in hexadecimal, of the one that its login showed
    under: str = ""  # text of the biscuit that made it, which it may never exceed
    chosen: str = ""  # its text, where its maker chooses that
    #: The right by itself; DATA has a child of a biscuit that may all in the vault, without naming a policy.
    right: Right = Right.POLICY

    def __post_init__(self) -> None:
        if (self.parent != self.line[-1]) if self.line else bool(self.parent):
            raise ValueError("the parent of a token ends its line")

    @property
    def orphan(self) -> bool:
        """Whether nothing that made it can end it."""
        return not self.line and not self.under

    @property
    def is_root(self) -> bool:
        """Whether it may do everything."""
        return ROOT in self.policies

    def __repr__(self) -> str:
        return f"<TokenSpec for {self.path}>"


class Issued(msgspec.Struct, frozen=True):
    """A token that was made. Times are in seconds since 1970. The token is told to its holder alone."""

    token: str
    accessor: str  # empty for a batch token
    spec: TokenSpec
    created: float
    expires_at: float | None
    warnings: tuple[str, ...] = ()
    identity_policies: tuple[str, ...] = ()  # of its entity, where the token has one

    @classmethod
    def renewed(cls, token: ServiceToken, text: str, ttl: int, warnings: tuple[str, ...] = ()) -> Issued:
        """Return what is told of a token that is there already, and lives for so long from now on."""
        spec = TokenSpec(
            policies=token.policies,
            display_name=token.display_name,
            path=token.path,
            metadata=token.metadata,
            ttl=ttl,
            explicit_max_ttl=token.explicit_max_ttl,
            period=token.period,
            num_uses=token.num_uses,
            renewable=token.renewable,
            bound_cidrs=token.bound_cidrs,
            entity_id=token.entity_id,
            role=token.role,
            parent=token.line[-1] if token.line else "",
            line=token.line,
            under=token.under,
            right=token.right,
        )
        return cls(text, token.accessor, spec, token.created, token.expires_at, warnings)

    def __repr__(self) -> str:
        return f"<Issued for {self.spec.path}>"
