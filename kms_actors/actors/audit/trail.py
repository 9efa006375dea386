"""The trail that requests leave: the open devices of a vault, or of the node, as the edge has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kms_actors.actors.audit.writing import Outcome, Writer
from kms_actors.audit.device import Device
from kms_actors.audit.entries import Entries
from kms_actors.audit.facts import Answered, Entered, Entry
from kms_actors.audit.receipts import Ticket
from kms_actors.runtime import Turns


class OpenDevice:
    """One device that is open in this process."""

    def __init__(self, device: Device, entries: Entries, writer: Writer[Entry]) -> None:
        self.device: Final = device
        self.entries: Final = entries
        self.writer: Final = writer

    def takes(self, entered: Entered) -> bool:
        """Tell whether entries of a request are written here."""
        return not self.writer.closed and self.entries.takes(entered)


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

    async def prepare(self, entered: Entered, answered: Answered | None = None) -> None:
        """Mask many values, of a request or of its answer, before its line is made: in steps."""
        for device in self.devices:
            if not device.takes(entered):
                continue
            entries, asked = device.entries, entered.asked
            steps = entries.masking(asked) if answered is None else entries.masking_answer(asked, answered)
            for _ in steps:
                await self._turns.turn(self._owner)

    def hasten(self) -> None:
        """Have what waits written now, where that can be done without a wait: somebody waits for it next."""
        for device in self.devices:
            device.writer.hasten()

    def request(self, entered: Entered, error: str = "") -> list[Outcome]:
        """Have the line of a request written; one of the outcomes must be good, if there are any."""
        entry, outcomes = (entered, None, error, self._clock()), []
        for device in self.devices:
            writer = device.writer
            if not writer.closed and (device.entries.filter is None or device.takes(entered)):
                outcomes.append(writer.put(entry))
        return outcomes

    def now(self) -> int:
        """Return the time, in nanoseconds since 1970."""
        return self._clock()

    def answer(self, entered: Entered, answered: Answered, receipts: list[Ticket] | None = None) -> list[Outcome]:
        """Have the line of an answer written, likewise; with `receipts`, add a ticket of each device."""
        entry, outcomes = (entered, answered, "", self._clock()), []
        for device in self.devices:
            if device.takes(entered):
                ticket = None
                if receipts is not None:
                    ticket = Ticket()
                    receipts.append(ticket)
                outcomes.append(device.writer.put(entry, ticket))
        return outcomes
