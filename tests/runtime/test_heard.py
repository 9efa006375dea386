"""Errors of child tasks that are heard by somebody make no line in the log.

The kind: a caller's mistake is found in a task that another task awaits, is answered, and logged beside that as
`unheard error`: a tenant can fill the log. A child knows by construction whether anything awaits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from kms_actors.errors import InvalidRequest
from kms_actors.runtime import AsyncioActor, RequestFailed, ask


async def _wrong(error: type[Exception]) -> None:
    await asyncio.sleep(0)
    raise error("wrong")


async def _awaits(actor: Nesting, error: type[Exception]) -> Any:
    return await actor.spawn(_wrong(error))


async def _shields(actor: Nesting, error: type[Exception]) -> Any:
    return await asyncio.shield(actor.spawn(_wrong(error)))


async def _gathers(actor: Nesting, error: type[Exception]) -> Any:
    return await asyncio.gather(actor.spawn(_wrong(error)), actor.spawn(asyncio.sleep(0)))


async def _returns(actor: Nesting, error: type[Exception]) -> Any:
    return actor.spawn(_wrong(error))


async def _deep(actor: Nesting, error: type[Exception]) -> Any:
    return await actor.spawn(_awaits(actor, error))


Work = Callable[["Nesting", type[Exception]], Coroutine[Any, Any, Any]]
WAYS: tuple[Work, ...] = (_awaits, _shields, _gathers, _returns, _deep)


class Nesting(AsyncioActor):
    def on_receive(self, message: tuple[Work, type[Exception]]) -> Any:
        work, error = message
        return self.spawn(work(self, error))


@pytest.mark.parametrize("work", WAYS)
async def test_a_mistake_found_in_a_task_that_is_awaited_is_told_to_the_asker_alone(work: Work) -> None:
    ref = Nesting.start()
    with capture_logs() as logs, pytest.raises(InvalidRequest):
        await ask(ref, (work, InvalidRequest))
    await asyncio.sleep(0.01)
    assert logs == []
    await ref.stop(block=False)


@pytest.mark.parametrize("work", WAYS)
async def test_an_unexpected_error_there_fails_the_request_not_the_actor(work: Work) -> None:
    ref = Nesting.start()
    with capture_logs() as logs, pytest.raises(RequestFailed):
        await ask(ref, (work, ZeroDivisionError))
    assert [entry["event"] for entry in logs] == ["request failed in actor"]
    assert ref.is_alive()
    await ref.stop(block=False)


async def test_what_nobody_awaits_is_logged() -> None:
    ref = Nesting.start()
    with capture_logs() as logs:
        ref.tell((_awaits, InvalidRequest))
        await asyncio.sleep(0.01)
    assert [entry["event"] for entry in logs] == ["unheard error in actor"]
    await ref.stop(block=False)


async def _because(_: Nesting, error: type[Exception]) -> Any:
    try:
        await _wrong(ZeroDivisionError)
    except ZeroDivisionError as cause:
        raise error("told") from cause


async def test_what_is_told_of_an_error_has_nothing_of_its_way() -> None:
    """Nor of those that led to it: variables on the way hold keys, what was sent, and the task that has the error."""
    ref = Nesting.start()
    with pytest.raises(InvalidRequest) as told:
        await ask(ref, (_because, InvalidRequest))
    error = told.value
    assert (error.__cause__, error.__context__) == (None, None)
    assert "_because" not in {entry.name for entry in told.traceback}
    await ref.stop(block=False)
