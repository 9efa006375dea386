"""Links: requests and replies, and the end of either side."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.errors import Overloaded, Unavailable
from kms_actors.observe.families import Family
from kms_actors.processes import link as links
from kms_actors.processes.frames import (
    FROM_SUPERVISOR,
    FROM_WORKER,
    Announce,
    CatchUp,
    Done,
    Frame,
    NodeState,
    Prepared,
    ReadMetrics,
    Samples,
    Serve,
)
from kms_actors.processes.link import Link
from kms_actors.processes.remote import state_fields


class Side:
    """One end: it keeps what it hears."""

    def __init__(self, decoder: object) -> None:
        self.heard: asyncio.Queue[Frame] = asyncio.Queue()
        self.link = Link(decoder, self.heard.put_nowait)  # type: ignore[arg-type]


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Side, Side]]:
    supervisor, worker = Side(FROM_WORKER), Side(FROM_SUPERVISOR)
    one, other = socket.socketpair()
    await supervisor.link.connect(one)
    await worker.link.connect(other)
    yield supervisor, worker
    for side in (supervisor, worker):
        side.link.close()
        await asyncio.wait_for(side.link.ended, 5)


async def test_a_request_gets_the_reply_of_its_number() -> None:
    async with pair() as (supervisor, worker):
        first, second = supervisor.link.request(CatchUp), supervisor.link.request(CatchUp)
        heard = [await worker.heard.get() for _ in range(2)]
        for frame in reversed(heard):
            assert isinstance(frame, CatchUp)
            worker.link.send(Done(frame.number))
        assert [(await first), (await second)] == [Done(1), Done(2)]


async def test_a_reply_nobody_waits_for_is_dropped() -> None:
    async with pair() as (supervisor, worker):
        given_up = supervisor.link.request(CatchUp)
        given_up.cancel()
        worker.link.send(Done(1))
        worker.link.send(Done(99))
        worker.link.send(Prepared())
        assert await asyncio.wait_for(supervisor.heard.get(), 5) == Prepared()


async def test_the_end_of_one_side_ends_the_other_and_what_it_waits_for() -> None:
    async with pair() as (supervisor, worker):
        waiting = supervisor.link.request(CatchUp)
        worker.link.close()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(waiting, 5)
        await asyncio.wait_for(supervisor.link.ended, 5)
        supervisor.link.send(Serve())
        with pytest.raises(Unavailable):
            await supervisor.link.request(CatchUp)


async def test_metrics_of_any_size_come_over_and_the_link_stays() -> None:
    names = [("a_total", {"key": f"{number:05}" * 6000}, 1.0) for number in range(60)]
    sent = [Family("a", "counter", "text", "sum", names)]
    async with pair() as (supervisor, worker):
        asked = supervisor.link.request(ReadMetrics)
        await worker.heard.get()
        worker.link.send(Samples(1, sent))
        worker.link.send(Prepared())
        assert await asyncio.wait_for(asked, 5) == Samples(1, sent)
        assert await asyncio.wait_for(supervisor.heard.get(), 5) == Prepared()


async def test_what_goes_wrong_over_one_frame_does_not_end_the_link() -> None:
    async with pair() as (supervisor, worker):
        heard = worker.link._receive
        worker.link._receive = lambda frame: heard(frame) if isinstance(frame, CatchUp) else 1 / 0  # type: ignore[assignment]
        with structlog.testing.capture_logs() as logs:
            supervisor.link.send(Serve())
            supervisor.link.request(CatchUp)
            assert isinstance(await asyncio.wait_for(worker.heard.get(), 5), CatchUp)
    assert [(log["frame"], log["error"]) for log in logs] == [("Serve", "ZeroDivisionError")]


async def test_only_so_many_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_WAITING", 3)
    async with pair() as (_, worker):
        for _ in range(3):
            worker.link.request(Announce)
        with pytest.raises(Overloaded):
            worker.link.request(Announce)


async def test_a_seal_is_told_whatever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_WAITING", 1)
    async with pair() as (supervisor, worker):
        supervisor.link.request(CatchUp)
        sealed = supervisor.link.request(NodeState, *state_fields(None))
        assert isinstance(await worker.heard.get(), CatchUp)
        heard = await worker.heard.get()
        assert isinstance(heard, NodeState)
        worker.link.send(Done(heard.number))
        await sealed


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=1, max_size=300), st.booleans())
def test_garbage_ends_at_most_the_link(data: bytes, broken_off: bool) -> None:
    async def hear() -> None:
        supervisor = Side(FROM_WORKER)
        one, other = socket.socketpair()
        await supervisor.link.connect(one)
        other.setblocking(False)
        other.send(data)
        if broken_off:
            other.close()
            await asyncio.wait_for(supervisor.link.ended, 5)
        else:
            await asyncio.sleep(0.005)
            supervisor.link.close()
            await asyncio.wait_for(supervisor.link.ended, 5)
            other.close()

    asyncio.run(hear())
