"""What audit devices have of one request: of its vault's, and of the node's. Both must have it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from kms_actors.audit.facts import Answered, Asked
from kms_actors.audit.receipts import Ticket
from kms_actors.errors import NotRecorded
from kms_http.backend import Trail


class Recording:
    """One request's. `revision` is that of its vault's devices, which its changes rest on."""

    __slots__ = ("_outcomes", "asked", "revision")

    def __init__(self, asked: Asked, revision: int) -> None:
        self.asked: Final = asked
        self.revision: Final = revision
        self._outcomes: list[tuple[asyncio.Future[bool], ...]] = []

    async def request(self, trails: Sequence[Trail], error: str = "") -> None:
        """Have the request written; see `recorded`."""
        asked = self.asked
        for trail in trails:
            if asked.large:
                await trail.prepare(asked)
            self._expect(trail.request(asked, error))

    async def answer(self, trails: Sequence[Trail], answered: Answered, receipts: list[Ticket] | None = None) -> None:
        """Have the answer written, likewise; `receipts` are those of the first, which is the caller's own."""
        for trail in trails:
            if answered.large:
                await trail.prepare(self.asked, answered)
            self._expect(trail.answer(self.asked, answered, receipts))
            receipts = None

    async def recorded(self) -> None:
        """Return once all that was to be written is, by one device at least of each scope. Raises NotRecorded."""
        outcomes, self._outcomes = self._outcomes, []
        failed = False
        for written in outcomes:
            good = False
            for outcome in written:
                good |= outcome.result() if outcome.done() else await asyncio.shield(outcome)
            failed |= not good
        if failed:
            self._outcomes = outcomes  # whoever asks again is told the same
            raise NotRecorded.of(self.asked.id)

    def _expect(self, outcomes: tuple[asyncio.Future[bool], ...]) -> None:
        """Keep what is to become true; where no device takes the entry, nothing is."""
        if outcomes and (not self._outcomes or self._outcomes[-1] != outcomes):
            self._outcomes.append(outcomes)
