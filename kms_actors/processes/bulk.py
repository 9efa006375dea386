"""The bulk worker: one more process, for requests with large bodies, while there are any.

It begins when a worker passes the first connection on, and ends after a while without one: so it takes no memory of a
node that never meets such bodies, and gives back all that they have left in it. The connections wait in a socket of
which the supervisor holds both ends, whoever of the others comes and goes. See decision 66.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import structlog

from kms_actors.errors import KmsError
from kms_actors.processes.child import Child
from kms_actors.processes.lane import Lane
from kms_http.wire.passing import send_away, waiting

#: What it yields to others where cores are short: they answer in less than a millisecond, it in many.
_NICE: Final = 5
#: Seconds between two looks at whether it has anything to do.
_LOOK_SECONDS: Final = 1.0
#: Seconds until another is started where one has failed, or died as young.
_WAIT_SECONDS: Final = 5.0

_log = structlog.get_logger("kms_actors")


def yield_to_others() -> None:
    """Take what the workers leave of the cores."""
    with suppress(OSError):
        os.nice(_NICE)


async def wait_until_idle(connections: Callable[[], int], seconds: float) -> None:
    """Return once there was no connection for so many seconds."""
    loop = asyncio.get_running_loop()
    busy_at = loop.time()
    while loop.time() < busy_at + seconds:
        await asyncio.sleep(min(_LOOK_SECONDS, seconds))
        if connections():
            busy_at = loop.time()


class BulkLane:
    """The supervisor's part: starts the bulk worker when a connection waits for one.

    `spawn` starts it and returns once it serves; `keep` runs what is to go on beside.
    """

    def __init__(
        self,
        lane: Lane,
        spawn: Callable[[], Awaitable[Child]],
        keep: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._lane = lane
        self._spawn = spawn
        self._keep = keep
        self._watching = False
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._outdated = False  # what is being started was to be replaced meanwhile
        self.child: Child | None = None

    def start(self) -> None:
        """Watch for connections that nobody takes."""
        if not self._watching and not self._stopped:
            self._watching = True
            self._loop.add_reader(self._lane.receiving.fileno(), self._needed)

    def stop(self) -> None:
        """Start none any more. Idempotent."""
        self._stopped = True
        self._unwatch()
        self._lane.close()

    def renew(self) -> None:
        """Let the one there is end, once its connections have: the next is started when it is needed."""
        child, self.child = self.child, None
        self._outdated = child is None
        if child is not None:
            self._keep(child.drain())
            self.start()

    def ended(self, child: Child, code: int) -> None:
        """Hear that a process has ended; one that was told to is not the present one any more."""
        if self.child is child:
            self.child = None
            if not self._stopped:
                _log.error("bulk worker ended", pid=child.pid, code=code)
                if time.monotonic() - child.born < _WAIT_SECONDS:
                    self._keep(self._start_later())
                else:
                    self.start()

    def _needed(self) -> None:
        self._unwatch()
        self._keep(self._run())

    async def _run(self) -> None:
        self._outdated = False
        try:
            self.child = child = await self._spawn()
            _log.info("bulk worker serves", pid=child.pid)
            if self._outdated:
                self.renew()
        except Exception as error:  # noqa: BLE001 - whatever it is: in a lane that nobody watches, clients wait for good
            told = isinstance(error, (KmsError, OSError))
            _log.error("bulk worker cannot be started", reason=str(error) if told else type(error).__name__)
            # At the next one that comes it is tried again: these would wait for as long as that fails.
            for connection in waiting(self._lane.receiving):
                self._keep(send_away(connection))
            await self._start_later()

    async def _start_later(self) -> None:
        await asyncio.sleep(_WAIT_SECONDS)
        self.start()

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._lane.receiving.fileno())
