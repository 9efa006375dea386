"""Tenants, for the cluster's operator: listed, created with limits, sealed, exported, measured, deleted and kept.

Ours: Vault has none. Lists look as those of Vault that have `key_info`, and go on by `after` and `limit`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.messages import Message
from kms_actors.quota.records import TOGETHER, RateLimit
from kms_actors.tenancy.messages import (
    DeleteTenant,
    ExportedPage,
    ExportTenant,
    GrantTenant,
    KeepTenant,
    ListTenants,
    MeasuredPage,
    MeasureTenant,
    NoteMeasured,
    ReadTenant,
    SealTenant,
    Tenant,
)
from kms_actors.tenancy.records import KINDS
from kms_http import caller
from kms_http.api.sys.quotas import shown_rate
from kms_http.fields import Fields, WrongType, to_bool, to_float, to_int, to_map, to_period, to_str
from kms_http.routing import NODE_ADMIN, Call, Endpoint, Operation, Reply, Route
from kms_http.times import rfc3339

_SECOND: Final = 10**9
_USUAL_PAGE: Final = 100
_LARGEST_PAGE: Final = 500
#: Characters of a place in the store, in base64; entries of what was measured.
_LONGEST_PLACE: Final = 16_384
_MOST_COUNTS: Final = 10_000
_LONGEST_WAIT: Final = 3650 * 86_400
#: Tenants that are shown in one go.
_SHOWN_TOGETHER: Final = 20
_DEFAULT: Final = "default"


def _to_bound(value: Any) -> int | None:
    """Whole numbers from 0 on; `default` and null for the configuration's."""
    if value is None or value == _DEFAULT:
        return None
    number = to_int(value)
    if number < 0:
        raise WrongType("cannot provide negative value")
    return number


_GRANT: Final = Fields(
    rate=to_float,
    interval=to_period,
    block_interval=to_period,
    group_by=to_str,
    lift_rate=to_bool,
    max_secrets=_to_bound,
    max_keys=_to_bound,
    max_mounts=_to_bound,
    max_tokens=_to_bound,
    max_policies=_to_bound,
    max_bytes=_to_bound,
)
_PAGE: Final = Fields(after=to_str, limit=to_int)
_PLACE: Final = Fields(after=to_str)
_WAIT: Final = Fields(waiting_period=to_period)
_FOUND: Final = Fields(records=to_int, bytes=to_int, counts=to_map)


def _list(call: Call) -> ListTenants:
    limit = call.values.get("limit", 0) or _USUAL_PAGE
    if not 0 < limit <= _LARGEST_PAGE:
        raise InvalidRequest(f"'limit' is 1 to {_LARGEST_PAGE}")
    return ListTenants(call.values.get("after", ""), limit)


async def _show_all(_: Call, tenants: list[Tenant]) -> Reply:
    shown = {}
    for number, tenant in enumerate(tenants):
        shown[tenant.vault_id] = _shown(tenant)
        if number % _SHOWN_TOGETHER == 0:
            await asyncio.sleep(0)
    return Reply(data={"keys": list(shown), "key_info": shown})


def _show(_: Call, tenant: Tenant) -> Reply:
    return Reply(data=_shown(tenant))


def _shown(tenant: Tenant) -> dict[str, Any]:
    measured, erasure, rate = tenant.measured, tenant.erasure, tenant.rate_limit
    return {
        "vault_id": tenant.vault_id,
        "number": tenant.number,
        "state": tenant.state.value,
        "created_time": _time(tenant.created),
        "last_used": _time(tenant.last_used),
        "seal": {"type": "shamir", "t": tenant.threshold, "n": tenant.shares},
        "counts": dict(tenant.counts),
        "limits": dict(tenant.limits),
        "own_limits": [kind for kind in KINDS if getattr(tenant.own_limits, kind) is not None],
        "rate_limit": None if rate is None else shown_rate(rate),
        "measured": measured and {"time": _time(measured.at), "records": measured.records, "bytes": measured.bytes},
        "deletion": erasure
        and {
            "asked_time": _time(erasure.asked),
            "due_time": _time(erasure.due),
            "asked_by": erasure.by,
            "begun": bool(erasure.begun),
            "removed": erasure.removed,
        },
    }


def _grant(call: Call) -> GrantTenant:
    sent = call.values
    changes = {kind: sent[f"max_{kind}"] for kind in KINDS if f"max_{kind}" in sent}
    if "rate" not in sent and ({"interval", "block_interval", "group_by"} & sent.keys()):
        raise InvalidRequest("'interval', 'block_interval' and 'group_by' go with a 'rate'")
    rate_limit = None
    if "rate" in sent and sent.get("lift_rate"):
        raise InvalidRequest("'rate' and 'lift_rate' are given together: one of them sets a rate, the other lifts it")
    if "rate" in sent:
        rate_limit = RateLimit(
            name="",
            rate=sent["rate"],
            interval=sent.get("interval", 0) // _SECOND or 1,
            block_interval=sent.get("block_interval", 0) // _SECOND,
            group_by=sent.get("group_by") or TOGETHER,
        )
    return GrantTenant(_vault(call), changes, rate_limit, sent.get("lift_rate", False))


