"""What help and documents say of the routes below `sys/`, and of cubbyholes."""

from __future__ import annotations

from typing import Final

from kms_http.describing.about import About, Texts

DESCRIPTION: Final = (
    "The vault itself, and the node: seals, mounts, policies, leases and tools. It is always there, and cannot be\n"
    "moved or unmounted."
)
CUBBYHOLE: Final = "What a token keeps for itself: nobody else reads it, and it ends with the token."

CUBBYHOLE_TEXTS: Final[Texts] = {
    "cubbyhole/{path...}": About(
        "Read, write, delete and list what the token keeps.", "", {"path": "Path of the entry, or folder."}
    ),
}

_MOUNT: Final = {"path": "Path of the mount.", "type": "Type: `kv`, `kv-v1` (or `generic`), `kv-v2` or `transit`."}
_LOGIN: Final = {
    "path": "Path of the mount, below `auth/`.",
    "type": "Type: `approle`, `cert`, `jwt`, `kubernetes`, `oidc` or `userpass`.",
}
_WORKFLOW: Final = {"path": "Name of the workflow."}
_ROTATION: Final = {"interval": "After how long; at least a day, 0 for never."}
_SHARE: Final = {"nonce": "Nonce of the attempt, as its beginning answered."}
_REKEY: Final = {
    "secret_shares": "How many shares the new key is split into.",
    "secret_threshold": "How many of them give it.",
    "backup": "Keep the encrypted shares in the store.",
    "require_verification": "Have the new shares given back before they count.",
}
_ROOT_TOKEN: Final = {
    "otp": "One-time password that the token is XORed with, as long as a token; made here where none is given.",
    "pgp_key": "OpenPGP key, base64, that the token is encrypted to.",
}
_ENCODED: Final = {"encoded_token": "The token as it was answered.", "otp": "Its one-time password."}
_HEADER: Final = {"header": "Name of the header."}
_VAULT_ID: Final = {"vault_id": "Id of the vault."}
_VAULT: Final = {"path": "Id of the vault."}
_BEGINNING: Final = {"name": "What the names begin with."}
_ACL: Final = {"name": "Name of the policy."}
_PASSWORDS: Final = {"name": "Name of the policy.", "policy": "How passwords are made: HCL or JSON."}
_WRAPPING: Final = {"token": "The wrapping token; else the request's own is one."}
_PLUGIN: Final = {"type": "Type: `auth`, `database` or `secret`.", "name": "Name of the plugin."}
_SPAN: Final = {
    "start_time": "A time in the first month: RFC 3339, or seconds since 1970.",
    "end_time": "A time in the last month; now, where none is given.",
}
_OPERATORS: Final = "It is told to operators of the cluster."
_LEVEL: Final = "It holds for this node until it ends. It is for operators of the cluster."
_TOLD: Final = "Without a token, of the node; with one, of its scope: a vault, or the cluster."


def _rekeys(path: str, key: str = "key", backup: str = "") -> Texts:
    """Return what is said of the steps of a rekey."""
    return {
        f"{path}/init": About(
            f"Begin to have other shares, of a new {key}; see how far that is, or give it up.",
            _TOLD,
            _REKEY,
            ("secret_shares", "secret_threshold"),
        ),
        f"{path}/update": About(f"Give one share of the {key} that there is.", _TOLD, _SHARE, ("key", "nonce")),
        f"{path}/verify": About(
            f"Give one share of the new {key}, which counts once enough are there.", _TOLD, _SHARE, ("key", "nonce")
        ),
        backup or f"{path}/backup": About(
            "The encrypted shares of the last rekey that kept them; forget them.", _TOLD
        ),
    }


def _root_tokens(path: str) -> Texts:
    """Return what is said of how root tokens are generated."""
    return {
        f"{path}/attempt": About(
            "Begin to generate a root token of the vault; see how far that is, or give it up.", "", _ROOT_TOKEN
        ),
        f"{path}/update": About("Give one share of the vault's key.", "", _SHARE, ("key", "nonce")),
    }


