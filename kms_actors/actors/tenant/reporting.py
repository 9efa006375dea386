"""One log line for each change that operators make: its scope, by which request, and how it ended.

Of logins, those that fail have one. It is written when the change is done, whether or not anybody still waits for
the answer; and bounded like all that callers can cause. Shares, keys and tokens are not in the messages' lines:
`_WHAT` names what is shown of each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from kms_actors import request_context
from kms_actors.activity.messages import WriteActivityConfig
from kms_actors.audit.messages import DeleteHeader, DisableDevice, EnableDevice, WriteHeader
from kms_actors.ceremony.messages import (
    BeginRekey,
    BeginRootGeneration,
    CancelRekey,
    CancelRootGeneration,
    ConfigureRotation,
    DeleteRekeyBackup,
    GiveRekeyShare,
    GiveRootShare,
    ReadRekeyBackup,
    RekeyStatus,
    RestartVerification,
    RotateKeyring,
    RotateKeyringIfDue,
    VerificationStatus,
    VerifyRekeyShare,
)
from kms_actors.errors import InvalidShares, KmsError
from kms_actors.insight.console_headers import WriteConsoleHeader
from kms_actors.insight.cors import DeleteCors, WriteCors
from kms_actors.login.messages import Login, UnlockName
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    Initialize,
    Message,
    MoveMount,
    ResetUnseal,
    Seal,
    SealStatus,
    TuneMount,
    Unseal,
)
from kms_actors.mounts import MountTable
from kms_actors.observe.bounded import BoundedLog
from kms_actors.policy.messages import DeletePolicy, WritePolicy
from kms_actors.quota.messages import DeleteRateLimit, WriteQuotaConfig, WriteRateLimit
from kms_actors.tenancy.messages import DeleteTenant, GrantTenant, KeepTenant, NoteMeasured, SealTenant
from kms_actors.token.messages import RevokeLeases

#: By event and outcome, how many changes there were in this process.
changes_counted: Final[Counter[tuple[str, ...]]] = Counter()

F = TypeVar("F", bound="asyncio.Future[Any]")
T = TypeVar("T")

_log: Final = BoundedLog("kms_actors.changes")

#: What is said of a change that was made: the event, and fields of it and of its outcome.
_WHAT: Final[Mapping[type[Message], Callable[[Any, Any], tuple[str, dict[str, Any]]]]] = {
    Initialize: lambda message, _: ("initialised", {"shares": message.shares, "threshold": message.threshold}),
    Unseal: lambda _, status: _unseal(status),
    ResetUnseal: lambda _, __: ("unseal progress reset", {}),
    Seal: lambda _, __: ("sealed", {}),
    EnableMount: lambda message, _: ("mount enabled", {"mount": message.path, "type": message.type}),
    DisableMount: lambda message, _: ("mount disabled", {"mount": message.path}),
    TuneMount: lambda message, _: ("mount tuned", {"mount": message.path}),
    MoveMount: lambda message, _: ("mount moved", {"mount": message.source, "to": message.target}),
    WritePolicy: lambda message, _: ("policy written", {"kind": message.kind.value, "policy": message.name}),
    GrantTenant: lambda _, __: ("vault given limits", {}),
    SealTenant: lambda _, __: ("sealed", {}),
    DeleteTenant: lambda _, tenant: ("vault to be deleted", {"due": int(tenant.erasure.due)}),
    KeepTenant: lambda _, __: ("vault kept", {}),
    DeletePolicy: lambda message, _: ("policy deleted", {"kind": message.kind.value, "policy": message.name}),
    RotateKeyring: lambda _, status: ("keyring rotated", {"term": status.term}),
    RotateKeyringIfDue: lambda _, status: ("keyring rotated", {"term": status.term}),
    ConfigureRotation: lambda _, config: (
        "keyring rotation configured",
        {"max_operations": config.max_operations, "interval": config.interval // 10**9, "enabled": config.enabled},
    ),
    BeginRekey: lambda message, status: (
        "rekey begun",
        {
            "attempt": status.nonce,
            "shares": message.shares,
            "threshold": message.threshold,
            "pgp_keys": len(message.pgp_keys),
            "backup": message.backup,
            "verification": message.require_verification,
        },
    ),
    GiveRekeyShare: lambda _, status: _rekey(status),
    VerifyRekeyShare: lambda _, status: _verification(status),
    RestartVerification: lambda _, status: ("rekey verification begun anew", {"attempt": status.nonce}),
    CancelRekey: lambda _, __: ("rekey cancelled", {}),
    ReadRekeyBackup: lambda _, backup: ("backed-up shares read", {"attempt": backup.nonce}),
    DeleteRekeyBackup: lambda _, __: ("backed-up shares deleted", {}),
    BeginRootGeneration: lambda message, status: (
        "root generation begun",
        {"attempt": status.nonce, "pgp_key": bool(message.pgp_key)},
    ),
    GiveRootShare: lambda _, status: (
        "root token generated" if status.complete else "root generation share given",
        {"attempt": status.nonce, "progress": status.progress, "threshold": status.required},
    ),
    CancelRootGeneration: lambda _, __: ("root generation cancelled", {}),
    EnableDevice: lambda message, _: ("audit device enabled", {"device": message.path, "type": message.type}),
    DisableDevice: lambda message, _: ("audit device disabled", {"device": message.path}),
    WriteHeader: lambda message, _: ("audited header written", {"header": message.name, "hmac": message.hmac}),
    DeleteHeader: lambda message, _: ("audited header deleted", {"header": message.name}),
    WriteRateLimit: lambda message, _: ("quota written", {"quota": message.rule.name}),
    DeleteRateLimit: lambda message, _: ("quota deleted", {"quota": message.name}),
    WriteQuotaConfig: lambda _, __: ("quotas configured", {}),
    WriteActivityConfig: lambda _, __: ("counting of clients configured", {}),
    UnlockName: lambda _, __: ("locked name unlocked", {}),
    RevokeLeases: lambda message, _: ("leases revoked", {"prefix": message.prefix}),
    NoteMeasured: lambda message, _: ("vault measured", {"records": message.records}),
    WriteCors: lambda _, __: ("CORS configured", {}),
    DeleteCors: lambda _, __: ("CORS configuration deleted", {}),
    WriteConsoleHeader: lambda message, _: (
        "header of the console written" if message.values else "header of the console deleted",
        {"header": message.name},
    ),
}
_FAILED: Final = {
    Initialize: "not initialised",
    Unseal: "share refused",
    ResetUnseal: "unseal progress not reset",
    Seal: "not sealed",
    EnableMount: "mount not enabled",
    DisableMount: "mount not disabled",
    TuneMount: "mount not tuned",
    MoveMount: "mount not moved",
    WritePolicy: "policy not written",
    DeletePolicy: "policy not deleted",
    GrantTenant: "vault not given limits",
    SealTenant: "not sealed",
    DeleteTenant: "vault not deleted",
    KeepTenant: "vault not kept",
    RotateKeyring: "keyring not rotated",
    RotateKeyringIfDue: "keyring not rotated",
    ConfigureRotation: "keyring rotation not configured",
    EnableDevice: "audit device not enabled",
    DisableDevice: "audit device not disabled",
    WriteHeader: "audited header not written",
    DeleteHeader: "audited header not deleted",
    BeginRekey: "rekey not begun",
    GiveRekeyShare: "rekey share refused",
    VerifyRekeyShare: "rekey verification share refused",
    RestartVerification: "rekey verification not begun anew",
    CancelRekey: "rekey not cancelled",
    ReadRekeyBackup: "backed-up shares not read",
    DeleteRekeyBackup: "backed-up shares not deleted",
    BeginRootGeneration: "root generation not begun",
    GiveRootShare: "root generation share refused",
    CancelRootGeneration: "root generation not cancelled",
    WriteRateLimit: "quota not written",
    DeleteRateLimit: "quota not deleted",
    WriteQuotaConfig: "quotas not configured",
    WriteActivityConfig: "counting of clients not configured",
    UnlockName: "locked name not unlocked",
    RevokeLeases: "leases not revoked",
    NoteMeasured: "vault not measured",
    WriteCors: "CORS not configured",
    DeleteCors: "CORS configuration not deleted",
    WriteConsoleHeader: "header of the console not written",
}

#: What shares are given for.
_PROGRESS: Final[Mapping[type[Message], str]] = {
    GiveRekeyShare: "rekey",
    VerifyRekeyShare: "rekey verification",
    GiveRootShare: "root generation",
}


def is_reported(message: Message, *, sealed: bool) -> bool:
    """Tell whether a message gets a line: a change, and not of a seal that is already as it is to be."""
    idle = Seal if sealed else Unseal
    return type(message) in _WHAT and not isinstance(message, idle)


def reported(scope: str, message: Message, change: F) -> F:
    """Return `change`, which carries out `message` in a scope: a namespace, or a vault id."""
    change.add_done_callback(partial(_report, scope, message, request_context.current()))
    return change


def report_watched(scope: str, kind: type[Message], handle: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `handle`, which answers messages of a kind in a vault, with a line for each where that is reported."""

    def watch(message: Message) -> Any:
        outcome = handle(message)
        return reported(scope, message, outcome) if isinstance(outcome, asyncio.Future) else outcome

    return watch if kind in _WHAT else handle


