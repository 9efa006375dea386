import asyncio
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import pykka
import pytest

from kms_actors import request_context
from kms_actors.errors import NotFound, Overloaded, Unavailable
from kms_actors.runtime import AsyncioActor, WouldBlock, ask, living
from kms_actors.runtime.mailbox import TURNS_IN_A_ROW


class Counter(AsyncioActor):
    """Calls what it is sent with itself, and remembers what came back."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        for name, value in settings.items():
            setattr(self, name, value)
        self.seen: list[Any] = []
        self.hooks: list[str] = []

    def on_start(self) -> None:
        self.hooks.append("start")

    def on_stop(self) -> None:
        self.hooks.append("stop")

    def on_receive(self, message: Any) -> Any:
        self.seen.append(message)
        return message(self) if callable(message) else message


def later(work: Callable[[], Awaitable[Any]]) -> Callable[[Counter], Any]:
    async def run() -> Any:
        return await work()

    return lambda actor: actor.spawn(run())


def ask_later(ref: pykka.ActorRef[Any], message: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(ask(ref, message))


async def stop(ref: pykka.ActorRef[Any]) -> bool:
    async with asyncio.timeout(5):
        return await ref.stop(block=False)


async def test_answers_an_ask() -> None:
    ref = Counter.start()
    assert await ask(ref, "hello") == "hello"
    assert await ref.ask("again", block=False) == "again"


async def test_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        await asyncio.to_thread(Counter.start)


async def test_is_among_the_living_from_start_to_stop() -> None:
    ref = Counter.start()
    assert living() == [ref]
    assert await stop(ref) is True
    assert living() == []
    assert not ref.is_alive()


async def test_pykka_does_not_search_its_registry_for_it() -> None:
    Counter.start()
    assert pykka.ActorRegistry.get_all() == []


async def test_hooks_run_once_each_and_start_comes_before_the_first_message() -> None:
    ref = Counter.start()
    hooks = (await ask(ref, lambda actor: actor)).hooks
    assert hooks == ["start"]
    await stop(ref)
    assert hooks == ["start", "stop"]


async def test_messages_are_handled_in_the_order_sent_whether_asked_or_told() -> None:
    ref = Counter.start()
    replies = []
    for number in range(5 * TURNS_IN_A_ROW):
        if number % 3:
            replies.append(ref.ask(number, block=False))
        else:
            ref.tell(number)
        if number % 50 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*replies)
    seen = await ask(ref, lambda actor: actor.seen[:-1])
    assert seen == list(range(5 * TURNS_IN_A_ROW))


async def test_an_idle_actor_answers_without_a_pass_of_the_loop() -> None:
    ref = Counter.start()
    await ask(ref, 1)
    reply = ref.ask(2, block=False)
    assert reply.get(timeout=0) == 2


async def test_an_ask_from_within_a_turn_is_queued_behind_it() -> None:
    ref, other = Counter.start(), Counter.start()
    await asyncio.gather(ask(ref, 1), ask(other, 1))
    order: list[str] = []

    def outer(actor: Counter) -> list[pykka.Future[Any]]:
        replies = [
            target.ask(lambda _, name=name: order.append(name), block=False)
            for name, target in (("self", actor.actor_ref), ("other", other))
        ]
        order.append("outer")
        return replies

    await asyncio.gather(*await ask(ref, outer))
    assert order[0] == "outer"
    assert sorted(order[1:]) == ["other", "self"]


async def test_a_caller_that_never_waits_still_lets_the_loop_run() -> None:
    ref = Counter.start()
    passes = 0

    async def tick() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    ticker = asyncio.create_task(tick())
    for _ in range(10 * TURNS_IN_A_ROW):
        await ask(ref, 0)
    ticker.cancel()
    assert passes >= 9


async def test_a_flood_of_its_own_messages_still_lets_the_loop_run() -> None:
    ref = Counter.start()

    def again(actor: Counter) -> None:
        actor.actor_ref.tell(again)

    ref.tell(again)
    async with asyncio.timeout(5):
        await asyncio.sleep(0.01)
        assert await stop(ref) is True


async def test_a_task_returned_by_a_turn_answers_later_and_holds_up_no_one() -> None:
    ref = Counter.start()
    gate = asyncio.Event()
    slow = ask_later(ref, later(gate.wait))
    await asyncio.sleep(0)
    assert await ask(ref, "quick") == "quick"
    assert not slow.done()
    gate.set()
    assert await slow is True


async def test_several_asks_may_wait_for_one_task() -> None:
    ref = Counter.start()
    gate = asyncio.Event()
    task = await ask(ref, lambda actor: [actor.spawn(gate.wait())])
    waiting = [ask_later(ref, lambda _: task[0]) for _ in range(3)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await ask(ref, lambda _: task[0]) is True


async def test_a_task_may_return_another_which_then_answers() -> None:
    ref = Counter.start()
    gate = asyncio.Event()

    async def first(actor: Counter) -> asyncio.Task[bool]:
        await asyncio.sleep(0)
        return actor.spawn(gate.wait())

    waiting = [ask_later(ref, lambda actor: actor.spawn(first(actor))) for _ in range(2)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    gate.set()
    assert await asyncio.gather(*waiting) == [True, True]


async def test_a_task_is_wanted_until_all_who_wait_for_it_have_given_up() -> None:
    ref = Counter.start()
    task, actor = await ask(ref, lambda actor: (actor.spawn(asyncio.sleep(60)), actor))
    assert actor.wanted(task)  # nobody waits: it is work of the actor's own
    first, second = (ask_later(ref, lambda _: task) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    assert actor.wanted(task)
    second.cancel()
    await asyncio.wait([second])
    assert not actor.wanted(task)
    task.cancel()


async def test_a_child_reports_by_a_message_so_that_state_changes_in_a_turn() -> None:
    ref = Counter.start()

    async def work(actor: Counter) -> str:
        actor.notify("event")
        return "reply"

    assert await ask(ref, lambda actor: actor.spawn(work(actor))) == "reply"
    assert await ask(ref, lambda actor: actor.seen[-2]) == "event"


async def test_an_ask_past_the_bound_is_refused_at_once() -> None:
    ref = Counter.start(mailbox_limit=2)
    replies = [ref.ask(number, block=False) for number in range(2)]
    with pytest.raises(Overloaded):
        ref.ask(3, block=False)
    with pytest.raises(Overloaded):
        await ask(ref, 4)
    assert await asyncio.gather(*replies) == [0, 1]
    assert await ask(ref, 5) == 5


async def test_work_in_flight_counts_against_the_bound() -> None:
    ref = Counter.start(mailbox_limit=3)
    gate = asyncio.Event()
    waiting = [ask_later(ref, later(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert ref.actor_inbox.depth == 3  # type: ignore[attr-defined]
    with pytest.raises(Overloaded):
        await ask(ref, "one too many")
    gate.set()
    await asyncio.gather(*waiting)
    assert ref.actor_inbox.depth == 0  # type: ignore[attr-defined]
    assert await ask(ref, lambda actor: actor.depth) == 0


async def test_events_and_a_stop_fit_a_full_mailbox() -> None:
    ref = Counter.start(mailbox_limit=1)
    reply = ref.ask(lambda actor: actor, block=False)
    ref.tell("event")
    stopped = asyncio.create_task(stop(ref))
    actor = await reply
    assert await stopped is True
    assert actor.seen[1] == "event"


async def test_messages_before_a_stop_are_handled_and_those_behind_it_refused() -> None:
    ref = Counter.start()
    before = ref.ask(lambda actor: actor, block=False)
    first = ref.stop(block=False)
    behind = ref.ask(2, block=False)
    ref.tell(3)
    second = ref.stop(block=False)
    async with asyncio.timeout(5):
        actor = await before
        with pytest.raises(pykka.ActorDeadError):
            await behind
        assert (await first, await second) == (True, True)
    assert len(actor.seen) == 1
    with pytest.raises(pykka.ActorDeadError):
        await ask(ref, 4)
    with pytest.raises(pykka.ActorDeadError):
        ref.tell(5)
    assert await stop(ref) is False


async def test_a_stop_waits_for_work_in_flight_and_hears_its_events() -> None:
    ref = Counter.start()
    actor = await ask(ref, lambda actor: actor)
    gate = asyncio.Event()

    async def work() -> str:
        await gate.wait()
        actor.notify("written")
        return "done"

    pending = ask_later(ref, lambda actor: actor.spawn(work()))
    await asyncio.sleep(0)
    stopped = asyncio.create_task(stop(ref))
    behind = ask_later(ref, "too late")
    with pytest.raises(pykka.ActorDeadError):
        await behind
    assert not stopped.done()
    assert ref.is_alive()
    gate.set()
    assert await pending == "done"
    assert await stopped is True
    assert actor.seen[-1] == "written"


async def test_work_that_does_not_end_in_time_is_cancelled_and_answered() -> None:
    ref = Counter.start(stop_timeout=0.01)
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    pending = ask_later(ref, later(work))
    await asyncio.sleep(0)
    assert await stop(ref) is True
    assert cancelled.is_set()
    with pytest.raises(Unavailable, match="before the outcome"):
        await pending


async def test_cancelling_the_loops_tasks_answers_every_ask() -> None:
    """As at the end of `asyncio.run`."""
    ref = Counter.start()
    await ask(ref, 1)
    gate = asyncio.Event()
    flying = ref.ask(later(gate.wait), block=False)
    await asyncio.sleep(0)
    (living,) = (task for task in asyncio.all_tasks() if "_live" in repr(task))
    queued = [ref.ask(1, block=False) for _ in range(TURNS_IN_A_ROW + 1)][-1]
    living.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await flying
        with pytest.raises(pykka.ActorDeadError):
            await queued
    assert not ref.is_alive()


async def test_a_timeout_leaves_the_actor_at_work() -> None:
    ref = Counter.start()
    ended = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.03)
        ended.set()

    with pytest.raises(Unavailable, match="in time"):
        await ask(ref, later(work), timeout=0.005)
    async with asyncio.timeout(5):
        await ended.wait()
    assert await ask(ref, 1, timeout=5) == 1
    assert await ask(ref, later(lambda: asyncio.sleep(0.001, "late")), timeout=5) == "late"


async def test_a_cancelled_caller_does_not_disturb_the_actor() -> None:
    ref = Counter.start()
    gate = asyncio.Event()
    caller = ask_later(ref, later(gate.wait))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.set()
    assert await ask(ref, later(gate.wait)) is True
    assert await ask(ref, lambda actor: actor.depth) == 0


async def test_a_cancelled_child_is_no_cancellation_of_the_caller() -> None:
    ref = Counter.start()
    task = await ask(ref, lambda actor: [actor.spawn(asyncio.sleep(60))])
    waiting = ask_later(ref, lambda _: task[0])
    await asyncio.sleep(0)
    task[0].cancel()
    with pytest.raises(Unavailable, match="cancelled"):
        await waiting
    assert ref.is_alive()


async def test_refuses_a_blocking_ask_and_other_threads() -> None:
    ref = Counter.start()
    with pytest.raises(WouldBlock):
        ref.ask(1)
    with pytest.raises(WouldBlock):
        ref.stop()
    other = Counter.start()
    with pytest.raises(RuntimeError, match="thread of its loop"):
        await asyncio.to_thread(other.tell, 1)


async def test_starts_no_thread() -> None:
    before = threading.active_count()
    await asyncio.gather(*(ask(Counter.start(), 1) for _ in range(50)))
    assert threading.active_count() == before


async def test_a_stopped_actor_is_forgotten_even_if_its_reference_is_kept() -> None:
    ref = Counter.start()
    actor = weakref.ref(await ask(ref, lambda actor: actor))
    await stop(ref)
    await asyncio.sleep(0)
    assert actor() is None


async def test_a_child_cannot_start_after_the_stop() -> None:
    ref = Counter.start()
    actor = await ask(ref, lambda actor: actor)
    await stop(ref)
    actor.notify("dropped")
    with pytest.raises(pykka.ActorDeadError):
        actor.spawn(asyncio.sleep(0))


async def test_a_thousand_idle_actors_start_and_stop_quickly() -> None:
    started = time.thread_time()
    refs = [Counter.start() for _ in range(1000)]
    assert await ask(refs[-1], 1) == 1
    assert await asyncio.gather(*(stop(ref) for ref in refs)) == [True] * 1000
    assert time.thread_time() - started < 5


async def test_errors_answer_without_the_frames_of_the_actor() -> None:
    def refuse(_: Counter) -> None:
        key_of_the_actor = "its frame must not travel"
        raise NotFound(f"nothing here{key_of_the_actor[:0]}")

    ref = Counter.start()
    with pytest.raises(NotFound) as caught:
        await ask(ref, refuse)
    assert "refuse" not in [entry.name for entry in caught.traceback]


class Remembering(AsyncioActor):
    """Answers with the end of the request that its turn, or a child of that, works for."""

    def on_receive(self, message: str) -> Any:
        if message == "turn":
            return request_context.current().ends
        return (self.spawn_apart if message == "apart" else self.spawn)(self._child())

    async def _child(self) -> float:
        return request_context.current().ends


async def test_a_turn_works_for_the_request_of_its_message_also_when_that_has_waited() -> None:
    """Messages of two requests wait behind each other: each turn, and its children, have the end of their own."""
    ref = Remembering.start()

    async def asked(ends: float, message: str) -> Any:
        request_context.enter(request_context.RequestContext(ends))
        replies = [ref.ask(message, block=False), ref.ask(message, block=False)]  # the second waits behind the first
        return [await reply for reply in replies]

    messages = ("turn", "child", "turn", "child")
    answers = await asyncio.gather(*(asked(float(end), message) for end, message in enumerate(messages)))
    assert answers == [[float(end)] * 2 for end in range(len(messages))]
    assert await asked(7.0, "apart") == [inf, inf]
    await ref.stop(block=False)
