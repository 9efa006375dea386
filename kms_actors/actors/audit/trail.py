"""The trail that requests leave: the open devices of a vault, or of the node, as the edge has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kms_actors.actors.audit.writing import Outcome, Writer
from kms_actors.audit.device import Device
from kms_actors.audit.entries import Entries
from kms_actors.audit.facts import Answered, Asked
from kms_actors.audit.receipts import Ticket
from kms_actors.runtime import Turns


class OpenDevice:
    """One device that is open in this process."""

    def __init__(self, device: Device, entries: Entries, writer: Writer) -> None:
        self.device: Final = device
        self.entries: Final = entries
        self.writer: Final = writer


class Trail:
    """Devices that are open, of one `revision` of them. It is replaced, never changed."""

    def __init__(
        self,
        revision: int,
        devices: Sequence[OpenDevice],
        *,
        owner: str,
        turns: Turns,
        clock: Callable[[], int],
    ) -> None:
        """`owner` is who takes turns with others where values are masked in steps."""
        self.revision: Final = revision
        self.devices: Final = tuple(devices)
        self._owner = owner
        self._turns = turns
        self._clock = clock

    async def prepare(self, asked: Asked, answered: Answered | None = None) -> None:
        """Mask many values, of a request or of its answer, before its line is written: in steps."""
        for device in self._takers(asked):
            entries = device.entries
            steps = entries.masking(asked) if answered is None else entries.masking_answer(asked, answered)
            for _ in steps:
                await self._turns.turn(self._owner)

    def request(self, asked: Asked, error: str = "") -> tuple[Outcome, ...]:
        """Have the line of a request written; one of the outcomes must be good, if there are any."""
        now = self._clock()
        return tuple(d.writer.put(d.entries.request(asked, error, now)) for d in self._takers(asked))

    def answer(self, asked: Asked, answered: Answered, receipts: list[Ticket] | None = None) -> tuple[Outcome, ...]:
        """Have the line of an answer written, likewise; with `receipts`, add a ticket of each device."""
        now, takers = self._clock(), self._takers(asked)
        tickets = [Ticket() if receipts is not None else None for _ in takers]
        if receipts is not None:
            receipts += filter(None, tickets)
        outcomes = []
        for device, ticket in zip(takers, tickets, strict=True):
            outcomes.append(device.writer.put(device.entries.answer(asked, answered, now), ticket))
            device.writer.hasten()  # who enters an answer waits for all that is entered
        return tuple(outcomes)

    def _takers(self, asked: Asked) -> list[OpenDevice]:
        return [device for device in self.devices if not device.writer.closed and device.entries.takes(asked)]
