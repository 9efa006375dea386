"""A lasting task: whatever ends its work, it begins again, until its owner stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import structlog.testing

from kms_actors.errors import StoreUnavailable
from kms_actors.runtime.lasting import Lasting


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.001)


class Panic(BaseException):
    """Stands for what a library raises that is no Exception."""


@pytest.mark.parametrize(
    ("ending", "level"),
    [
        (None, "error"),
        (ZeroDivisionError("a secret"), "error"),
        (Panic("a secret"), "error"),
        (asyncio.CancelledError("a secret"), "error"),
        (StoreUnavailable("a secret"), "warning"),
    ],
)
async def test_work_begins_again_whatever_ends_it(ending: BaseException | None, level: str) -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)
        if ending is not None:
            raise ending

    lasting = Lasting("test", work, 0.001)
    with structlog.testing.capture_logs() as logs:
        lasting.start()
        await until(lambda: begun >= 4)
        await lasting.stop()
    assert lasting.restarts >= 3
    assert {entry["log_level"] for entry in logs} == {level}
    assert {entry["task"] for entry in logs} == {"test"}
    assert "secret" not in str(logs)


async def test_a_stop_ends_the_work_and_is_final() -> None:
    ended = False
    running = asyncio.Event()

    async def work() -> None:
        nonlocal ended
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended = True

    lasting = Lasting("test", work, 0.0)
    lasting.start()
    await running.wait()
    await lasting.stop()
    assert ended
    running.clear()
    await asyncio.sleep(0.02)
    assert not running.is_set()
    await lasting.stop()


async def test_a_stop_between_two_runs_is_final(caplog: pytest.LogCaptureFixture) -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1

    lasting = Lasting("test", work, 60.0)
    lasting.start()
    await until(lambda: lasting.restarts == 1)
    await lasting.stop()
    assert begun == 1
    assert not caplog.records
