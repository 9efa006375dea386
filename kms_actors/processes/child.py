"""A worker as the supervisor sees it: a process, the link to it, and how far it has come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Self

from kms_actors.config import Configuration
from kms_actors.observe.families import Family
from kms_actors.processes.certificates import Material
from kms_actors.processes.frames import (
    FROM_WORKER,
    Drain,
    Frame,
    Prepared,
    Reply,
    Request,
    Samples,
    Serve,
    Serving,
    Start,
    Stop,
)
from kms_actors.processes.launch import Launched, WorkerProcess
from kms_actors.processes.link import Link

#: Seconds until a thread is asked for again that the system did not start.
_AGAIN_SECONDS: Final = 1.0
#: Seconds beyond the configured ones that an ordered end may take.
_END_SECONDS: Final = 5.0


class Child:
    """Made by `adopt`. `serving` is done once it accepts connections, `ended` once the process is gone."""

    def __init__(self, slot: int, process: WorkerProcess, receive: Callable[[Child, Frame], None]) -> None:
        loop = asyncio.get_running_loop()
        self.slot = slot
        self.born = time.monotonic()
        #: True from the order to accept connections to its end: what such a worker does matters.
        self.active = False
        #: True from the order to end once its connections have gone.
        self.draining = False
        self.serving: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()
        self.families: list[Family] = []  # as last heard
        self._process = process
        self._receive = receive
        self.link = Link(FROM_WORKER, self._hear)
        self._watcher = loop.create_task(self._watch())  # held here: the loop holds tasks weakly

    @classmethod
    async def adopt(cls, slot: int, launched: Launched, receive: Callable[[Child, Frame], None]) -> Self:
        """Take a process over; `receive` is told its requests."""
        child = cls(slot, launched.process, receive)
        await child.link.connect(launched.end)
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    def configure(self, configuration: Configuration, materials: dict[str, Material]) -> None:
        """Send what it needs to prepare itself."""
        self.link.send(Start(configuration, materials))

    async def ask(self, kind: type[Request], *fields: object, seconds: float) -> Reply:
        """Send a request; raises TimeoutError without a reply in time, Unavailable when the process is gone."""
        async with asyncio.timeout(seconds):
            return await self.link.request(kind, *fields)

    async def drain(self) -> None:
        """Have it serve its connections until they go, and end; return then."""
        self.draining = True
        self.link.request(Drain).add_done_callback(self._hear_last)
        await asyncio.wait([self.ended])

    async def stop(self, seconds: float) -> None:
        """Have it finish the requests under way within `seconds`, and end; return then."""
        self.link.request(Stop).add_done_callback(self._hear_last)
        await asyncio.wait([self.ended], timeout=seconds + _END_SECONDS)
        await self.kill()

    async def kill(self) -> None:
        """End it at once, if it has not; return when it is gone."""
        self._process.kill()
        await asyncio.wait([self.ended])

    def hear_samples(self, reply: Reply) -> None:
        """Remember the metrics of a reply."""
        if isinstance(reply, Samples):
            self.families = reply.families

    def _hear_last(self, reply: asyncio.Future[Reply]) -> None:
        if not reply.cancelled() and reply.exception() is None:
            self.hear_samples(reply.result())

    def _hear(self, frame: Frame) -> None:
        if isinstance(frame, Prepared):
            self.active = True
            self.link.send(Serve())
        elif not isinstance(frame, Serving):
            self._receive(self, frame)
        elif not self.serving.done():
            self.serving.set_result(None)

    async def _watch(self) -> None:
        await self.link.ended
        try:
            async with asyncio.timeout(_END_SECONDS):
                code = await self._code()
        except TimeoutError:
            self._process.kill()
            code = await self._code()
        self.active = False
        self.serving.cancel()
        self.ended.set_result(code)

    async def _code(self) -> int:
        """Return the exit code once the process has ended."""
        while True:
            try:
                return await asyncio.to_thread(self._process.wait)
            except RuntimeError:  # there is no thread for it; a worker whose end nobody hears of is never replaced
                await asyncio.sleep(_AGAIN_SECONDS)
