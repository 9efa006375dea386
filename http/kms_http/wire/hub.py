"""What the connections of one process share: who answers, the outbox, the limits, and the list of them all."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from kms_actors.runtime import Turns
from kms_http.wire.admission import AccountOf, Admission
from kms_http.wire.limits import Account, Limits
from kms_http.wire.passes import Outbox
from kms_http.wire.passing import Staying
from kms_http.wire.refusals import Refusals
from kms_http.wire.request import Request
from kms_http.wire.response import Response
from kms_http.wire.shares import Shares, network

if TYPE_CHECKING:
    from kms_http.wire.connection import Connection

Answer = Callable[[Request], Coroutine[Any, Any, Response]]

#: Idle connections closed at a time to make room: looking for them takes longer the more there are.
_MADE_ROOM: Final = 16


def by_address(request: Request) -> str:
    """Return the account of a request that nothing is known of but where it comes from."""
    return "@" + network(request.remote)


class Hub:
    """One to a server. `answer` may be changed, which is heeded from the next request on."""

    def __init__(
        self,
        answer: Answer,
        limits: Limits,
        *,
        keepalive_seconds: float,
        linger_seconds: float,
        head_seconds: float,
        refusals: Refusals,
        slices: Turns,
        account_of: AccountOf = by_address,
        clock: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self.answer = answer
        self.keepalive_seconds = keepalive_seconds
        self.linger_seconds = linger_seconds
        self.head_seconds = head_seconds
        self.pending = Account(limits.pending_bytes)
        self.shares = Shares(limits)
        self.bodies = Account(limits.body_bytes)
        self.loop = asyncio.get_running_loop()
        self.body_rate = limits.body_rate
        self.refusals = refusals
        self.outbox = Outbox(self.loop)
        self.admission = Admission(
            account_of,
            self.refusals,
            self.outbox,
            slices=slices,
            bound=limits.wait_seconds,
            clock=clock,
            cpu=cpu,
        )
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
