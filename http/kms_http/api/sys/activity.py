"""How many clients a vault has, or all vaults of a cluster, by months; who they are; and what is said of counting.

Source: Vault's API page `sys/internal/counters`, of 1.14 but for the end of a report, which is now, as later ones
have it.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from kms_actors.activity.clients import NO_MOUNT, OTHER_MOUNTS
from kms_actors.activity.messages import (
    ExportClients,
    ReadActivity,
    ReadActivityConfig,
    WriteActivityConfig,
)
from kms_actors.activity.months import begin_of, name_of
from kms_actors.activity.records import MOST_CLIENTS, ActivityConfig, SeenClient
from kms_actors.activity.usage import Counts, MonthOfUsage, Mounts, Usage, VaultUsage, sum_of
from kms_actors.auth.principal import Capability, Right
from kms_actors.errors import InvalidRequest
from kms_actors.messages import Message
from kms_actors.mounts import TOKENS, TOKENS_NUMBER, MountTable
from kms_actors.tenancy.messages import ReadAllActivity
from kms_http.fields import Fields, to_bool, to_int, to_str, to_time
from kms_http.routing import NO_FIELDS, SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route
from kms_http.times import rfc3339

_SECOND: Final = 10**9
_OF_VAULTS: Final = "clients are a vault's own: its operator says how they are counted, and exports them"
_NO_PERIODS: Final = "there are no billing periods: give a 'start_time', and an 'end_time'"
_SPAN: Final = Fields(start_time=to_time, end_time=to_time, limit_namespaces=to_int, current_billing_period=to_bool)
_EXPORT: Final = Fields(start_time=to_time, end_time=to_time, format=to_str)
_CONFIG: Final = Fields(default_report_months=to_int, enabled=to_str, retention_months=to_int)
_COLUMNS: Final = ("client_id", "namespace_id", "timestamp", "non_entity", "mount_accessor")
_FORMATS: Final = {"json": b"application/json", "csv": b"application/csv"}
#: Clients, and vaults, that are rendered in one go.
_TOGETHER: Final = 200
_NO_PATHS: Final = MountTable(())


def _of_cluster(call: Call) -> bool:
    return call.principal is not None and call.principal.right is Right.OPERATOR


def _of_vault(call: Call) -> None:
    if _of_cluster(call):
        raise InvalidRequest(_OF_VAULTS)


def _read(call: Call) -> Message:
    sent = call.values
    if sent.get("current_billing_period"):
        raise InvalidRequest(_NO_PERIODS)
    kind = ReadAllActivity if _of_cluster(call) else ReadActivity
    return kind(sent.get("start_time", 0.0), sent.get("end_time", 0.0))


def _read_month(call: Call) -> Message:
    return (ReadAllActivity if _of_cluster(call) else ReadActivity)(monthly=True)


async def _show(call: Call, usage: Usage | None) -> Reply:
    if usage is None:
        return Reply(status=204)
    most = call.values.get("limit_namespaces", 0)
    vaults = usage.vaults[:most] if most > 0 else usage.vaults
    data = {
        "by_namespace": await _by_namespace(call, vaults),
        "end_time": rfc3339((begin_of(usage.end + 1) - 1) * _SECOND),
        "months": _months(call, usage),
        "start_time": rfc3339(begin_of(usage.start) * _SECOND),
        "total": _counts(usage.total),
    }
    return Reply(data=data, warnings=_warnings(usage))


async def _show_month(call: Call, usage: Usage | None) -> Reply:
    if usage is None:
        return Reply(status=204)
    data = {
        "by_namespace": await _by_namespace(call, usage.vaults),
        "months": _months(call, usage),
        **_counts(usage.total),
    }
    return Reply(data=dict(sorted(data.items())), warnings=_warnings(usage))


async def _by_namespace(call: Call, vaults: Iterable[VaultUsage]) -> list[dict[str, Any]]:
    shown = []
    for number, vault in enumerate(vaults):
        if vault.mounts or not _of_cluster(call):
            shown.append(_namespace(call, vault, vault.mounts))
        if number % _TOGETHER == 0:
            await asyncio.sleep(0)
    return shown


def _months(call: Call, usage: Usage) -> list[dict[str, Any]]:
    vault = None if _of_cluster(call) else usage.vaults[0]
    return [_month(call, vault, month) for month in usage.months]


def _month(call: Call, vault: VaultUsage | None, month: MonthOfUsage) -> dict[str, Any]:
    """Return a month as Vault has it: those without a client are empty."""
    shown: dict[str, Any] = {"timestamp": rfc3339(begin_of(month.month) * _SECOND)}
    if not month.all:
        return shown | dict.fromkeys(("counts", "namespaces", "new_clients"))
    new = None if not month.new else _counts(sum_of(month.new))
    below = [] if vault is None else [_namespace(call, vault, month.all)]
    new_below = [] if vault is None or not month.new else [_namespace(call, vault, month.new)]
    shown |= {"counts": _counts(sum_of(month.all)), "namespaces": below}
    return shown | {"new_clients": {"counts": new, "namespaces": new_below if month.new else None}}


def _namespace(call: Call, vault: VaultUsage, mounts: Mounts) -> dict[str, Any]:
    named = [] if _of_cluster(call) else [(_path(call.mounts, number), each) for number, each in mounts.items()]
    return {
        "namespace_id": str(vault.number),
        "namespace_path": f"{vault.vault_id}/",
        "counts": _counts(sum_of(mounts)),
        "mounts": [
            {"mount_path": path, "counts": _counts(each)}
            for path, each in sorted(named, key=lambda entry: (-entry[1].clients, entry[0]))
        ],
    }


def _path(mounts: MountTable, number: int) -> str:
    if number == TOKENS_NUMBER:
        return TOKENS
    if number in (NO_MOUNT, OTHER_MOUNTS):
        return "biscuits, by no mount" if number == NO_MOUNT else "other mounts"
    mount = mounts.numbered(number)
    return f'deleted mount; number "{number}"' if mount is None else mount.path


def _counts(counts: Counts) -> dict[str, int]:
    return {
        "distinct_entities": counts.entities,
        "entity_clients": counts.entities,
        "non_entity_tokens": counts.others,
        "non_entity_clients": counts.others,
        "clients": counts.clients,
    }


def _warnings(usage: Usage) -> tuple[str, ...]:
    full = [
        f"{name_of(month.month)} has more clients than the {MOST_CLIENTS} of a vault that are told apart"
        for month in usage.months
        if month.full
    ]
    if usage.left_out:
        full.append(f"{usage.left_out} more vaults have had clients: they are in 'total' and 'months'")
    return tuple(full)


def _export(call: Call) -> ExportClients:
    _of_vault(call)
    sent = call.values
    if sent.get("format", "json") not in _FORMATS:
        raise InvalidRequest("'format' is json or csv")
    return ExportClients(sent.get("start_time", 0.0), sent.get("end_time", 0.0))


async def _show_export(call: Call, exported: tuple[int, list[SeenClient]]) -> Reply:
    vault, clients = exported
    if not clients:
        return Reply(status=204)
    how = call.values.get("format", "json")
    whole = io.StringIO()
    table = csv.DictWriter(whole, _COLUMNS)
    if how == "csv":
        table.writeheader()
    for number, client in enumerate(clients):
        row = _row(call, vault, client)
        if how == "csv":
            table.writerow(
                {name: str(value).lower() if value in (True, False) else value for name, value in row.items()}
            )
        else:
            whole.write(json.dumps(row) + "\n")
        if number % _TOGETHER == 0:
            await asyncio.sleep(0)
    return Reply(whole=whole.getvalue().removesuffix("\n").encode(), media=_FORMATS[how])  # one comes with the answer


def _row(call: Call, vault: int, client: SeenClient) -> dict[str, Any]:
    mount = call.mounts.numbered(client.mount)
    return {
        "client_id": client.id,
        "namespace_id": str(vault),
        "timestamp": client.seen,
        "non_entity": not client.entity,
        "mount_accessor": "" if mount is None else mount.accessor,
    }


def _read_config(call: Call) -> ReadActivityConfig:
    _of_vault(call)
    return ReadActivityConfig()


def _show_config(_: Call, found: tuple[ActivityConfig, Any]) -> Reply:
    config, months = found
    return Reply(
        data={
            "default_report_months": config.report_months,
            "enabled": "default-enabled" if config.enabled == "default" else config.enabled,
            "minimum_retention_months": 0,
            "queries_available": bool(months),
            "reporting_enabled": False,
            "retention_months": config.retention_months,
        }
    )


def _write_config(call: Call) -> WriteActivityConfig:
    _of_vault(call)
    sent = call.values
    return WriteActivityConfig(sent.get("enabled"), sent.get("retention_months"), sent.get("default_report_months"))


def _written(_: Call, warnings: tuple[str, ...]) -> Reply:
    return Reply(warnings=warnings) if warnings else Reply(status=204)


def _look(build: Callable[[Call], Message], show: Callable[[Call, Any], Any], fields: Fields = NO_FIELDS) -> Endpoint:
    return Endpoint(build, show, Capability.READ, fields, SCOPE_ADMIN)


ACTIVITY_ROUTES: Final = (
    Route("sys/internal/counters/activity", {Operation.READ: _look(_read, _show, _SPAN)}),
    Route("sys/internal/counters/activity/monthly", {Operation.READ: _look(_read_month, _show_month)}),
    Route("sys/internal/counters/activity/export", {Operation.READ: _look(_export, _show_export, _EXPORT)}),
    Route(
        "sys/internal/counters/config",
        {
            Operation.READ: _look(_read_config, _show_config),
            Operation.WRITE: Endpoint(_write_config, _written, Capability.UPDATE, _CONFIG, SCOPE_ADMIN),
        },
    ),
)