TEXTS: Final[Texts] = {
    "sys/seal-status": About("Whether it is sealed, and how many shares are missing.", _TOLD),
    "sys/health": About(
        "Whether it is initialised and unsealed, told by the status.",
        "`activecode`, `sealedcode` and `uninitcode` choose other statuses.",
    ),
    "sys/leader": About("There is no leader: all nodes are equal."),
    "sys/init": About(
        "Whether it is initialised; make its key, and split that into shares, or the recovery key.",
        _TOLD,
    ),
    "sys/unseal": About("Give one share of the key, or of the recovery key.", _TOLD),
    "sys/seal": About("Seal: forget the key.", _TOLD),
    "sys/mounts": About("List the mounts."),
    "sys/mounts/{path...}": About("Enable, show and disable a mount.", "", _MOUNT, ("type",)),
    "sys/mounts/{path...}/tune": About("Show and change the settings of a mount.", "", _MOUNT),
    "sys/mounts/auth/{path...}/tune": About("Show and change the settings of a mount of logins.", "", _LOGIN),
    "sys/remount": About(
        "Give a mount another path.",
        "What lies below it comes along; tokens that a mount of logins gave end.",
        {"from": "Path of the mount.", "to": "The path that it gets."},
        ("from", "to"),
    ),
    "sys/remount/status/{migration_id}": About(
        "Tell of a move.", "", {"migration_id": "What the move was answered with."}
    ),
    "sys/auth": About("List the mounts of logins."),
    "sys/auth/{path...}": About("Enable, show and disable a mount of logins.", "", _LOGIN, ("type",)),
    "sys/auth/{path...}/tune": About("Show and change the settings of a mount of logins.", "", _LOGIN),
    "sys/audit": About("List the audit devices."),
    "sys/audit/{path...}": About(
        "Enable and disable an audit device.",
        "It records each request, and each answer, or neither is given.",
        {
            "path": "Name of the device.",
            "type": "`file`, `socket` or `syslog`.",
            "description": "What it is for.",
            "options": "Settings of its type, by name.",
            "local": "Of no meaning here: a device is known on all nodes.",
        },
        ("type",),
    ),
    "sys/audit-hash/{path...}": About(
        "What a device shows in the place of a text.",
        "",
        {"path": "Name of the device.", "input": "The text."},
        ("input",),
    ),
    "sys/audit-checkpoint/{path...}": About(
        "How far the logs of a device go, signed, and the key that verifies them.",
        "",
        {"path": "Name of the device."},
    ),
    "sys/config/auditing/request-headers": About("List the headers of requests that devices show."),
    "sys/config/auditing/request-headers/{header}": About(
        "Show, set and forget whether devices show a header.",
        "",
        {"header": "Name of the header.", "hmac": "Whether its value is shown by its HMAC."},
    ),
    "sys/locked-users": About("List the names that failed logins have locked."),
    "sys/locked-users/{mount_accessor}/unlock/{alias_identifier...}": About("Unlock a name."),
    "sys/internal/ui/mounts": About("List the mounts that the caller may use."),
    "sys/internal/ui/mounts/{path...}": About("The mount that a path lies below.", "", {"path": "Any path."}),
    "sys/internal/ui/resultant-acl": About("All that the caller's policies allow."),
    "sys/capabilities": About("What a token may do at paths.", "", {}, ("paths", "token")),
    "sys/capabilities-self": About("What the caller's own token may do at paths.", "", {}, ("paths",)),
    "sys/capabilities-accessor": About(
        "What the token of an accessor may do at paths.", "", {}, ("paths", "accessor")
    ),
    "sys/policies/acl": About("List the ACL policies."),
    "sys/policies/acl/{name...}": About(
        "Read, write and delete an ACL policy, or list those below a folder.", "", _ACL, ("policy",)
    ),
    "sys/policies/detailed/acl": About("List the ACL policies with their texts."),
    "sys/policies/detailed/acl/{name...}": About("List some ACL policies with their texts.", "", _BEGINNING),
    "sys/policy": About("List the ACL policies; the older form."),
    "sys/policy/{name...}": About("Read, write, delete and list ACL policies; the older form.", "", _ACL),
    "sys/policies/password": About("List the password policies."),
    "sys/policies/password/{name...}": About(
        "Read, write and delete a password policy.", "", _PASSWORDS, ("policy",)
    ),
    "sys/policies/password/{name...}/generate": About("Make a password as a policy says.", "", _PASSWORDS),
    "sys/leases": About("List the leases that could not be revoked."),
    "sys/leases/count": About("Count the leases that could not be revoked."),
    "sys/leases/lookup": About("What a lease is.", "", {}, ("lease_id",)),
    "sys/leases/lookup/{prefix...}": About("List the leases below a prefix."),
    "sys/leases/renew": About("Renew a lease.", "Tokens are renewed at `auth/token/renew`."),
    "sys/leases/renew/{url_lease_id...}": About("Renew a lease."),
    "sys/leases/revoke": About("Revoke a lease.", "", {}, ("lease_id",)),
    "sys/leases/revoke/{url_lease_id...}": About("Revoke a lease."),
    "sys/leases/revoke-prefix/{prefix...}": About("Revoke all leases below a prefix."),
    "sys/leases/revoke-force/{prefix...}": About("Revoke all leases below a prefix, whatever fails."),
    "sys/leases/tidy": About("Remove what leases that are gone have left."),
    "sys/tools/hash": About("Hash a text."),
    "sys/tools/hash/{urlalgorithm}": About("Hash a text with this hash."),
    "sys/tools/random": About("Random bytes."),
    "sys/tools/random/{source}": About("Random bytes of a source, or so many."),
    "sys/tools/random/{source}/{urlbytes}": About("So many random bytes of a source."),
    "sys/quotas/config": About("Settings of all limits of requests."),
    "sys/quotas/rate-limit": About("List the limits of requests."),
    "sys/quotas/rate-limit/{name}": About(
        "Read, write and delete a limit of requests.",
        "",
        {"path": "Mount, or path below one, that is limited; empty: the whole vault.", "name": "Name of the limit."},
    ),
    "sys/wrapping/lookup": About("What a wrapping token holds, without using it.", "", _WRAPPING),
    "sys/wrapping/unwrap": About("Use a wrapping token: the answer that it holds.", "", _WRAPPING),
    "sys/wrapping/rewrap": About("Replace a wrapping token by a new one.", "", _WRAPPING),
    "sys/wrapping/wrap": About("Wrap what is sent, and answer with a wrapping token."),
    "sys/host-info": About("What machine the node runs on, and how busy it is.", _OPERATORS),
    "sys/replication/status": About("Nothing is replicated: all nodes are equal."),
    "sys/ha-status": About("The nodes of the cluster that were heard of lately.", _OPERATORS),
    "sys/config/state/sanitized": About("The settings that the node runs by, without what is secret.", _OPERATORS),
    "sys/metrics": About("The metrics of the node.", _OPERATORS, {"format": "`prometheus` for its form; else JSON."}),
    "sys/in-flight-req": About("The requests that the node works on.", _OPERATORS),
    "sys/loggers": About("Which lines of the log are written.", _LEVEL),
    "sys/loggers/{name}": About("Which lines a logger writes.", _LEVEL, {"name": "Name of the logger."}),
    "sys/pprof/goroutine": About("Where the threads and tasks of a process of the node are.", _OPERATORS),
    "sys/pprof/threadcreate": About("The threads of a process of the node.", _OPERATORS),
    "sys/pprof/cmdline": About("How the process was started.", _OPERATORS),
    "sys/monitor": About("Follow the log of the node, until one of the two ends it.", _OPERATORS),
    "sys/config/ui/headers": About("List the headers that the console has beside its own.", _OPERATORS),
    "sys/config/ui/headers/{header}": About(
        "A header that the console has beside its own.", _OPERATORS, _HEADER, ("values",)
    ),
    "sys/namespaces/{path...}/delete-sealed": About("Nothing: vaults are not deleted here.", "", _VAULT),
    "sys/workflows/manage": About("List the workflows; there are none."),
    "sys/workflows/manage/{path...}": About("A workflow; there is none.", "", _WORKFLOW),
    "sys/workflows/execute/{path...}": About("Run a workflow; there is none.", "", _WORKFLOW),
    "sys/workflows/trace/{path...}": About("Run a workflow; there is none.", "", _WORKFLOW),
    "sys/external-keys/configs": About("List the systems whose keys are used; there are none."),
    "sys/external-keys/configs/{config}": About("A system whose keys are used; there is none."),
    "sys/external-keys/configs/{config}/keys": About("List the keys of a system; there are none."),
    "sys/external-keys/configs/{config}/keys/{key}": About("A key of a system; there is none."),
    "sys/tenants": About("List the vaults with their state, sizes and limits.", _OPERATORS),
    "sys/tenants/{vault_id}": About("A vault: its state, its limits, and its deletion.", _OPERATORS, _VAULT_ID),
    "sys/tenants/{vault_id}/seal": About("Seal a vault.", _OPERATORS, _VAULT_ID),
    "sys/tenants/{vault_id}/keep": About("Keep a vault that was to be deleted.", _OPERATORS, _VAULT_ID),
    "sys/tenants/{vault_id}/export": About("Export a vault, a page at a time.", _OPERATORS, _VAULT_ID),
    "sys/tenants/{vault_id}/measure": About("Count what a vault has.", _OPERATORS, _VAULT_ID),
    "sys/key-status": About("Which version the keyring's active key is, and how much it has sealed.", _TOLD),
    "sys/rotate": About("Rotate the keyring: what is written from then on is sealed by a new key.", _TOLD),
    "sys/rotate/keyring": About("Rotate the keyring: what is written from then on is sealed by a new key.", _TOLD),
    "sys/rotate/config": About("When the keyring is rotated by itself.", _TOLD, _ROTATION),
    "sys/rotate/keyring/config": About("When the keyring is rotated by itself.", _TOLD, _ROTATION),
    **_rekeys("sys/rekey"),
    **_rekeys("sys/rotate/root"),
    **_rekeys("sys/rekey-recovery-key", "recovery key", "sys/rekey/recovery-key-backup"),
    **_rekeys("sys/rotate/recovery", "recovery key"),
    **_root_tokens("sys/generate-root"),
    **_root_tokens("sys/generate-root-token"),
    "sys/decode-token": About("Read a root token by its one-time password.", "", _ENCODED, ("encoded_token", "otp")),
    "sys/config/cors": About("Which pages may have browsers send requests.", _OPERATORS, {}, ("allowed_origins",)),
    "sys/version-history": About("The versions of the server that have run, and since when."),
    "sys/plugins/catalog": About("What can be mounted: all of it is part of the program."),
    "sys/plugins/catalog/{type}": About("List what can be mounted, of one type.", "", _PLUGIN),
    "sys/plugins/catalog/{type}/{name}": About("What can be mounted, one by one.", "", _PLUGIN),
    "sys/internal/counters/tokens": About("How many service tokens there are."),
    "sys/internal/counters/entities": About("How many entities there are."),
    "sys/internal/counters/requests": About("Nothing: what Vault once counted here is no longer counted."),
    "sys/internal/counters/activity": About(
        "How many clients there were in a span of months, each once, and in each of them.",
        "Of the vault by mounts; an operator of the cluster sees all vaults together, by vaults.",
        {
            **_SPAN,
            "current_billing_period": "There are no billing periods: `false`.",
            "limit_namespaces": "How many vaults are told of one by one, those with most clients; 0: all.",
        },
    ),
    "sys/internal/counters/activity/monthly": About("How many clients there are in the present month."),
    "sys/internal/counters/activity/export": About(
        "The vault's clients in a span of months, one a line.", "", {**_SPAN, "format": "`json` or `csv`."}
    ),
    "sys/internal/counters/config": About(
        "Whether the vault's clients are counted, and for how long that is kept.",
        "",
        {
            "enabled": "`enable`, `disable`, which ends what is counted of the present month, or `default`: enabled.",
            "retention_months": "For how many months before the present one counts are kept; at most 36.",
            "default_report_months": "How many months a report has without a `start_time`.",
        },
    ),
    "sys/internal/inspect/router/{tag}": About("The mounts as the router finds them."),
    "sys/internal/ui/namespaces": About("The namespaces below the caller's own; there are none."),
    "sys/namespaces": About("List the vaults of the cluster.", _OPERATORS),
    "sys/namespaces/{path...}": About("A vault of the cluster.", _OPERATORS, {"path": "Id of the vault."}),
    "sys/internal/specs/openapi": About(
        "This API as an OpenAPI document: the vault's own paths, and those below its mounts.",
        "",
        {"context": "What is put behind the identifier of each operation."},
    ),
}
