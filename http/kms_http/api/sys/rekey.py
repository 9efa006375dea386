"""Rekeys of the caller's vault, or of the cluster, and of its recovery key.

In Vault's spelling, without an envelope, and in OpenBao's newer.

Source: Vault's API pages `sys/rekey`, `sys/rekey-recovery-key`; OpenBao's `sys/rotate/root`, `sys/rotate/recovery`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.ceremony.messages import (
    BeginRekey,
    CancelRekey,
    DeleteRekeyBackup,
    GiveRekeyShare,
    ReadRekey,
    ReadRekeyBackup,
    ReadVerification,
    RekeyBackup,
    RekeyStatus,
    RestartVerification,
    VerificationStatus,
    VerifyRekeyShare,
)
from kms_actors.errors import InvalidRequest
from kms_actors.keyring.shamir import encode_share, parse_share
from kms_actors.messages import Message
from kms_http.api.sys.struct_fields import StructFields
from kms_http.fields import Fields, to_bool, to_int, to_list, to_str
from kms_http.routing import NO_FIELDS, SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route

_BEGIN: Final = StructFields(
    "RekeyRequest",
    secret_shares=int,
    secret_threshold=int,
    pgp_keys=list,
    backup=bool,
    require_verification=bool,
)
_UPDATE: Final = StructFields("RekeyUpdateRequest", key=str, nonce=str)
_VERIFY: Final = StructFields("RekeyVerificationUpdateRequest", key=str, nonce=str)
_INIT: Final = Fields(
    secret_shares=to_int,
    secret_threshold=to_int,
    pgp_keys=to_list,
    backup=to_bool,
    require_verification=to_bool,
)
_SHARE: Final = Fields(key=to_str, nonce=to_str)


def _begin(call: Call, recovery: bool) -> BeginRekey:
    sent = call.values
    return BeginRekey(
        sent["secret_shares"],
        sent["secret_threshold"],
        tuple(sent["pgp_keys"]),
        sent["backup"],
        sent["require_verification"],
        recovery=recovery,
    )


def _begin_newer(call: Call, recovery: bool) -> BeginRekey:
    sent = call.values
    if not all(isinstance(key, str) for key in sent.get("pgp_keys", ())):
        raise InvalidRequest("pgp_keys must be a list of texts")
    return BeginRekey(
        sent.get("secret_shares", 0),
        sent.get("secret_threshold", 0),
        tuple(sent.get("pgp_keys", ())),
        sent.get("backup", False),
        sent.get("require_verification", False),
        newer=True,
        recovery=recovery,
    )


def share_of(call: Call) -> tuple[bytes, str]:
    """Return the share and the nonce of a request in Vault's spelling."""
    if not call.values["key"]:
        raise InvalidRequest("'key' must be specified in request body as JSON")
    return parse_share(call.values["key"]), call.values["nonce"]


def _newer_share(call: Call) -> tuple[bytes, str]:
    for name in ("key", "nonce"):
        if not call.values.get(name):
            raise InvalidRequest(f"missing required field '{name}'")
    return parse_share(call.values["key"]), call.values["nonce"]


def _status(status: RekeyStatus) -> dict[str, Any]:
    """Return what Vault's answers hold of an attempt, in their order."""
    fingerprints = list(status.fingerprints) or None
    made: dict[str, Any] = {"nonce": status.nonce}
    if status.complete:
        made |= {"complete": True, **keys_of(status.keys), "pgp_fingerprints": fingerprints}
    else:
        made |= {
            "started": bool(status.nonce),
            "t": status.threshold,
            "n": status.shares,
            "progress": status.progress,
            "required": status.required,
            "pgp_fingerprints": fingerprints,
        }
    made |= {"backup": status.backup, "verification_required": status.require_verification}
    return made | ({"verification_nonce": status.verification_nonce} if status.verification_nonce else {})


def _newer_status(status: RekeyStatus) -> dict[str, Any]:
    """Return what OpenBao's newer answers hold of it."""
    if not status.nonce:
        return {"n": 0, "required": status.required, "started": False, "t": 0}
    made = _status(status) | {"verification_nonce": status.verification_nonce}
    if not status.complete and not status.fingerprints:
        del made["backup"], made["pgp_fingerprints"]
    return dict(sorted(made.items()))


def keys_of(shares: tuple[bytes, ...]) -> dict[str, list[str]]:
    """Return shares, or what they are encrypted to, in both forms."""
    return {"keys": [share.hex() for share in shares], "keys_base64": [encode_share(share) for share in shares]}


def _verification(status: VerificationStatus) -> dict[str, Any]:
    if status.complete:
        return {"nonce": status.nonce, "complete": True}
    return {
        "nonce": status.nonce,
        "started": bool(status.nonce),
        "t": status.threshold,
        "n": status.shares,
        "progress": status.progress,
    }


