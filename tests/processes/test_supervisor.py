"""Workers that die are replaced, whatever the system says at first."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from kms_actors.observe.metrics import Metrics
from kms_actors.processes import child, supervisor
from kms_actors.processes.child import Child
from kms_actors.processes.lane import Lane, open_lane
from kms_actors.processes.launch import Launched
from kms_actors.processes.supervisor import Supervisor
from tests.actors.node_service import configuration


class Worker:
    """What stands for a process that serves."""

    def __init__(self, slot: int = 1) -> None:
        self.slot, self.pid, self.active, self.draining, self.stopped = slot, 4711, True, False, False
        self.serving: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.serving.set_result(None)

    async def drain(self) -> None:
        self.draining = True

    async def stop(self, seconds: float) -> None:
        self.stopped = True


@pytest.fixture
def lane() -> Iterator[Lane]:
    opened = open_lane()
    yield opened
    opened.close()


def made(lane: Lane) -> tuple[Supervisor, Child]:
    """Return one whose only worker has died, and that worker."""
    keeper, dead = Supervisor(configuration(), [], lane, Metrics(), {}), cast(Child, Worker())
    keeper._current[1] = dead
    return keeper, dead


async def test_a_worker_is_replaced_once_the_system_starts_one(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_LONGEST_WAIT", 0.001)
    keeper, dead = made(lane)
    answers: list[Any] = [OSError(errno.EAGAIN, "no more processes"), OSError(errno.EMFILE, "or files"), Worker()]

    async def spawn(slot: int) -> Child:
        if isinstance(answers[0], OSError):
            raise answers.pop(0)
        return cast(Child, answers[0])

    monkeypatch.setattr(keeper, "_spawn", spawn)
    await keeper._replace(dead, 0.0)
    assert keeper._current[1] is answers[0]


async def test_a_worker_that_a_restart_has_replaced_meanwhile_is_not_replaced_twice(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, dead = made(lane)
    faster, late = cast(Child, Worker()), Worker()

    async def spawn(slot: int) -> Child:
        keeper._current[slot] = faster
        return cast(Child, late)

    monkeypatch.setattr(keeper, "_spawn", spawn)
    await keeper._replace(dead, 0.0)
    assert keeper._current[1] is faster
    assert late.draining


async def test_a_restart_ends_those_that_drain_since_the_last_one_and_none_that_is_being_born(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, old = made(lane)
    leaving, born = Worker(), Worker(slot=2)
    await leaving.drain()
    keeper._children |= {old, cast(Child, leaving), cast(Child, born)}

    async def spawn(slot: int) -> Child:
        return cast(Child, Worker(slot))

    monkeypatch.setattr(keeper, "_spawn", spawn)
    await keeper._roll()
    await asyncio.gather(*keeper._renewing)
    assert (leaving.stopped, born.stopped, born.draining) == (True, False, False)
    assert old.draining
    assert keeper._current[1] is not old


class Ended:
    """What stands for a process that has ended."""

    pid = 4711

    def wait(self) -> int:
        return 7

    def kill(self) -> None:
        """It has ended."""


async def test_the_end_of_a_worker_is_heard_of_once_the_system_starts_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(child, "_AGAIN_SECONDS", 0.001)
    refused, to_thread = iter(range(2)), asyncio.to_thread

    async def seldom(call: Any) -> Any:
        if next(refused, None) is not None:
            raise RuntimeError("can't start new thread")
        return await to_thread(call)

    monkeypatch.setattr(asyncio, "to_thread", seldom)
    own, end = socket.socketpair()
    watched = await Child.adopt(1, Launched(Ended(), own), lambda *_: None)
    end.close()
    assert await asyncio.wait_for(watched.ended, 10) == 7
