"""Tenant actors are virtual: made at their first message, put to sleep when idle, made anew after a failure."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from functools import partial
from typing import Any, TypeAlias

import msgspec
import pykka

from kms_actors import request_context
from kms_actors.actors.audit.trail import Trail
from kms_actors.actors.cluster.changes import ANYTHING, GONE, TENANT, Change
from kms_actors.actors.node.last_uses import LastUses
from kms_actors.actors.node.services import (
    Services,
    TenantView,
)
from kms_actors.actors.node.tenant_actor import (
    ChangedElsewhere,
    TenantActor,
)
from kms_actors.actors.tenant.proofs import Proven, issuer_of, prove
from kms_actors.actors.tenant.records import (
    TenantRecords,
    TenantState,
)
from kms_actors.auth import batch_token
from kms_actors.auth.service_token import TokenProof, proof_digest
from kms_actors.cache import Account, Budget, ByteCache
from kms_actors.config import bytes_of
from kms_actors.errors import Overloaded, Sealed, TenantFaulted, Unavailable
from kms_actors.messages import (
    Event,
    Message,
)
from kms_actors.mounts import MountTable
from kms_actors.quota.limiter import Limiter
from kms_actors.runtime import ActorFailed, FailureWindow, ask
from kms_actors.runtime.lasting import Lasting
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.records import Erasure

_SWEEP_SECONDS = 5.0
_ATTEMPTS = 3
_SLEEP_TOGETHER = 32
#: What the proof of a service token is stored under.
Digest: TypeAlias = bytes
_PROVEN = 4 << 20  # bytes of service tokens' digests that are known to be whose


class TenantHandle:
    """The way to one awake tenant; kept by nobody longer than a request."""

    __slots__ = ("_directory", "_view", "in_flight", "last_used", "noted", "ref", "vault_id")

    def __init__(
        self, directory: TenantDirectory, vault_id: str, ref: pykka.ActorRef[TenantActor], view: TenantView
    ) -> None:
        self._directory = directory
        self._view = view
        self.vault_id = vault_id
        self.ref = ref
        self.in_flight = 0
        self.last_used = time.monotonic()
        self.noted = 0.0  # when that was written down

    @property
    def sealed(self) -> bool:
        """True also before initialisation."""
        return self._view.sealed

    @property
    def mounts(self) -> MountTable:
        return self._view.mounts

    @property
    def number(self) -> int:
        """Its integer, 0 before initialisation."""
        return self._view.number

    @property
    def erasure(self) -> Erasure | None:
        """What is known of its deletion; None where it stays."""
        return self._view.erasure

    @property
    def limiter(self) -> Limiter | None:
        """What decides how often may be asked; None: nothing does."""
        return self._view.limiter

    @property
    def trail(self) -> Trail | None:
        """The vault's audit devices that are open here; None where it has none."""
        return self._view.trail

    def revoked(self, revocation_ids: tuple[str, ...]) -> bool:
        """Tell whether any of a token's ids is revoked in this tenant."""
        revoked = self._view.revocations.ids
        return bool(revoked) and not revoked.isdisjoint(revocation_ids)

    def seen(self, biscuit: str, now: float) -> bool:
        """Tell whether a biscuit of this revocation id is known to have been used in the month of now."""
        return now < self._view.seen_until and biscuit in self._view.seen

    def end_tenure(self) -> None:
        """Let nothing more be done with its keys."""
        self._view.tenure.end()

    def close_account(self) -> None:
        """Count its memory no longer: it is about to be given back."""
        self._view.account.close()

    async def ask(self, message: Message) -> Any:
        """Send a command or query and return its answer.

        Raises:
            Overloaded, TenantFaulted, Unavailable, Sealed: the tenant does not take it now.
            KmsError: as the handler says.

        """
        if isinstance(message, Event):
            raise TypeError("events do not come from outside")
        self._directory.require_fresh()
        self.last_used = time.monotonic()
        self.in_flight += 1
        try:
            return await ask(self.ref, message)
        except pykka.ActorDeadError:
            # It stopped with the message unread in its mailbox, so asking its successor does nothing twice.
            return await self._directory.ask_again(self.vault_id, message)
        except ActorFailed:
            self._directory.failed(self)
            raise
        finally:
            self.in_flight -= 1


