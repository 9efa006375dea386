"""Asked for more than can be done: the rest is refused soon, what is accepted is answered soon, and who asks for
little waits for nobody. In virtual time, where what a request takes is told, and on live connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import structlog

from kms_http.server import HttpServer
from kms_http.wire import admission
from kms_http.wire.admission import UNCOUNTED
from kms_http.wire.fairness import FEW_GOING_ON
from kms_http.wire.limits import Limits
from tests.http.wire.busy_loop import Job, Machine, percentile

if TYPE_CHECKING:
    from tests.http.conftest import Service

READ = b"GET /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: data\r\n\r\n"
BOUND = 0.1


def batch() -> Job:
    """On the loop: 1,111 a second."""
    return Job("noisy", loop=0.9e-3)


def signature() -> Job:
    """In one of two threads: 1,111 a second."""
    return Job("noisy", loop=60e-6, thread=1.8e-3)


def slow_signature() -> Job:
    """The same by longer keys, on a machine that has others to serve: 167 a second."""
    return Job("noisy", loop=60e-6, thread=12e-3)


def sliced() -> Job:
    """In slices on the loop: 800 a second."""
    return Job("noisy", loop=0.25e-3, slices=2, slice=0.5e-3)


def small() -> Job:
    return Job("quiet", loop=60e-6)


# In virtual time.


@pytest.mark.parametrize("make", [batch, signature, sliced])
@pytest.mark.parametrize("times", [1.5, 10])
def test_past_what_can_be_done_some_is_refused_at_once_and_the_rest_answered_soon(
    make: Callable[[], Job], times: float
) -> None:
    machine = Machine(BOUND)
    able = 800 if make is sliced else 1111
    machine.flood(times * able, 5, make)
    machine.run(machine.now + 5)
    accepted = [job for job in machine.answered if not job.refused]
    refused = [job for job in machine.answered if job.refused]
    assert percentile(accepted, 0.99) < 0.25
    assert percentile(refused, 0.99) < 0.05
    # Ten refusals for each that is done leave half of the time for what is done.
    assert len(accepted) > 5 * able * (0.9 if times < 10 else 0.4)


def test_what_takes_long_is_answered_as_soon_once_it_is_known_to() -> None:
    """Sixty-four of a kind were never refused: they took 0.38 s."""
    machine = Machine(BOUND)
    machine.flood(1670, 5, slow_signature)
    machine.run(machine.now + 5)
    later = [job for job in machine.answered if job.sent > 2]
    assert percentile([job for job in later if not job.refused], 0.99) < 0.25
    assert percentile([job for job in later if job.refused], 0.99) < 0.05
    assert sum(not job.refused for job in later) > 4 * 167 * 0.9


@pytest.mark.parametrize("make", [batch, signature, sliced])
def test_two_seconds_later_all_is_as_before(make: Callable[[], Job]) -> None:
    machine = Machine(BOUND)
    fewer = 0.7 if make is sliced else 1
    machine.flood(11_110 * fewer, 3, make)
    machine.run(machine.now + 5)
    machine.answered.clear()
    machine.flood(1000 * fewer, 1, make)
    machine.run(machine.now + 2)
    assert not any(job.refused for job in machine.answered)
    assert len(machine.answered) > 950 * fewer
    assert percentile(machine.answered, 0.99) < 0.02


@pytest.mark.parametrize("make", [batch, signature, sliced])
def test_beside_hundreds_of_connections_that_never_rest_who_asks_for_little_hardly_waits(
    make: Callable[[], Job],
) -> None:
    """One turn of the other's, or one slice, and what two refusals of it take."""
    machine = Machine(BOUND)
    machine.keep_asking(256, make)
    machine.run(machine.now + 0.5)
    quiet = machine.ask_now_and_then(0.005, small)
    machine.run(machine.now + 3)
    assert not any(job.refused for job in quiet)
    assert len(quiet) > 350
    most = {"batch": 0.9e-3, "signature": 60e-6, "sliced": 0.25e-3}[make.__name__]
    assert percentile(quiet, 0.99) < most + 0.3e-3


