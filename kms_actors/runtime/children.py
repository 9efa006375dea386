"""The child tasks of one actor, and the replies each of them owes."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeVar

from kms_actors.errors import Unavailable
from kms_actors.runtime.failure import EXPECTED, RequestFailed, answer_to, log_failure, log_unheard
from kms_actors.runtime.future import AsyncioFuture
from kms_actors.runtime.mailbox import Mailbox

T = TypeVar("T")

Reply = AsyncioFuture[Any]

#: Seconds a cancelled task gets to clean up.
_CANCEL_GRACE: Final = 1.0


class Child(asyncio.Task[T]):
    """A task that knows whether anything beside its actor hears of its end: another task that awaits it, say."""

    heard = False

    def add_done_callback(
        self, fn: Callable[[Any], object], /, *, context: contextvars.Context | None = None
    ) -> None:
        self.heard = True
        super().add_done_callback(fn, context=context)

    def adopt(self, fn: Callable[[Any], object]) -> None:
        """Let its actor hear of its end."""
        super().add_done_callback(fn)


class Children:
    """Several asks may wait for one task, and a task may return another, whose outcome is then the answer.

    `fail` hears of each unexpected error of one that nobody waits for: no ask, and no other task. What another task
    awaits is that one's to answer for: a mistake of a caller is told to the caller alone, however deep it is found.
    """

    def __init__(self, owner: str, mailbox: Mailbox, fail: Callable[[BaseException], None]) -> None:
        self._owner = owner
        self._mailbox = mailbox
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._owed: dict[asyncio.Future[Any], list[Reply]] = {}
        #: Whether the end of the last one wakes the actor, which waits for it.
        self.last_wakes = False

    def __len__(self) -> int:
        return len(self._owed)

    def start(self, work: Coroutine[Any, Any, T], context: contextvars.Context | None = None) -> asyncio.Task[T]:
        """Run `work` in a task that is kept, and heard, until it ends."""
        task: Child[T] = Child(work, loop=self._loop, context=context)
        self._adopt(task)
        return task

    def owe(self, reply: Reply | None, child: asyncio.Future[Any]) -> None:
        """Let the outcome of `child`, one of ours or from now on ours, answer `reply`."""
        replies = self._owed[child] if child in self._owed else self._adopt(child)
        if reply is not None:
            replies.append(reply)
            self._mailbox.in_flight += 1

    def wanted(self, child: asyncio.Future[Any]) -> bool:
        """Tell whether anybody waits for `child`: False once all who did have given up."""
        replies = self._owed.get(child)
        return not replies or not all(reply.abandoned for reply in replies)

    async def cancel(self) -> None:
        """Cancel all, and give them a moment."""
        for child in self._owed:
            child.cancel()
        if self._owed:
            await asyncio.wait(self._owed, timeout=_CANCEL_GRACE)

    def abandon(self) -> None:
        """Cancel all, answer for them, and let go of the actor, so that its keys leave memory at once."""
        self._fail = partial(log_failure, self._owner)
        for child, replies in self._owed.items():
            child.cancel()
            self._refuse(replies, Unavailable("stopped before the outcome was known"))

    def _adopt(self, child: asyncio.Future[Any]) -> list[Reply]:
        (child.adopt if isinstance(child, Child) else child.add_done_callback)(self._ended)
        return self._owed.setdefault(child, [])

    def _ended(self, child: asyncio.Future[Any]) -> None:
        replies = self._owed.pop(child)
        if child.cancelled():
            self._refuse(replies, Unavailable("cancelled before the outcome was known"))
        elif (error := _error_of(child)) is not None:
            heard = bool(replies) or (isinstance(child, Child) and child.heard)
            if isinstance(error, EXPECTED):
                if not heard:
                    log_unheard(self._owner, error)
            elif not heard:
                self._fail(error)
            elif replies:
                log_failure(self._owner, error, "request failed in actor")
            _forget_way(error)
            self._refuse(replies, answer_to(error, RequestFailed))
        elif isinstance(child.result(), asyncio.Future):
            self._pass_on(replies, child.result())
        else:
            self._mailbox.in_flight -= len(replies)
            for reply in replies:
                reply.set(child.result())
        if self.last_wakes and not self._owed:
            self._mailbox.wake()

    def _pass_on(self, replies: list[Reply], task: asyncio.Future[Any]) -> None:
        """Let a task that a child returned answer in its place."""
        owed = self._owed[task] if task in self._owed else self._adopt(task)
        owed += replies

    def _refuse(self, replies: list[Reply], error: BaseException) -> None:
        self._mailbox.in_flight -= len(replies)
        for reply in replies:
            reply.fail(error)
        replies.clear()


def _error_of(child: asyncio.Future[Any]) -> BaseException | None:
    """Return what it ended with, as `exception` does; but the task does not keep the way that this came.

    The variables along the way hold the task itself, and keys, results and what was sent: with the task they would
    wait for a collection of cycles.
    """
    try:
        child.result()
    except BaseException as error:  # noqa: BLE001 - it is looked at, not handled
        return error
    return None


def _forget_way(error: BaseException) -> None:
    """Have an error itself not keep it either, nor the errors that led to it."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
