"""The actor of one tenant: its seal, and the controllers that do its work while it is unsealed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

import msgspec
import pykka

from kms_actors.activity import clients
from kms_actors.actors.activity.controller import ACTIVITY_MESSAGES, NoteToken
from kms_actors.actors.audit.controller import AUDIT_MESSAGES, AuditController
from kms_actors.actors.ceremony.controller import CEREMONY_MESSAGES, CeremonyController
from kms_actors.actors.ceremony.scope import TenantScope
from kms_actors.actors.cluster.changes import (
    TENANT,
    Change,
    record,
)
from kms_actors.actors.cubbyhole.controller import CUBBYHOLE_MESSAGES, CubbyholeController
from kms_actors.actors.cubbyhole.wrapping import WRAPPING_MESSAGES, WrappingController
from kms_actors.actors.identity.controller import IDENTITY_MESSAGES, IdentityController
from kms_actors.actors.identity.resolving import stamp_entity
from kms_actors.actors.kv.controller import KV_MESSAGES, KvController, SecretFree
from kms_actors.actors.login.controllers import LOGIN_CONTROLLERS
from kms_actors.actors.node import footprint
from kms_actors.actors.node.allowance import Allowance
from kms_actors.actors.node.counting import Counting
from kms_actors.actors.node.heard import events_of
from kms_actors.actors.node.publishing import Published
from kms_actors.actors.node.services import Services, TenantView
from kms_actors.actors.policy.controller import POLICY_MESSAGES, PolicyController
from kms_actors.actors.quota.controller import QUOTA_MESSAGES, QuotaController
from kms_actors.actors.tenant.context import Controller, Handler, TenantContext
from kms_actors.actors.tenant.mounting import MOUNT_MESSAGES, MountController
from kms_actors.actors.tenant.records import (
    TenantRecords,
    TenantState,
    status_of,
)
from kms_actors.actors.tenant.reporting import is_reported, login_watched, report_watched, reported
from kms_actors.actors.tenant.revocations import sweep, time_of_ends
from kms_actors.actors.tenant.store import TenantStore
from kms_actors.actors.tenant.tallies import Tallies
from kms_actors.actors.tenant.tenure import Tenure
from kms_actors.actors.token.controller import TOKEN_MESSAGES, TokenController
from kms_actors.auth.service_token import ServiceToken
from kms_actors.ceremony.messages import RotateKeyringIfDue
from kms_actors.ceremony.pgp import Readers
from kms_actors.ceremony.rotation import LEAST_OPERATIONS
from kms_actors.config import bytes_of
from kms_actors.errors import KmsError, Sealed, UnsupportedOperation
from kms_actors.keyring.keyring import Keyring
from kms_actors.login.messages import Login
from kms_actors.messages import (
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
from kms_actors.runtime.coalesced import Coalesced
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys

T = TypeVar("T")

#: Of revocations that are let go of, those that lie in the store are taken away now and then.
_SWEEP_EVERY: Final = 64


class StateChanged(Event, frozen=True):
    """The tenant's own records as they were read after a change of theirs."""

    state: TenantState


class ChangedElsewhere(Event, frozen=True):
    """The change log names something of this tenant.

    `applied` is done once nobody is answered without it, and cancelled if that cannot be.
    """

    change: Change
    applied: asyncio.Future[None]


