"""The dearest that endpoints of mounts take, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import READ, WRITE, Dear, fields, nothing, text

ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "sys/remount": {
        WRITE: [
            Dear("sys/remount", fields(**{"from": text(), "to": "x"})),
            Dear("sys/remount", fields(**{"from": "none", "to": text()})),
        ]
    },
    "sys/remount/status/{migration_id}": {READ: nothing("sys/remount/status/none")},
}
