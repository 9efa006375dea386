"""The dearest that endpoints of tokens and leases take, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import DELETE, LIST, READ, WRITE, Dear, anything, fields, nothing, text


def lease(path: str) -> list[Dear]:
    return [Dear(path, fields(lease_id=text())), Dear(path, fields(lease_id="a/" * 1000 + "h"))]


def token_makers(path: str) -> list[Dear]:
    return [
        Dear(path, fields(policies=lambda: ["x"] * 190_000)),
        Dear(path, fields(policies=lambda: [f"{number}{'a' * 500}" for number in range(128)])),
        Dear(path, fields(meta=lambda: dict.fromkeys(map(str, range(190_000)), "x"))),
        Dear(path, fields(display_name=text())),
    ]


ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "auth/token/lookup-self": {
        READ: nothing("auth/token/lookup-self"),
        WRITE: anything("auth/token/lookup-self"),
    },
    "auth/token/renew-self": {WRITE: anything("auth/token/renew-self")},
    "auth/token/revoke-self": {WRITE: []},  # it ends what is measured
    "auth/token/create": {WRITE: token_makers("auth/token/create")},
    "auth/token/create-orphan": {WRITE: token_makers("auth/token/create-orphan")},
    "auth/token/create/{role_name}": {WRITE: token_makers("auth/token/create/dear")},
    "auth/token/lookup": {
        READ: nothing("auth/token/lookup"),
        WRITE: [
            Dear("auth/token/lookup", fields(token=text())),
            Dear("auth/token/lookup", fields(token="x" * 16_000)),
        ],
    },
    "auth/token/lookup-accessor": {WRITE: [Dear("auth/token/lookup-accessor", fields(accessor="x" * 16_000))]},
    "auth/token/accessors": {LIST: nothing("auth/token/accessors")},
    "auth/token/renew": {WRITE: [Dear("auth/token/renew", fields(token="x" * 16_000))]},
    "auth/token/renew-accessor": {WRITE: [Dear("auth/token/renew-accessor", fields(accessor="x" * 16_000))]},
    "auth/token/revoke": {WRITE: [Dear("auth/token/revoke", fields(token="x" * 16_000))]},
    "auth/token/revoke-accessor": {WRITE: [Dear("auth/token/revoke-accessor", fields(accessor="x" * 16_000))]},
    "auth/token/revoke-orphan": {WRITE: [Dear("auth/token/revoke-orphan", fields(token="x" * 16_000))]},
    "sys/leases": {READ: nothing("sys/leases")},
    "sys/leases/count": {READ: nothing("sys/leases/count")},
    "sys/leases/lookup": {WRITE: lease("sys/leases/lookup"), LIST: nothing("sys/leases/lookup")},
    "sys/leases/lookup/{prefix...}": {LIST: nothing("sys/leases/lookup/auth/token")},
    "sys/leases/renew": {WRITE: lease("sys/leases/renew")},
    "sys/leases/renew/{url_lease_id...}": {WRITE: nothing(f"sys/leases/renew/{'a/' * 900}h")},
    "sys/leases/revoke": {WRITE: lease("sys/leases/revoke")},
    "sys/leases/revoke/{url_lease_id...}": {WRITE: nothing(f"sys/leases/revoke/{'a/' * 900}h")},
    "sys/leases/revoke-prefix/{prefix...}": {WRITE: nothing("sys/leases/revoke-prefix/auth/none")},
    "sys/leases/revoke-force/{prefix...}": {WRITE: nothing("sys/leases/revoke-force/auth/none")},
    "sys/leases/tidy": {WRITE: anything("sys/leases/tidy")},
    "auth/token/tidy": {WRITE: anything("auth/token/tidy")},
    "auth/token/roles": {LIST: nothing("auth/token/roles")},
    "auth/token/roles/{role_name}": {
        READ: nothing("auth/token/roles/dear"),
        WRITE: [
            Dear("auth/token/roles/dear", fields(allowed_policies=lambda: ["x"] * 190_000)),
            Dear("auth/token/roles/dear", fields(token_bound_cidrs=lambda: ["10.0.0.0/8"] * 190_000)),
            Dear("auth/token/roles/dear", fields(allowed_policies_glob=lambda: ["*a" * 200 + "b"] * 128)),
        ],
        DELETE: nothing("auth/token/roles/none"),
    },
}
