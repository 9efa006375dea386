"""Requests drawn from the OpenAPI document: a short storm, and that a storm finds what it is there to find."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz.api.lane import Answered
from tests.fuzz.api.operations import Field, Operation, operations
from tests.fuzz.api.storm import Sent, drawn, wrong
from tests.fuzz.api.values import Draw
from tests.fuzz.running import Outcome, storm
from tests.fuzz.schema import examine, program
from tests.support.report import reporting

_READ = Operation("GET", "/secret/data/{path}", (), ())


def test_no_request_of_a_short_storm_ends_in_500_or_without_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = storm(tmp_path, 2027, requests=1500, each_round=750)
    assert found.findings == [], "\n".join(map(str, found.findings))
    assert found.trouble == []
    assert found.requests == 1500
    assert found.operations > 60  # it means something, and is not refused at the door
    assert found.counts[200] > 100
    reporting(capsys, "fuzzed API")(str(found))


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    if program() is None:
        pytest.skip("NOT TESTED: the API by Schemathesis. It is not here (requirements-fuzz.lock)")
    found = examine(tmp_path, 120, 1, bound=True, briefly=True)
    assert found.failed == ""
    assert found.cases > 20


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b"{}", ""),
        (404, b"", ""),
        (400, b'{"errors":[]}', ""),
        (503, b'{"errors":["Vault is sealed"]}', ""),
        (503, b'{"errors":["too many conflicting requests, try again"]}', ""),
        (500, b'{"errors":["internal error"]}', "status 500"),
        (503, b'{"errors":["the tenant rests"]}', "status 503"),
        (502, b"", "status 502"),
        (400, b"Traceback", "an error that is no JSON"),
        (0, b"", "closed without an answer"),
    ],
)
def test_what_is_a_finding(status: int, body: bytes, why: str) -> None:
    assert wrong(Sent(_READ, "GET", 0, b""), Answered(status, body)) == why


def test_memory_that_grows_shows() -> None:
    def growth(memory: list[float]) -> float:
        return Outcome(1, 1.0, {}, [], [], 0, memory).growth

    assert growth([100.0, 150.0, *[160.0] * 20]) == 0
    assert growth([100.0 + number for number in range(100)]) > 35


def test_requests_are_drawn_from_a_seed() -> None:
    operation = Operation("POST", "/a/{name}", (Field("x", {"type": "string"}),), (Field("n", {"type": "integer"}),))

    def some(seed: str) -> list[tuple[str, bytes]]:
        draw = Draw(seed)
        return [drawn(draw, operation, "token") for _ in range(50)]

    assert some("1") == some("1")
    assert some("1") != some("2")


def test_operations_are_those_of_the_document() -> None:
    document = json.loads(
        """{"components": {"schemas": {"S": {"properties": {"a": {"type": "string"}}}}}, "paths": {
        "/x/{y}": {"parameters": [{"name": "y", "in": "path", "schema": {"type": "string"}}],
          "get": {"parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}]},
          "post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}}}},
        "/sys/monitor": {"get": {}}}}"""
    )
    text = Field("q", {"type": "string"})
    assert list(operations(document)) == [
        Operation("GET", "/x/{y}", (text,), ()),
        Operation("POST", "/x/{y}", (), (Field("a", {"type": "string"}),)),
    ]
