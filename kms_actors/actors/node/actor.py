"""The actor of a node: the master key's seal, and the master keyring while it is unsealed.

Records, one set for all nodes of a cluster: (`node`, namespace, `seal`) SealConfig, (…, `keyring`) the master keyring
wrapped by the master key, (…, `revoked`, id), and what `tenant.master` and ceremonies have. The shares given so far
live here, in memory: before the first unseal no key exists that could wrap them for the store.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from kms_actors.actors.ceremony.rekeying import Rekeying, rekeying_handlers
from kms_actors.actors.ceremony.rotating import Rotating, rotating_handlers
from kms_actors.actors.cluster.changes import (
    CLUSTER,
    TOKEN,
    Change,
    record,
)
from kms_actors.actors.node.master import MasterScope
from kms_actors.actors.node.namespaces import clusters
from kms_actors.actors.tenant import revocations
from kms_actors.actors.tenant.context import Handler
from kms_actors.actors.tenant.master import MASTER_KEY, keep_master_key, place_of
from kms_actors.actors.tenant.records import (
    NOT_INITIALIZED,
    status_of,
)
from kms_actors.ceremony.messages import ROOT_MESSAGES, BeginRekey
from kms_actors.ceremony.pgp import Readers
from kms_actors.config import MasterKeyringProvider
from kms_actors.errors import IntegrityError, InvalidRequest, InvalidShares, Sealed
from kms_actors.keyring.check_value import has_check_value, key_check_value
from kms_actors.keyring.keyring import Keyring, unwrap, wrap
from kms_actors.keyring.seal import SealConfig, UnsealProgress, add_share, complete, make_key, validate_counts
from kms_actors.messages import (
    Command,
    Event,
    Initialization,
    Initialize,
    Message,
    ReadSealStatus,
    ResetUnseal,
    Seal,
    SealStatus,
    Unseal,
)
from kms_actors.runtime import AsyncioActor, ask
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction

T = TypeVar("T")

_log: Final = structlog.get_logger(__name__)
_NO_ROOT: Final = "a cluster has no root token, a vault has: its operator, or who has its shares, generates one there"


class RevokeOperator(Command, frozen=True):
    """Revoke a cluster operator's token by the id of its last block. Answer: None.

    `ends` is when that is needed no more, see `revocations`.
    """

    revocation_id: str
    ends: int = 0


class ShareGiven(Event, frozen=True):
    """One share, with the seal as the store has it."""

    share: bytes
    seal: SealConfig


class Unsealed(Event, frozen=True):
    """The master keyring is open."""

    keyring: Keyring
    seal: SealConfig


#: Told what an unseal opened, None at a seal. It acts at once; the answer to the operator waits for what it returns.
SealObserver = Callable[[Unsealed | None], Awaitable[None] | None]


class RenewMaster(Command, frozen=True):
    """Hear of what was changed of the master keyring and its seal. Answer: None, once all of this node act by it."""


class Renewed(Event, frozen=True):
    """The master keyring is as new as the store's, unless it is `behind`; the seal as it is there."""

    seal: SealConfig | None
    behind: bool


class ProgressDropped(Event, frozen=True):
    """A quorum was wrong after all."""


