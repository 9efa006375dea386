"""The reply to an ask: a pykka future that is awaited and never blocks a thread."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, TypeVar

import pykka

from kms_actors.errors import Unavailable

T = TypeVar("T")

_ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class WouldBlock(RuntimeError):
    """A blocking `get()` was tried: it would stop the loop that is to bring the answer."""


class _Pending(pykka.Timeout):
    """A poll met `future` without its outcome; awaiting that one and polling again makes progress."""

    def __init__(self, future: AsyncioFuture[Any]) -> None:
        super().__init__("0 seconds")
        self.future = future


class AsyncioFuture(pykka.Future[T]):
    """One outcome, awaited by any number of tasks of one loop; their cancellation leaves it alone.

    pykka's `map`, `filter`, `join`, `reduce` and the future of `ActorRef.stop()` work when awaited.
    """

    # Defaults in the class and an empty __init__: a future that is answered at once costs one object.
    _get_hook: Callable[[float | None], T] | None = None
    _done = False
    _value: Any = None
    _error: BaseException | None = None
    _waiters: list[asyncio.Future[None]] | None = None

    def __init__(self) -> None:
        pass

    def done(self) -> bool:
        """Tell whether `await` would return at once."""
        return self._done

    @property
    def abandoned(self) -> bool:
        """True once all who awaited it have given up: nobody will look at the outcome."""
        return bool(self._waiters) and all(waiter.cancelled() for waiter in self._waiters or ())

    def get(self, *, timeout: float | None = None) -> T:
        """Poll with a timeout of 0 seconds; every other timeout is refused, even when the outcome is there.

        Raises `WouldBlock`, `pykka.Timeout` while pending, or the outcome if that is an error.
        """
        if timeout != 0:
            raise WouldBlock("await the future instead of get()")
        if self._get_hook is not None and not self._done:
            value = self._get_hook(0)
            self._get_hook = None
            self.set(value)
        if not self._done:
            raise _Pending(self)
        if self._error is not None:
            raise self._error
        outcome: T = self._value
        return outcome

    def set(self, value: T | None = None) -> None:
        """Answer with `value`; raises `asyncio.InvalidStateError` the second time."""
        self._settle(value, None)

    def set_exception(self, exc_info: _ExcInfo | None = None) -> None:
        """Answer with an error: of `exc_info`, or the one being handled."""
        kind, error, _ = exc_info or sys.exc_info()
        assert kind is not None
        self.fail(kind() if error is None else error)

    def fail(self, error: BaseException) -> None:
        """Answer with `error`; raises `asyncio.InvalidStateError` the second time."""
        self._settle(None, error)

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Compute the outcome by `func(timeout)` when awaited; it runs anew after each future it polls."""
        if self._done:
            raise asyncio.InvalidStateError
        self._get_hook = func

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done and self._get_hook is None:
            yield from self._settled()
        while True:
            try:
                return self.get(timeout=0)
            except _Pending as pending:
                future = pending.future
            yield from future._settled()  # noqa: SLF001 - the same class

    __iter__ = __await__

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self._done or self._get_hook is not None:
            raise asyncio.InvalidStateError
        self._done, self._value, self._error = True, value, error
        for waiter in self._waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self._waiters = None

    def _settled(self) -> Generator[Any, None, None]:
        """Wait on a future of the waiting task alone, so that its cancellation stays its own."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        yield from waiter


async def ask(
    ref: pykka.ActorRef[Any],
    message: Any,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - a caller's `asyncio.timeout` costs more than the ask
) -> Any:
    """Send `message` and return the reply; after `timeout` seconds the actor goes on, unheard.

    Raises the actor's `KmsError`; `Overloaded` when its mailbox is full; `Unavailable` after `timeout`;
    `pykka.ActorDeadError` if the actor had stopped before it looked at the message.
    """
    reply: AsyncioFuture[Any] = ref.ask(message, block=False)  # type: ignore[assignment]
    if reply.done():
        return reply.get(timeout=0)
    if timeout is None:
        return await reply
    try:
        async with asyncio.timeout(timeout):
            return await reply
    except TimeoutError:
        raise Unavailable("no answer in time") from None
