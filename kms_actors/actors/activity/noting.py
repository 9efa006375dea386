"""The clients that this process sees: noted in memory when a token is loaded, and written a few seconds later.

A token is loaded when it is first used here, and again when a month begins (`token.bearers`); a biscuit is asked of
once a month (`NoteBiscuit`). So a request by what is known pays nothing, or a look into a set. What cannot be written
is kept for the next time; what a killed process had not written counts when that client is seen again.

All of it runs on the actor's loop. What is noted is noted in its turns.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Final

import structlog

from kms_actors.activity.clients import Client
from kms_actors.activity.months import begin_of, month_of
from kms_actors.actors.activity.storage import ClientRecords, Noted
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.later import WrittenLater
from kms_actors.errors import KmsError

#: Clients that are known to be counted, and that wait to be; bytes of each.
_MOST_KNOWN: Final = 10_000
_CLIENT_BYTES: Final = 200
#: Clients that are written in one transaction, which reads as many records for each month that is kept.
_TOGETHER: Final = 32
_SECOND: Final = 10**9

_log = structlog.get_logger(__name__)


class ClientNotes(WrittenLater):
    """Of one awake vault in one process. `seconds` is how long a client may wait to be written."""

    def __init__(self, context: TenantContext, records: ClientRecords, seconds: float) -> None:
        super().__init__(context, seconds)
        self._records = records
        self._month = 0
        self._begins = self._ends = 0  # of that month, in seconds since 1970
        self._known: set[str] = set()  # of that month
        self._unwritten: dict[tuple[int, str], Noted] = {}

    def month_end(self, now: float) -> int:
        """Return when the month of now ends; both are in seconds since 1970."""
        if not self._begins <= now < self._ends:
            self.forget()
            self._month = month_of(now)
            self._begins, self._ends = begin_of(self._month), begin_of(self._month + 1)
        return self._ends

    def note(self, client: Client, now: float) -> None:
        """Have a client counted that is seen now, in seconds since 1970."""
        self.month_end(now)
        if client.id in self._known or len(self._unwritten) >= _MOST_KNOWN:
            return
        if len(self._known) >= _MOST_KNOWN:
            self.forget()
        self._known.add(client.id)
        self._context.account.add(_CLIENT_BYTES)
        self._unwritten[self._month, client.id] = Noted(client, int(now))
        if self._writer is None:
            self._start()

    def forget(self) -> None:
        """Take all clients as not counted yet."""
        self._context.account.add(-_CLIENT_BYTES * len(self._known))
        self._known.clear()

    async def flush(self) -> None:
        """Write what is noted; what cannot be written now is kept."""
        while self._unwritten:
            now = self._context.trusted_time()
            if now is None:
                return  # by such a clock it may be another month
            month = next(iter(self._unwritten))[0]
            some = dict(islice((entry for entry in self._unwritten.items() if entry[0][0] == month), _TOGETHER))
            body = partial(
                self._records.add, month=min(month, month_of(now / _SECOND)), clients=[*some.values()], now=now
            )
            try:
                if not await self._context.store.change(body, mount=None, bearers=(), requests=()):
                    return
            except KmsError as error:
                _log.warning("clients are not counted yet", clients=len(some), error=type(error).__name__)
                return
            for place in some:
                self._unwritten.pop(place, None)

    @property
    def _waits(self) -> bool:
        return bool(self._unwritten)

    def _lose(self) -> None:
        if self._unwritten:
            _log.warning("clients are not counted", clients=len(self._unwritten), vault=self._context.vault_id)
            self._unwritten.clear()
