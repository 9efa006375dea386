import asyncio
from collections.abc import Callable
from typing import Any

import pykka
import pytest
from structlog.testing import capture_logs

from kms_actors.errors import KmsError, NotFound, Unavailable
from kms_actors.runtime import ActorFailed, AsyncioActor, FailureWindow, RequestFailed, ask, living

SECRET = "canary-3f9c"  # must show nowhere


class Panic(BaseException):
    """As biscuit's panics are."""


class Worker(AsyncioActor):
    def __init__(self, on_fail: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.hooks: list[str] = []
        self.on_fail = on_fail

    def on_receive(self, message: Any) -> Any:
        return message(self)

    def on_stop(self) -> None:
        self.hooks.append("stop")

    def on_failure(self, *_: Any) -> None:
        self.hooks.append("failure")
        self.on_fail()


def raising(error: BaseException) -> Callable[[Worker], Any]:
    def turn(_: Worker) -> Any:
        raise error

    return turn


def raising_later(error: BaseException) -> Callable[[Worker], Any]:
    async def work() -> None:
        await asyncio.sleep(0)
        raise error

    return lambda actor: actor.spawn(work())


UNEXPECTED = [ValueError(SECRET), Panic(SECRET), KeyError(SECRET), ExceptionGroup(SECRET, [NotFound(SECRET)])]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0)


@pytest.mark.parametrize("failing", [raising, raising_later])
async def test_a_deliberate_error_is_an_answer(failing: Callable[[BaseException], Any]) -> None:
    ref = Worker.start()
    for _ in range(2):
        with pytest.raises(NotFound, match="no such key"):
            await ask(ref, failing(NotFound("no such key")))
    assert ref.is_alive()


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("warm", [False, True], ids=["queued", "idle"])
async def test_an_unexpected_error_in_a_turn_fails_one_actor_and_shows_no_text(
    error: BaseException, warm: bool
) -> None:
    ref, other = Worker.start(), Worker.start()
    actor = await ask(ref, lambda actor: actor) if warm else None
    with capture_logs() as logs, pytest.raises(ActorFailed) as caught:
        await ask(ref, raising(error))
    assert isinstance(caught.value, KmsError)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert [entry["event"] for entry in logs] == ["actor failed"]
    assert logs[0]["error"].endswith(type(error).__name__)
    assert "test_failure.py" in logs[0]["traceback"][-1]
    assert SECRET not in f"{caught.value!r}{logs}"
    assert not ref.is_alive()
    assert living() == [other]
    assert await ask(other, lambda _: "alive") == "alive"
    if actor is not None:
        assert actor.hooks == ["failure"]


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
async def test_an_unexpected_error_in_the_work_for_a_request_fails_that_request_alone(error: BaseException) -> None:
    ref = Worker.start()
    actor = await ask(ref, lambda actor: actor)
    for _ in range(20):  # however often it is repeated
        with capture_logs() as logs, pytest.raises(RequestFailed) as caught:
            await ask(ref, raising_later(error))
        assert caught.value.__cause__ is caught.value.__context__ is None
        assert [entry["event"] for entry in logs] == ["request failed in actor"]
        assert "test_failure.py" in logs[0]["traceback"][-1]
        assert SECRET not in f"{caught.value!r}{logs}"
    assert await ask(ref, lambda _: "alive") == "alive"
    assert actor.hooks == []


@pytest.mark.parametrize("failing", [raising, raising_later])
async def test_a_told_message_fails_the_actor_too(failing: Callable[[BaseException], Any]) -> None:
    ref = Worker.start()
    with capture_logs() as logs:
        ref.tell(failing(Panic(SECRET)))
        await until(lambda: not ref.is_alive())
    assert [entry["log_level"] for entry in logs] == ["error"]


@pytest.mark.parametrize("failing", [raising, raising_later])
async def test_a_deliberate_error_that_nobody_asked_for_is_logged(
    failing: Callable[[BaseException], Any],
) -> None:
    ref = Worker.start()
    with capture_logs() as logs:
        ref.tell(failing(NotFound(SECRET)))
        await until(lambda: bool(logs))
    assert logs[0]["event"] == "unheard error in actor"
    assert SECRET not in str(logs)
    assert await ask(ref, lambda _: "alive") == "alive"


