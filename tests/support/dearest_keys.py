"""The dearest that endpoints of keyrings, rekeys and root tokens take, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import READ, WRITE, Dear, anything, fields, nothing, text

_CONFIG: Final = {
    READ: nothing("sys/rotate/config"),
    WRITE: [Dear("sys/rotate/config", fields(interval=text())), *anything("sys/rotate/config")],
}

ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "sys/key-status": {READ: nothing("sys/key-status")},
    "sys/rotate": {WRITE: nothing("sys/rotate")},
    "sys/rotate/config": _CONFIG,
    "sys/rotate/keyring": {WRITE: nothing("sys/rotate/keyring")},
    "sys/rotate/keyring/config": _CONFIG,
}
