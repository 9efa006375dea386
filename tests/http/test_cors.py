"""Requests of pages: those of named origins are answered and marked, all others refused before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.insight.cors import MOST, Cors, DeleteCors, ReadCors, WriteCors, allowing

if TYPE_CHECKING:
    from tests.http.conftest import Service

PAGE = "https://console.example"


async def test_without_settings_no_origin_means_anything(service: Service) -> None:
    service.toys_answer("x")
    answer = await service.call("GET", "/v1/toy/names/a", "root", Origin=PAGE)
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_pages_of_named_origins_see_answers_and_errors(service: Service) -> None:
    service.backend.cors = allowing([PAGE], [])
    service.toys_answer("x")
    for path, status in (("toy/names/a", 200), ("toy/none", 404), ("nosuch/x", 404)):
        answer = await service.call("GET", f"/v1/{path}", "root", Origin=PAGE)
        assert answer.status == status
        assert (answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == (PAGE, "Origin")
    assert (await service.call("GET", "/v1/toy/names/a", "root")).status == 200


async def test_other_pages_are_refused_before_anything_is_done(service: Service) -> None:
    service.backend.cors = allowing([PAGE], [])
    for method in ("GET", "POST", "OPTIONS"):
        answer = await service.call(method, "/v1/toy/names/a", "root", Origin="https://other.example")
        assert (answer.status, answer.errors) == (403, ["origin not allowed"])
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert service.tenant.asked == []


async def test_a_browser_that_asks_is_told_what_it_may_send(service: Service) -> None:
    service.backend.cors = allowing(["*"], ["X-Own", "content-type"])
    answer = await service.call("OPTIONS", "/v1/toy/names/a", Origin=PAGE, Access_Control_Request_Method="LIST")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Access-Control-Allow-Headers"].endswith("X-Requested-With,X-Own")
    assert "LIST" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    refused = await service.call("OPTIONS", "/v1/toy/names/a", Origin=PAGE, Access_Control_Request_Method="TRACE")
    assert refused.status == 405


@pytest.mark.parametrize(
    ("origins", "headers", "said"),
    [
        ([], [], "at least one origin"),
        (["*", PAGE], [], "the only value"),
        (["no origin"], [], "an origin is"),
        (["https://x/path"], [], "an origin is"),
        (["https://x\r\nSet-Cookie: a"], [], "an origin is"),
        ([PAGE], ["two words"], "names of headers"),
        ([f"https://h{number}" for number in range(MOST + 1)], [], "at most"),
        ([PAGE], [f"X-{number}" for number in range(MOST + 1)], "at most"),
    ],
)
def test_what_is_no_setting_is_refused(origins: list[str], headers: list[str], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        allowing(origins, headers)


async def test_operators_of_the_cluster_alone_change_it(service: Service) -> None:
    service.backend.answers[ReadCors] = Cors((PAGE,), ("X-A",))
    path = "/v1/sys/config/cors"
    shown = await service.call("GET", path, "operator")
    assert shown.json["data"] == {
        "allow_credentials": False,
        "allowed_headers": ["X-A"],
        "allowed_origins": [PAGE],
        "enabled": True,
    }
    assert shown.json["enabled"] is True
    sent = {"allowed_origins": f"{PAGE},http://localhost:8000"}
    assert (await service.call("POST", path, "operator", json=sent)).status == 204
    (_, written) = service.backend.asked
    assert isinstance(written, WriteCors)
    assert written.cors.allowed_origins == (PAGE, "http://localhost:8000")
    assert (await service.call("DELETE", path, "operator")).status == 204
    assert isinstance(service.backend.asked[-1], DeleteCors)
    refused = await service.call("POST", path, "operator", json={"allowed_origins": ["*"], "allow_credentials": True})
    assert refused.status == 400
    service.backend.answers[ReadCors] = None
    assert (await service.call("GET", path, "operator")).json["data"] == {"enabled": False}
    for method in ("GET", "POST", "DELETE"):
        assert (await service.call(method, path, "root", json=sent if method == "POST" else None)).status == 403
