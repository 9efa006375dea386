"""What operators of the cluster watch a node by, and that no vault does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.insight.messages import FollowLog, ReadInFlight, ReadLevels, ReadMetrics, RequestUnderWay, SetLevel
from kms_actors.observe.recent import Line

if TYPE_CHECKING:
    from tests.http.conftest import Service


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "sys/metrics"),
        ("GET", "sys/in-flight-req"),
        ("GET", "sys/loggers"),
        ("POST", "sys/loggers"),
        ("DELETE", "sys/loggers/x"),
        ("GET", "sys/monitor"),
    ],
)
async def test_it_is_told_to_operators_alone(service: Service, method: str, path: str) -> None:
    for token in ("root", "data", ""):
        answer = await service.call(method, f"/v1/{path}", token, json={} if method == "POST" else None)
        assert answer.status == 403
    assert service.backend.asked == []


async def test_metrics_come_in_both_forms(service: Service) -> None:
    service.backend.answers[ReadMetrics] = {"Gauges": []}
    assert (await service.call("GET", "/v1/sys/metrics", "operator")).json == {"Gauges": []}
    service.backend.answers[ReadMetrics] = b"# TYPE a gauge\na 1\n"
    answer = await service.call("GET", "/v1/sys/metrics?format=prometheus", "operator")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.body.startswith(b"# TYPE a gauge\na 1\n")
    assert [message.prometheus for message in service.backend.asked] == [False, True]
    assert (await service.call("GET", "/v1/sys/metrics?format=xml", "operator")).status == 400


async def test_requests_under_way_are_called_by_their_routes(service: Service) -> None:
    service.backend.answers[ReadInFlight] = [RequestUnderWay("id-1", 1.8e9, "10.0.0.1", "kv/data/{path...}", "GET")]
    answer = await service.call("GET", "/v1/sys/in-flight-req", "operator")
    assert answer.json == {
        "id-1": {
            "start_time": "2027-01-15T08:00:00Z",
            "client_remote_address": "10.0.0.1",
            "request_path": "/v1/kv/data/{path...}",
            "request_method": "GET",
            "client_id": "",
        }
    }


async def test_the_server_knows_what_it_works_on(service: Service) -> None:
    async def look(_: Any) -> list[RequestUnderWay]:
        return service.server.in_flight()

    service.backend.answers[ReadInFlight] = look
    answer = await service.call("GET", "/v1/sys/in-flight-req", "operator")
    (own,) = answer.json.values()
    assert (own["request_path"], own["client_id"]) == ("/v1/sys/in-flight-req", "biscuit r1")
    assert service.server.in_flight() == []
    assert (await service.call("GET", "/v1/none", "operator")).status == 403
    assert service.server.in_flight() == []


async def test_levels_are_shown_set_and_reset(service: Service) -> None:
    service.backend.answers[ReadLevels] = {"kms_http": "info"}
    service.backend.answers[SetLevel] = True
    path = "/v1/sys/loggers"
    assert (await service.call("GET", path, "operator")).json["data"] == {"kms_http": "info"}
    assert (await service.call("GET", f"{path}/kms_http", "operator")).json["data"] == {"kms_http": "info"}
    assert (await service.call("GET", f"{path}/none", "operator")).json["data"] == {}
    assert (await service.call("POST", path, "operator", json={"level": "WARN"})).status == 204
    assert (await service.call("POST", f"{path}/kms_http", "operator", json={"level": "trace"})).status == 204
    assert (await service.call("DELETE", f"{path}/kms_http", "operator")).status == 204
    sets = [message for message in service.backend.asked if isinstance(message, SetLevel)]
    assert [(each.level, each.name) for each in sets] == [(30, ""), (10, "kms_http"), (None, "kms_http")]
    for sent, said in (({}, "level is required"), ({"level": "x"}, "invalid level provided: unknown log level")):
        answer = await service.call("POST", path, "operator", json=sent)
        assert (answer.status, answer.errors) == (400, [said])
    service.backend.answers[SetLevel] = False
    answer = await service.call("POST", f"{path}/none", "operator", json={"level": "info"})
    assert (answer.status, answer.errors) == (400, ['logger "none" not found'])


async def lines(*batches: list[Line]) -> AsyncIterator[list[Line]]:
    for batch in batches:
        yield batch


@pytest.mark.parametrize(("form", "body"), [("", b"one\ntwo\nthree\n"), ("json", b"{1}\n{2}\n{3}\n")])
async def test_the_log_is_followed_to_its_end(service: Service, form: str, body: bytes) -> None:
    made = [Line(1.0, 20, "one", "{1}"), Line(2.0, 20, "two", "{2}"), Line(3.0, 30, "three", "{3}")]
    service.backend.answers[FollowLog] = lines(made[:2], [], made[2:])
    answer = await service.call("GET", f"/v1/sys/monitor?log_level=debug&log_format={form}", "operator")
    assert (answer.status, answer.body) == (200, body)
    assert (answer.headers["Transfer-Encoding"], answer.headers["Connection"]) == ("chunked", "close")
    assert service.backend.asked[-1].level == 10
    assert service.backend.asked[-1].revocation_ids == ("r1",)


@pytest.mark.parametrize(
    ("query", "said"),
    [("log_level=none", "unknown log level"), ("log_format=xml", "unknown log format: it is `standard` or `json`")],
)
async def test_a_log_is_followed_only_as_it_is_written(service: Service, query: str, said: str) -> None:
    answer = await service.call("GET", f"/v1/sys/monitor?{query}", "operator")
    assert (answer.status, answer.errors) == (400, [said])


async def test_old_clients_get_lines_without_pieces(service: Service) -> None:
    service.backend.answers[FollowLog] = lines([Line(1.0, 20, "one", "{}")])
    told = await service.raw(b"GET /v1/sys/monitor HTTP/1.0\r\nX-Vault-Token: operator\r\n\r\n")
    head, _, body = told.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body == b"one\n"


async def test_what_breaks_within_ends_the_body_and_the_connection(service: Service) -> None:
    async def broken() -> AsyncIterator[list[Line]]:
        yield [Line(1.0, 20, "one", "{}")]
        raise RuntimeError("canary")

    service.backend.answers[FollowLog] = broken()
    told = await service.raw(b"GET /v1/sys/monitor HTTP/1.1\r\nHost: a\r\nX-Vault-Token: operator\r\n\r\n")
    assert told.endswith(b"4\r\none\n\r\n")
    assert b"canary" not in told
