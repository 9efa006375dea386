"""Messages: frozen, small, and never shown.

Commands change state, queries read it, events report what happened and travel between actors only.
Each engine keeps its own messages beside it (`kv.messages`, `transit.messages`); those of sealing,
mounts and tokens are here. What the HTTP edge may send is the allow-list `kms_http.routing.Router` builds
from its routes: commands and queries, never events.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kms_actors.auth.principal import Principal
from kms_actors.errors import InvalidRequest
from kms_actors.mounts import MountConfig


class Message(msgspec.Struct, frozen=True):
    """Base of all messages. Fields may hold secrets, so the repr is the type's name alone."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Command(Message, frozen=True):
    """Asks for a change; one handler, fails loudly."""


class Query(Message, frozen=True):
    """Asks for a look; changes nothing."""


class Event(Message, frozen=True):
    """Reports an outcome inside the node; never accepted from outside."""


class Grants(msgspec.Struct, frozen=True):
    """For writes whose capability depends on existence: decided by the token before, applied in the transaction.

    The handler raises PermissionDenied when it would create without `create` or update without `update`.
    """

    create: bool = True
    update: bool = True


# Sealing: the same messages for the node and for a tenant.

NO_MIGRATION: Final = "can't perform a seal migration, no migration seal found"
#: What errors call fields of Initialize, where that is another name.
_VAULTS_NAMES: Final = {"shares": "secret_shares", "threshold": "secret_threshold"}


class ReadSealStatus(Query, frozen=True):
    """Answer: SealStatus."""


class Initialize(Command, frozen=True):
    """Make the key of this scope and split it. Answer: Initialization. Raises InvalidRequest.

    With `pgp_keys`, certificates in base64, each share is encrypted to one of them; so is the root token to
    `root_token_pgp_key`. Where a provider keeps the key, there are recovery shares, or none at all.
    """

    shares: int = 0
    threshold: int = 0
    pgp_keys: tuple[str, ...] = ()
    root_token_pgp_key: str = ""
    recovery_shares: int = 0
    recovery_threshold: int = 0
    recovery_pgp_keys: tuple[str, ...] = ()

    def refuse_recovery(self) -> None:
        """Raise InvalidRequest if recovery shares are wanted of a key that is itself in shares."""
        self._refuse(("recovery_shares", "recovery_threshold", "recovery_pgp_keys"), "shamir")

    def refuse_shares(self, seal_type: str) -> None:
        """Raise InvalidRequest if shares are wanted of a key that a provider of this type keeps."""
        self._refuse(("shares", "threshold", "pgp_keys"), seal_type)

    def _refuse(self, names: tuple[str, ...], seal_type: str) -> None:
        given = [_VAULTS_NAMES.get(name, name) for name in names if getattr(self, name)]
        if given:
            raise InvalidRequest(f"parameters {','.join(given)} not applicable to seal type {seal_type}")


class Unseal(Command, frozen=True):
    """Give one share (33 bytes). Answer: SealStatus. `migrate`: to have another keep the key from then on."""

    share: bytes
    migrate: bool = False

    def refuse_migration(self) -> None:
        """Raise InvalidRequest if another is to keep a key that stays where it is."""
        if self.migrate:
            raise InvalidRequest(NO_MIGRATION)


class ResetUnseal(Command, frozen=True):
    """Forget the shares given so far. Answer: SealStatus."""


class Seal(Command, frozen=True):
    """Forget the key of this scope, everywhere. Answer: None."""


class SealStatus(Message, frozen=True):
    """Seal state of a scope; `threshold` and `shares` are 0 before initialisation.

    With a `recovery_seal` they are those of the recovery key, and 0 where there is none.
    """

    initialized: bool
    sealed: bool
    threshold: int = 0
    shares: int = 0
    progress: int = 0
    nonce: str = ""
    type: str = "shamir"
    recovery_seal: bool = False
    migration: bool = False


class Initialization(Message, frozen=True):
    """Shares (33 bytes each; none when the master key was made before) and the root token (`""` for a node).

    `recovery`: they are those of the recovery key.

    Those that are encrypted are OpenPGP messages, the token in base64.
    """

    shares: tuple[bytes, ...]
    root_token: str
    recovery: bool = False


# Tokens.


class AuthenticateToken(Query, frozen=True):
    """Turn a short service token into its Principal. Answer: Principal; raises AuthenticationFailed.

    `proven`: its proof is in the store, which a tenant of an older program lacks. `use`: this is a use of it, to be
    counted where uses are. `address` is the caller's, which a token may be bound to. `digest` is what its proof is
    stored under, where that was worked out before.
    """

    token: str
    proven: bool = True
    use: bool = True
    address: str = ""
    digest: bytes = b""


class RevokeToken(Command, frozen=True):
    """Revoke the caller's own token, in this tenant, on every node. Answer: None."""

    principal: Principal
    token: str


class WithdrawToken(Command, frozen=True):
    """End a service token that was made, and that nobody has got. Answer: None, also where there is none."""

    token: str


# Mounts.


class EnableMount(Command, frozen=True):
    """Mount an engine at `path` (with its trailing slash). Answer: None."""

    path: str
    type: str
    description: str
    options: dict[str, str]
    config: MountConfig = MountConfig()
    local: bool = False
    seal_wrap: bool = False


class DisableMount(Command, frozen=True):
    """Unmount and destroy everything under `path`. Answer: whether there was anything."""

    path: str


class MoveMount(Command, frozen=True):
    """Give a mount another path (both with their trailing slash). Answer: what tells of it later, see ReadMove."""

    source: str
    target: str


class ReadMove(Query, frozen=True):
    """Answer: Moved; raises NotFound for a move that is not known, or no more."""

    id: str


class Moved(msgspec.Struct, frozen=True):
    """A mount got another path."""

    source: str
    target: str
    format: int = 1


class TuneMount(Command, frozen=True):
    """Change description, options or settings of a mount; None, and what `config` has not, stay. Answer: None.

    `config` holds fields of MountConfig.
    """

    path: str
    description: str | None
    options: dict[str, str] | None
    config: dict[str, Any] = {}
