"""The lane of connections with large bodies, without the processes: it is watched again whatever went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, NamedTuple, cast

import pytest

from kms_actors.errors import Unavailable
from kms_actors.processes import bulk
from kms_actors.processes.bulk import BulkLane
from kms_actors.processes.child import Child
from kms_actors.processes.lane import Lane, open_lane
from kms_http.wire.passing import Passed, PassingOn, waiting


def passed_on(lane: Lane) -> socket.socket:
    """Have a connection wait; return its client's end, which has sent more of a body than the system holds for it."""
    client, served = socket.socketpair()
    with served:
        assert PassingOn(lane.sending).pass_on(served.fileno(), Passed(0, "192.0.2.1", 1, None, b"POST "))
    client.setblocking(False)
    return client


class Watched(NamedTuple):
    """A lane that is watched, and what goes on beside it."""

    lane: Lane
    bulk: BulkLane
    kept: set[asyncio.Task[None]]


@contextlib.contextmanager
def watched_lane(spawn: Callable[[], Awaitable[Child]]) -> Iterator[Watched]:
    kept = set[asyncio.Task[None]]()

    def keep(work: Coroutine[Any, Any, None]) -> None:
        kept.add(asyncio.ensure_future(work))

    lane = open_lane()
    watched = BulkLane(lane, spawn, keep)
    watched.start()
    try:
        yield Watched(lane, watched, kept)
    finally:
        watched.stop()


@pytest.mark.parametrize("error", [OSError("no process"), Unavailable("it ended"), RuntimeError("no thread")])
async def test_who_waits_is_sent_away_where_none_can_be_started_and_the_next_one_starts_another(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(bulk, "_WAIT_SECONDS", 0.01)
    outcomes, done = [error, error], asyncio.Event()

    async def spawn() -> Child:
        if outcomes:
            raise outcomes.pop()
        done.set()
        return cast(Child, type("Started", (), {"pid": 1})())

    with watched_lane(spawn) as watched:
        async with asyncio.timeout(20):
            while outcomes:
                clients = [passed_on(watched.lane), passed_on(watched.lane)]
                for client in clients:
                    with client:
                        reader, writer = await asyncio.open_unix_connection(sock=client)
                        writer.write(bytes(1 << 20))
                        answer = await reader.read()
                        assert answer.startswith(b"HTTP/1.1 503 ")
                        assert b"\r\nRetry-After: 1\r\n" in answer
                        assert b"\r\nConnection: close\r\n" in answer
                        assert answer.endswith(b'{"errors":["too many requests at once, try again"]}\n')
                        await writer.drain()
                        writer.close()
            with passed_on(watched.lane) as client:
                await done.wait()
                with pytest.raises(BlockingIOError):
                    client.recv(1)
                (kept_one,) = waiting(watched.lane.receiving)
                kept_one.close()
            await asyncio.gather(*watched.kept)


async def test_one_that_a_restart_finds_being_born_serves_who_waits_and_is_replaced() -> None:
    served = asyncio.Event()

    class Started:
        pid = 1

        def __init__(self) -> None:
            self.drained = asyncio.Event()

        async def drain(self) -> None:
            self.drained.set()

    births = [Started(), Started()]
    coming = iter(births)

    async def spawn() -> Child:
        started = next(coming)
        if started is births[0]:
            watched.bulk.renew()
            for connection in waiting(watched.lane.receiving):
                connection.close()
        else:
            served.set()
        return cast(Child, started)

    with watched_lane(spawn) as watched:
        async with asyncio.timeout(20):
            for event in (births[0].drained, served):
                with passed_on(watched.lane):
                    await event.wait()
            await asyncio.gather(*watched.kept)
        assert not births[1].drained.is_set()
        assert cast(Started, watched.bulk.child) is births[1]
