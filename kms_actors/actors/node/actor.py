"""The actor of a node: the master key's seal, and the master keyring while it is unsealed.

Its records are one set for all nodes of a cluster (`records`); who opens it, and how, is in `sealing`. The shares
given so far live here, in memory: before the first unseal no key exists that could wrap them for the store.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import Enum, auto
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import structlog

from kms_actors.actors.ceremony.rekeying import Rekeying, rekeying_handlers
from kms_actors.actors.ceremony.rotating import Rotating, rotating_handlers
from kms_actors.actors.ceremony.subject import RecoveryKey
from kms_actors.actors.node.records import NodeRecords
from kms_actors.actors.node.sealing import NO_ROOT, Opened, Sealing
from kms_actors.actors.tenant.context import Handler
from kms_actors.actors.tenant.records import NOT_INITIALIZED
from kms_actors.ceremony.messages import ROOT_MESSAGES, RotateKeyring
from kms_actors.config import SettingError
from kms_actors.errors import InvalidRequest, InvalidShares, Sealed, SealUnavailable
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.master_seal import MasterSeal
from kms_actors.keyring.seal import SealConfig, UnsealProgress, add_share, complete
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

T = TypeVar("T")

_log: Final = structlog.get_logger(__name__)


class RevokeOperator(Command, frozen=True):
    """Revoke a cluster operator's token by the id of its last block. Answer: None.

    `ends` is when that is needed no more, see `revocations`.
    """

    revocation_id: str
    ends: int = 0


class Attempt(Enum):
    """What came of an attempt to unseal without anybody's help."""

    UNSEALED = auto()
    #: It is unsealed already, or waits for somebody: to initialise the cluster, to give shares.
    NOTHING_TO_DO = auto()
    #: An operator has sealed the node, and unseals it.
    AT_REST = auto()


class UnsealUnattended(Event, frozen=True):
    """Unseal by a provider, if it is for that to do. Answer: Attempt. Raises as `Sealing.open_by_provider`."""


class ShareGiven(Event, frozen=True):
    """One share, with the seal as the store has it, and whose shares are wanted."""

    share: bytes
    seal: MasterSeal
    wanted: SealConfig


class Unsealed(Event, frozen=True):
    """The master keyring is open."""

    keyring: Keyring
    seal: MasterSeal


class KeyringOpened(Event, frozen=True):
    """Shares or a provider have opened it. `seals`: how often the node had been sealed when that began."""

    opened: Opened
    seals: int


#: Told what an unseal opened, None at a seal. It acts at once; the answer to the operator waits for what it returns.
SealObserver = Callable[[Unsealed | None], Awaitable[None] | None]


class RenewMaster(Command, frozen=True):
    """Hear of what was changed of the master keyring and its seal. Answer: None, once all of this node act by it."""


class Renewed(Event, frozen=True):
    """The master keyring is as new as the store's, unless it is `behind`; the seal as it is there."""

    seal: MasterSeal | None
    behind: bool


class ProgressDropped(Event, frozen=True):
    """A quorum was wrong after all."""


class Rotated(Event, frozen=True):
    """The keyring was rotated, since somebody asked."""


