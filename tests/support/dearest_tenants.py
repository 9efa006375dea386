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
    # For the cluster's operator alone, from whom what is measured has no token: such requests end before their body.
    "sys/tenants": {LIST: nothing("sys/tenants")},
    "sys/tenants/{vault_id}": {
        READ: nothing("sys/tenants/vault_1"),
        WRITE: anything("sys/tenants/vault_1"),
        DELETE: nothing("sys/tenants/vault_1"),
    },
    "sys/tenants/{vault_id}/seal": {WRITE: anything("sys/tenants/vault_1/seal")},
    "sys/tenants/{vault_id}/keep": {WRITE: anything("sys/tenants/vault_1/keep")},
    "sys/tenants/{vault_id}/export": {READ: nothing("sys/tenants/vault_1/export")},
    "sys/tenants/{vault_id}/measure": {
        READ: nothing("sys/tenants/vault_1/measure"),
        WRITE: anything("sys/tenants/vault_1/measure"),
    },
    "sys/quotas/config": {
        READ: nothing("sys/quotas/config"),
        WRITE: [
            *anything("sys/quotas/config"),
            Dear("sys/quotas/config", fields(rate_limit_exempt_paths=lambda: ["x"] * 190_000)),
        ],
    },
}
