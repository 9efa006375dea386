"""The system endpoints that the reference documents are answered by a node as by it, or listed with a reason.

The kind: an endpoint that is only thought to be there. Each operation of the reference's own OpenAPI document is
asked for once, on both, by somebody who may do all; the status, and the names of all fields, are compared.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.differential.documented import (
    EXAMPLES,
    WRAP,
    Documented,
    Example,
    Known,
    Told,
    ask,
    body_of,
    operations,
    requested,
)
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
LEAST: Final = 190


class Caller(NamedTuple):
    """Somebody who may do all on one server, and its operator where that is another."""

    address: str
    operator: str
    known: Known


def answers(caller: Caller, operation: Documented, example: Example) -> Told:
    token = caller.operator if example.operator else caller.known.token
    body = body_of(operation, example, caller.known)
    asked = operation._replace(path=requested(operation, example, caller.known))
    return ask(caller.address, token, asked, body, example)


def caller(address: str, token: str, operator: str, audit: str) -> Caller:
    """Return the caller of a server that has what is asked for: a lease, a mount to move, an audit device."""
    api = Api(address, token)
    assert api.post("auth/token/create", {"policies": ["default"], "ttl": "1h"}).status == 200
    assert api.post("sys/mounts/doc-moves", {"type": "kv"}).status == 204
    assert api.post("sys/audit/doc-audit", {"type": "file", "options": {"file_path": audit}}).status == 204
    lease = api.list("sys/leases/lookup/auth/token/create").data["keys"][0]
    accessor = api.get("auth/token/lookup-self").data["accessor"]

    def wrapping() -> str:
        wrapped: str = api.call("GET", "sys/mounts", headers={WRAP: "60"}).json["wrap_info"]["token"]
        return wrapped

    return Caller(address, operator, Known(token, accessor, f"auth/token/create/{lease}", audit, wrapping))


def listed() -> dict[str, str]:
    """Return the operations that the document says are answered otherwise, each with why."""
    return {f"{method} {path}": why for method, path, why in _ROW.findall(_DOCUMENT.read_text(encoding="utf-8"))}


def test_every_documented_endpoint_is_answered_alike_or_listed_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KMS_REFERENCE_ADDR", raising=False)  # it is sealed in the end
    issuer = Issuer()
    node = Node.for_issuer(tmp_path, sqlite_table, issuer, further=f'\n[audit]\nfolder = "{tmp_path / "audit"}"\n')
    node.start()
    alike: set[str] = set()
    refused: set[str] = set()
    otherwise: dict[str, str] = {}
    unknown = 0
    try:
        operator = Api(node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator)["keys_base64"])
        root = make_tenant(node, issuer).root
        assert operator.token is not None
        assert root.token is not None
        ours = caller(node.address, root.token, operator.token, "audit.log")
        with reference(tmp_path, settings="unsafe_allow_api_audit_creation = true\n") as server:
            theirs = caller(server.address, server.token, server.token, str(tmp_path / "audit.log"))
            document = Api(server.address, server.token).get("sys/internal/specs/openapi").json
            documented = [each for each in operations(document) if each.path != "sys/step-down"]
            for operation in sorted(documented, key=lambda each: (each.path in _LAST, _ORDER[each.method])):
                example = EXAMPLES.get((operation.method, operation.path), Example())
                theirs_told, ours_told = (answers(each, operation, example) for each in (theirs, ours))
                if not theirs_told.known:
                    unknown += 1
                elif ours_told.covers(theirs_told):
                    alike.add(str(operation))
                    refused |= {str(operation)} if ours_told.status >= 400 else set()
                else:
                    otherwise[str(operation)] = f"{theirs_told} there, {ours_told} here"
    finally:
        node.close()
    known = len(alike) + len(otherwise)
    report = reporting(capsys, "documented system endpoints")
    report(f"{len(documented)}, of which the reference answers {known}, and a node {len(alike)} of these alike")
    report(f"{len(refused)} of these with an error, as the reference does: {', '.join(sorted(refused))}")
    exceptions = listed()
    stale = {operation for operation in exceptions.keys() & alike if not exceptions[operation].startswith(_NOT_YET)}
    unlisted = {operation: how for operation, how in otherwise.items() if operation not in exceptions}
    assert unlisted == {}
    assert stale == set(), "listed as answered otherwise, and answered alike"
    assert len(alike) >= LEAST