class TenantActor(AsyncioActor):
    """One tenant on one node."""

    def __init__(self, services: Services, view: TenantView, state: TenantState) -> None:
        super().__init__()
        self.mailbox_limit = services.settings.mailbox_limit
        self._services = services
        self._view = view
        self._records = TenantRecords(services.store, services.unsealing, state.vault_id)
        self._state = state
        self._context: TenantContext | None = None
        self._controllers: dict[_MakeController, Controller] = {}
        self._counting = Counting(services, view, state.vault_id)
        self._reloads: Coalesced | None = None
        self._tenure = Tenure(services.fresh)
        self._handlers: dict[type[Message], Handler] = {}
        self._allowance = Allowance(services, view)
        self._published = Published(services, view, state.vault_id, self._allowance)
        self._install(state)

    def on_receive(self, message: Message) -> Any:
        handler = self._handlers.get(type(message))
        if handler is None:
            handler = self._handlers[type(message)] = self._find_handler(type(message))
        return handler(message)

    def on_stopping(self) -> None:
        self._counting.end()

    def on_stop(self) -> None:
        self._forget()

    def on_failure(self, *_: Any) -> None:
        self._forget()

    def _forget(self) -> None:
        """Let go of keys and controllers, which lead back to this actor: nobody waits for a collection of cycles."""
        self._context = None
        self._controllers = {}
        self._counting.forget()
        self._reloads = None
        self._handlers = {}
        self._published.close()
        self._state = TenantState(self._state.vault_id)

    def _find_handler(self, kind: type[Message]) -> Handler:
        """Return what handles a message type, from then on kept: most tenants need few of all the handlers."""
        own = self._OWN.get(kind)
        if own is not None:
            return partial(own, self)
        if issubclass(kind, Event) and self._state.keyring is None:
            return lambda _: None  # for controllers that are gone
        handler = self._controller(self._MAKERS.get(kind, TenantActor._make_transit)).handlers().get(kind)
        if handler is None:
            raise UnsupportedOperation("unsupported operation")
        if issubclass(kind, Login):
            view = self._view
            return login_watched(self._state.vault_id, lambda: view.mounts, handler)
        return report_watched(self._state.vault_id, kind, handler)

    def _controller(self, make: _MakeController) -> Controller:
        """Return a controller, from then on kept: most tenants need few of those, too."""
        controller = self._controllers.get(make)
        if controller is None:
            if self._context is None:
                self._context = self._make_context()
            controller = self._controllers[make] = make(self, self._context)
            self._view.account.add(footprint.CONTROLLER_BYTES)
        return controller

    def _install(self, state: TenantState) -> None:
        """Become what the store says; controllers and all they held are made anew, or dropped."""
        if self._state.keyring is not None and state.keyring is None:
            self._services.let_go()
        self._state = state
        self._tenure.end()
        self._tenure = self._view.tenure = Tenure(self._services.fresh)
        self._counting.end()
        self._context = None
        self._controllers = {}
        self._handlers = {}
        self._published.begin(state)
        self._take_revoked(state)
        self._view.sealed = state.keyring is None
        # What controllers had counted is gone with them.
        self._view.account.add(footprint.bytes_of(state, len(self._view.revocations)) - self._view.account.bytes)

    def _make_context(self) -> TenantContext:
        state = self._state
        if state.keys is None or state.keyring is None:
            raise Sealed
        return TenantContext(
            vault_id=state.vault_id,
            store=self._make_store(state.keys, state.keyring),
            keys=state.keys,
            keyring=state.keyring,
            clock=self._services.clock,
            timely=self._services.timely,
            tallies=Tallies(state.keys, self._allowance.limits),
            near_limits=self._services.near_limits,
            spawn=self.spawn,
            spawn_apart=self.spawn_apart,
            ask=self._ask_self,
            notify=self.notify,
            record=self._record,
            threads=self._services.threads.of(state.vault_id, self.wanted, self._tenure.check),
            turns=self._services.turns,
            wanted=self.wanted,
            fetch=self._services.fetcher.of(state.vault_id),
            proceed=self._tenure.check,
            service=self._services.service,
            account=self._view.account,
            key_bytes=bytes_of(self._services.cache.tenant_keys),
        )

    def _make_store(self, keys: TenantKeys, keyring: Keyring) -> TenantStore:
        view = self._view  # not this actor, which must leave memory with its last reference
        return TenantStore(
            self._services.store,
            keys,
            keyring,
            epoch=self._state.epoch,
            mounts=lambda: view.mounts,
            tenure=self._tenure,
            tell_sealed=self._sealed_many,
            stamp_entity=partial(stamp_entity, keys=keys, keyring=keyring),
            renew=self._reload,
        )

    def _sealed_many(self, records: int) -> None:
        """Hear how many records the active version of the keyring has sealed; it may have to be replaced."""
        self._services.near_limits.note_keyring(self._state.vault_id, records)
        if records >= LEAST_OPERATIONS:
            self.spawn_apart(self._rotate_if_due())

    async def _rotate_if_due(self) -> None:
        with contextlib.suppress(KmsError, pykka.ActorDeadError):  # another look comes
            await self._ask_self(RotateKeyringIfDue())

    def _make_transit(self, context: TenantContext) -> Controller:
        return self._counting.transit(context)

    def _note_token(self, token: ServiceToken) -> None:
        client = clients.of_token(token)
        if client is not None:
            self.on_receive(NoteToken(client))

    def _record(self, tr: Transaction, area: str, name: str, ends: int = 0) -> None:
        record(tr, Change(self._state.vault_id, area, name, self._now(), ends))

    def _publish_revoked(self, revocation_id: str, ends: int) -> None:
        added = self._view.revocations.add(revocation_id, ends)
        now = self._time_of_ends()
        gone = 0 if now is None else self._view.revocations.let_go(now)
        self._view.account.add(footprint.REVOKED_BYTES * (added - gone))
        if gone and not len(self._view.revocations) % _SWEEP_EVERY:
            self._sweep_revocations(now)

    def _take_revoked(self, state: TenantState) -> None:
        """Take in what was read, beside what was heard while it was: none is ever taken back."""
        now = self._time_of_ends()
        if self._view.revocations.take(state.revoked, now):
            self._sweep_revocations(now)

    def _time_of_ends(self) -> float | None:
        return time_of_ends(self._services.trusted_time())

    def _sweep_revocations(self, now: float | None) -> None:
        if self._state.keys is not None and now is not None:
            self.spawn_apart(sweep(self._services.store, self._state.keys.key("revoked"), now))

    async def _ask_self(self, message: Message) -> Any:
        return await ask(self.actor_ref, message)

    def _state_changed(self, event: StateChanged) -> None:
        """Take what was read, unless something later is known: an epoch begins sealed and may end unsealed."""
        known, found = self._state, event.state
        known_rank, found_rank = (known.epoch, known.keyring is not None), (found.epoch, found.keyring is not None)
        if found_rank > known_rank:
            self._install(found)
        elif found_rank == known_rank:
            self._take_keys(found)
            self._published.take(found, None if self._context is None else self._context.tallies)
            self._take_revoked(found)

    def _take_keys(self, found: TenantState) -> None:
        """Take in what a rotation or a rekey has changed; readings of one epoch come in their order."""
        keyring = self._state.keyring
        if keyring is not None and found.keyring is not None and keyring.adopt(found.keyring):
            self._view.account.add(footprint.KEY_BYTES)
        self._state = msgspec.structs.replace(self._state, seal=found.seal)

    def _changed_elsewhere(self, event: ChangedElsewhere) -> None:
        change, applied = event.change, event.applied
        if applied.done():
            return  # too late: this actor was told to stop
        if change.area == TENANT and not change.name:
            self._next_reload().add_done_callback(lambda reload: _settle(applied, reload))
            return
        if change.area == TENANT:
            self._publish_revoked(change.name, change.ends)
        # These are in the mailbox before any request that comes later.
        applied.set_result(None)
        for heard in events_of(change):
            self.notify(heard)

    def _now(self) -> float:
        return self._services.clock() / 1e9

    def _seal_status(self, _: ReadSealStatus) -> SealStatus | asyncio.Task[SealStatus]:
        if self._state.keyring is not None and self._state.seal is not None:
            return status_of(self._state.seal, None, sealed=False)
        return self.spawn(self._records.seal_status(self._now()))

    def _reported(self, message: Message, change: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self.spawn(change)
        if not is_reported(message, sealed=self._state.keyring is None):
            return task
        return reported(self._state.vault_id, message, task)

    async def _initialise(self, message: Initialize) -> Initialization:
        message.refuse_recovery()
        readers = await Readers.read(message.shares, message.pgp_keys, message.root_token_pgp_key)
        made = await self._records.initialise(message.shares, message.threshold, self._now(), readers)
        with contextlib.suppress(KmsError):  # the log tells of it, too; nobody gets the shares a second time
            await self._reload()
        return made

    async def _unseal(self, message: Unseal) -> SealStatus:
        message.refuse_migration()
        lifetime = self._services.settings.unseal_progress_seconds
        status = await self._records.give_share(message.share, self._now(), lifetime)
        if not status.sealed:
            await self._reload()
        return status

    async def _seal(self) -> None:
        await self._counting.flush_soon()
        await self._records.seal(self._now())
        await self._reload()

    async def _reload(self) -> None:
        """Become what the store says now, or a little later: many who ask at once are served by one reading."""
        await asyncio.shield(self._next_reload())

    def _next_reload(self) -> asyncio.Future[None]:
        if self._reloads is None:
            self._reloads = Coalesced(self._reload_once, self.spawn_apart)
        return self._reloads.run()

    async def _reload_once(self) -> None:
        state = await self._records.load()
        with contextlib.suppress(pykka.ActorDeadError):  # put to sleep meanwhile: whoever wakes it reads anew
            await self._ask_self(StateChanged(state))

    #: What makes the controller of each message type; all others are of Transit.
    _MAKERS: ClassVar[Mapping[type[Message], _MakeController]] = {
        **dict.fromkeys(KV_MESSAGES, lambda _, context: KvController(context)),
        **dict.fromkeys(
            MOUNT_MESSAGES,
            lambda self, context: MountController(context, self._published.mounts, self._services.unmounts),
        ),
        **dict.fromkeys(CUBBYHOLE_MESSAGES, lambda _, context: CubbyholeController(context)),
        **dict.fromkeys(WRAPPING_MESSAGES, lambda _, context: WrappingController(context)),
        **dict.fromkeys(IDENTITY_MESSAGES, lambda _, context: IdentityController(context)),
        **dict.fromkeys(
            CEREMONY_MESSAGES,
            lambda self, context: CeremonyController(
                context, TenantScope(context, self._services.unsealing, self._state.epoch, self._reload)
            ),
        ),
        **dict.fromkeys(POLICY_MESSAGES, lambda self, context: PolicyController(context)),
        **dict.fromkeys(
            QUOTA_MESSAGES,
            lambda self, context: QuotaController(context, self._allowance.publish, self._allowance.mounts),
        ),
        **dict.fromkeys(
            AUDIT_MESSAGES,
            lambda self, context: AuditController(context, self._services.audit, self._published),
        ),
        **LOGIN_CONTROLLERS,
        **dict.fromkeys(
            TOKEN_MESSAGES,
            lambda self, context: TokenController(context, self._publish_revoked, self.on_receive, self._note_token),
        ),
        **dict.fromkeys(ACTIVITY_MESSAGES, lambda self, context: self._counting.activity(context)),
    }
    _OWN: ClassVar[Mapping[type[Message], Callable[[Any, Any], Any]]] = {
        ReadSealStatus: _seal_status,
        Initialize: lambda self, message: self._reported(message, self._initialise(message)),
        Unseal: lambda self, message: self._reported(message, self._unseal(message)),
        ResetUnseal: lambda self, message: self._reported(message, self._records.reset_progress()),
        Seal: lambda self, message: self._reported(message, self._seal()),
        StateChanged: _state_changed,
        ChangedElsewhere: _changed_elsewhere,
        SecretFree: lambda _, event: event.go_on(),
    }


_MakeController: TypeAlias = Callable[[TenantActor, TenantContext], Controller]


def _settle(applied: asyncio.Future[None], reload: asyncio.Future[None]) -> None:
    """Let `applied` end as the reload did."""
    if applied.done():
        return
    if reload.cancelled() or reload.exception() is not None:
        applied.cancel()
    else:
        applied.set_result(None)
