"""What the connections of one process share: who answers, the outbox, the limits, and the list of them all."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from kms_http.wire.limits import Account, Limits
from kms_http.wire.passing import Staying
from kms_http.wire.request import Request
from kms_http.wire.response import Held, Response
from kms_http.wire.shares import Shares

if TYPE_CHECKING:
    from kms_http.wire.connection import Connection

Answer = Callable[[Request], Coroutine[Any, Any, Response]]

#: Answers that wait for each other at most.
_TOGETHER: Final = 16
#: Idle connections closed at a time to make room: looking for them takes longer the more there are.
_MADE_ROOM: Final = 16


class Outbox:
    """Answers that were ready when their requests were read, until all that the loop found to read has been read.

    Written one after the other they wake a client once; each on its own would wake it each time, and that costs more
    than anything else in a small request. Those that are held until something is written share one write of it, too.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answers: list[tuple[Connection, Request, Response]] = []

    def put(self, connection: Connection, request: Request, response: Response) -> None:
        """Have an answer sent soon."""
        self._answers.append((connection, request, response))
        if len(self._answers) == 1:
            self._loop.call_soon(self._send)
        elif len(self._answers) == _TOGETHER:
            self._send()

    def _send(self) -> None:
        answers, self._answers = self._answers, []
        for connection, request, response in answers:
            if response.held is None:
                connection.send(request, response)
            else:
                self._leave(response.held, connection, request)

    def _leave(self, held: Held, connection: Connection, request: Request) -> None:
        """Send what leaves of an answer that is held, as soon as nothing holds it any more."""

        def leave() -> None:
            connection.send(request, held.leave())

        if held.settled(leave):
            leave()


class Hub:
    """One to a server. `answer` may be changed, which is heeded from the next request on."""

    def __init__(
        self, answer: Answer, limits: Limits, keepalive_seconds: float, linger_seconds: float, head_seconds: float
    ) -> None:
        self.answer = answer
        self.keepalive_seconds = keepalive_seconds
        self.linger_seconds = linger_seconds
        self.head_seconds = head_seconds
        self.pending = Account(limits.pending_bytes)
        self.shares = Shares(limits)
        self.bodies = Account(limits.body_bytes)
        self.loop = asyncio.get_running_loop()
        self.outbox = Outbox(self.loop)
        self.connections: set[Connection] = set()
        self.ending = False  # bodies without an end are to end
        self.passing = Staying()  # changed where there is a process for large bodies, and this is not it
        self._most = limits.connections

    def has_room(self, connecting: int) -> bool:
        """Tell whether one more connection may be taken, after closing idle ones where that is needed.

        Idle are those without a whole request: a client that holds connections open, or sends its headers slowly,
        makes way for others. `connecting` more have been accepted.
        """
        if len(self.connections) + connecting < self._most:
            return True
        idle = [connection for connection in self.connections if not connection.busy]
        for connection in heapq.nsmallest(_MADE_ROOM, idle, key=lambda connection: connection.idle_since):
            connection.abort()
        return bool(idle)
