"""Paths of Vault's API that are not there, and the one sentence that each is answered with: what to use instead.

400, not 404: command line clients take a 404 of a read or a list for an empty answer, and show no text of it.

Source: the index of Vault's API documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_POLICIES: Final = (
    "ACL policies are at sys/policies/acl/<name>, each read by itself, and password policies at "
    "sys/policies/password/<name>"
)
_REKEY: Final = "shares are changed at sys/rekey/init, update, verify and backup, or at sys/rotate/root/..."
_RECOVERY_MODE: Final = (
    "a node has no mode of recovery: what is wrong with a store is found by `kms-cli store check`, sealed or not"
)
_RECOVERY_KEYS: Final = (
    "recovery shares are changed at sys/rekey-recovery-key/init, update and verify, or at sys/rotate/recovery/..."
)
_ROOT_KEY: Final = (
    "the root key is what the shares give: it is changed together with them, by a write to sys/rotate/root/init"
)
_ROTATE: Final = "Transit keys are rotated by transit/keys/<name>/rotate, and the keyring by a write to sys/rotate"
_GENERATE_ROOT: Final = "root tokens are generated at sys/generate-root/attempt and sys/generate-root/update"
_LEASES: Final = "this is an older name: use sys/leases/renew, sys/leases/revoke and so on"
_LEASE_COUNT: Final = (
    "only tokens have leases here, and the operator of the cluster bounds how many a vault has: "
    "`kms-cli tenants limit <vault id> --tokens <number>` (docs/tenants.md)"
)
_PLUGINS: Final = "there are no plugins: sys/plugins/catalog lists what is part of the program"
_OLD_ALIASES: Final = "this is an older name: use identity/entity-alias"
_OIDC: Final = "identity tokens are not issued, and this is no OpenID provider: use the issuer that people log in by"
_MFA: Final = "there is no MFA here: let the issuer that people log in by ask for it"
_CLUSTER: Final = (
    "there is no high availability to manage: all nodes are equal, and sys/health and the metrics port tell of each"
)
_BACKUP: Final = (
    "the store is backed up with `kms-cli backup`, and brought back with `kms-cli restore` (docs/backup.md)"
)
_RAW: Final = (
    "the store is not read by the API: `kms-cli store check` looks at each record, and `kms-cli backup` and "
    "`kms-cli restore` copy it"
)
_EXTERNAL_KEYS: Final = "keys of other systems are not used: Transit imports those that are to be used here"
_SERVER: Final = "the server is configured by its file (docs/config/configuration.md), not by the API"
_INSIGHT: Final = "the server tells of itself by sys/health, its log and its metrics port (docs/operations.md)"
_PROFILES: Final = (
    "these profiles are of a Go program: sys/pprof/goroutine, threadcreate and cmdline tell of this one, and "
    "sys/metrics how busy it is"
)
_ECHO: Final = (
    "requests are not shown as the server sees them: it would show tokens; audit devices show the rest of them"
)
_ENTERPRISE: Final = "this is a feature of Vault Enterprise, which is not there"

#: By the first segments of paths; of several that fit, the longest counts. Empty: Vault has nothing there either.
_SENTENCES: Final[Mapping[str, str]] = {
    "auth/token": "",
    "identity/alias": _OLD_ALIASES,
    "identity/mfa": _MFA,
    "identity/oidc": _OIDC,
    "identity/persona": _OLD_ALIASES,
    "sys/config": _SERVER,
    "sys/config/control-group": _ENTERPRISE,
    "sys/control-group": _ENTERPRISE,
    "sys/experiments": _SERVER,
    "sys/external-keys": _EXTERNAL_KEYS,
    "sys/generate-recovery-token": _RECOVERY_MODE,
    "sys/generate-root": _GENERATE_ROOT,
    "sys/generate-root-token": _GENERATE_ROOT,
    "sys/internal": _INSIGHT,
    "sys/internal/inspect/request": _ECHO,
    "sys/license": _ENTERPRISE,
    "sys/managed-keys": _ENTERPRISE,
    "sys/mfa": _MFA,
    "sys/plugins": _PLUGINS,
    "sys/policies": _POLICIES,
    "sys/policies/egp": _ENTERPRISE,
    "sys/policies/rgp": _ENTERPRISE,
    "sys/pprof": _PROFILES,
    "sys/quotas": "",
    "sys/quotas/lease-count": _LEASE_COUNT,
    "sys/raw": _RAW,
    "sys/rekey": _REKEY,
    "sys/rekey-recovery-key": _RECOVERY_KEYS,
    "sys/renew": _LEASES,
    "sys/replication": _CLUSTER,
    "sys/revoke": _LEASES,
    "sys/revoke-force": _LEASES,
    "sys/revoke-prefix": _LEASES,
    "sys/rotate": _ROTATE,
    "sys/rotate/recovery": _RECOVERY_KEYS,
    "sys/rotate/root": _ROOT_KEY,
    "sys/sealwrap": _ENTERPRISE,
    "sys/step-down": _CLUSTER,
    "sys/storage": _CLUSTER,
    "sys/storage/raft/snapshot": _BACKUP,
    "sys/storage/raft/snapshot-force": _BACKUP,
    "sys/sync": _ENTERPRISE,
}


def sentence(path: str) -> str | None:
    """Return what to answer for a path, without /v1/, that no route takes; None if Vault has none there either."""
    parts = path.removesuffix("/").split("/")[:4]
    found = (_SENTENCES.get("/".join(parts[:length])) for length in range(len(parts), 0, -1))
    return next((text for text in found if text is not None), None) or None
