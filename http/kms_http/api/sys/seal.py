"""Initialisation, seal and health of the node or of the caller's tenant. No envelope; only looks are anonymous.

Source: Vault's API pages `sys/init`, `sys/seal-status`, `sys/seal`, `sys/unseal`, `sys/health`, `sys/leader`.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from typing import Any, Final

from kms_actors import API_VERSION
from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.keyring.shamir import parse_share
from kms_actors.messages import (
    Initialization,
    Initialize,
    Message,
    ReadSealStatus,
    ResetUnseal,
    Seal,
    SealStatus,
    Unseal,
)
from kms_http.api.sys.rekey import keys_of
from kms_http.api.sys.struct_fields import StructFields
from kms_http.fields import Fields
from kms_http.routing import (
    ANY_RIGHT,
    NO_FIELDS,
    SCOPE_ADMIN,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)
from kms_http.wire.errors import HttpError

_LEADER: Final = {
    "ha_enabled": False,
    "is_self": False,
    "active_time": "0001-01-01T00:00:00Z",
    "leader_address": "",
    "leader_cluster_address": "",
    "performance_standby": False,
    "performance_standby_last_remote_wal": 0,
}
#: What the type of a seal is called that is in shares, which have no provider.
_SHAMIR: Final = "shamir"
_SHARES: Final = "n/a"
_SCOPES: Final = uuid.UUID("b7a1f0c4-5a52-4f0e-8f0a-0d8f3a6f9c55")  # names a scope's `cluster_id`
_HEALTH_CODES: Final = {
    "active": ("activecode", 200),
    "sealed": ("sealedcode", 503),
    "uninitialized": ("uninitcode", 501),
}


def _read_status(_: Call) -> ReadSealStatus:
    return ReadSealStatus()


def _cluster(call: Call, status: SealStatus) -> dict[str, str]:
    """Name the scope that is spoken of: the cluster's namespace, or a vault id.

    Before it is initialised, only who proves to belong to it is told.
    """
    if not status.initialized and call.principal is None:
        return {}
    return {"cluster_name": call.scope, "cluster_id": _cluster_id(call.scope)}


@functools.lru_cache(maxsize=1024)  # health is asked for all the time
def _cluster_id(scope: str) -> str:
    return str(uuid.uuid5(_SCOPES, scope))


def _show_status(call: Call, status: SealStatus) -> Reply:
    return Reply(
        bare={
            "type": _SHARES if status.type == _SHAMIR else status.type,
            "initialized": status.initialized,
            "sealed": status.sealed,
            "t": status.threshold,
            "n": status.shares,
            "progress": status.progress,
            "nonce": status.nonce,
            "version": API_VERSION,
            "build_date": "n/a",
            "commit_date": "n/a",
            "migration": status.migration,
            **_cluster(call, status),
            "recovery_seal": status.recovery_seal,
            **({"recovery_seal_type": "shamir"} if status.recovery_seal else {}),
            "storage_type": "n/a",
        }
    )


def _show_initialized(_: Call, status: SealStatus) -> Reply:
    return Reply(bare={"initialized": status.initialized})


def _initialize(call: Call) -> Initialize:
    sent = call.values
    return Initialize(
        sent["secret_shares"],
        sent["secret_threshold"],
        tuple(sent["pgp_keys"]),
        sent["root_token_pgp_key"],
        sent["recovery_shares"],
        sent["recovery_threshold"],
        tuple(sent["recovery_pgp_keys"]),
    )


def _show_initialization(_: Call, made: Initialization) -> Reply:
    keys = keys_of(made.shares)
    shown: dict[str, Any] = keys_of(()) if made.recovery else keys
    if made.recovery and made.shares:
        shown |= {f"recovery_{name}": value for name, value in keys.items()}
    return Reply(bare={**shown, "root_token": made.root_token})


def _unseal(call: Call) -> Unseal | ResetUnseal:
    sent = call.values
    if sent["reset"]:
        return ResetUnseal()
    if not sent["key"]:
        raise InvalidRequest("'key' must be specified in request body as JSON, or 'reset' set to true")
    return Unseal(parse_share(sent["key"]), sent["migrate"])


def _health(call: Call, status: SealStatus) -> Reply:
    sent = call.values
    codes = {state: sent.get(parameter, usual) for state, (parameter, usual) in _HEALTH_CODES.items()}
    state = "active" if not status.sealed else "sealed" if status.initialized else "uninitialized"
    mode = "unknown" if status.sealed else "disabled"
    return Reply(
        status=codes[state],
        bare={
            "initialized": status.initialized,
            "sealed": status.sealed,
            "standby": status.sealed,
            "performance_standby": False,
            "replication_performance_mode": mode,
            "replication_dr_mode": mode,
            "server_time_utc": int(call.now),
            "version": API_VERSION,
            **_cluster(call, status),
        },
    )


def _to_status(value: Any) -> int:
    """Return a status that is wished for."""
    try:
        code = int(value)
    except (TypeError, ValueError):
        raise HttpError(400) from None
    if not 200 <= code <= 599:
        raise HttpError(400)
    return code


def _read_leader(_: Call) -> None:
    return None


def _show_leader(_: Call, __: None) -> Reply:
    return Reply(bare=_LEADER)


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _public(build: Callable[[Call], Message | None], render: Callable[[Call, Any], Reply], **more: Any) -> Endpoint:
    """Return a look at the seal that needs no token."""
    return Endpoint(build, render, Capability.READ, rights=ANY_RIGHT, anonymous=True, while_sealed=True, **more)


def _guarded(
    build: Callable[[Call], Message], render: Callable[[Call, Any], Reply], fields: Fields = NO_FIELDS
) -> Endpoint:
    """Return a change of the seal, for who holds the whole scope."""
    return Endpoint(build, render, Capability.UPDATE, fields, SCOPE_ADMIN, while_sealed=True, sudo=True)


_CODES: Final = Fields(activecode=_to_status, sealedcode=_to_status, uninitcode=_to_status)
_INIT: Final = StructFields(
    "InitRequest",
    secret_shares=int,
    secret_threshold=int,
    pgp_keys=list,
    root_token_pgp_key=str,
    recovery_shares=int,
    recovery_threshold=int,
    recovery_pgp_keys=list,
)
_UNSEAL: Final = StructFields("UnsealRequest", Key=str, Reset=bool, Migrate=bool)

SEAL_ROUTES: Final = (
    Route("sys/seal-status", {Operation.READ: _public(_read_status, _show_status)}, bare=True),
    Route("sys/health", {Operation.READ: _public(_read_status, _health, fields=_CODES, head=True)}, bare=True),
    Route("sys/leader", {Operation.READ: _public(_read_leader, _show_leader)}, bare=True),
    Route(
        "sys/init",
        {
            Operation.READ: _public(_read_status, _show_initialized),
            Operation.WRITE: _guarded(_initialize, _show_initialization, _INIT),
        },
        bare=True,
    ),
    Route("sys/unseal", {Operation.WRITE: _guarded(_unseal, _show_status, _UNSEAL)}, bare=True),
    Route("sys/seal", {Operation.WRITE: _guarded(lambda _: Seal(), _no_content)}, bare=True),
)