class NodeRecords:
    """The cluster's own records."""

    def __init__(self, store: Store, namespace: str, *, second_cluster: bool = False) -> None:
        self._store = store
        self._namespace = namespace
        self._second_cluster = second_cluster
        self._seal_key = keyspace.node(namespace, "seal")
        self._keyring_key = keyspace.node(namespace, "keyring")

    async def read(self) -> tuple[SealConfig | None, bytes | None]:
        """Return the seal and the wrapped keyring."""

        async def body(tr: Transaction) -> tuple[bytes | None, bytes | None]:
            seal, keyring = await asyncio.gather(tr.get(self._seal_key), tr.get(self._keyring_key))
            return seal, keyring

        seal, keyring = await self._store.run(body)
        return None if seal is None else SealConfig.decode(seal), keyring

    async def create(self, seal: SealConfig, master_key: SecretBytes | None, now: float) -> None:
        """Write seal and, where the master key is at hand, a new keyring; InvalidRequest if there is one."""
        wrapped = (
            wrap(master_key, self._keyring_key, Keyring.generate(now, owner=self._namespace)) if master_key else None
        )

        async def body(tr: Transaction) -> None:
            if await tr.get(self._seal_key) is not None:
                raise InvalidRequest("Vault is already initialized")
            if not self._second_cluster and await clusters(tr):  # begun since this node started
                raise InvalidRequest("the store holds a cluster of another namespace")
            if await tr.get(self._keyring_key) is not None:
                raise InvalidRequest("the cluster's seal is lost while its keyring remains: restore a backup of all")
            tr.set(self._seal_key, seal.encode())
            if wrapped is not None:
                tr.set(self._keyring_key, wrapped)

        await self._store.run(body, idempotency_key=os.urandom(16))

    async def open_keyring(self, master_key: SecretBytes, now: float) -> Keyring:
        """Return the keyring; the first quorum of a master key made before makes it."""
        made = wrap(master_key, self._keyring_key, Keyring.generate(now, owner=self._namespace))
        place = place_of(self._namespace)

        async def body(tr: Transaction) -> Keyring:
            stored, kept = await tr.get_many((self._keyring_key, place(MASTER_KEY)))
            if stored is None:
                tr.set(self._keyring_key, made)
            keyring = unwrap(master_key, self._keyring_key, stored or made)
            if kept is None:  # of an older program, or restored from a backup
                keep_master_key(tr, place, keyring, master_key)
            return keyring

        return await self._store.run(body, idempotency_key=os.urandom(16))

    def scope(self, opened: Callable[[], Keyring], renew: Callable[[], Awaitable[None]]) -> MasterScope:
        """Return the cluster as ceremonies have it."""
        return MasterScope(self._store, self._namespace, opened, renew, time.time_ns)

    async def revoke(self, revocation_id: str, ends: int = 0) -> None:
        """Write a revocation id of a cluster operator's token."""
        key = keyspace.node(self._namespace, "revoked", revocation_id)
        now = time.time()

        async def body(tr: Transaction) -> None:
            tr.set(key, revocations.record_of(ends))
            record(tr, Change(CLUSTER, TOKEN, revocation_id, now, ends))

        await self._store.run(body, idempotency_key=os.urandom(16))

    async def revoked(self) -> dict[str, int]:
        """Return all revocation ids, each with when it is needed no more."""
        return await revocations.load(self._store, keyspace.node(self._namespace, "revoked"))

    async def sweep_revoked(self, now: float) -> None:
        """Take away the revocations that are needed no more."""
        await revocations.sweep(self._store, keyspace.node(self._namespace, "revoked"), now)