def test_accounts_that_ask_for_too_much_share_what_can_be_done_by_what_it_takes() -> None:
    machine = Machine(BOUND)
    machine.keep_asking(200, lambda: Job("many", loop=0.9e-3))
    machine.keep_asking(20, lambda: Job("few", loop=0.3e-3))
    machine.run(machine.now + 4)
    spent = {
        name: sum(job.loop for job in machine.answered if job.account == name and not job.refused)
        for name in ("many", "few")
    }
    assert spent["few"] > 0.8 * spent["many"]


def test_nobody_is_refused_where_all_can_be_done() -> None:
    machine = Machine(BOUND)
    machine.flood(900, 3, batch)
    machine.keep_asking(12, signature)
    machine.run(machine.now + 3)
    assert not any(job.refused for job in machine.answered)


def test_few_that_take_long_refuse_nobody_else() -> None:
    """Keys of seconds in threads, and encryptions beside them: of one vault, which asks for nothing much."""
    machine = Machine(BOUND)
    machine.keep_asking(16, lambda: Job("noisy", loop=60e-6, thread=2.0))
    quiet = machine.ask_now_and_then(0.005, lambda: Job("noisy", loop=60e-6))
    machine.run(machine.now + 10)
    assert not any(job.refused for job in machine.answered)
    assert percentile(quiet, 0.99) < 0.001


def test_few_that_take_long_on_the_loop_are_not_refused_either() -> None:
    """Large bodies: more of them than are begun at a time, each of which waits for others for long."""
    machine = Machine(BOUND)
    machine.keep_asking(48, lambda: Job("noisy", loop=3e-3, slices=200, slice=0.5e-3))
    machine.run(machine.now + 10)
    assert len(machine.answered) > 60
    assert not any(job.refused for job in machine.answered)


# On live connections.

Connect = Callable[[], "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]"]


class Gate:
    """Answers that wait to be let through, one at a time."""

    def __init__(self) -> None:
        self.asked = 0
        self.passing = asyncio.Semaphore(0)

    async def __call__(self, _: object) -> str:
        self.asked += 1
        await self.passing.acquire()
        return "passed"