def _delete(call: Call) -> DeleteTenant:
    if call.unread:  # too short a wait for what somebody meant to keep is no mistake to be made in silence
        raise InvalidRequest("a DELETE has no body: 'waiting_period' goes into the query (…?waiting_period=7d)")
    wait = call.values.get("waiting_period")
    if wait is not None and wait > _LONGEST_WAIT * _SECOND:
        raise InvalidRequest("'waiting_period' is ten years at most")
    by = "" if call.principal is None else caller.name_of(call.principal)
    return DeleteTenant(_vault(call), None if wait is None else wait // _SECOND, by)


def _show_export(_: Call, page: ExportedPage) -> Reply:
    return Reply(
        data={
            "number": page.number,
            "entries": _coded(page.entries),
            "next": _text(page.next),
            "what_it_is": _coded(page.what_it_is),
            "restored": _text(page.restored),
        }
    )


def _show_measured(_: Call, page: MeasuredPage) -> Reply:
    counts: dict[str, dict[str, int]] = {}
    for (kind, mount), number in page.counts.items():
        counts.setdefault(kind, {})[str(mount)] = number
    return Reply(data={"records": page.records, "bytes": page.size, "counts": counts, "next": _text(page.next)})


def _note_measured(call: Call) -> NoteMeasured:
    sent = call.values
    counts: dict[tuple[str, int], int] = {}
    for kind, mounts in sent.get("counts", {}).items():
        if kind not in KINDS or not isinstance(mounts, dict):
            raise InvalidRequest("'counts' are numbers by kind and mount, as the pages gave them")
        counts |= {(kind, _whole(mount)): _whole(number) for mount, number in mounts.items()}
    records, size = sent.get("records", 0), sent.get("bytes", 0)
    if len(counts) > _MOST_COUNTS or records < 0 or size < 0:
        raise InvalidRequest("'counts', 'records' and 'bytes' are what the pages gave")
    return NoteMeasured(_vault(call), records, size, counts)


def _whole(value: Any) -> int:
    try:
        number = to_int(value)
    except WrongType:
        number = -1
    if number < 0:
        raise InvalidRequest("'counts' are numbers by kind and mount, as the pages gave them")
    return number


def _vault(call: Call) -> str:
    return call.captures["vault_id"]


def _place(call: Call) -> bytes:
    text = call.values.get("after", "")
    try:
        return base64.urlsafe_b64decode(text[:_LONGEST_PLACE])
    except (ValueError, binascii.Error):
        raise InvalidRequest("'after' is not what the last page gave") from None


def _coded(entries: tuple[tuple[bytes, bytes], ...]) -> list[list[str]]:
    return [[_text(key), _text(value)] for key, value in entries]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _time(seconds: float) -> str:
    return rfc3339(int(seconds) * _SECOND) if seconds else ""


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _about(message: Callable[[str], Message], show: Callable[[Call, Any], Reply], capability: Capability) -> Endpoint:
    """Return an operation that needs no more than the vault's id."""
    return Endpoint(lambda call: message(_vault(call)), show, capability, rights=NODE_ADMIN)


def _paged(message: Callable[[str, bytes], Message], show: Callable[[Call, Any], Reply]) -> Endpoint:
    return Endpoint(lambda call: message(_vault(call), _place(call)), show, Capability.READ, _PLACE, NODE_ADMIN)


_MEASURE: Final[Mapping[Operation, Endpoint]] = {
    Operation.READ: _paged(MeasureTenant, _show_measured),
    Operation.WRITE: Endpoint(_note_measured, _show, Capability.UPDATE, _FOUND, NODE_ADMIN),
}

TENANT_ROUTES: Final = (
    Route("sys/tenants", {Operation.LIST: Endpoint(_list, _show_all, Capability.LIST, _PAGE, NODE_ADMIN)}),
    Route(
        "sys/tenants/{vault_id}",
        {
            Operation.READ: _about(ReadTenant, _show, Capability.READ),
            Operation.WRITE: Endpoint(_grant, _show, Capability.UPDATE, _GRANT, NODE_ADMIN),
            Operation.DELETE: Endpoint(_delete, _show, Capability.DELETE, _WAIT, NODE_ADMIN),
        },
    ),
    Route("sys/tenants/{vault_id}/seal", {Operation.WRITE: _about(SealTenant, _no_content, Capability.UPDATE)}),
    Route("sys/tenants/{vault_id}/keep", {Operation.WRITE: _about(KeepTenant, _show, Capability.UPDATE)}),
    Route("sys/tenants/{vault_id}/export", {Operation.READ: _paged(ExportTenant, _show_export)}),
    Route("sys/tenants/{vault_id}/measure", _MEASURE),
)
