"""A thread for an HSM, whose library answers when it likes.

One call at a time, since few libraries bear more. One that does not come back is left to itself: whoever waits is
told so after a while, and so is everybody else until it has come back. The thread keeps no process from ending.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from kms_actors.errors import SealUnavailable

T = TypeVar("T")

#: Seconds that a call may take.
SECONDS: Final = 15.0


class HsmThread:
    """Makes calls one after the other. Used on one event loop."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._under_way: asyncio.Future[object] | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """Return what `call` does; raises what it raises, or SealUnavailable where it takes too long."""
        try:
            async with asyncio.timeout(self._seconds), self._turn:
                if self._under_way is not None and not self._under_way.done():
                    await asyncio.wait([self._under_way])
                own: asyncio.Future[T] = _started(call)
                self._under_way = own  # type: ignore[assignment]  # whatever it gives
                return await asyncio.shield(own)
        except TimeoutError:
            raise SealUnavailable("the HSM does not answer in time") from None


def _started(call: Callable[[], T]) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to see it

    def settle(outcome: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if future.done() else outcome())

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            settle(lambda raised=error: future.set_exception(raised))  # type: ignore[misc]
        else:
            settle(lambda: future.set_result(result))

    threading.Thread(target=work, name="hsm", daemon=True).start()
    return future