async def connect(server: HttpServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    return int(head[9:12]), head, await asyncio.wait_for(reader.readexactly(length), 10)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # of code that knows no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(service: Service, limits: Limits) -> AsyncIterator[HttpServer]:
    server = HttpServer(service.backend, service.authenticator, lambda *_: None, service.engines, limits)
    await server.start("127.0.0.1", 0)
    yield server
    await server.stop(1)


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each request took all of the time that there is for requests in a pass."""
    monkeypatch.setattr(admission, "TURN_SECONDS", 1e-9)


@pytest.mark.usefixtures("one_at_a_time")
async def test_all_that_wait_for_their_turn_are_answered(service: Service) -> None:
    async with serving(service, Limits(wait_seconds=60)) as server:
        clients = [await connect(server) for _ in range(60)]
        for _ in range(3):
            for _, writer in clients:
                writer.write(READ + READ)
            for reader, _ in clients:
                assert [(await answer(reader))[0] for _ in range(2)] == [200, 200]
        assert server.waiting == 0
        for _, writer in clients:
            writer.close()


@pytest.mark.usefixtures("one_at_a_time")
async def test_who_leaves_before_his_turn_takes_none_and_leaves_nothing(service: Service) -> None:
    async with serving(service, Limits(wait_seconds=60)) as server:
        body = b"PUT /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: data\r\nContent-Length: %d\r\n\r\n%b"
        text = b'{"text": "%b"}' % (b"x" * 20_000)
        clients = [await connect(server) for _ in range(FEW_GOING_ON + 24)]
        for _, writer in clients:
            writer.write(body % (len(text), text))
            writer.transport.abort()
        reader, writer = await connect(server)
        writer.write(READ)
        assert (await answer(reader))[0] == 200
        await until(lambda: server.open_connections == 1)
        assert (server.waiting, server.body_bytes) == (0, 0)
        writer.close()


async def test_past_the_bound_a_request_is_refused_with_the_time_to_come_again_and_the_connection_goes_on(
    service: Service,
) -> None:
    gate = Gate()
    service.toys_answer(gate)
    with structlog.testing.capture_logs() as logs:
        async with serving(service, Limits(wait_seconds=1e-6)) as server:
            clients = [await connect(server) for _ in range(FEW_GOING_ON + 24)]
            for number, (_, writer) in enumerate(clients, 1):  # none waits for its turn
                writer.write(READ)
                await until(lambda number=number: gate.asked == number)  # type: ignore[misc]
            for _ in range(12):  # which tells how fast they are answered
                gate.passing.release()
                await asyncio.sleep(0.002)
            reader, writer = await connect(server)
            for _ in range(2):
                writer.write(READ)
                status, head, body = await answer(reader)
                assert status == 503
                assert b"Retry-After: 1\r\n" in head
                assert b"Connection: close" not in head
                assert body == b'{"errors":["too many requests at once, try again"]}\n'
            assert server.refused[("overload",)] == 2
            for _ in clients:
                gate.passing.release()
            for other, _ in clients:
                assert (await answer(other))[0] == 200
            gate.passing.release()
            writer.write(READ)
            assert (await answer(reader))[0] == 200
            for each in [*clients, (reader, writer)]:
                each[1].close()
    told = [entry for entry in logs if entry["event"] == "clients are sent away"]
    assert [entry["reason"] for entry in told] == ["overload"]


@pytest.mark.parametrize("in_two", [False, True], ids=["whole", "body behind the head"])
async def test_of_those_that_come_at_once_after_a_silence_no_more_are_begun_than_at_other_times(
    service: Service, monkeypatch: pytest.MonkeyPatch, in_two: bool
) -> None:
    """All are read in one pass of the loop, before any task of theirs has its first step."""
    monkeypatch.setattr(admission, "TURN_SECONDS", 60.0)  # however long that pass takes
    gate = Gate()
    service.toys_answer(gate)
    text = b'{"text": "x"}'
    head = b"PUT /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: data\r\nContent-Length: %d\r\n\r\n" % len(text)
    async with serving(service, Limits(wait_seconds=1e-6)) as server:
        clients = [await connect(server) for _ in range(200)]
        for number, (_, writer) in enumerate(clients[:80], 1):
            writer.write(head + text)
            await until(lambda number=number: gate.asked == number)  # type: ignore[misc]
        for _ in range(60):  # which tells how long they take
            gate.passing.release()
            await asyncio.sleep(0.002)
        for _ in range(20):
            gate.passing.release()
        assert [(await answer(reader))[0] for reader, _ in clients[:80]] == [200] * 80
        gate.asked = 0
        for _, writer in clients:
            writer.write(head if in_two else head + text)
        if in_two:
            await asyncio.sleep(0.1)
            for _, writer in clients:
                writer.write(text)
        await until(lambda: gate.asked + server.refused.get(("overload",), 0) == 200)
        assert gate.asked <= FEW_GOING_ON + UNCOUNTED + 4
        for _ in clients:
            gate.passing.release()
        statuses = [(await answer(reader))[0] for reader, _ in clients]
        assert (statuses.count(200), statuses.count(503)) == (gate.asked, 200 - gate.asked)
        assert server._hub is not None
        assert server._hub.admission.going_on == 0
        for _, writer in clients:
            writer.close()


async def test_a_body_that_is_still_to_come_does_not_count_as_work(service: Service) -> None:
    """Who sends slowly takes no share of anybody's."""
    async with serving(service, Limits(wait_seconds=1e-6)) as server:
        head = b"PUT /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: data\r\nContent-Length: 10\r\n\r\n{"
        slow = [await connect(server) for _ in range(100)]
        for _, writer in slow:
            writer.write(head)
        reader, writer = await connect(server)
        for _ in range(20):
            writer.write(READ)
            assert (await answer(reader))[0] == 200
        for each in [*slow, (reader, writer)]:
            each[1].close()
