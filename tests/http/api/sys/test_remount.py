"""Moves of mounts over HTTP: what is asked, what is told, and who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.errors import NotFound
from kms_actors.messages import Moved, MoveMount, ReadMove

if TYPE_CHECKING:
    from tests.http.conftest import Service

ID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


@pytest.mark.parametrize(("source", "target"), [("toy", "new/place"), ("toy/", "/new/place/")])
async def test_a_move_is_told_of_by_an_id(service: Service, source: str, target: str) -> None:
    service.tenant.answers[MoveMount] = ID
    answer = await service.call("POST", "/v1/sys/remount", "root", json={"from": source, "to": target})
    assert (answer.status, answer.json["migration_id"], answer.json["data"]) == (200, ID, {"migration_id": ID})
    assert service.tenant.asked == [MoveMount("toy/", "new/place/")]


async def test_what_is_known_of_one_is_told(service: Service) -> None:
    service.tenant.answers[ReadMove] = Moved("toy/", "new/")
    answer = await service.call("GET", f"/v1/sys/remount/status/{ID}", "root")
    info = {"source_mount": "toy/", "status": "success", "target_mount": "new/"}
    assert answer.json["data"] == {"migration_id": ID, "migration_info": info}
    service.tenant.answers[ReadMove] = NotFound()
    answer = await service.call("GET", "/v1/sys/remount/status/none", "root")
    assert (answer.status, answer.errors) == (404, [])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "both 'from' and 'to' path must be specified as a string"),
        ({"from": "a"}, "both 'from' and 'to' path must be specified as a string"),
        ({"to": "a"}, "both 'from' and 'to' path must be specified as a string"),
        ({"from": "a ", "to": "b"}, "'from' path cannot contain trailing whitespace"),
        ({"from": "a", "to": " b "}, "'to' path cannot contain trailing whitespace"),
    ],
)
async def test_paths_are_needed(service: Service, body: Any, text: str) -> None:
    answer = await service.call("POST", "/v1/sys/remount", "root", json=body)
    assert (answer.status, answer.errors) == (400, [text])
    assert service.tenant.asked == []


async def test_no_data_token_moves_anything(service: Service) -> None:
    body = {"from": "toy", "to": "x"}
    assert (await service.call("POST", "/v1/sys/remount", "data", json=body)).status == 403
    assert (await service.call("GET", f"/v1/sys/remount/status/{ID}", "data")).status == 403
    assert service.tenant.asked == []
