"""Every kind of record there is: its place, what seals it, and how it decodes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from kms_actors.activity.records import ActivityConfig, Month, SeenClient
from kms_actors.actors.cluster.changes import Change
from kms_actors.actors.cluster.schedule import Claim
from kms_actors.actors.cluster.timekeeping import Kept
from kms_actors.actors.login.jwt_records import CONFIG, ROLE
from kms_actors.actors.login.locking import KNOWN, STRANGERS
from kms_actors.actors.login.oidc import FLOW
from kms_actors.actors.tenant import moving, unmounting
from kms_actors.actors.tenant.header import TenantHeader
from kms_actors.audit.device import Device, Headers
from kms_actors.audit.log.anchors import StoredAnchor
from kms_actors.auth.service_token import ServiceToken, TokenProof
from kms_actors.backup.claim import Lock
from kms_actors.ceremony.rekey import Backup, Rekey
from kms_actors.ceremony.root import RootGeneration
from kms_actors.ceremony.rotation import RotateConfig
from kms_actors.cubbyhole.records import Held, Taken, WrapInfo
from kms_actors.errors import FormatError, IntegrityError
from kms_actors.identity import records as identity
from kms_actors.insight.console_headers import ConsoleHeaders
from kms_actors.insight.cors import Cors
from kms_actors.insight.records import Installed, Member
from kms_actors.keyring import stored
from kms_actors.keyring.master_seal import decode_seal
from kms_actors.keyring.place import Place
from kms_actors.keyring.record import NONCE_LENGTH, header
from kms_actors.keyring.seal import SealConfig, UnsealProgress
from kms_actors.kv import records as kv
from kms_actors.login import approle
from kms_actors.login.cert import CertConfig, CertRole
from kms_actors.login.cert_crls import CertCrl
from kms_actors.login.jwt_config import JwtConfig
from kms_actors.login.jwt_role import JwtRole
from kms_actors.login.kubernetes import KubernetesConfig, KubernetesRole
from kms_actors.login.lockout import Failures
from kms_actors.login.oidc_requests import OidcRequest
from kms_actors.login.userpass import User
from kms_actors.messages import Moved
from kms_actors.mounts import LOGIN_TYPES, Mount
from kms_actors.policy.records import PolicyRecord
from kms_actors.quota.records import Quotas
from kms_actors.store import schema
from kms_actors.tenancy.records import Erasure, Grant, Measured, Used
from kms_actors.token.records import Accessor, UsesLeft
from kms_actors.token.role import TokenRole
from kms_actors.transit.records import KeyPolicy, MountSettings, VersionRecord, WrappingKey
from kms_actors.transit.usage import UsageRecord

Decode = Callable[[bytes], Any]
#: Takes the key and the record, returns the plaintext; raises IntegrityError or FormatError.
Open = Callable[[bytes, bytes], bytes]


class Sealing(enum.Enum):
    """The key that a record is sealed with."""

    NONE = enum.auto()
    MASTER_KEY = enum.auto()
    MASTER_KEYRING = enum.auto()
    ROOT_KEY = enum.auto()
    KEYRING = enum.auto()


class Known(NamedTuple):
    """Records at keys like `pattern`: of each part the value, or its type."""

    pattern: tuple[str | type, ...]
    sealing: Sealing
    decode: Decode


def _as(kind: type[msgspec.Struct]) -> Decode:
    return lambda raw: stored.decode(raw, kind, kind.__name__)


def _kv(kind: type[kv.Config | kv.Head]) -> Decode:
    return lambda raw: kv.decode(raw, kind)


def _foreign(decode: Decode, kind: type) -> Decode:
    """Decode what carries no format of its own."""

    def decoded(raw: bytes) -> Any:
        try:
            return decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise FormatError(f"{kind.__name__} is damaged") from None

    return decoded


def _store_header(raw: bytes) -> schema.Header:
    found: schema.Header = _foreign(msgspec.json.Decoder(schema.Header).decode, schema.Header)(raw)
    if found.format > schema.FORMAT:
        raise FormatError(f"the store is of format {found.format}; this program knows format {schema.FORMAT}")
    return found


def _counter(raw: bytes) -> int:
    if len(raw) != 8:
        raise FormatError("a counter has 8 bytes")
    return int.from_bytes(raw, "little")


def _anything(raw: bytes) -> bytes:
    return raw


_mount: Final = _foreign(msgspec.json.Decoder(Mount).decode, Mount)
change: Final = _foreign(msgspec.msgpack.Decoder(Change).decode, Change)

_PLAIN, _SEALED = Sealing.NONE, Sealing.KEYRING

#: Below the root; the log is apart, since its keys are no tuples.
CLUSTER_RECORDS: Final = (
    Known(("header",), _PLAIN, _store_header),
    Known(("allocator",), _PLAIN, _counter),
    Known(("log-head",), _PLAIN, _counter),
    Known(("log-trimmed",), _PLAIN, _anything),
    Known(("log-era",), _PLAIN, _anything),
    Known(("node", str, "seal"), _PLAIN, decode_seal),
    Known(("node", str, "keyring"), Sealing.MASTER_KEY, _anything),
    Known(("node", str, "revoked", str), _PLAIN, _anything),
    Known(("node", str, "master-key"), Sealing.MASTER_KEYRING, _anything),
    Known(("node", str, "upgrade", int), Sealing.MASTER_KEYRING, _anything),
    Known(("node", str, "sealed", int), _PLAIN, _counter),
    Known(("node", str, "rotate-config"), Sealing.MASTER_KEYRING, RotateConfig.decode),
    Known(("node", str, "rekey"), Sealing.MASTER_KEYRING, Rekey.decode),
    Known(("node", str, "rekey-backup"), Sealing.MASTER_KEYRING, Backup.decode),
    Known(("node", str, "rekey-recovery"), Sealing.MASTER_KEYRING, Rekey.decode),
    Known(("node", str, "rekey-recovery-backup"), Sealing.MASTER_KEYRING, Backup.decode),
    Known(("node", str, "cors"), Sealing.MASTER_KEYRING, _as(Cors)),
    Known(("node", str, "console-headers"), Sealing.MASTER_KEYRING, _as(ConsoleHeaders)),
    Known(("member", str, str), _PLAIN, _as(Member)),
    Known(("version", str, str), _PLAIN, _as(Installed)),
    Known(("node", str, "audit", str), Sealing.MASTER_KEYRING, _as(Device)),
    Known(("node", str, "audit-headers"), Sealing.MASTER_KEYRING, _as(Headers)),
    Known(("node", str, "audit-revision"), _PLAIN, _counter),
    Known(("node", str, "auditlog", str, str), Sealing.MASTER_KEYRING, _as(StoredAnchor)),
    Known(("restore", bytes, str), _PLAIN, _counter),
    Known(("reseal", str, str), _PLAIN, Place.decode),
    Known(("due", int, int), _PLAIN, _anything),
    Known(("time",), _PLAIN, _as(Kept)),
    Known(("due-claim",), _PLAIN, _as(Claim)),
    Known(("vault", str), _PLAIN, _counter),
)

#: Below a tenant.
TENANT_RECORDS: Final = (
    Known(("header",), _PLAIN, _as(TenantHeader)),
    Known(("seal",), _PLAIN, _as(SealConfig)),
    Known(("keyring",), Sealing.ROOT_KEY, _anything),
    Known(("epoch",), _PLAIN, _counter),
    Known(("unsealed",), Sealing.MASTER_KEYRING, _anything),
    Known(("progress",), Sealing.MASTER_KEYRING, _as(UnsealProgress)),
    Known(("flow",), _SEALED, _as(Quotas)),
    Known(("grant",), _PLAIN, _as(Grant)),
    Known(("erasure",), _PLAIN, _as(Erasure)),
    Known(("used",), _PLAIN, _as(Used)),
    Known(("measured",), _PLAIN, _as(Measured)),
    Known(("count", str, int), _PLAIN, _counter),
    Known(("client", int, bytes), _SEALED, _as(SeenClient)),
    Known(("clients", int), _PLAIN, _as(Month)),
    Known(("clients-config",), _SEALED, _as(ActivityConfig)),
    Known(("clients-due",), _PLAIN, _counter),
    Known(("audit", str), _SEALED, _as(Device)),
    Known(("audit-headers",), _SEALED, _as(Headers)),
    Known(("audit-revision",), _PLAIN, _counter),
    Known(("auditlog", str, str), _SEALED, _as(StoredAnchor)),
    Known(("mount", int), _SEALED, _mount),
    Known(("mount-number",), _PLAIN, _counter),
    Known((moving.AREA, int, str), _SEALED, _as(Moved)),
    Known(("unmounting", int), _SEALED, unmounting.decode),
    Known(("mount-revision",), _PLAIN, _counter),
    Known(("revocations",), _PLAIN, _counter),
    Known(("revoked", str), _PLAIN, _anything),
    Known(("token", bytes), _SEALED, ServiceToken.decode),
    Known(("accessor", str), _SEALED, Accessor.decode),
    Known(("token-child", str, str), _PLAIN, _anything),
    Known(("token-end", int, str), _PLAIN, _anything),
    Known(("token-uses", bytes), _SEALED, UsesLeft.decode),
    Known(("token-revoking", str), _PLAIN, _anything),
    Known(("token-left", str), _PLAIN, _anything),
    Known(("token-issuer",), _PLAIN, _anything),
    Known(("token-role", str), _SEALED, TokenRole.decode),
    Known(("lease", str), _PLAIN, _anything),
    Known(("lease-revoking", str, int), _PLAIN, _anything),
    Known(("unwrapped", bytes), _PLAIN, _as(Taken)),
    Known(("token-spent", bytes), _PLAIN, _anything),
    Known(("cubbyhole-bytes",), _PLAIN, _counter),
    Known(("cubbyhole", str), _SEALED, _as(Held)),
    Known(("cubbyhole", str, "entry", str), _SEALED, _anything),
    Known(("cubbyhole", str, "info"), _SEALED, _as(WrapInfo)),
    Known(("cubbyhole", str, "answer"), _SEALED, _anything),
    Known(("token-digest",), _PLAIN, _anything),
    Known(("token-digest", bytes), _PLAIN, TokenProof.decode),
    Known(("policy", str, str), _SEALED, _as(PolicyRecord)),
    Known(("sealed", int), _PLAIN, _counter),
    Known(("rotate-config",), _SEALED, RotateConfig.decode),
    Known(("rekey",), _SEALED, Rekey.decode),
    Known(("rekey-backup",), _SEALED, Backup.decode),
    Known(("generate-root",), _SEALED, RootGeneration.decode),
    Known(("keyring-due",), _PLAIN, _counter),
    Known(("restore",), _PLAIN, _as(Lock)),
    Known(("restored",), _PLAIN, _counter),
    Known(("due",), _PLAIN, _counter),
    Known(("due", int, str), _PLAIN, _counter),
    Known(("identity", "count", UUID), _PLAIN, _counter),
    Known(("identity", "duty", UUID), _SEALED, _as(identity.Duty)),
    Known(("identity", "entity", UUID), _SEALED, _as(identity.Entity)),
    Known(("identity", "group", UUID), _SEALED, _as(identity.Group)),
    Known(("identity", "group-mount", bytes, UUID), _SEALED, _as(identity.Pointer)),
    Known(("identity", "groups"), _PLAIN, _counter),
    Known(("identity", "index", str, UUID), _SEALED, _as(identity.Pointer)),
    Known(("identity", "index", str, bytes), _SEALED, _as(identity.Pointer)),
    Known(("identity", "member", UUID, UUID), _SEALED, _as(identity.Membership)),
    Known(("identity", "member-of", UUID, UUID), _SEALED, _as(identity.Membership)),
    Known(("identity", "mount", bytes, UUID), _SEALED, _as(identity.Pointer)),
    Known(("identity", "subgroup", UUID, UUID), _SEALED, _as(identity.Membership)),
    Known(("identity", "subgroup-of", UUID, UUID), _SEALED, _as(identity.Membership)),
    Known(("kv", int, "config"), _SEALED, _kv(kv.Config)),
    Known(("kv", int, "meta", str), _SEALED, _kv(kv.Head)),
    Known(("kv", int, "data", str, int), _SEALED, _anything),
    Known(("kv", int, "list", str), _PLAIN, _anything),
    *(
        known
        for kind in ("jwt", "oidc")
        for known in (
            Known((kind, int, CONFIG), _SEALED, JwtConfig.decode),
            Known((kind, int, ROLE, str), _SEALED, JwtRole.decode),
            Known((kind, int, FLOW, int), _SEALED, OidcRequest.decode),
        )
    ),
    Known(("cert", int, "config"), _SEALED, CertConfig.decode),
    Known(("cert", int, "role", str), _SEALED, CertRole.decode),
    Known(("cert", int, "crl", str), _SEALED, CertCrl.decode),
    Known(("kubernetes", int, "config"), _SEALED, KubernetesConfig.decode),
    Known(("kubernetes", int, "role", str), _SEALED, KubernetesRole.decode),
    Known(("userpass", int, "user", str), _SEALED, User.decode),
    Known(("approle", int, "role", str), _SEALED, approle.Role.decode),
    Known(("approle", int, "role-id", bytes), _SEALED, approle.RoleId.decode),
    Known(("approle", int, "secret-id", str, bytes), _SEALED, approle.SecretId.decode),
    Known(("approle", int, "accessor", str, str), _SEALED, approle.SecretIdAccessor.decode),
    Known(("secret-id-end", int, int, str, bytes), _PLAIN, _anything),
    *(
        known
        for kind in LOGIN_TYPES
        for known in (
            Known((kind, int, KNOWN, bytes), _SEALED, Failures.decode),
            Known((kind, int, STRANGERS, int), _SEALED, Failures.decode),
        )
    ),
    Known(("transit", int, "config"), _SEALED, _as(MountSettings)),
    Known(("transit", int, "wrapping-key"), _SEALED, _as(WrappingKey)),
    Known(("transit", int, "policy", str), _SEALED, _as(KeyPolicy)),
    Known(("transit", int, "usage", str, int, int), _SEALED, _as(UsageRecord)),
    Known(("transit", int, "version", str, int), _SEALED, _as(VersionRecord)),
)


def find(records: tuple[Known, ...], parts: tuple[Any, ...]) -> Known | None:
    """Return what lies at a place, or None."""
    return next((known for known in records if _fits(known.pattern, parts)), None)


def examine(known: Known, key: bytes, value: bytes, openers: Mapping[Sealing, Open]) -> Any:
    """Return the decoded record, or None where it is sealed by a key that is not at hand.

    Raises:
        FormatError: does not decode, or newer.
        IntegrityError: does not open.

    """
    if known.sealing is Sealing.NONE:
        return known.decode(value)
    opener = openers.get(known.sealing)
    if opener is not None:
        return known.decode(opener(key, value))
    _check_envelope(value)
    return None


def _fits(pattern: tuple[str | type, ...], parts: tuple[Any, ...]) -> bool:
    return len(pattern) == len(parts) and all(
        isinstance(part, wanted) if isinstance(wanted, type) else part == wanted
        for wanted, part in zip(pattern, parts, strict=True)
    )


def _check_envelope(record: bytes) -> None:
    """See what can be seen of a sealed record from outside."""
    start = header(0)
    if len(record) < len(start) + NONCE_LENGTH + 16:
        raise IntegrityError("a sealed record is too short")
    if record[0] != start[0]:
        raise FormatError(f"a sealed record is of format {record[0]}; this program reads format {start[0]}")
