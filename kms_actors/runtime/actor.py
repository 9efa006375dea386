"""A pykka actor that lives in a task of the running asyncio loop."""

from __future__ import annotations

import abc
import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self, TypeVar

import pykka
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from kms_actors import request_context
from kms_actors.runtime.children import Children
from kms_actors.runtime.failure import EXPECTED, answer_to, log_failure, log_unheard
from kms_actors.runtime.future import AsyncioFuture
from kms_actors.runtime.mailbox import TURNS_IN_A_ROW, Mailbox

T = TypeVar("T")

#: All actors, by the task each lives in; the loop itself holds tasks weakly.
_living: Final[dict[asyncio.Task[None], pykka.ActorRef[Any]]] = {}


def living() -> list[pykka.ActorRef[Any]]:
    """Return the references of all actors that have not stopped."""
    return [ref for ref in _living.values() if ref.is_alive()]


class _Flag(threading.Event):
    """An event that nobody waits for, without a lock and a condition: an idle actor should be small."""

    def __init__(self) -> None:
        self._flag = False

    def set(self) -> None:
        self._flag = True


class AsyncioActor(pykka.Actor):
    """State changes only in turns: `on_receive` and the other hooks, all synchronous and short.

    A turn answers with a value, with a `KmsError` it raises, or later with the outcome of a task it
    returns (`return self.spawn(...)`). Anything else it raises fails this actor: the asker gets
    `ActorFailed`, the actor stops, others do not notice. What such a task raises fails those who wait
    for it (`RequestFailed`), and the actor only if nobody does. Context variables and the current task
    are not its own in a turn. pykka's proxies are not supported: messages only.
    """

    #: Asks that may wait or be in flight.
    mailbox_limit: int = 1024
    #: Seconds child tasks get to end after a stop, before they are cancelled.
    stop_timeout: float = 10.0

    actor_inbox: Mailbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor_stopped = self.actor_ref.actor_stopped = _Flag()
        self._children = Children(str(self), self.actor_inbox, self._fail)
        self._stops: list[AsyncioFuture[Any]] = []
        self._ending = False

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> pykka.ActorRef[Self]:
        """Make an actor and let it live. Not in `pykka.ActorRegistry`, which a stop would search from end to end."""
        actor = cls(*args, **kwargs)
        actor._start_actor_loop()
        return actor.actor_ref

    @property
    def depth(self) -> int:
        """Messages accepted and not yet answered."""
        return self.actor_inbox.depth

    @abc.abstractmethod
    def on_receive(self, message: Any) -> Any:
        """Handle one message in a turn; return the reply, or a task whose outcome is the reply."""

    def on_stopping(self) -> None:
        """Run when no more asks are taken, before child tasks are waited for: the time to start the last ones."""

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a child task, over values only: it must not touch the actor's state."""
        if self.actor_stopped.is_set():
            work.close()
            raise pykka.ActorDeadError("the actor has stopped")
        return self._children.start(work)

    def spawn_apart(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a child task that belongs to no request: others wait for it too, or it outlives them."""
        if self.actor_stopped.is_set():
            work.close()
            raise pykka.ActorDeadError("the actor has stopped")
        return self._children.start(work, request_context.apart())

    def wanted(self, task: asyncio.Task[Any]) -> bool:
        """Tell whether anybody waits for a child task: False once all who did have given up."""
        return self._children.wanted(task)

    def notify(self, event: Any) -> None:
        """Send the actor itself an event, for child tasks; dropped once the actor's state is gone."""
        if not self.actor_stopped.is_set():
            self.actor_ref.tell(event)

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox()

    @staticmethod
    def _create_future() -> AsyncioFuture[Any]:
        return AsyncioFuture()

    def _start_actor_loop(self) -> None:
        self.actor_inbox.open(self._receive, self.mailbox_limit)
        task = asyncio.get_running_loop().create_task(self._live())
        _living[task] = self.actor_ref
        task.add_done_callback(_living.pop)

    async def _live(self) -> None:
        try:
            self._run_hook(self.on_start)
            while not self._ending:
                await self.actor_inbox.arrival()
                self._take_turns(TURNS_IN_A_ROW)
            if not self.actor_stopped.is_set():
                self._run_hook(self.on_stopping)
            await self._let_children_end()
        finally:
            self._teardown()

    async def _let_children_end(self) -> None:
        """Hear the events of child tasks until the last one ends; cancel them after `stop_timeout`."""
        self._children.last_wakes = True
        try:
            async with asyncio.timeout(self.stop_timeout):
                while self._children:
                    await self.actor_inbox.arrival()
                    self._take_turns(len(self.actor_inbox))
        except TimeoutError:
            await self._children.cancel()

    def _teardown(self) -> None:
        """Answer every ask there is, so that no caller hangs."""
        if not self.actor_stopped.is_set():
            self._stop()
        self._children.abandon()
        while not self.actor_inbox.empty():
            self._receive_late(self.actor_inbox.get())
        for reply in self._stops:
            reply.set(None)
        self.actor_inbox.close()

    def _stop(self) -> None:
        self._mark_stopped()
        self._run_hook(self.on_stop)

    def _fail(self, error: BaseException) -> None:
        log_failure(str(self), error)
        if self.actor_stopped.is_set():
            return
        self._mark_stopped()
        self._run_hook(self.on_failure, type(error), error, error.__traceback__)
        self.actor_inbox.wake()

    def _mark_stopped(self) -> None:
        self._ending = True
        self.actor_stopped.set()

    def _take_turns(self, most: int) -> None:
        for _ in range(min(most, len(self.actor_inbox))):
            self._receive(self.actor_inbox.get())

    def _receive(self, envelope: Envelope[Any]) -> None:
        if self._ending or envelope.message.__class__ is _ActorStop:
            self._receive_late(envelope)
        else:
            self._take_turn(envelope)

    def _receive_late(self, envelope: Envelope[Any]) -> None:
        """Take a stop, or what lies behind one: asks are refused, events of child tasks are heard."""
        reply: Any = envelope.reply_to
        if envelope.message.__class__ is _ActorStop:
            self._ending = True
            if reply is not None:
                self._stops.append(reply)
        elif reply is not None:
            reply.fail(pykka.ActorDeadError(f"{self} stopped before handling the message"))
        elif self._children and not self.actor_stopped.is_set():
            self._take_turn(envelope)

    def _take_turn(self, envelope: Envelope[Any]) -> None:
        """Run one turn; nothing but the end of the program leaves it as an exception."""
        reply: Any = envelope.reply_to
        turns = self.actor_inbox.turns
        turns.running = True
        try:
            response = self.on_receive(envelope.message)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - panics of native libraries are no Exceptions
            self._turn_failed(reply, error)
        else:
            if isinstance(response, asyncio.Future):
                self._children.owe(reply, response)
            elif reply is not None:
                reply.set(response)
        finally:
            turns.running = False

    def _turn_failed(self, reply: AsyncioFuture[Any] | None, error: BaseException) -> None:
        if not isinstance(error, EXPECTED):
            self._fail(error)
        elif reply is None:
            log_unheard(str(self), error)
        if reply is not None:
            reply.fail(answer_to(error))

    def _run_hook(self, hook: Callable[..., None], *args: Any) -> None:
        turns = self.actor_inbox.turns
        outer, turns.running = turns.running, True
        try:
            hook(*args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - as in a turn
            self._fail(error)
        finally:
            turns.running = outer
