"""Every subcommand of the `vault` and `bao` command lines, and what comes of it: a table.

Words in braces are filled in by the test. A command works, or is refused with one sentence, or asks no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

OPERATOR: Final = "cluster's operator"
ROOT: Final = "root token"

WORKS: Final = "works"
LOCAL: Final = "asks no server"


class Command(NamedTuple):
    """One subcommand: how it is called, by whom, and what it says; `refused` where that is why it is not done."""

    name: str
    arguments: str = ""
    says: str = ""
    by: str = ROOT
    refused: bool = False
    local: bool = False
    code: int = 0
    pending: bool = False  # refused until it is there: then it works, and somebody says so here

    @property
    def words(self) -> list[str]:
        return [*self.name.split(), *self.arguments.split()]

    @property
    def outcome(self) -> str:
        """What the document says of it."""
        if self.local:
            return LOCAL
        if self.pending:
            return f"not yet: {self.says}"
        return f"refused: {self.says}" if self.refused else WORKS


def refused(name: str, arguments: str, says: str, *, by: str = ROOT, code: int = 2) -> Command:
    return Command(name, arguments, says, by, refused=True, code=code)


def not_yet(name: str, arguments: str, says: str) -> Command:
    return Command(name, arguments, says, refused=True, code=2, pending=True)


def local(name: str) -> Command:
    return Command(name, local=True)


_NO_HA: Final = "there is no high availability to manage"
_NO_TRANSFORM: Final = "no mount found at transform"
_MADE: Final = "vaults are made by initialising them"
_DELETED: Final = "kms-cli tenants delete"
_LOCKED: Final = "vaults are not locked as namespaces"

COMMANDS: Final = (
    Command("read", "secret/data/app", "canary"),
    Command("write", "-f transit/keys/made"),
    Command("delete", "secret/data/old"),
    Command("list", "secret/metadata", "app"),
    Command("scan", "secret/metadata", "app"),
    Command("patch", "sys/policies/acl/ops cas_required=false"),
    Command("login", "-no-store {token}", "Success"),
    Command("status", "", "Sealed"),
    Command("unwrap", "{wrapped}", "canary"),
    Command("path-help", "secret/data/app", "Read, write, patch"),
    local("agent generate-config"),
    local("proxy"),
    local("server"),
    local("ssh"),
    local("print token"),
    Command("audit list", "", "No audit devices are enabled", code=2),
    Command("audit enable", "file file_path=discard", "Success"),
    Command("audit disable", "file", "Success"),
    Command("auth enable", "-path=people2 userpass", "Success"),
    Command("auth list", "", "token/"),
    Command("auth tune", "-description=x people2/", "Success"),
    Command("auth help", "userpass", "userpass"),
    Command("auth move", "auth/people2/ auth/people3/", "Success"),
    Command("auth disable", "people3/", "Success"),
    Command("debug", "-duration=5s -interval=5s -metrics-interval=5s -output=debug", "Success", by=OPERATOR),
    Command("kv put", "-mount=secret mine a=b"),
    Command("kv patch", "-mount=secret mine c=d"),
    Command("kv get", "-mount=secret mine", "b"),
    Command("kv list", "-mount=secret", "mine"),
    Command("kv scan", "-mount=secret", "mine"),
    Command("kv delete", "-mount=secret mine"),
    Command("kv undelete", "-mount=secret -versions=2 mine"),
    Command("kv rollback", "-mount=secret -version=1 mine"),
    Command("kv destroy", "-mount=secret -versions=1 mine"),
    Command("kv metadata put", "-mount=secret -max-versions=3 mine"),
    Command("kv metadata patch", "-mount=secret -max-versions=4 mine"),
    Command("kv metadata get", "-mount=secret mine", "max_versions"),
    Command("kv metadata delete", "-mount=secret mine"),
    Command("kv enable-versioning", "plain", "Success"),
    Command("lease lookup", "{lease}", "issue_time"),
    refused("lease renew", "{lease}", "tokens cannot be renewed through this endpoint"),
    Command("lease revoke", "{lease}"),
    Command("monitor", "", "level of the log is set", by=OPERATOR),
    Command("namespace list", "", "{vault}", by=OPERATOR),
    Command("namespace scan", "", "{vault}", by=OPERATOR),
    Command("namespace lookup", "{vault}", "{vault}", by=OPERATOR),
    refused("namespace create", "x", _MADE, by=OPERATOR),
    refused("namespace patch", "-custom-metadata=a=b x", _MADE, by=OPERATOR),
    refused("namespace delete", "{vault}", _DELETED, by=OPERATOR),
    refused("namespace delete-sealed", "{vault}", _DELETED, by=OPERATOR),
    refused("namespace lock", "", _LOCKED, by=OPERATOR),
    refused("namespace unlock", "", _LOCKED, by=OPERATOR),
    refused("namespace seal", "{vault}", "kms-cli tenants seal", by=OPERATOR),
    refused("namespace unseal", "{vault} AAAA", "vaults are unsealed by their own operators", by=OPERATOR),
    refused("namespace seal-status", "{vault}", "sys/tenants/<vault id>", by=OPERATOR),
    local("operator diagnose"),
    local("operator migrate"),
    local("operator validate-config"),
    Command("operator generate-root", "-init", "Nonce"),
    refused("operator init", "", "Vault is already initialized"),
    Command("operator key-status", "", "Key Term"),
    Command("operator members", "", "{address}", by=OPERATOR),
    Command("operator rekey", "-init -key-shares=1 -key-threshold=1", "Nonce"),
    Command("operator rotate", "", "Rotated key"),
    Command("operator rotate-keys", "-cancel", "Success"),
    refused("operator step-down", "", _NO_HA),
    Command("operator unseal", "{share}", "Sealed"),
    Command("operator usage", "", "Active clients"),
    refused("operator raft autopilot get-config", "", _NO_HA),
    refused("operator raft autopilot set-config", "-min-quorum=3", _NO_HA),
    refused("operator raft autopilot state", "", _NO_HA),
    refused("operator raft demote", "x", _NO_HA),
    refused("operator raft join", "http://x", _NO_HA),
    refused("operator raft list-peers", "", _NO_HA),
    refused("operator raft promote", "x", _NO_HA),
    refused("operator raft remove-peer", "x", _NO_HA),
    refused("operator raft snapshot restore", "{file}", "kms-cli restore"),
    refused("operator raft snapshot save", "snapshot", "kms-cli backup"),
    refused("pki health-check", "pki", "route entry not found", code=1),
    refused("pki issue", "pki/issuer/default pki2 common_name=x", "Unable to access parent issuer", code=1),
    refused("pki list-intermediates", "pki/issuer/default", "Failed to read parent issuer", code=1),
    refused("pki reissue", "pki/issuer/default pki2 common_name=x", "certificate field unavailable", code=1),
    refused("pki verify-sign", "pki/issuer/default pki2/issuer/default", "Failed to read issuer", code=1),
    Command("plugin list", "", "kubernetes"),
    Command("plugin info", "secret kv", "true"),
    Command("plugin deregister", "secret none"),
    refused("plugin register", "-sha256=00 secret none", "there are no plugins"),
    refused("plugin reload", "-plugin=kv", "there are no plugins"),
    refused("plugin reload-status", "x", "there are no plugins"),
    local("plugin init"),
    local("plugin prune"),
    Command("policy write", "mine {policy}", "Success"),
    Command("policy list", "", "mine"),
    Command("policy read", "mine", "secret/*"),
    Command("policy delete", "mine", "Success"),
    local("policy fmt"),
    Command("secrets enable", "-path=kv2 kv-v2", "Success"),
    Command("secrets list", "", "kv2/"),
    Command("secrets tune", "-description=x kv2/", "Success"),
    Command("secrets move", "kv2/ kv3/", "Success"),
    Command("secrets disable", "kv3/", "Success"),
    Command("token create", "-policy=default", "token"),
    Command("token lookup", "", "policies"),
    Command("token renew", "{child}", "token"),
    Command("token capabilities", "secret/data/app", "root"),
    Command("token revoke", "{child}", "Success"),
    refused("events subscribe", "kv*", "events endpoint not found", code=1),
    refused("transform import", "transform/transformations/fpe/x {key}", "no mount found at transform", code=3),
    refused(
        "transform import-version", "transform/transformations/fpe/x {key}", "no mount found at transform", code=3
    ),
    Command("transit import", "transit/keys/imported {key} type=aes256-gcm96"),
    Command("transit import-version", "transit/keys/imported {key}"),
    Command("version-history", "", "1.14.2", by=OPERATOR),
    Command("operator seal", "", "Success"),
)


def rows(names: Iterable[str]) -> Iterator[str]:
    """Yield the document's rows of these commands."""
    known = {command.name: command for command in COMMANDS}
    for name in sorted(names):
        command = known[name]
        by = "" if command.local or command.by == ROOT else f" (by the {command.by})"
        yield f"| `{name}` | {command.outcome}{by} |"
