"""A bounded mailbox on one event loop, and the rule when a turn may run without waking that loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from kms_actors import request_context
from kms_actors.errors import Overloaded
from kms_actors.request_context import RequestContext

#: A message that waits, and the request it belongs to.
_Waiting = tuple[Envelope[Any], RequestContext]

#: The queue of a mailbox where nothing waits: an empty deque would take 760 bytes, and most actors are idle.
_NOTHING: Final[deque[_Waiting]] = deque(maxlen=0)

#: Turns run one after the other before the loop's other callbacks get their chance.
TURNS_IN_A_ROW: Final = 64


class Turns:
    """Shared by all actors of a thread: no turn runs within another, and only so many in a row."""

    __slots__ = ("left", "running", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.running = False
        self.left = TURNS_IN_A_ROW


class _Local(threading.local):
    def __init__(self) -> None:
        self.turns = Turns()


_local = _Local()


class Mailbox:
    """First in, first out; used only on the thread of the loop it was made in.

    An ask takes a place from its arrival to its answer, a child task's answer included; past `limit`
    places it raises `Overloaded`. Told events and stop messages always fit: they come from the program
    itself, and an actor that missed one would be wrong or immortal.
    """

    __slots__ = ("_arrival", "_loop", "_queue", "_receive", "in_flight", "limit", "turns")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue = _NOTHING
        self._arrival: asyncio.Future[None] | None = None
        self._receive: Callable[[Envelope[Any]], None] | None = None
        self.in_flight = 0
        self.limit = 0
        self.turns = _local.turns

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def depth(self) -> int:
        """Messages that wait, and asks that a child task is about to answer."""
        return len(self._queue) + self.in_flight

    def open(self, receive: Callable[[Envelope[Any]], None], limit: int) -> None:
        """Give the function that runs one turn, and the bound."""
        self._receive, self.limit = receive, limit

    def close(self) -> None:
        """Forget the actor, so that a stale reference does not keep it in memory."""
        self._receive = None

    def put(self, envelope: Envelope[Any]) -> None:
        """Queue a message; or, for an ask of an idle actor, run its turn here and now.

        The latter gives the answer that a queued ask would have got, without two passes of the loop.
        """
        turns = self.turns
        if turns.thread != threading.get_ident():
            raise RuntimeError("an actor hears only the thread of its loop")
        if envelope.reply_to is not None and envelope.message.__class__ is not _ActorStop:
            if len(self._queue) + self.in_flight >= self.limit:
                raise Overloaded("too many requests at once")
            # A loop that waits for an arrival has nothing queued and no turn under way.
            if self._arrival is not None and turns.left and not turns.running and self._receive is not None:
                turns.left -= 1
                self._receive(envelope)
                return
        if self._queue is _NOTHING:
            self._queue = deque()
        self._queue.append((envelope, request_context.current()))
        self.wake()

    def get(self) -> Envelope[Any]:
        """Take the oldest message, and go on for its request; raises `IndexError` if there is none."""
        envelope, request = self._queue.popleft()
        request_context.enter(request)
        if not self._queue:
            self._queue = _NOTHING
        return envelope

    def empty(self) -> bool:
        """Tell whether no message waits."""
        return not self._queue

    async def arrival(self) -> None:
        """Let other callbacks run, at least once, until a message waits or `wake` is called."""
        if self._queue:
            await asyncio.sleep(0)
        else:
            self._arrival = self._loop.create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        self.turns.left = TURNS_IN_A_ROW

    def wake(self) -> None:
        """End a wait for an arrival."""
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        self._arrival = None
