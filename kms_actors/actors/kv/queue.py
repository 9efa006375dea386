"""Commands for one secret that come while another is being committed.

Each would be a transaction of its own, and all but one would meet a conflict. So they wait, and then share the next
transaction, one after the other within it: each sees what those before it did, as if they had come alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from kms_actors import request_context
from kms_actors.clock import elapsed
from kms_actors.errors import DeadlinePassed
from kms_actors.messages import Command

#: Commands that share a transaction, and bytes that it writes: of their data, and of all that they write beside it.
MOST_COMMANDS: Final = 64
MOST_BYTES: Final = 256 * 1024
#: Seconds from one transaction to the next where several write a secret, as long as the last one took at most: those
#: who were answered come again and share it, and it is the chance of other processes, whose transactions would go on
#: losing against shorter ones.
COMPANY_SECONDS: Final = 0.003

SecretId: TypeAlias = tuple[int, str]  # mount number, path
Answer: TypeAlias = asyncio.Future[Any]


class Waiting:
    """One command, its request, its answer to come, and the time it came (nanoseconds)."""

    __slots__ = ("answer", "command", "now", "request", "size")

    def __init__(self, command: Any, now: int) -> None:
        self.command = command
        self.now = now
        self.request = request_context.current()
        self.size = len(getattr(command, "data", b""))
        self.answer: Answer = asyncio.get_running_loop().create_future()


Start: TypeAlias = Callable[[SecretId, Sequence[Waiting]], object]


class SecretQueues:
    """Per secret, what waits. `start` begins the work on some commands; `done` follows when it has ended.

    It is given each time, not kept: it leads to the owner, whose keys must leave memory with its last reference.
    """

    def __init__(self) -> None:
        self._queues: dict[SecretId, list[Waiting]] = {}

    def add(self, command: Command, secret: SecretId, now: int, start: Start) -> Answer:
        """Start the command, or let it wait for its turn; return its answer to come."""
        waiting = Waiting(command, now)
        queue = self._queues.get(secret)
        if queue is None:
            self._queues[secret] = []
            start(secret, (waiting,))
        else:
            queue.append(waiting)
        return waiting.answer

    def waits(self, secret: SecretId) -> bool:
        """Tell whether any command waits for its turn."""
        return bool(self._queues.get(secret))

    def done(self, secret: SecretId, start: Start, rest: Sequence[Waiting] = ()) -> None:
        """Start those that the last transaction had no room for, and what has come meanwhile, if anything."""
        queue = self._queues[secret] = _in_time([*rest, *self._queues[secret]])
        if not queue:
            del self._queues[secret]
            return
        count, size = 1, queue[0].size
        while count < min(len(queue), MOST_COMMANDS) and size + queue[count].size <= MOST_BYTES:
            size += queue[count].size
            count += 1
        self._queues[secret] = queue[count:]
        start(secret, queue[:count])


def _in_time(queue: Sequence[Waiting]) -> list[Waiting]:
    """Return those whose requests' time is not over; the others are answered."""
    now = elapsed()
    late = [waiting for waiting in queue if waiting.request.ends < now]
    for waiting in late:
        if not waiting.answer.done():
            waiting.answer.set_exception(DeadlinePassed("others wrote the same secret for too long"))
    return [waiting for waiting in queue if waiting not in late] if late else list(queue)
