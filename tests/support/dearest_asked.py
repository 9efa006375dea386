"""The dearest that endpoints take that tell of the server itself, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import READ, WRITE, Dear, anything, nothing

ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "sys/internal/specs/openapi": {
        READ: nothing("sys/internal/specs/openapi?generic_mount_paths=true"),
        WRITE: anything("sys/internal/specs/openapi"),
    },
}
