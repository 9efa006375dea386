import asyncio
from collections.abc import Iterable

import pykka
import pytest

from kms_actors.errors import NotFound
from kms_actors.runtime import AsyncioFuture, WouldBlock


async def test_awaits_a_value_that_comes_later() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    asyncio.get_running_loop().call_soon(future.set, 7)
    assert not future.done()
    assert await future == 7
    assert await future == 7


async def test_raises_the_error_it_was_answered_with() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    future.fail(NotFound("nothing here"))
    for _ in range(2):
        with pytest.raises(NotFound, match="nothing here"):
            await future


async def test_takes_the_exception_being_handled_as_pykka_does() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    try:
        raise NotFound("nothing here")  # noqa: TRY301 - to be handled right here
    except NotFound:
        future.set_exception()
    with pytest.raises(NotFound):
        await future


async def test_refuses_a_blocking_get_even_when_answered() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    future.set(1)
    for timeout in (None, 0.5):
        with pytest.raises(WouldBlock):
            future.get(timeout=timeout)
    assert future.get(timeout=0) == 1


async def test_a_poll_of_a_pending_future_times_out() -> None:
    with pytest.raises(pykka.Timeout):
        AsyncioFuture[int]().get(timeout=0)


async def test_is_answered_once() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    future.set(1)
    with pytest.raises(asyncio.InvalidStateError):
        future.set(2)
    with pytest.raises(asyncio.InvalidStateError):
        future.fail(NotFound())
    with pytest.raises(asyncio.InvalidStateError):
        future.set_get_hook(lambda _: 3)
    assert await future == 1


async def test_cancelling_one_of_two_waiters_leaves_the_other() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()

    async def wait() -> int:
        return await future

    first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    future.set(5)
    assert await second == 5
    assert first.cancelled()


async def test_the_combinators_of_pykka_can_be_awaited() -> None:
    first: AsyncioFuture[int] = AsyncioFuture()
    second: AsyncioFuture[int] = AsyncioFuture()
    calls = []

    def add(values: Iterable[int]) -> int:
        calls.append(values)
        return sum(values)

    total = first.join(second).map(add)
    loop = asyncio.get_running_loop()
    loop.call_soon(first.set, 1)
    loop.call_soon(loop.call_soon, second.set, 2)
    assert await total == 3
    assert await total == 3
    assert calls == [[1, 2]]


async def test_a_combinator_passes_an_error_on() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    asyncio.get_running_loop().call_soon(future.fail, NotFound())
    with pytest.raises(NotFound):
        await future.map(lambda value: value + 1)
