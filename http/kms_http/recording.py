"""What audit devices have of one request: of its vault's, and of the node's. Both must have it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from kms_actors.audit.facts import Answered, Asked
from kms_actors.audit.receipts import Ticket
from kms_actors.errors import NotRecorded
from kms_http.backend import Trail


class Recording:
    """One request's. `revision` is that of its vault's devices, which its changes rest on."""

    __slots__ = ("_outcomes", "_trails", "asked", "revision")

    def __init__(self, asked: Asked, revision: int) -> None:
        self.asked: Final = asked
        self.revision: Final = revision
        self._trails: Sequence[Trail] = ()
        self._outcomes: list[Sequence[asyncio.Future[bool]]] = []

    async def request(self, trails: Sequence[Trail], error: str = "") -> None:
        """Have the request written; see `recorded`."""
        asked = self.asked
        for trail in trails:
            if asked.large:
                await trail.prepare(asked)
            self._expect(trail.request(asked, error))

    async def answer(self, trails: Sequence[Trail], answered: Answered, receipts: list[Ticket] | None = None) -> None:
        """Have the answer written, likewise; `receipts` are those of the first, which is the caller's own."""
        self._trails = trails
        for trail in trails:
            if answered.large:
                await trail.prepare(self.asked, answered)
            self._expect(trail.answer(self.asked, answered, receipts))
            receipts = None

    async def recorded(self) -> None:
        """Return once all that was to be written is, by one device at least of each scope. Raises NotRecorded."""
        for written in self._outcomes:
            for outcome in written:
                if not outcome.done():
                    await asyncio.shield(outcome)
        if not self.good:
            raise NotRecorded.of(self.asked.id)  # and whoever asks again is told the same
        self._outcomes = []

    def settled(self, then: Callable[[], None]) -> bool:
        """Tell whether it is known what became of all that was to be written; if not, `then` is called once it is."""
        if self._waiting() is None:
            return True
        for trail in self._trails:
            trail.hasten()
        waiting = self._waiting()
        if waiting is not None:
            waiting.add_done_callback(lambda _: self._go_on(then))
        return waiting is None

    @property
    def good(self) -> bool:
        """Whether all that was to be written is, once that is known."""
        return all(any(outcome.result() for outcome in written) for written in self._outcomes)

    def _go_on(self, then: Callable[[], None]) -> None:
        if self.settled(then):
            then()

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
