"""What a rekey is of: the key that wraps a scope's keyring, or the recovery key of a cluster.

The recovery key is in shares where a provider keeps the master key. It wraps nothing: a quorum of its shares is told
by its check value, and that is all it is for.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from kms_actors.actors.ceremony.attempt import seal_of
from kms_actors.actors.ceremony.scope import SEAL, WRAPPED, Scope
from kms_actors.actors.cluster.changes import CLUSTER, KEYRING, Change, record
from kms_actors.errors import IntegrityError, InvalidRequest
from kms_actors.keyring.keyring import unwrap, wrap
from kms_actors.keyring.master_seal import ProviderSeal, decode_seal
from kms_actors.keyring.seal import SealConfig
from kms_actors.secret import SecretBytes
from kms_actors.store.api import Reads, Transaction

ROOT: Final = "rekey"
RECOVERY: Final = "rekey-recovery"
#: Where attempts lie, which end when the master key changes hands.
ATTEMPTS: Final = (ROOT, RECOVERY)

NO_RECOVERY: Final = "this cluster has no recovery keys; while it is unsealed, `sys/rotate/recovery/init` makes some"
NOT_SUPPORTED: Final = "there are no recovery keys here: whoever has a quorum of shares may do all that they are for"


class Subject(Protocol):
    """A key that is in shares."""

    @property
    def attempt(self) -> str:
        """Where the attempt lies, below the scope."""

    @property
    def backup(self) -> str:
        """Where encrypted shares lie that were to be backed up."""

    async def shares(self, tr: Reads) -> SealConfig | None:
        """Return how it is shared out, None where there is no key yet; raises InvalidRequest where none can be."""

    async def replace(self, tr: Transaction, new: SecretBytes, seal: SealConfig, old: SecretBytes | None) -> None:
        """Have the shares of `new` do from the commit on what those of `old` did, which may be had from elsewhere."""

    def replaced(self, new: SecretBytes) -> None:
        """Act upon it, once that is committed."""


class RootKey:
    """The key that wraps the keyring of a scope."""

    attempt: Final = ROOT
    backup: Final = f"{ROOT}-backup"

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def shares(self, tr: Reads) -> SealConfig | None:
        return await seal_of(tr, self._scope)

    async def replace(self, tr: Transaction, new: SecretBytes, seal: SealConfig, old: SecretBytes | None) -> None:
        scope, place = self._scope, self._scope.key(WRAPPED)
        wrapped = await tr.get(place)
        keyring = unwrap(old or await scope.root_key(tr), place, wrapped or b"")
        tr.set(place, wrap(new, place, keyring))
        tr.set(scope.key(SEAL), seal.encode())
        scope.keep_root_key(tr, keyring, new)

    def replaced(self, new: SecretBytes) -> None:
        self._scope.root_key_replaced(new)


class RecoveryKey:
    """The recovery key of a cluster."""

    attempt: Final = RECOVERY
    backup: Final = f"{RECOVERY}-backup"

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def shares(self, tr: Reads) -> SealConfig | None:
        return (await self._seal(tr)).recovery

    async def replace(self, tr: Transaction, new: SecretBytes, seal: SealConfig, old: SecretBytes | None) -> None:
        after = msgspec.structs.replace(await self._seal(tr), recovery=seal)
        tr.set(self._scope.key(SEAL), after.encode())
        record(tr, Change(CLUSTER, KEYRING, "", self._scope.now() / 1e9))

    def replaced(self, new: SecretBytes) -> None:
        """Nothing: nobody keeps it."""

    async def _seal(self, tr: Reads) -> ProviderSeal:
        raw = await tr.get(self._scope.key(SEAL))
        if raw is None:
            raise IntegrityError("there is a keyring and no seal")
        seal = decode_seal(raw)
        if not isinstance(seal, ProviderSeal):
            raise InvalidRequest(NOT_SUPPORTED)
        return seal