async def test_messages_behind_a_failure_are_refused() -> None:
    ref = Worker.start()
    failing = ref.ask(raising(Panic()), block=False)
    behind = ref.ask(lambda _: 1, block=False)
    stopped = ref.stop(block=False)
    async with asyncio.timeout(5):
        with capture_logs(), pytest.raises(ActorFailed):
            await failing
        with pytest.raises(pykka.ActorDeadError):
            await behind
        assert await stopped is True
    assert await ref.stop(block=False) is False


async def test_work_in_flight_ends_though_the_actor_failed() -> None:
    ref = Worker.start()
    gate = asyncio.Event()

    async def work(actor: Worker) -> str:
        await gate.wait()
        actor.notify(lambda _: pytest.fail("the state is gone"))
        return "written"

    flying = ref.ask(lambda actor: actor.spawn(work(actor)), block=False)
    with capture_logs(), pytest.raises(ActorFailed):
        await ask(ref, raising(Panic()))
    gate.set()
    async with asyncio.timeout(5):
        assert await flying == "written"


async def test_a_failure_within_the_failure_hook_is_contained() -> None:
    def panic() -> None:
        raise Panic(SECRET)

    ref = Worker.start(panic)
    with capture_logs() as logs, pytest.raises(ActorFailed):
        await ask(ref, raising(ValueError()))
    assert len(logs) == 2
    assert SECRET not in str(logs)


class FailsToStart(Worker):
    def on_start(self) -> None:
        raise Panic(SECRET)


class FailsToStop(Worker):
    def on_stop(self) -> None:
        raise Panic(SECRET)


async def test_an_actor_that_fails_to_start_refuses_what_was_queued() -> None:
    ref = FailsToStart.start()
    with capture_logs() as logs, pytest.raises(pykka.ActorDeadError):
        await ask(ref, lambda _: 1)
    assert logs[0]["error"].endswith("Panic")
    assert living() == []


async def test_an_actor_that_fails_to_stop_is_stopped_nevertheless() -> None:
    ref = FailsToStop.start()
    with capture_logs() as logs:
        assert await ref.stop(block=False) is True
    assert SECRET not in str(logs)
    assert not ref.is_alive()


async def test_another_actors_death_is_no_failure_and_not_mistaken_for_ones_own() -> None:
    dead, ref = Worker.start(), Worker.start()
    await dead.stop(block=False)
    with pytest.raises(Unavailable):
        await ask(ref, lambda actor: actor.spawn(ask(dead, None)))
    with pytest.raises(Unavailable):
        await ask(ref, lambda _: dead.tell(None))
    assert ref.is_alive()


async def test_a_cancellation_raised_in_a_turn_does_not_cancel_the_caller() -> None:
    ref = Worker.start()
    await ask(ref, lambda _: None)
    with capture_logs(), pytest.raises(ActorFailed):
        await ask(ref, raising(asyncio.CancelledError()))


def test_failures_within_the_window_fault_for_the_rest_period() -> None:
    window = FailureWindow(3, 10.0, rest=30.0)
    for now in (0.0, 4.0):
        window.record(now)
        assert not window.faulted(now)
    window.record(9.0)
    assert window.faulted(9.0)
    assert window.faulted(38.9)
    assert not window.faulted(39.0)


def test_failures_spread_wider_than_the_window_do_not_fault() -> None:
    window = FailureWindow(3, 10.0)
    for now in (0.0, 6.0, 12.0, 18.0, 24.0):
        window.record(now)
        assert not window.faulted(now)
    window.record(28.0)
    assert window.faulted(28.0)


def test_after_the_rest_it_takes_the_full_number_of_failures_again() -> None:
    window = FailureWindow(2, 10.0, rest=5.0)
    window.record(0.0)
    window.record(1.0)
    assert window.faulted(1.0)
    window.record(6.0)
    assert not window.faulted(6.0)
    window.record(7.0)
    assert window.faulted(7.0)