def login_watched(scope: str, mounts: Callable[[], MountTable], handle: Callable[[Login], T]) -> Callable[[Login], T]:
    """Return `handle`, which answers logins in a vault, and has a line for each that fails. Who tried is not told."""

    def watch(message: Login) -> T:
        request = request_context.current()
        try:
            outcome = handle(message)
        except KmsError as error:
            _report_login(scope, mounts, message, request, error)
            raise
        if isinstance(outcome, asyncio.Future):
            outcome.add_done_callback(partial(_report_end, scope, mounts, message, request))
        return outcome

    return watch


def _report_end(
    scope: str,
    mounts: Callable[[], MountTable],
    message: Login,
    request: request_context.RequestContext,
    ended: asyncio.Future[Any],
) -> None:
    error = None if ended.cancelled() else ended.exception()
    if error is not None:
        _report_login(scope, mounts, message, request, error)


def _report_login(
    scope: str,
    mounts: Callable[[], MountTable],
    message: Login,
    request: request_context.RequestContext,
    error: BaseException,
) -> None:
    mount = next((known.path for known in mounts() if known.number == message.mount), "")
    _log.info("login failed", scope, scope=scope, mount=mount, error=_kind(error), request_id=request.id)


def _kind(error: BaseException) -> str:
    return type(error).__name__ if isinstance(error, KmsError) else "unknown"


