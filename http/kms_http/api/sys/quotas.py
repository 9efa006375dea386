"""Quotas: how often a vault, its mounts, paths and roles may be asked.

Source: Vault's API pages `sys/quotas/rate-limit` and `sys/quotas/config`; `inheritable` as OpenBao has it, and of
`group_by` what newer Vaults have for addresses.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, NotFound
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
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route

_SECOND: Final = 10**9

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
)
_CONFIG: Final = Fields(
    rate_limit_exempt_paths=to_list,
    enable_rate_limit_response_headers=to_bool,
    enable_rate_limit_audit_logging=to_bool,
)


def _write(call: Call) -> WriteRateLimit:
    sent = call.values
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
        "type": "rate-limit",
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


QUOTA_ROUTES: Final = (
    Route(
        "sys/quotas/rate-limit/{name}",
        {
            Operation.READ: Endpoint(
                lambda call: ReadRateLimit(call.captures["name"]), _show, Capability.READ, rights=TENANT_ADMIN
            ),
            Operation.WRITE: Endpoint(_write, _no_content, Capability.UPDATE, RATE_LIMIT, TENANT_ADMIN),
            Operation.DELETE: Endpoint(
                lambda call: DeleteRateLimit(call.captures["name"]),
                _no_content,
                Capability.DELETE,
                rights=TENANT_ADMIN,
            ),
        },
    ),
    Route(
        "sys/quotas/rate-limit",
        {Operation.LIST: Endpoint(lambda _: ListRateLimits(), _show_names, Capability.LIST, rights=TENANT_ADMIN)},
    ),
    Route(
        "sys/quotas/config",
        {
            Operation.READ: Endpoint(lambda _: ReadQuotaConfig(), _show_config, Capability.READ, rights=TENANT_ADMIN),
            Operation.WRITE: Endpoint(_configure, _no_content, Capability.UPDATE, _CONFIG, TENANT_ADMIN),
        },
    ),
)
