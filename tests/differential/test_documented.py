"""The system endpoints that the reference documents are answered by a node as by it, or listed with a reason.

The kind: an endpoint that is only thought to be there. Each operation of the reference's own OpenAPI document is
asked for once, on both, by somebody who may do all; the status, and the names of all fields, are compared.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.differential.documented import EXAMPLES, Documented, Example, Told, ask, body_of, operations, requested
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.reference import reference
from tests.support.report import reporting
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

_DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "compatibility.md"
_ROW: Final = re.compile(r"^\| `([A-Z]+) (sys/[^`]*)` \| ([^|]+) \|$", re.MULTILINE)
#: What is made is read, and then removed; at the end both are sealed.
_ORDER: Final = {"POST": 1, "PATCH": 2, "GET": 3, "LIST": 3, "DELETE": 4}
_LAST: Final = ("sys/seal",)
#: Begins the reason of what is to come: such a row is taken out some time after it has.
_NOT_YET: Final = "not yet"
#: How many of the reference's operations must be answered alike, at least.
LEAST: Final = 170


class Caller(NamedTuple):
    """Somebody who may do all on one server, and its operator where that is another."""

    address: str
    token: str
    accessor: str
    operator: str


def answers(caller: Caller, operation: Documented, example: Example) -> Told:
    token = caller.operator if example.operator else caller.token
    body = body_of(operation, example, token, caller.accessor)
    path = requested(operation, example)
    return ask(caller.address, token, operation.method, path, body, named=example.named)


def caller(address: str, token: str, operator: str) -> Caller:
    api = Api(address, token)
    assert api.post("auth/token/create", {"policies": ["default"], "ttl": "1h"}).status == 200
    return Caller(address, token, api.get("auth/token/lookup-self").data["accessor"], operator)


def listed() -> dict[str, str]:
    """Return the operations that the document says are answered otherwise, each with why."""
    return {f"{method} {path}": why for method, path, why in _ROW.findall(_DOCUMENT.read_text(encoding="utf-8"))}


def test_every_documented_endpoint_is_answered_alike_or_listed_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KMS_REFERENCE_ADDR", raising=False)  # it is sealed in the end
    issuer = Issuer()
    node = Node.for_issuer(tmp_path, sqlite_table, issuer)
    node.start()
    alike: set[str] = set()
    otherwise: dict[str, str] = {}
    unknown = 0
    try:
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        root = make_tenant(node, issuer).root
        assert operator.token is not None
        assert root.token is not None
        ours = caller(node.address, root.token, operator.token)
        with reference(tmp_path) as server:
            theirs = caller(server.address, server.token, server.token)
            document = Api(server.address, server.token).get("sys/internal/specs/openapi").json
            documented = [each for each in operations(document) if each.path != "sys/step-down"]
            for operation in sorted(documented, key=lambda each: (each.path in _LAST, _ORDER[each.method])):
                example = EXAMPLES.get((operation.method, operation.path), Example())
                theirs_told, ours_told = (answers(each, operation, example) for each in (theirs, ours))
                if not theirs_told.known:
                    unknown += 1
                elif ours_told.covers(theirs_told):
                    alike.add(str(operation))
                else:
                    otherwise[str(operation)] = f"{theirs_told} there, {ours_told} here"
    finally:
        node.close()
    known = len(alike) + len(otherwise)
    report = reporting(capsys, "documented system endpoints")
    report(f"{len(documented)}, of which the reference answers {known}, and a node {len(alike)} of these alike")
    exceptions = listed()
    stale = {operation for operation in exceptions.keys() & alike if not exceptions[operation].startswith(_NOT_YET)}
    unlisted = {operation: how for operation, how in otherwise.items() if operation not in exceptions}
    assert unlisted == {}
    assert stale == set(), "listed as answered otherwise, and answered alike"
    assert len(alike) >= LEAST
