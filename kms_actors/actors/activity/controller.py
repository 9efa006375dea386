"""The clients of a vault: noted, told, and removed when their time is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final

import msgspec

from kms_actors.activity.clients import Client
from kms_actors.activity.messages import (
    ExportClients,
    NoteBiscuit,
    ReadActivity,
    ReadActivityConfig,
    WriteActivityConfig,
)
from kms_actors.activity.months import month_of
from kms_actors.activity.records import ENABLED, MOST_RETAINED, ActivityConfig, Month, SeenClient
from kms_actors.activity.usage import Usage, VaultUsage, months_of, span_of
from kms_actors.actors.activity.noting import ClientNotes
from kms_actors.actors.activity.storage import ClientRecords
from kms_actors.actors.cluster.changes import ACTIVITY
from kms_actors.actors.cluster.schedule import CLIENTS, encode_time, look_again, look_by
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import InvalidRequest, Unavailable
from kms_actors.messages import Command, Event, Message
from kms_actors.store.api import Priority, Reads, Transaction

#: Biscuits that are known to be noted.
_MOST_BISCUITS: Final = 10_000
_BISCUIT_BYTES: Final = 250
#: Transactions of one run of removals: then others have their turn.
_STEPS: Final = 200
#: Clients that an export has at most, and reads in one transaction.
MOST_EXPORTED: Final = 10_000
_EXPORTED_TOGETHER: Final = 50
_SECOND: Final = 10**9

_TOO_MANY: Final = f"more than {MOST_EXPORTED} clients: have fewer months exported, by start_time and end_time"
_CAPPED: Final = f"retention_months cannot be greater than {MOST_RETAINED}; capped to {MOST_RETAINED}."
_DISABLED: Final = "the current monthly segment will be deleted because the activity log was disabled"

#: Shows whose biscuits are noted, and until when in seconds since 1970.
Publish = Callable[[AbstractSet[str], float], None]


class NoteToken(Event, frozen=True):
    """A token was loaded that counts for a client."""

    client: Client


class CountingChanged(Event, frozen=True):
    """Whether clients are counted may be another matter: none is known to be counted."""


class EndClients(Command, frozen=True):
    """Remove months whose time is over, and what is left of months that are not counted. Answer: None."""


#: What an `ActivityController` handles.
ACTIVITY_MESSAGES: Final = (
    NoteBiscuit,
    NoteToken,
    CountingChanged,
    ReadActivity,
    ReadActivityConfig,
    WriteActivityConfig,
    ExportClients,
    EndClients,
)


class ActivityController:
    """Of one unsealed tenant. `seconds` is how long a client may wait to be written."""

    def __init__(self, context: TenantContext, publish: Publish, seconds: float) -> None:
        self._context = context
        self._publish = publish
        self._records = ClientRecords(context.keys, context.keyring)
        self._biscuits: set[str] = set()
        self._ends = 0.0
        self.notes = ClientNotes(context, self._records, seconds)

    def handlers(self) -> Mapping[type[Message], Handler]:
        spawn = self._context.spawn
        return {
            NoteToken: self._note_token,
            NoteBiscuit: self._note_biscuit,
            CountingChanged: self._counting_changed,
            ReadActivity: lambda message: spawn(self._read(message)),
            ReadActivityConfig: lambda _: spawn(self._context.store.read(self._look)),
            WriteActivityConfig: lambda message: spawn(self._configure(message)),
            ExportClients: lambda message: spawn(self._export(message)),
            EndClients: lambda _: spawn(self._sweep()),
        }

    # In turns.

    def _note_token(self, event: NoteToken) -> None:
        self.notes.note(event.client, self._now())

    def _note_biscuit(self, message: NoteBiscuit) -> None:
        now = self._now()
        if now >= self._ends or len(self._biscuits) >= _MOST_BISCUITS:
            self._forget_biscuits()
        self._ends = self.notes.month_end(now)
        if message.client is not None:
            self.notes.note(message.client, now)
        self._biscuits.add(message.biscuit)
        self._context.account.add(_BISCUIT_BYTES)
        self._publish(self._biscuits, self._ends)

    def _counting_changed(self, _: CountingChanged) -> None:
        self.notes.forget()
        self._forget_biscuits()

    def _forget_biscuits(self) -> None:
        self._context.account.add(-_BISCUIT_BYTES * len(self._biscuits))
        self._biscuits.clear()

    # In tasks.

    async def _look(self, tr: Reads) -> tuple[ActivityConfig, dict[int, Month]]:
        return await self._records.config(tr), await self._records.months(tr)

    async def _read(self, message: ReadActivity) -> Usage | None:
        await self.notes.flush_soon()  # what this process has seen is told at once
        config, kept = await self._context.store.read(self._look)
        span = span_of(message, config, self._now())
        if span is None:
            return None
        months = months_of(kept, *span)
        return Usage(*span, (VaultUsage(self._context.vault_id, self._context.keys.number, months),), months)

    async def _export(self, message: ExportClients) -> tuple[int, list[SeenClient]]:
        context = self._context
        number = context.keys.number
        found: list[SeenClient] = []
        config = await context.store.read(self._records.config)
        span = span_of(message, config, self._now())
        if span is None:
            return number, found
        async with context.long_reads.turn():
            for month in range(span.start, span.end + 1):
                begin: bytes | None = b""
                while begin is not None:
                    look = partial(self._records.page, month=month, begin=begin, limit=_EXPORTED_TOGETHER)
                    page, begin = await context.store.read(look, priority=Priority.BATCH)
                    found += [client for client in page if client.before < span.start]
                    if len(found) > MOST_EXPORTED:
                        raise InvalidRequest(_TOO_MANY)
                    await context.turns.turn(context.vault_id)
        return number, found

    async def _configure(self, message: WriteActivityConfig) -> tuple[str, ...]:
        """Change the configuration; counting goes on once nothing is left of what was counted before."""
        for _ in range(_STEPS):
            warnings = await self._context.store.change(lambda tr: self._change(tr, message), mount=None)
            if warnings is not None:
                return warnings
            await self._step()
        raise Unavailable("clients of this month are still being removed, try again")

    async def _change(self, tr: Transaction, message: WriteActivityConfig) -> tuple[str, ...] | None:
        before, kept = await self._look(tr)
        config, warnings = changed(before, message)
        now = self._context.clock()
        month = month_of(now / _SECOND)
        if config.counts and not before.counts and month not in kept and await self._records.has_clients(tr, month):
            return None
        if before.counts and not config.counts:
            self._records.drop_month(tr, month)
        if config != before:
            self._records.put_config(tr, config)
            tr.set(self._context.keys.key(CLIENTS), encode_time(now))
            await look_by(tr, self._context.keys, now, now)
            self._context.record(tr, ACTIVITY, "")
        return warnings

    async def _sweep(self) -> None:
        for _ in range(_STEPS):
            if not await self._step():
                return

    async def _step(self) -> bool:
        """Remove a page; False where nothing is left to be removed now, and when to come again is written."""
        now = self._context.trusted_time()
        if now is None:
            return False

        async def body(tr: Transaction) -> bool:
            config, kept = await self._look(tr)
            oldest = config.oldest(month_of(now / _SECOND))
            for month in [month for month in kept if month < oldest]:
                self._records.drop_month(tr, month)
                del kept[month]
            if await self._records.drop_some(tr, kept):
                return True
            if kept:
                await self._records.schedule(tr, config, [*kept], now)
            else:
                tr.clear(self._context.keys.key(CLIENTS))
            await look_again(tr, self._context.keys, now, 0)
            return False

        return await self._context.store.change(body, mount=None, priority=Priority.BATCH, bearers=())

    def _now(self) -> float:
        return self._context.clock() / _SECOND


def changed(config: ActivityConfig, message: WriteActivityConfig) -> tuple[ActivityConfig, tuple[str, ...]]:
    """Return the configuration with what is given, and texts for the sender; raises InvalidRequest as Vault does."""
    given = {
        name: value
        for name in ("enabled", "retention_months", "report_months")
        if (value := getattr(message, name)) is not None
    }
    found: ActivityConfig = msgspec.structs.replace(config, **given)
    warnings = []
    if found.report_months <= 0:
        raise InvalidRequest("default_report_months must be greater than 0")
    if found.retention_months < 0:
        raise InvalidRequest("retention_months must be greater than or equal to 0")
    if found.retention_months > MOST_RETAINED:
        found = msgspec.structs.replace(found, retention_months=MOST_RETAINED)
        warnings.append(_CAPPED)
    if found.enabled not in ENABLED:
        raise InvalidRequest('enabled must be one of "default", "enable", "disable"')
    if found.counts and found.retention_months == 0:
        raise InvalidRequest("retention_months cannot be 0 while enabled")
    if config.counts and not found.counts:
        warnings.append(_DISABLED)
    return found, tuple(warnings)