def _report(
    scope: str, message: Message, request: request_context.RequestContext, change: asyncio.Future[Any]
) -> None:
    origin = {"scope": scope, "request_id": request.id, "by": request.by}
    error = asyncio.CancelledError() if change.cancelled() else change.exception()
    if error is None:
        if change.result() is False:
            return  # there was nothing to change
        event, fields = _WHAT[type(message)](message, change.result())
        changes_counted[event, "made"] += 1
        _log.info(event, scope, **fields, **origin)
    elif isinstance(error, InvalidShares):
        of = _PROGRESS.get(type(message), "unseal")
        changes_counted[f"{of} progress dropped", "refused"] += 1
        _log.warning(f"{of} progress dropped: the shares do not give the key", scope, **origin)
    else:
        changes_counted[_FAILED[type(message)], "refused"] += 1
        _log.warning(_FAILED[type(message)], scope, error=_kind(error), **origin)


def _rekey(status: RekeyStatus) -> tuple[str, dict[str, Any]]:
    if status.complete:
        event = "new shares made, to be verified" if status.require_verification else "rekeyed"
        return event, {"attempt": status.nonce, "shares": status.shares, "threshold": status.threshold}
    given = {"progress": status.progress, "threshold": status.required, "attempt": status.nonce}
    return "rekey share given", given


def _verification(status: VerificationStatus) -> tuple[str, dict[str, Any]]:
    if status.complete:
        return "rekeyed", {"attempt": status.nonce, "shares": status.shares, "threshold": status.threshold}
    given = {"progress": status.progress, "threshold": status.threshold, "attempt": status.nonce}
    return "rekey verification share given", given


def _unseal(status: SealStatus) -> tuple[str, dict[str, Any]]:
    if not status.sealed:
        return "unsealed", {}
    given = {"progress": status.progress, "threshold": status.threshold, "attempt": status.nonce}
    return "unseal share given", given