class NodeActor(AsyncioActor):
    """Seal and unseal of this node."""

    def __init__(
        self, records: NodeRecords, sealing: Sealing, progress_seconds: float, observe: SealObserver
    ) -> None:
        super().__init__()
        self._records = records
        self._sealing = sealing
        self._progress_seconds = progress_seconds
        self._observe = observe
        self._seals = 0  # how often the node was sealed
        self._at_rest = False  # since its operator wants so
        self._seal_config: MasterSeal | None = None  # known once unsealed
        self._keyring: Keyring | None = None  # likewise
        self._told = 0  # the version of it that the observer knows
        self._scope = records.scope(self._require_keyring, self._renew)
        ceremonies: dict[type[Message], Callable[[Any], Coroutine[Any, Any, Any]]] = {
            **rotating_handlers(Rotating(self._scope)),
            **rekeying_handlers(Rekeying(self._scope), Rekeying(self._scope, RecoveryKey(self._scope))),
            **dict.fromkeys(ROOT_MESSAGES, _no_root_token),
        }
        ceremonies[RotateKeyring] = partial(self._rotate, ceremonies[RotateKeyring])
        self._progress: UnsealProgress | None = None
        self._handlers: Mapping[type[Message], Handler] = {
            ReadSealStatus: self._status,
            Initialize: lambda message: self.spawn(self._initialise(message)),
            Unseal: lambda message: self.spawn(self._unseal(message)),
            ResetUnseal: lambda _: self.spawn(self._reset()),
            Seal: self._seal,
            ShareGiven: self._share_given,
            UnsealUnattended: self._unseal_unattended,
            KeyringOpened: self._keyring_opened,
            ProgressDropped: self._drop_progress,
            Rotated: self._rotated,
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

    async def _rotate(self, rotate: Callable[[Any], Coroutine[Any, Any, Any]], message: Message) -> Any:
        """Rotate the keyring, and have a newer key of the provider wrap the master key, too, if there is one."""
        answer = await rotate(message)
        await self._ask_self(Rotated())
        return answer

    def _rotated(self, _: Rotated) -> None:
        self.spawn(self._sealing.wrap_anew(lambda: self._scope.read(self._scope.root_key)))

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
            return self._shut()
        known = (self._seal_config, self._told)
        self._seal_config, self._told = event.seal, self._keyring.active_version
        if known == (self._seal_config, self._told):
            return None
        return self._tell(Unsealed(self._keyring, event.seal), None)

    def _status(self, _: ReadSealStatus) -> Any:
        if self._seal_config is not None:
            return self._sealing.status(self._seal_config, sealed=False)
        return self.spawn(self._stored_status(self._live_progress()))

    def _live_progress(self) -> UnsealProgress | None:
        if self._progress is not None and not self._progress.lives(time.time()):
            self._progress = None
        return self._progress

    async def _stored_status(self, progress: UnsealProgress | None) -> SealStatus:
        seal, _ = await self._records.read()
        return self._sealed_status(seal, progress)

    def _sealed_status(self, seal: MasterSeal | None, progress: UnsealProgress | None) -> SealStatus:
        status = self._sealing.status(seal, sealed=True)
        if progress is None or seal is None:
            return status
        return msgspec.structs.replace(status, progress=len(progress.parts), nonce=progress.nonce)

    async def _initialise(self, message: Initialize) -> Initialization:
        seals = self._seals
        try:
            made, opened = await self._sealing.initialise(message)
        except SettingError as error:
            raise SealUnavailable(str(error)) from None
        if opened is not None:
            await self._ask_self(KeyringOpened(opened, seals))
        return made

    async def _unseal(self, message: Unseal) -> SealStatus:
        seal, _ = await self._records.read()
        if seal is None:
            raise InvalidRequest(NOT_INITIALIZED)
        if self._seal_config is not None and not message.migrate:
            return self._sealing.status(self._seal_config, sealed=False)
        wanted = self._sealing.quorum(seal, migrate=message.migrate)
        seals = self._seals  # before the share is given: a seal right behind it wins, too
        outcome: SealStatus | SecretBytes = await self._ask_self(ShareGiven(message.share, seal, wanted))
        if isinstance(outcome, SealStatus):
            return outcome
        try:
            opened = await self._sealing.open(seal, outcome)
        except SettingError as error:
            raise SealUnavailable(str(error)) from None
        attempt: Attempt = await self._ask_self(KeyringOpened(opened, seals))
        return self._sealing.status(opened.seal, sealed=attempt is Attempt.AT_REST)

    def _unseal_unattended(self, _: UnsealUnattended) -> Any:
        if self._seal_config is not None:
            return Attempt.NOTHING_TO_DO
        return Attempt.AT_REST if self._at_rest else self.spawn(self._attempt(self._seals))

    async def _attempt(self, seals: int) -> Attempt:
        opened = await self._sealing.open_unattended()
        if opened is None:
            return Attempt.NOTHING_TO_DO
        attempt: Attempt = await self._ask_self(KeyringOpened(opened, seals))
        return attempt

    def _keyring_opened(self, event: KeyringOpened) -> Any:
        """Unseal, unless it was sealed while store and provider were asked: then whoever did that is right."""
        if event.seals != self._seals:
            return Attempt.AT_REST
        return self._open(Unsealed(*event.opened), Attempt.UNSEALED)

    def _share_given(self, event: ShareGiven) -> SealStatus | SecretBytes:
        if self._seal_config is not None:
            return self._sealing.status(self._seal_config, sealed=False)
        try:
            progress = add_share(
                self._live_progress(),
                event.share,
                event.wanted,
                time.time(),
                str(uuid.uuid4()),
                lifetime=self._progress_seconds,
            )
            key = complete(progress, event.wanted)
        except InvalidShares:
            self._progress = None
            raise
        self._progress = progress if key is None else None
        return self._sealed_status(event.seal, progress) if key is None else key

    def _open(self, event: Unsealed, answer: T) -> T | asyncio.Task[T]:
        if self._seal_config is not None:
            return answer
        self._seal_config, self._keyring = event.seal, event.keyring
        self._told, self._at_rest = event.keyring.active_version, False
        return self._tell(event, answer)

    def _drop_progress(self, _: ProgressDropped) -> None:
        self._progress = None

    async def _reset(self) -> SealStatus:
        seal, _ = await self._records.read()
        if seal is None:
            raise InvalidRequest(NOT_INITIALIZED)
        if self._seal_config is not None:
            raise InvalidRequest("vault is unsealed")
        await self._ask_self(ProgressDropped())
        return self._sealed_status(seal, None)

    def _seal(self, _: Seal) -> Any:
        self._at_rest = True
        return self._shut()

    def _shut(self) -> Any:
        self._progress = None
        self._seals += 1
        if self._seal_config is None:
            return None
        self._seal_config = self._keyring = None
        return self._tell(None, None)

    def _tell(self, event: Unsealed | None, answer: T) -> T | asyncio.Task[T]:
        told = self._observe(event)
        return answer if told is None else self.spawn(_answer_after(told, answer))


async def _no_root_token(_: Message) -> None:
    raise InvalidRequest(NO_ROOT)


async def _answer_after(told: Awaitable[None], answer: T) -> T:
    await told
    return answer
