"""Quotas: how often a vault, its mounts, paths and roles may be asked.

They are a vault's own: the operator of the cluster bounds vaults by `sys/tenants`, and is told so.

Source: Vault's API pages `sys/quotas/rate-limit` and `sys/quotas/config`; `inheritable` as OpenBao has it, and of
`group_by` what newer Vaults have for addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kms_actors.auth.principal import Capability, Right
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.messages import Message
from kms_actors.quota.messages import (
    DeleteRateLimit,
    ListRateLimits,
    ReadQuotaConfig,
    ReadRateLimit,
    WriteQuotaConfig,
    WriteRateLimit,
)
from kms_actors.quota.records import BY_ADDRESS, QuotaConfig, RateLimit
from kms_actors.quota.rules import LONGEST, MOST_EXEMPT
from kms_http.fields import Fields, to_bool, to_float, to_list, to_period, to_str
from kms_http.routing import NO_FIELDS, SCOPE_ADMIN, Call, Endpoint, Operation, Reply, Route

_SECOND: Final = 10**9
_TYPE: Final = "rate-limit"
_OF_CLUSTER: Final = (
    "quotas are a vault's own: the operator of the cluster limits one with `kms-cli tenants limit <vault id> --rate "
    "<number>`, or a write to sys/tenants/<vault id>"
)

RATE_LIMIT: Final = Fields(
    name=to_str,
    type=to_str,
    path=to_str,
    role=to_str,
    rate=to_float,
    interval=to_period,
    block_interval=to_period,
    inheritable=to_bool,
    group_by=to_str,
    secondary_rate=to_float,
)
_CONFIG: Final = Fields(
    rate_limit_exempt_paths=to_list,
    enable_rate_limit_response_headers=to_bool,
    enable_rate_limit_audit_logging=to_bool,
    absolute_rate_limit_exempt_paths=to_list,
)


def _write(call: Call) -> WriteRateLimit:
    sent = call.values
    if sent.get("secondary_rate"):
        raise InvalidRequest("'secondary_rate' goes with a 'group_by' of entities, which is not there")
    if sent.get("type", _TYPE) != _TYPE:
        raise InvalidRequest(f"'type' is {_TYPE}: there are no other quotas")
    path = sent.get("path", "")
    rule = RateLimit(
        name=call.captures["name"],
        rate=sent.get("rate", 0.0),
        interval=sent.get("interval", 0) // _SECOND or 1,
        block_interval=sent.get("block_interval", 0) // _SECOND,
        role=sent.get("role", ""),
        inheritable=sent.get("inheritable", not path),
        group_by=sent.get("group_by") or BY_ADDRESS,
    )
    return WriteRateLimit(rule, path)


def _show(_: Call, found: tuple[RateLimit, str]) -> Reply:
    rule, path = found
    return Reply(data=rate_limit(rule, path))


def rate_limit(rule: RateLimit, path: str) -> dict[str, Any]:
    """Return what is shown of a rate limit."""
    return {
        "block_interval": rule.block_interval,
        "group_by": rule.group_by,
        "inheritable": rule.inheritable,
        "interval": rule.interval,
        "name": rule.name,
        "path": path,
        "rate": _number(rule.rate),
        "role": rule.role,
        "type": _TYPE,
    }


def shown_rate(rule: RateLimit) -> dict[str, Any]:
    """Return what is shown of a rate limit that is of a whole vault."""
    return {
        "rate": _number(rule.rate),
        "interval": rule.interval,
        "block_interval": rule.block_interval,
        "group_by": rule.group_by,
    }


def _number(rate: float) -> int | float:
    return int(rate) if rate.is_integer() else rate


def _show_names(_: Call, names: list[str]) -> Reply:
    if not names:
        raise NotFound
    return Reply(data={"keys": names})


def _configure(call: Call) -> WriteQuotaConfig:
    sent = call.values
    paths = sent.get("rate_limit_exempt_paths", [])
    if len(paths) > MOST_EXEMPT or any(not isinstance(path, str) or len(path) > LONGEST for path in paths):
        raise InvalidRequest(f"'rate_limit_exempt_paths' are {MOST_EXEMPT} paths of {LONGEST} characters at most")
    if sent.get("enable_rate_limit_audit_logging"):
        raise InvalidRequest(
            "'enable_rate_limit_audit_logging' is not supported: requests that quotas refuse are counted by metrics"
        )
    if sent.get("absolute_rate_limit_exempt_paths"):
        raise InvalidRequest(
            "'absolute_rate_limit_exempt_paths' is not supported: name a vault's paths in 'rate_limit_exempt_paths'"
        )
    return WriteQuotaConfig(QuotaConfig(tuple(paths), sent.get("enable_rate_limit_response_headers", False)))


def _show_config(_: Call, config: QuotaConfig) -> Reply:
    return Reply(
        data={
            "enable_rate_limit_audit_logging": False,
            "enable_rate_limit_response_headers": config.response_headers,
            "rate_limit_exempt_paths": config.exempt_paths,
        }
    )


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _of_vault(
    build: Callable[[Call], Message],
    render: Callable[[Call, Any], Reply],
    capability: Capability,
    fields: Fields = NO_FIELDS,
) -> Endpoint:
    def of_vault(call: Call) -> Message:
        if call.principal is not None and call.principal.right is Right.OPERATOR:
            raise InvalidRequest(_OF_CLUSTER)
        return build(call)

    return Endpoint(of_vault, render, capability, fields, SCOPE_ADMIN)


QUOTA_ROUTES: Final = (
    Route(
        "sys/quotas/rate-limit/{name}",
        {
            Operation.READ: _of_vault(lambda call: ReadRateLimit(call.captures["name"]), _show, Capability.READ),
            Operation.WRITE: _of_vault(_write, _no_content, Capability.UPDATE, RATE_LIMIT),
            Operation.DELETE: _of_vault(
                lambda call: DeleteRateLimit(call.captures["name"]), _no_content, Capability.DELETE
            ),
        },
    ),
    Route(
        "sys/quotas/rate-limit",
        {Operation.LIST: _of_vault(lambda _: ListRateLimits(), _show_names, Capability.LIST)},
    ),
    Route(
        "sys/quotas/config",
        {
            Operation.READ: _of_vault(lambda _: ReadQuotaConfig(), _show_config, Capability.READ),
            Operation.WRITE: _of_vault(_configure, _no_content, Capability.UPDATE, _CONFIG),
        },
    ),
)
