"""An event loop whose time is virtual, and the processes that live on it.

Time passes only when nothing is left to do, and then at once to the next moment at which something is. A process is a
context: what runs in it, and whatever that starts, belongs to it. So one that is killed is simply never run again, in
the middle of whatever it awaited, and one that stands still finds all that arrived meanwhile when it goes on.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import selectors
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

#: Wall clocks of the simulation begin here, in seconds since 1970.
EPOCH: Final = 1_800_000_000.0
#: Virtual seconds that a job in a thread takes at most.
_LONGEST_JOB: Final = 0.02


class Process:
    """What a kill ends, a standstill holds, and a step of the clock sets. `skew` is its wall clock's, in seconds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.still = False
        self.skew = 0.0
        self.stood = 0.0  # seconds in all
        self.context = contextvars.copy_context()
        self.context.run(_process.set, self)
        self._held: list[_Handle] = []
        self._since = 0.0

    def kill(self) -> None:
        """Run nothing of it any more."""
        self.dead = True
        self._held.clear()

    def stand_still(self, now: float) -> None:
        """Run nothing of it until `go_on`."""
        if not self.still:
            self.still, self._since = True, now

    def go_on(self, now: float) -> None:
        """Run what became due meanwhile, in the order in which it did."""
        if self.still:
            self.still = False
            self.stood += now - self._since
        held, self._held = self._held, []
        for handle in held:
            if not handle.cancelled():
                handle.again()

    def hold(self, handle: _Handle) -> None:
        """Keep what is due until the process goes on."""
        self._held.append(handle)


_process: Final[ContextVar[Process | None]] = ContextVar("process", default=None)

#: The process that runs at the moment; None outside of all: the network, the store, the clients.
running: Final = _process.get


def moving() -> float:
    """Return seconds by a clock that stops while the process that asks stands still, as no lease may be measured."""
    process = running()
    return time.monotonic() - (0.0 if process is None else process.stood)


class _Handle(asyncio.Handle):
    """Runs its callback only where the process that it belongs to is alive and moves."""

    __slots__ = ()

    def _run(self) -> None:
        process: Process | None = self._context.get(_process)  # type: ignore[attr-defined]
        if process is None or not (process.dead or process.still):
            asyncio.Handle._run(self)
        elif not process.dead:
            process.hold(self)

    def again(self) -> None:
        """Become due once more."""
        self._loop._ready.append(self)  # type: ignore[attr-defined]


class _TimerHandle(asyncio.TimerHandle):
    """The same, at a time."""

    __slots__ = ()

    _run = _Handle._run
    again = _Handle.again


class _Selector(selectors.SelectSelector):
    """Finds nothing to read, ever: its waiting is what lets time pass."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing is left to happen: the simulation would wait for ever")
        if timeout > 0:
            self._advance(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See above. `duration` draws how long a job in a thread takes, 0 to 1."""

    def __init__(self, duration: Callable[[], float]) -> None:
        self.now = 0.0
        self._duration = duration
        super().__init__(_Selector(self._pass))
        self._clock_resolution = 1e-7  # a year of seconds has no finer floats

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self.now

    def wall(self) -> float:
        """Seconds since 1970 by the clock of the process that asks."""
        process = running()
        return EPOCH + self.now + (process.skew if process is not None else 0.0)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Compute at once, and say so a drawn moment later, as a thread would."""
        answer: asyncio.Future[Any] = self.create_future()
        try:
            result, error = func(*args), None
        except Exception as raised:  # noqa: BLE001 - handed on
            result, error = None, raised
        self.call_later(self._duration() * _LONGEST_JOB, _settle, answer, result, error)
        return answer

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def _call_soon(self, callback: Any, args: Any, context: Any) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """See `asyncio.loop.call_at`."""
        self._check_closed()  # type: ignore[attr-defined]
        timer = _TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer


def _settle(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
