"""The dearest that endpoints take that tell of the server itself, as `dearest` has those of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import DELETE, LIST, PATCH, READ, SCAN, WRITE, Dear, anything, fields, nothing, text

ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    "sys/host-info": {READ: nothing("sys/host-info")},
    "sys/replication/status": {READ: nothing("sys/replication/status")},
    "sys/ha-status": {READ: nothing("sys/ha-status")},
    "sys/config/state/sanitized": {READ: nothing("sys/config/state/sanitized")},
    "sys/metrics": {READ: nothing("sys/metrics") + nothing("sys/metrics?format=prometheus")},
    "sys/in-flight-req": {READ: nothing("sys/in-flight-req")},
    "sys/loggers": {
        READ: nothing("sys/loggers"),
        WRITE: anything("sys/loggers"),
        DELETE: nothing("sys/loggers"),
    },
    "sys/loggers/{name}": {
        READ: nothing("sys/loggers/kms_http"),
        WRITE: anything("sys/loggers/kms_http"),
        DELETE: nothing("sys/loggers/kms_http"),
    },
    "sys/monitor": {READ: nothing("sys/monitor?log_level=none")},  # what follows has no end
    "sys/config/cors": {
        READ: nothing("sys/config/cors"),
        WRITE: [
            Dear("sys/config/cors", fields(allowed_origins=lambda: ["https://x"] * 190_000)),
            Dear("sys/config/cors", fields(allowed_headers=text())),
        ],
        DELETE: nothing("sys/config/cors"),
    },
    "sys/policies/detailed/acl": {LIST: nothing("sys/policies/detailed/acl")},
    "sys/policies/detailed/acl/{name...}": {LIST: nothing("sys/policies/detailed/acl/d")},
    "sys/config/ui/headers": {LIST: nothing("sys/config/ui/headers")},
    "sys/config/ui/headers/{header}": {
        READ: nothing("sys/config/ui/headers/X-A"),
        WRITE: anything("sys/config/ui/headers/X-A"),
        DELETE: nothing("sys/config/ui/headers/X-A"),
    },
    "sys/namespaces/{path...}/delete-sealed": {DELETE: nothing("sys/namespaces/vault/delete-sealed")},
    "sys/pprof/goroutine": {READ: nothing("sys/pprof/goroutine")},
    "sys/pprof/threadcreate": {READ: nothing("sys/pprof/threadcreate")},
    "sys/pprof/cmdline": {READ: nothing("sys/pprof/cmdline")},
    "sys/workflows/manage": {LIST: nothing("sys/workflows/manage")},
    "sys/workflows/manage/{path...}": {
        READ: nothing("sys/workflows/manage/x"),
        WRITE: anything("sys/workflows/manage/x"),
        DELETE: nothing("sys/workflows/manage/x"),
    },
    "sys/workflows/execute/{path...}": {WRITE: anything("sys/workflows/execute/x")},
    "sys/workflows/trace/{path...}": {WRITE: anything("sys/workflows/trace/x")},
    "sys/external-keys/configs": {LIST: nothing("sys/external-keys/configs")},
    "sys/external-keys/configs/{config}": {
        READ: nothing("sys/external-keys/configs/x"),
        WRITE: anything("sys/external-keys/configs/x"),
        PATCH: anything("sys/external-keys/configs/x"),
        DELETE: nothing("sys/external-keys/configs/x"),
    },
    "sys/external-keys/configs/{config}/keys": {LIST: nothing("sys/external-keys/configs/x/keys")},
    "sys/external-keys/configs/{config}/keys/{key}": {
        READ: nothing("sys/external-keys/configs/x/keys/y"),
        WRITE: anything("sys/external-keys/configs/x/keys/y"),
        PATCH: anything("sys/external-keys/configs/x/keys/y"),
        DELETE: nothing("sys/external-keys/configs/x/keys/y"),
    },
    "sys/external-keys/configs/{config}/keys/{key}/grants": {
        LIST: nothing("sys/external-keys/configs/x/keys/y/grants")
    },
    "sys/external-keys/configs/{config}/keys/{key}/grants/{mount}": {
        WRITE: anything("sys/external-keys/configs/x/keys/y/grants/z"),
        DELETE: nothing("sys/external-keys/configs/x/keys/y/grants/z"),
    },
    "sys/version-history": {LIST: nothing("sys/version-history")},
    "sys/plugins/catalog": {READ: nothing("sys/plugins/catalog")},
    "sys/plugins/catalog/{type}": {
        READ: nothing("sys/plugins/catalog/secret"),
        LIST: nothing("sys/plugins/catalog/secret"),
        WRITE: anything("sys/plugins/catalog/secret"),
        DELETE: nothing("sys/plugins/catalog/secret"),
    },
    "sys/plugins/catalog/{type}/{name}": {
        READ: nothing("sys/plugins/catalog/secret/kv"),
        WRITE: anything("sys/plugins/catalog/secret/kv"),
        DELETE: nothing("sys/plugins/catalog/secret/kv"),
    },
    "sys/plugins/reload/backend": {WRITE: anything("sys/plugins/reload/backend")},
    "sys/internal/counters/tokens": {READ: nothing("sys/internal/counters/tokens")},
    "sys/internal/counters/entities": {READ: nothing("sys/internal/counters/entities")},
    "sys/internal/counters/requests": {READ: nothing("sys/internal/counters/requests")},
    "sys/internal/counters/activity": {READ: nothing("sys/internal/counters/activity?start_time=1")},
    "sys/internal/counters/activity/monthly": {READ: nothing("sys/internal/counters/activity/monthly")},
    "sys/internal/counters/activity/export": {READ: nothing("sys/internal/counters/activity/export?start_time=1")},
    "sys/internal/counters/config": {
        READ: nothing("sys/internal/counters/config"),
        WRITE: anything("sys/internal/counters/config"),
    },
    "sys/internal/inspect/router/{tag}": {READ: nothing("sys/internal/inspect/router/root")},
    "sys/internal/ui/namespaces": {READ: nothing("sys/internal/ui/namespaces")},
    "sys/namespaces": {LIST: nothing("sys/namespaces"), SCAN: nothing("sys/namespaces")},
    "sys/namespaces/{path...}/seal-status": {READ: nothing("sys/namespaces/vault/seal-status")},
    "sys/namespaces/{path...}/seal": {WRITE: anything("sys/namespaces/vault/seal")},
    "sys/namespaces/{path...}/unseal": {WRITE: anything("sys/namespaces/vault/unseal")},
    "sys/namespaces/api-lock/lock": {WRITE: anything("sys/namespaces/api-lock/lock")},
    "sys/namespaces/api-lock/lock/{path...}": {WRITE: anything("sys/namespaces/api-lock/lock/vault")},
    "sys/namespaces/api-lock/unlock": {WRITE: anything("sys/namespaces/api-lock/unlock")},
    "sys/namespaces/api-lock/unlock/{path...}": {WRITE: anything("sys/namespaces/api-lock/unlock/vault")},
    "sys/namespaces/{path...}": {
        READ: nothing("sys/namespaces/vault"),
        WRITE: anything("sys/namespaces/vault"),
        PATCH: anything("sys/namespaces/vault"),
        DELETE: nothing("sys/namespaces/vault"),
    },
    "sys/internal/specs/openapi": {
        READ: nothing("sys/internal/specs/openapi?generic_mount_paths=true"),
        WRITE: anything("sys/internal/specs/openapi"),
    },
}
