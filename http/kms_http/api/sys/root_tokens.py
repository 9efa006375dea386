"""Root tokens of the caller's vault by a quorum of its shares, in Vault's spelling and in OpenBao's newer one.

Source: Vault's API page `sys/generate-root`; OpenBao's `sys/generate-root-token`, `sys/decode-token`.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.ceremony.messages import (
    BeginRootGeneration,
    CancelRootGeneration,
    GiveRootShare,
    ReadRootGeneration,
    RootStatus,
)
from kms_actors.ceremony.root import OTP_LENGTH, decode_token
from kms_actors.errors import InvalidRequest
from kms_actors.keyring.shamir import parse_share
from kms_http.api.sys.rekey import guarded, share_of
from kms_http.api.sys.struct_fields import StructFields
from kms_http.fields import Fields, to_str
from kms_http.routing import SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route

_BEGIN: Final = StructFields("GenerateRootInitRequest", otp=str, pgp_key=str)
_UPDATE: Final = StructFields("GenerateRootUpdateRequest", key=str, nonce=str)
_ATTEMPT: Final = Fields(otp=to_str, pgp_key=to_str)
_SHARE: Final = Fields(key=to_str, nonce=to_str)
_ENCODED: Final = Fields(encoded_token=to_str, otp=to_str)


def _begin(call: Call) -> BeginRootGeneration:
    return BeginRootGeneration(call.values["otp"], call.values["pgp_key"])


def _begin_newer(call: Call) -> BeginRootGeneration:
    return BeginRootGeneration(call.values.get("otp", ""), call.values.get("pgp_key", ""))


def _newer_share(call: Call) -> GiveRootShare:
    key = call.values.get("key", "")
    if not key:
        raise InvalidRequest("key is required")
    return GiveRootShare(parse_share(key), call.values.get("nonce", ""))


def _shown(status: RootStatus) -> dict[str, Any]:
    return {
        "nonce": status.nonce,
        "started": bool(status.nonce),
        "progress": status.progress,
        "required": status.required,
        "complete": status.complete,
        "encoded_token": status.encoded_token,
        "encoded_root_token": status.encoded_token,
        "pgp_fingerprint": status.fingerprint,
    }


def _show_attempt(_: Call, status: RootStatus) -> Reply:
    return Reply(bare=_shown(status) | {"otp": status.otp, "otp_length": OTP_LENGTH})


def _show_update(_: Call, status: RootStatus) -> Reply:
    return Reply(bare=_shown(status) | {"otp": "", "otp_length": 0})


def _newer(status: RootStatus, **more: Any) -> Reply:
    left_out = {"encoded_token", "encoded_root_token"} | (set() if status.nonce else {"nonce", "pgp_fingerprint"})
    shown = {name: value for name, value in _shown(status).items() if name not in left_out} | more
    return Reply(data=dict(sorted(shown.items())))


def _show_newer_attempt(_: Call, status: RootStatus) -> Reply:
    return _newer(status, otp=status.otp, otp_length=OTP_LENGTH)


def _show_newer_update(_: Call, status: RootStatus) -> Reply:
    return _newer(status, encoded_token=status.encoded_token)


def _show_decoded(call: Call, _: None) -> Reply:
    sent = call.values
    for name in ("encoded_token", "otp"):
        if not sent.get(name):
            raise InvalidRequest(f"missing {name}")
    return Reply(data={"token": decode_token(sent["encoded_token"], sent["otp"])})


def _no_content(_: Call, __: object) -> Reply:
    return Reply(status=204)


_CANCEL: Final = guarded(lambda _: CancelRootGeneration(), _no_content, Capability.DELETE)

ROOT_TOKEN_ROUTES: Final = (
    Route(
        "sys/generate-root/attempt",
        {
            Operation.READ: guarded(lambda _: ReadRootGeneration(), _show_attempt, Capability.READ),
            Operation.WRITE: guarded(_begin, _show_attempt, fields=_BEGIN),
            Operation.DELETE: _CANCEL,
        },
        bare=True,
    ),
    Route(
        "sys/generate-root/update",
        {Operation.WRITE: guarded(lambda call: GiveRootShare(*share_of(call)), _show_update, fields=_UPDATE)},
        bare=True,
    ),
    Route(
        "sys/generate-root-token/attempt",
        {
            Operation.READ: guarded(lambda _: ReadRootGeneration(), _show_newer_attempt, Capability.READ),
            Operation.WRITE: guarded(_begin_newer, _show_newer_attempt, fields=_ATTEMPT),
            Operation.DELETE: _CANCEL,
        },
    ),
    Route(
        "sys/generate-root-token/update",
        {Operation.WRITE: guarded(_newer_share, _show_newer_update, fields=_SHARE)},
    ),
    Route(
        "sys/decode-token",
        {Operation.WRITE: Endpoint(lambda _: None, _show_decoded, Capability.UPDATE, _ENCODED, SCOPE_ADMIN)},
    ),
)