class TenantDirectory:
    """All awake tenants of an unsealed node."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._awake: OrderedDict[str, TenantHandle] = OrderedDict()
        self._budget = Budget(bytes_of(services.cache.tenants), self._make_room)
        self._waking: dict[str, asyncio.Task[TenantHandle]] = {}
        self._failures: dict[str, FailureWindow] = {}
        self._signed: ByteCache[bytes, str] = ByteCache(_PROVEN, lambda _, vault_id: 600 + len(vault_id))
        self._proven: ByteCache[bytes, Proven] = ByteCache(_PROVEN, lambda _, proven: 600 + len(proven.vault_id))
        # Of those that wake: what was read may be older than a change, or than a revocation.
        self._changed: set[str] = set()
        self._revoked: dict[str, dict[str, int]] = {}
        self._last_uses = LastUses(services.store, services.clock)
        self._sweeper = Lasting("tenants' sleep", self._sweep, _SWEEP_SECONDS)
        request_context.apart().run(self._sweeper.start)
        self._closed = False

    def __len__(self) -> int:
        return len(self._awake)

    @property
    def bytes(self) -> int:
        """About how much memory the awake tenants take."""
        return self._budget.bytes

    def depths(self) -> int:
        """Return how many messages wait in all mailboxes."""
        return sum(handle.in_flight for handle in self._awake.values())

    def awake(self, vault_id: str) -> TenantHandle | None:
        """Return the handle of a tenant that is awake, which counts as a use."""
        handle = self._awake.get(vault_id)
        if handle is not None:
            self._awake.move_to_end(vault_id)
        return handle

    async def tenant(self, vault_id: str) -> TenantHandle:
        """Return the handle of a tenant, awake."""
        handle = self.awake(vault_id)
        if handle is not None:
            return handle
        if self._closed:
            raise Sealed
        failures = self._failures.get(vault_id)
        if failures is not None and failures.faulted(time.monotonic()):
            raise TenantFaulted("this vault failed too often and rests; others are served")
        waking = self._waking.get(vault_id)
        if waking is None:
            waking = self._waking[vault_id] = asyncio.create_task(
                self._wake(vault_id), context=request_context.apart()
            )
            waking.add_done_callback(partial(self._woken, vault_id))
        return await request_context.joined(waking)

    async def tenant_by_token(self, number: int, digest: Digest) -> tuple[TenantHandle, TokenProof | None] | None:
        """Return the tenant that a service token is of, awake, with its proof; None for one that proves nothing.

        No proof is there where the tenant is of an older program. An unsealed one has the last word: what is kept
        here may have been revoked. Nobody wakes a tenant by a made-up token.
        """
        known = self._proven.get(digest)
        if known is not None:
            tenant = await self.tenant(known.vault_id)
            if not tenant.sealed:
                return tenant, known.proof
        # In a task: requests begin outside of one, and the store may want to limit how long it is waited for.
        found = await asyncio.create_task(_proven(self._services.store, number, digest))
        if found is None:
            return None
        if found.proof is not None:
            self._proven.put(digest, found)
        return await self.tenant(found.vault_id), found.proof

    async def tenant_by_batch_token(self, number: int, token: str) -> TenantHandle | None:
        """Return the tenant that has signed a batch token, awake; None for one that proves nothing.

        The tenant itself has the last word: what lies in the store without a seal only tells whom to wake.
        """
        digest = proof_digest(token)
        known = self._signed.get(digest)
        if known is None:
            found = await asyncio.create_task(_issuer(self._services.store, number))
            if not batch_token.is_signed_by(token, None if found is None else found[1]):
                return None
            assert found is not None
            known, _ = found
            self._signed.put(digest, known)
        return await self.tenant(known)

    async def ask_again(self, vault_id: str, message: Message) -> Any:
        """Ask the successor of an actor that stopped before it read `message`."""
        for _ in range(_ATTEMPTS):
            handle = await self.tenant(vault_id)
            try:
                return await ask(handle.ref, message)
            except pykka.ActorDeadError:
                self._forget(handle)
        raise Overloaded("this vault is being restarted")

    def failed(self, handle: TenantHandle) -> None:
        """Count a failure; the next request makes the actor anew, unless there were too many."""
        settings = self._services.settings
        window = self._failures.setdefault(
            handle.vault_id, FailureWindow(settings.failure_limit, settings.failure_seconds)
        )
        window.record(time.monotonic())
        self._forget(handle)

    def require_fresh(self) -> None:
        """Raise Unavailable where memory may be older than the lease allows."""
        if not self._services.fresh():
            raise Unavailable("the store was not heard within the lease")

    def deliver(self, change: Change | None) -> asyncio.Future[None] | None:
        """Pass a change on to the tenant it names; None means all tenants, whatever they hold.

        The future is done once the tenant acts upon it; without one, that is so already. When it is cancelled, the
        tenant does not know the change and never will: it sleeps, and is read anew.
        """
        if change is None:
            self._changed.update(self._waking)
            for handle in list(self._awake.values()):
                self._sleep(handle)
            return None
        if change.vault_id in self._waking:
            self._note(change)
        named = self._awake.get(change.vault_id)
        if named is None:
            return None
        if change.area in {ANYTHING, GONE}:
            self._sleep(named)
            return None
        applied: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        applied.add_done_callback(lambda done: self._sleep(named) if done.cancelled() else None)
        try:
            named.ref.tell(ChangedElsewhere(change, applied))
        except pykka.ActorDeadError:
            self._forget(named)
            return None
        return applied

    def _note(self, change: Change) -> None:
        """Take in a change of a tenant that wakes; what it has cached is nothing yet."""
        if change.area == TENANT and change.name:
            self._revoked.setdefault(change.vault_id, {})[change.name] = change.ends
        elif change.area in {TENANT, ANYTHING, GONE}:
            self._changed.add(change.vault_id)

    def end_tenures(self) -> None:
        """Let nothing more be done with any keys, whatever is under way."""
        self._closed = True
        for handle in self._awake.values():
            handle.end_tenure()

    async def close(self) -> None:
        """Put every tenant to sleep; their keys are forgotten when this returns."""
        self._closed = True
        await self._sweeper.stop()
        await asyncio.gather(*self._waking.values(), return_exceptions=True)
        handles = list(self._awake.values())
        self._awake.clear()
        await asyncio.gather(*(handle.ref.stop(block=False) for handle in handles))

    def _woken(self, vault_id: str, waking: asyncio.Task[TenantHandle]) -> None:
        del self._waking[vault_id]
        if not waking.cancelled():
            waking.exception()  # heard, also where nobody waits for it any more

    async def _wake(self, vault_id: str) -> TenantHandle:
        state = await self._read(vault_id)
        if self._closed:
            raise Sealed
        view = TenantView(Account(self._budget))
        handle = TenantHandle(self, vault_id, TenantActor.start(self._services, view, state), view)
        self._awake[vault_id] = handle
        if len(self._awake) > self._services.settings.max_active:
            self._sleep_first_idle()
        return handle

    async def _read(self, vault_id: str) -> TenantState:
        records = TenantRecords(self._services.store, self._services.unsealing, vault_id)
        while True:
            # What was heard before a reading begins is read by it.
            self._changed.discard(vault_id)
            self._revoked.pop(vault_id, None)
            state = await records.load()
            if vault_id not in self._changed:
                heard = self._revoked.pop(vault_id, {})
                return msgspec.structs.replace(state, revoked={**state.revoked, **heard}) if heard else state

    def _forget(self, handle: TenantHandle) -> None:
        handle.close_account()
        if self._awake.get(handle.vault_id) is handle:
            del self._awake[handle.vault_id]

    def _make_room(self) -> None:
        """Put tenants to sleep until those awake take no more memory than they may, or all are at work."""
        while self._budget.exceeded and self._sleep_first_idle():
            pass

    def _sleep_first_idle(self) -> bool:
        """Put the least recently used idle tenant to sleep; tell whether there was one."""
        idle = next((handle for handle in self._awake.values() if handle.in_flight == 0), None)
        if idle is None:
            return False
        self._sleep(idle)
        return True

    def _sleep(self, handle: TenantHandle) -> None:
        self._forget(handle)
        handle.ref.stop(block=False)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(_SWEEP_SECONDS, self._services.settings.idle_seconds))
            horizon = time.monotonic() - self._services.settings.idle_seconds
            await self._last_uses.note(list(self._awake.values()), time.monotonic())
            await self._sleep_idle(horizon)

    async def _sleep_idle(self, horizon: float) -> None:
        """Put to sleep who was not used since `horizon`, a few at a time: requests are served in between."""
        for number, handle in enumerate(list(self._awake.values())):
            if handle.in_flight == 0 and handle.last_used < horizon:
                self._sleep(handle)
            if number % _SLEEP_TOGETHER == 0:
                await asyncio.sleep(0)


async def _issuer(store: Store, number: int) -> tuple[str, bytes] | None:
    return await store.run(lambda tr: issuer_of(tr, TenantKeys(number)))


async def _proven(store: Store, number: int, digest: bytes) -> Proven | None:
    return await store.run(lambda tr: prove(tr, TenantKeys(number), digest))
