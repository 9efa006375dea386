"""What is gathered for a device: turns become writes, and a sink that fails or hangs harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kms_actors.actors.audit import writing
from kms_actors.actors.audit.writing import Counts, Writer
from kms_actors.audit.sink import SinkFailed


def one(line: bytes) -> list[bytes]:
    return [line]


class FakeSink:
    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.calls: list[str] = []
        self.together = self.most_together = 0

    async def write(self, lines: Sequence[bytes]) -> None:
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        try:
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            self.writes.append(list(lines))
            self.calls.append("write")
        finally:
            self.together -= 1

    async def reopen(self) -> None:
        assert not self.together
        self.calls.append("reopen")

    async def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
async def sink() -> FakeSink:
    return FakeSink()


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def writer(sink: FakeSink, counts: Counts) -> Writer[bytes]:
    return Writer(sink, "vault", "file/", counts, one)


async def test_all_lines_of_a_turn_are_one_write(writer: Writer[bytes], sink: FakeSink, counts: Counts) -> None:
    outcomes = [writer.put(b"%d\n" % number) for number in range(5)]
    assert all(await asyncio.gather(*outcomes))
    assert sink.writes == [[b"0\n", b"1\n", b"2\n", b"3\n", b"4\n"]]
    assert counts.lines == 5


async def test_what_comes_during_a_write_is_the_next_one_whole(writer: Writer[bytes], sink: FakeSink) -> None:
    sink.gate.clear()
    first = writer.put(b"1\n")
    await asyncio.sleep(0.01)
    rest = [writer.put(b"2\n"), writer.put(b"3\n")]
    await asyncio.sleep(0.01)
    sink.gate.set()
    assert await first
    assert all(await asyncio.gather(*rest))
    assert sink.writes == [[b"1\n"], [b"2\n", b"3\n"]]
    assert sink.most_together == 1


@pytest.mark.parametrize("failure", [SinkFailed("full"), RuntimeError("a defect")])
async def test_a_failure_is_told_to_its_own_lines_alone(
    writer: Writer[bytes], sink: FakeSink, counts: Counts, failure: Exception
) -> None:
    sink.failure = failure
    assert not await writer.put(b"1\n")
    sink.failure = None
    assert await writer.put(b"2\n")
    assert (counts.lines, counts.failures) == (1, 1)


async def test_one_that_hangs_costs_its_patience_once(
    writer: Writer[bytes], sink: FakeSink, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PATIENCE", 0.05)
    sink.gate.clear()
    hanging = writer.put(b"1\n")
    await asyncio.sleep(0.01)
    behind = writer.put(b"2\n")
    assert not await hanging
    assert not await behind
    at_once = writer.put(b"3\n")
    assert at_once.done()
    assert not at_once.result()
    sink.gate.set()
    await asyncio.sleep(0.01)
    assert await writer.put(b"4\n")
    assert counts.failures == 3


async def test_what_may_wait_is_bounded(
    writer: Writer[bytes], sink: FakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING", 10)
    sink.gate.clear()
    writer.put(b"1\n")
    await asyncio.sleep(0.01)
    waiting = writer.put(b"x" * 11)
    await asyncio.sleep(0)
    refused = writer.put(b"2\n")
    assert (refused.done(), waiting.done()) == (True, False)
    assert not refused.result()
    sink.gate.set()
    assert await waiting


async def test_reopens_between_writes_also_while_idle(writer: Writer[bytes], sink: FakeSink) -> None:
    await writer.reopen()
    sink.gate.clear()
    first = writer.put(b"1\n")
    await asyncio.sleep(0.01)
    reopened = asyncio.ensure_future(writer.reopen())
    await asyncio.sleep(0.01)
    sink.gate.set()
    await asyncio.gather(first, reopened)
    assert sink.calls == ["reopen", "write", "reopen"]


async def test_writes_what_waits_before_it_closes_and_nothing_after(writer: Writer[bytes], sink: FakeSink) -> None:
    last = writer.put(b"1\n")
    await writer.close()
    assert await last
    assert not await writer.put(b"2\n")
    await writer.reopen()
    assert sink.calls == ["write", "close"]
    assert writer.closed
