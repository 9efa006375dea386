"""The dearest that quotas take, and what is asked about tenants, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import DELETE, LIST, READ, WRITE, Dear, anything, fields, nothing, text

ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "sys/quotas/rate-limit": {LIST: nothing("sys/quotas/rate-limit")},
    "sys/quotas/rate-limit/{name}": {
        READ: nothing("sys/quotas/rate-limit/none"),
        WRITE: [
            Dear("sys/quotas/rate-limit/dear", fields(rate=1e9, path=text())),
            Dear("sys/quotas/rate-limit/dear", fields(rate=1e9, role=text())),
            Dear("sys/quotas/rate-limit/dear", fields(rate="1" * 16_000)),
        ],
        DELETE: nothing("sys/quotas/rate-limit/none"),
    },
    "sys/quotas/config": {
        READ: nothing("sys/quotas/config"),
        WRITE: [
            *anything("sys/quotas/config"),
            Dear("sys/quotas/config", fields(rate_limit_exempt_paths=lambda: ["x"] * 190_000)),
        ],
    },
}