class NodeActor(AsyncioActor):
    """Seal and unseal of this node."""

    def __init__(
        self, records: NodeRecords, provider: MasterKeyringProvider, progress_seconds: float, observe: SealObserver
    ) -> None:
        super().__init__()
        self._records = records
        self._provider = provider
        self._progress_seconds = progress_seconds
        self._observe = observe
        self._seal_config: SealConfig | None = None  # known once unsealed
        self._keyring: Keyring | None = None  # likewise
        self._told = 0  # the version of it that the observer knows
        self._scope = records.scope(self._require_keyring, self._renew)
        ceremonies: dict[type[Message], Callable[[Any], Coroutine[Any, Any, Any]]] = {
            **rotating_handlers(Rotating(self._scope)),
            **rekeying_handlers(Rekeying(self._scope)),
            **dict.fromkeys(ROOT_MESSAGES, _no_root_token),
        }
        if provider.name != "shamir":
            ceremonies[BeginRekey] = _no_shares
        self._progress: UnsealProgress | None = None
        self._handlers: Mapping[type[Message], Handler] = {
            ReadSealStatus: self._status,
            Initialize: lambda message: self.spawn(self._initialise(message)),
            Unseal: lambda message: self.spawn(self._unseal(message)),
            ResetUnseal: lambda _: self.spawn(self._reset()),
            Seal: self._seal,
            ShareGiven: self._share_given,
            Unsealed: self._unsealed,
            ProgressDropped: self._drop_progress,
            RevokeOperator: lambda message: self.spawn(self._records.revoke(message.revocation_id, message.ends)),
            RenewMaster: lambda _: self.spawn(self._renewed()),
            Renewed: self._take_renewed,
            **{kind: partial(self._perform, handle) for kind, handle in ceremonies.items()},
        }

    def on_receive(self, message: Message) -> Any:
        return self._handlers[type(message)](message)

    async def _ask_self(self, message: Message) -> Any:
        return await ask(self.actor_ref, message)

    def _require_keyring(self) -> Keyring:
        if self._keyring is None:
            raise Sealed
        return self._keyring

    def _perform(self, handle: Callable[[Any], Coroutine[Any, Any, Any]], message: Message) -> Any:
        self._require_keyring()
        return self.spawn(handle(message))

    async def _renewed(self) -> None:
        """Hear of what another node, or a ceremony here, has changed of the keyring and its seal."""
        if self._keyring is not None:
            await self._renew()
        if self._keyring is not None:
            await self._scope.drop_upgrades()

    async def _renew(self) -> None:
        await self._ask_self(Renewed(*await self._scope.follow()))

    def _take_renewed(self, event: Renewed) -> Any:
        """Tell all processes of this node. One that was away for so long that it cannot follow is sealed."""
        if self._keyring is None or self._seal_config is None:
            return None
        if event.behind or event.seal is None:
            _log.error("this node was away while the master keyring was rotated, and seals itself: unseal it again")
            return self._seal(Seal())
        known = (self._seal_config, self._told)
        self._seal_config, self._told = event.seal, self._keyring.active_version
        if known == (self._seal_config, self._told):
            return None
        return self._tell(Unsealed(self._keyring, event.seal), None)

    def _status(self, _: ReadSealStatus) -> Any:
        if self._seal_config is not None:
            return status_of(self._seal_config, None, sealed=False)
        return self.spawn(self._stored_status(self._live_progress()))

    def _live_progress(self) -> UnsealProgress | None:
        if self._progress is not None and not self._progress.lives(time.time()):
            self._progress = None
        return self._progress

    async def _stored_status(self, progress: UnsealProgress | None) -> SealStatus:
        seal, _ = await self._records.read()
        if seal is None:
            return SealStatus(initialized=False, sealed=True)
        return status_of(seal, progress, sealed=True)

    async def _initialise(self, message: Initialize) -> Initialization:
        now = time.time()
        ahead = self._provider.key_check_value
        if message.root_token_pgp_key:
            raise InvalidRequest(_NO_ROOT)
        if ahead is not None and message.pgp_keys:
            raise InvalidRequest("no shares are made that PGP keys could be for: the master key was made before")
        readers = await Readers.read(message.shares, message.pgp_keys, "")
        if ahead is not None:
            validate_counts(message.shares, message.threshold)
            await self._records.create(SealConfig(message.shares, message.threshold, ahead, now), None, now)
            return Initialization((), "")
        master_key, parts, seal = make_key(message.shares, message.threshold, now)
        given = await readers.given(parts)
        await self._records.create(seal, master_key, now)
        return Initialization(given, "")

    async def _unseal(self, message: Unseal) -> SealStatus:
        seal, _ = await self._records.read()
        if seal is None:
            raise InvalidRequest(NOT_INITIALIZED)
        outcome: SealStatus | SecretBytes = await self._ask_self(ShareGiven(message.share, seal))
        if isinstance(outcome, SealStatus):
            return outcome
        try:
            keyring = await self._records.open_keyring(outcome, time.time())
        except IntegrityError:
            raise InvalidShares("invalid key: the shares do not give the key; unseal progress was reset") from None
        status: SealStatus = await self._ask_self(Unsealed(keyring, seal))
        return status

    def _share_given(self, event: ShareGiven) -> SealStatus | SecretBytes:
        if self._seal_config is not None:
            return status_of(self._seal_config, None, sealed=False)
        try:
            progress = add_share(
                self._live_progress(),
                event.share,
                event.seal,
                time.time(),
                str(uuid.uuid4()),
                lifetime=self._progress_seconds,
            )
            key = complete(progress, event.seal)
        except InvalidShares:
            self._progress = None
            raise
        self._progress = progress if key is None else None
        return status_of(event.seal, progress, sealed=True) if key is None else key

    def _unsealed(self, event: Unsealed) -> SealStatus | asyncio.Task[SealStatus]:
        status = status_of(event.seal, None, sealed=False)
        if self._seal_config is not None:
            return status
        self._seal_config, self._keyring = event.seal, event.keyring
        self._told = event.keyring.active_version
        return self._tell(event, status)

    def _drop_progress(self, _: ProgressDropped) -> None:
        self._progress = None

    async def _reset(self) -> SealStatus:
        seal, _ = await self._records.read()
        if seal is None:
            raise InvalidRequest(NOT_INITIALIZED)
        if self._seal_config is not None:
            raise InvalidRequest("vault is unsealed")
        await self._ask_self(ProgressDropped())
        return status_of(seal, None, sealed=True)

    def _seal(self, _: Seal) -> Any:
        self._progress = None
        if self._seal_config is None:
            return None
        self._seal_config = self._keyring = None
        return self._tell(None, None)

    def _tell(self, event: Unsealed | None, answer: T) -> T | asyncio.Task[T]:
        told = self._observe(event)
        return answer if told is None else self.spawn(_answer_after(told, answer))


async def _no_root_token(_: Message) -> None:
    raise InvalidRequest(_NO_ROOT)


async def _no_shares(_: Message) -> None:
    raise InvalidRequest("the master key is in no shares that could be changed: each node has it from elsewhere")


async def _answer_after(told: Awaitable[None], answer: T) -> T:
    await told
    return answer


async def unseal_from_file(ref: Any, records: NodeRecords, key: SecretBytes) -> None:
    """Development: initialise at need, and unseal with a master key at hand.

    Raises:
        InvalidShares: the cluster was initialised with another key.

    """
    seal, _ = await records.read()
    now = time.time()
    if seal is None:
        seal = SealConfig(1, 1, key_check_value(key), now)
        await records.create(seal, key, now)
    if not has_check_value(key, seal.key_check_value):
        raise InvalidShares("the master key of the key file is not this cluster's")
    await ask(ref, Unsealed(await records.open_keyring(key, now), seal))