def _show_backup(_: Call, backup: RekeyBackup) -> Reply:
    forms: dict[str, dict[str, list[str]]] = {"keys": {}, "keys_base64": {}}
    for fingerprint, share in zip(backup.fingerprints, backup.keys, strict=True):
        for name, (shown,) in keys_of((share,)).items():
            forms[name].setdefault(fingerprint, []).append(shown)
    return Reply(data={**forms, "nonce": backup.nonce}, mirrored=True)


def _no_content(_: Call, __: object) -> Reply:
    return Reply(status=204)


def _bare(show: Callable[[Any], dict[str, Any]]) -> Callable[[Call, Any], Reply]:
    return lambda _, status: Reply(bare=show(status))


def _enveloped(show: Callable[[Any], dict[str, Any]]) -> Callable[[Call, Any], Reply]:
    return lambda _, status: Reply(data=dict(sorted(show(status).items())))


def guarded(
    build: Callable[[Call], Message | None],
    render: Callable[[Call, Any], Reply],
    capability: Capability = Capability.UPDATE,
    fields: Fields = NO_FIELDS,
) -> Endpoint:
    """Return a step of a ceremony, or a look at it, for who holds the whole scope."""
    return Endpoint(build, render, capability, fields, SCOPE_ADMIN, sudo=True)


def _looks_and_ends(
    look: Callable[[Call], Message],
    end: Callable[[Call], Message],
    shown: Callable[[Call, Any], Reply],
    ended: Callable[[Call, Any], Reply],
) -> dict[Operation, Endpoint]:
    return {
        Operation.READ: guarded(look, shown, Capability.READ),
        Operation.DELETE: guarded(end, ended, Capability.DELETE),
    }


def _older_routes(path: str, backup: str, *, recovery: bool) -> tuple[Route, ...]:
    """Return the routes in Vault's spelling."""
    return (
        Route(
            f"{path}/init",
            {
                **_looks_and_ends(
                    lambda _: ReadRekey(recovery), lambda _: CancelRekey(recovery), _bare(_status), _no_content
                ),
                Operation.WRITE: guarded(lambda call: _begin(call, recovery), _bare(_status), fields=_BEGIN),
            },
            bare=True,
        ),
        Route(
            f"{path}/update",
            {
                Operation.WRITE: guarded(
                    lambda call: GiveRekeyShare(*share_of(call), recovery=recovery),
                    _bare(_status),
                    fields=_UPDATE,
                )
            },
            bare=True,
        ),
        Route(
            f"{path}/verify",
            {
                **_looks_and_ends(
                    lambda _: ReadVerification(recovery=recovery),
                    lambda _: RestartVerification(recovery=recovery),
                    _bare(_verification),
                    _bare(_verification),
                ),
                Operation.WRITE: guarded(
                    lambda call: VerifyRekeyShare(*share_of(call), recovery=recovery),
                    _bare(_verification),
                    fields=_VERIFY,
                ),
            },
            bare=True,
        ),
        Route(backup, _backup(recovery)),
    )


def _newer_routes(path: str, *, recovery: bool) -> tuple[Route, ...]:
    """Return the routes in OpenBao's newer spelling."""
    return (
        Route(
            f"{path}/init",
            {
                **_looks_and_ends(
                    lambda _: ReadRekey(recovery),
                    lambda _: CancelRekey(recovery),
                    _enveloped(_newer_status),
                    _no_content,
                ),
                Operation.WRITE: guarded(
                    lambda call: _begin_newer(call, recovery), _enveloped(_newer_status), fields=_INIT
                ),
            },
        ),
        Route(
            f"{path}/update",
            {
                Operation.WRITE: guarded(
                    lambda call: GiveRekeyShare(*_newer_share(call), newer=True, recovery=recovery),
                    _enveloped(_newer_status),
                    fields=_SHARE,
                )
            },
        ),
        Route(
            f"{path}/verify",
            {
                **_looks_and_ends(
                    lambda _: ReadVerification(newer=True, recovery=recovery),
                    lambda _: RestartVerification(newer=True, recovery=recovery),
                    _enveloped(_verification),
                    _enveloped(_verification),
                ),
                Operation.WRITE: guarded(
                    lambda call: VerifyRekeyShare(*_newer_share(call), newer=True, recovery=recovery),
                    _enveloped(_verification),
                    fields=_SHARE,
                ),
            },
        ),
        Route(f"{path}/backup", _backup(recovery)),
    )


def _backup(recovery: bool) -> dict[Operation, Endpoint]:
    return _looks_and_ends(
        lambda _: ReadRekeyBackup(recovery), lambda _: DeleteRekeyBackup(recovery), _show_backup, _no_content
    )


REKEY_ROUTES: Final = (
    *_older_routes("sys/rekey", "sys/rekey/backup", recovery=False),
    *_older_routes("sys/rekey-recovery-key", "sys/rekey/recovery-key-backup", recovery=True),
    *_newer_routes("sys/rotate/root", recovery=False),
    *_newer_routes("sys/rotate/recovery", recovery=True),
)
