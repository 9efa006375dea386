"""A mount that goes while a request is on its way is answered as one that was never there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kms_actors.errors import NoMount, NotFound

if TYPE_CHECKING:
    from tests.http.conftest import Service


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_mount_that_has_gone_meanwhile_is_no_route(service: Service, method: str) -> None:
    never = await service.call(method, "/v1/nowhere/names/a", "data", json={} if method == "POST" else None)
    service.toys_answer(NoMount)
    gone = await service.call(method, "/v1/toy/names/a", "data", json={} if method == "POST" else None)
    assert gone.status == never.status == 404
    assert gone.errors == ['no handler for route "toy/names/a". route entry not found.']
    assert never.errors == ['no handler for route "nowhere/names/a". route entry not found.']


async def test_what_is_missing_below_a_mount_has_no_text(service: Service) -> None:
    service.toys_answer(NotFound)
    answer = await service.call("GET", "/v1/toy/names/a", "data")
    assert (answer.status, answer.errors) == (404, [])
