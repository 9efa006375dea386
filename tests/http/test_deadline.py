"""Each request has its time from when it has arrived whole, on a connection that is kept as well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from kms_actors import request_context
from kms_actors.clock import elapsed
from kms_actors.errors import DeadlinePassed
from kms_actors.request_context import REQUEST_SECONDS

if TYPE_CHECKING:
    from tests.http.conftest import Service


async def test_each_request_has_an_end_of_its_own(service: Service) -> None:
    ends: list[float] = []

    async def remember(_: Any) -> str:
        ends.append(request_context.current().ends)
        return "x"

    service.toys_answer(remember)
    before = elapsed()
    for _ in range(2):
        await service.call("GET", "/v1/toy/names/a", "data")
        await asyncio.sleep(0.02)
    first, second = ends
    assert before + REQUEST_SECONDS <= first < second <= elapsed() + REQUEST_SECONDS


async def test_a_body_that_comes_slowly_takes_nothing_of_it(service: Service) -> None:
    ends: list[float] = []

    async def remember(_: Any) -> str:
        ends.append(request_context.current().ends)
        return "x"

    sent: list[float] = []

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"text":'
        await asyncio.sleep(0.1)
        sent.append(elapsed())
        yield b'"a"}'

    service.toys_answer(remember)
    answer = await service.call("POST", "/v1/toy/names/a", "data", data=slowly())
    assert answer.status == 200
    assert ends[0] >= sent[0] + REQUEST_SECONDS


async def test_a_request_whose_time_is_over_may_be_tried_again(service: Service) -> None:
    service.toys_answer(DeadlinePassed("over"))
    answer = await service.call("POST", "/v1/toy/names/a", "data", json={"text": "a"})
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
