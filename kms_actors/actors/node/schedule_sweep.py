"""The sweep: has all unsealed tenants do what is due in them: rotate Transit keys and keyrings, remove what is gone.

Each process looks at the index of `schedule` now and then, which is one short read while nothing is due. The one that
finds something claims the work, and visits the tenants whose time has come: no other tenant is woken or read. The
claim only spares the others the trouble. That a key gets one version, whoever visits its tenant, is up to the
transaction that rotates it; that a token is removed once, to the one that removes it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, NamedTuple

import structlog

from kms_actors import request_context
from kms_actors.actors.activity.controller import EndClients
from kms_actors.actors.cluster.schedule import (
    Due,
    claim,
    due_tenants,
    entry_of,
    far_tenants,
    has_secret_ids,
    has_unmounted,
    key_entries,
    look_at,
    look_never,
    times_due,
    token_work,
)
from kms_actors.actors.cluster.timekeeping import Timekeeper
from kms_actors.actors.login.tidying import EndSecretIds
from kms_actors.actors.node.directory import TenantDirectory
from kms_actors.actors.node.erasing import Eraser
from kms_actors.actors.node.services import Services
from kms_actors.actors.tenant.header import owner_of
from kms_actors.actors.tenant.standing import erasure_of
from kms_actors.actors.tenant.unmounting import EndMounts
from kms_actors.actors.token.sweeping import EndTokens
from kms_actors.actors.transit.schedule import RotateDue
from kms_actors.ceremony.messages import RotateKeyringIfDue
from kms_actors.errors import KmsError
from kms_actors.runtime.lasting import Lasting
from kms_actors.store import keyspace
from kms_actors.store.api import Priority, Transaction
from kms_actors.store.keyspace import TenantKeys

#: Tenants visited before the claim is renewed.
_PAGE: Final = 16
#: Seconds for which a page is claimed, at least.
_CLAIM: Final = 60.0

_log = structlog.get_logger(__name__)


async def nothing() -> None:
    """Do nothing for the cluster itself."""


class _Visit(NamedTuple):
    """A vault, and what may be due in it."""

    vault_id: str
    keys: bool
    tokens: bool
    secret_ids: bool
    unmounted: bool = False
    erasing: bool = False
    keyring: bool = False
    clients: bool = False


class ScheduleSweep:
    """One process's part, from `__init__` to `close`."""

    def __init__(
        self,
        services: Services,
        directory: TenantDirectory,
        timekeeper: Timekeeper,
        own: Callable[[], Awaitable[Any]] = nothing,
    ) -> None:
        """`own` is what is done for the cluster itself at each look by a clock that may decide what is due."""
        self._services = services
        self._directory = directory
        self._timekeeper = timekeeper
        self._eraser = Eraser(services.store, services.trusted_time)
        self._own = own
        self._owner = uuid.uuid4().hex
        # Where each node is unsealed for itself, no other may be able to do what this one can.
        self._shared = services.settings.unseal_scope == "cluster"
        self._task = Lasting("schedule sweep", self._run, services.settings.rotation_check_seconds)
        request_context.apart().run(self._task.start)

    async def close(self) -> None:
        """End; a visit under way is not waited for."""
        await self._task.stop()

    async def sweep(self) -> int:
        """Visit all tenants with work that is due, unless another process does; return how many keys were rotated."""
        rotated, last = 0, None
        while True:
            page, far = await self._services.store.run(partial(self._page, last=last), priority=Priority.BATCH)
            for due in page + far:
                rotated += await self._visit(due)
            if not page:
                return rotated
            last = page[-1]

    async def _run(self) -> None:
        await self._look()
        while True:
            await asyncio.sleep(self._services.settings.rotation_check_seconds)
            try:
                timely = await self._look()
                rotated = await self.sweep() if timely else 0
                if timely:
                    await self._own()
            except KmsError as error:
                _log.warning("what is due could not be looked for", error=type(error).__name__)
            else:
                if rotated:
                    _log.info("transit keys rotated", count=rotated)

    async def _look(self) -> bool:
        """Return whether this clock may decide what is due."""
        try:
            return await self._timekeeper.look()
        except KmsError as error:
            _log.warning("the cluster's time could not be read", error=type(error).__name__)
            return False

    async def _page(self, tr: Transaction, last: Due | None) -> tuple[list[Due], list[Due]]:
        """Return tenants that are due, and at first some that are in the schedule too far ahead."""
        now = self._services.clock()
        page = await due_tenants(tr, last, now, _PAGE)
        far = await far_tenants(tr, now, _PAGE) if last is None else []
        lifetime = int(max(_CLAIM, self._services.settings.rotation_check_seconds) * 1e9)
        if (page or far) and self._shared and not await claim(tr, self._owner, now, lifetime):
            return [], []
        return page, far

    async def _visit(self, due: Due) -> int:
        try:
            visit = await self._services.store.run(partial(self._vault, due=due), priority=Priority.BATCH)
            if visit is None:
                return 0
            if visit.erasing:
                await self._eraser.erase(due.tenant, visit.vault_id)
                return 0
            tenant = await self._directory.tenant(visit.vault_id)
            if visit.unmounted:
                await tenant.ask(EndMounts())
            if visit.keyring:
                await tenant.ask(RotateKeyringIfDue())
            if visit.clients:
                await tenant.ask(EndClients())
            if visit.secret_ids:
                await tenant.ask(EndSecretIds())
            ended: int = await tenant.ask(EndTokens()) if visit.tokens else 0
            rotated: int = await tenant.ask(RotateDue()) if visit.keys else 0
        except KmsError as error:
            _log.warning("a vault with work that is due was not visited", error=type(error).__name__)
            return 0
        if ended:
            _log.info("tokens that are gone were removed", vault=visit.vault_id, count=ended)
        return rotated

    async def _vault(self, tr: Transaction, due: Due) -> _Visit | None:
        """Return the vault to visit, or None if it is sealed here or has moved on; entries of nobody are removed."""
        now = self._services.clock()
        keys = TenantKeys(due.tenant)
        if await entry_of(tr, keys) != due.time:
            tr.clear(keyspace.due(*due))
            return None
        erasure = await erasure_of(tr, keys)
        if erasure is not None:
            when = int(erasure.due * 1e9)
            if when <= now:
                return _Visit(erasure.vault_id, keys=False, tokens=False, secret_ids=False, erasing=True)
            await look_at(tr, keys, when, now)
            return None
        vault_id, epoch = await owner_of(tr, keys), await tr.get(keys.key("epoch"))
        unsealing = self._services.unsealing
        if vault_id and await unsealing.root_key(tr, keys, int.from_bytes(epoch or b"", "little")) is not None:
            keys_there, tokens = await key_entries(tr, keys, limit=1), await token_work(tr, keys)
            times = await times_due(tr, keys)
            # Either of these two has the tenant looked at again, when it has work next.
            ending = not keys_there or (tokens is not None and tokens <= now)
            secret_ids, unmounted = ending and await has_secret_ids(tr, keys), await has_unmounted(tr, keys)
            keyring, clients = (time is not None and time <= now for time in times)
            return _Visit(vault_id, bool(keys_there), ending, secret_ids, unmounted, keyring=keyring, clients=clients)
        if self._shared:
            await look_never(tr, keys)
        return None
