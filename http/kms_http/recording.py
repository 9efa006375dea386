"""What audit devices have of one request: of its vault's, and of the node's. Both must have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from kms_actors.audit.facts import Answered, Asked, Entered
from kms_actors.audit.receipts import Ticket
from kms_actors.errors import NotRecorded
from kms_http.backend import Trail


class Recording(Entered):
    """One request's. `revision` is that of its vault's devices, which its changes rest on."""

    __slots__ = ("_id", "_outcomes", "_trails", "revision")

    def __init__(self, request_id: str, tell: Callable[[], Asked], revision: int) -> None:
        super().__init__(tell)
        self._id = request_id
        self.revision: Final = revision
        self._trails: Sequence[Trail] = ()
        self._outcomes: list[Sequence[asyncio.Future[bool]]] = []

    async def prepare(self, trails: Sequence[Trail], answered: Answered | None = None) -> None:
        """Have what is large masked before its entry is made."""
        for trail in trails:
            await trail.prepare(self, answered)

    def request(self, trails: Sequence[Trail], error: str = "") -> None:
        """Have the request written; see `recorded`."""
        self._trails = trails
        for trail in trails:
            self._expect(trail.request(self, error))

    def answer(self, trails: Sequence[Trail], answered: Answered, receipts: list[Ticket] | None = None) -> None:
        """Have the answer written, likewise; `receipts` are those of the first, which is the caller's own."""
        if not self.made and receipts is None and self._outcomes and trails == self._trails:
            self.answered, self.answered_at = answered, trails[0].now()  # with the request, which waits to be made
            return
        self._trails = trails
        for trail in trails:
            self._expect(trail.answer(self, answered, receipts))
            receipts = None

    async def recorded(self) -> None:
        """Return once all that was to be written is, by one device at least of each scope. Raises NotRecorded."""
        for written in self._outcomes:
            for outcome in written:
                if not outcome.done():
                    await asyncio.shield(outcome)
        if not self.good:
            raise NotRecorded.of(self._id)  # and whoever asks again is told the same
        self._outcomes = []

    def waits_for(self) -> asyncio.Future[bool] | None:
        """Return what is waited for until it is known whether all was written; None once that is."""
        waiting = self._waiting()
        if waiting is not None:
            for trail in self._trails:
                trail.hasten()
            waiting = self._waiting()
        return waiting

    @property
    def good(self) -> bool:
        """Whether all that was to be written is, once that is known."""
        if self.lost:
            return False
        for written in self._outcomes:
            for outcome in written:
                if outcome.result():
                    break
            else:
                return False
        return True

    def _waiting(self) -> asyncio.Future[bool] | None:
        for written in self._outcomes:
            for outcome in written:
                if not outcome.done():
                    return outcome
        return None

    def _expect(self, outcomes: Sequence[asyncio.Future[bool]]) -> None:
        """Keep what is to become true; where no device takes the entry, nothing is."""
        if outcomes and (not self._outcomes or self._outcomes[-1] != outcomes):
            self._outcomes.append(outcomes)
