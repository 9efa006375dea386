"""The dearest that endpoints of audit devices take, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import DELETE, READ, WRITE, Dear, anything, fields, nothing, text

_FILTER: Final = " or ".join(["path == x"] * 64)

ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "sys/audit": {READ: nothing("sys/audit")},
    "sys/audit/{path...}": {
        WRITE: [
            Dear("sys/audit/dear", fields(type="file", options=lambda: dict.fromkeys(map(str, range(190_000)), "x"))),
            Dear("sys/audit/dear", fields(type="file", options={"file_path": "discard", "filter": "(" * 2048})),
            Dear("sys/audit/dear", fields(type="file", options={"file_path": "discard", "filter": _FILTER})),
            Dear("sys/audit/dear", fields(type=text())),
        ],
        DELETE: nothing("sys/audit/dear"),
    },
    "sys/audit-checkpoint/{path...}": {READ: nothing("sys/audit-checkpoint/dear")},
    "sys/audit-hash/{path...}": {WRITE: [Dear("sys/audit-hash/dear", fields(input=text()))]},
    "sys/config/auditing/request-headers": {READ: nothing("sys/config/auditing/request-headers")},
    "sys/config/auditing/request-headers/{header}": {
        READ: nothing("sys/config/auditing/request-headers/dear"),
        WRITE: anything("sys/config/auditing/request-headers/dear"),
        DELETE: nothing("sys/config/auditing/request-headers/dear"),
    },
}
