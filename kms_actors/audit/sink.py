"""Where the lines of an audit device go, as a device sees it."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Sequence
from typing import Protocol, runtime_checkable

from kms_actors.errors import KmsError


class SinkFailed(KmsError):
    """Lines could not be made durable. The text says why, in words for a log: it holds nothing of the lines."""


#: What it came to that lines were to be durable: None, or why nobody knows whether they are.
Synced = Future[SinkFailed | None]


class Sink(Protocol):
    """One open place for lines: a file, a socket. It is used by one event loop, and never stops it.

    A device has one `write` under way at a time, and gathers lines until that is done.
    """

    def write(self, lines: Sequence[bytes]) -> Awaitable[None]:
        """Write lines, each of which ends in a newline; done once they are as durable as the device demands.

        Raises SinkFailed where any of them may not be. What is written of them then is cut off, or stands on lines of
        its own: it never becomes a part of a later line.
        """

    async def reopen(self) -> None:
        """Let go of what is open, and open it anew by its name: a file may have been moved away. Raises SinkFailed.

        It is awaited while no `write` is under way.
        """

    async def close(self) -> None:
        """Let go of what is open; raises nothing. Nothing is written afterwards."""


@runtime_checkable
class WritesAtOnce(Protocol):
    """A sink that can do without waiting, at times."""

    def write_at_once(self, lines: Sequence[bytes]) -> bool | Synced:
        """As `write`, on the loop; False, and nothing done, where it could take longer than the loop may be held.

        What is returned else is done once the lines are as durable as the device demands; True: they are already.
        It is called while no `write` is under way, but before what it has returned is done.
        """
