"""Quotas on the wire: what is asked of a vault, how it is shown, and what who asks too often is told."""

from __future__ import annotations

from typing import Any

import pytest

from kms_actors.mounts import MountTable
from kms_actors.quota.limiter import limiter
from kms_actors.quota.messages import (
    DeleteRateLimit,
    ListRateLimits,
    ReadQuotaConfig,
    ReadRateLimit,
    WriteQuotaConfig,
    WriteRateLimit,
)
from kms_actors.quota.records import QuotaConfig, Quotas, RateLimit
from tests.http.conftest import Answer, Service

PATH = "/v1/sys/quotas/rate-limit/a"


async def asked(service: Service, method: str, path: str, body: Any = None) -> Any:
    answer = await service.call(method, path, "root", json=body)
    assert answer.status == 204, answer.json
    (message,) = service.tenant.asked
    return message


async def test_all_fields_of_a_rate_limit_arrive(service: Service) -> None:
    body = {
        "name": "other",
        "type": "rate-limit",
        "path": "secret/data/a*",
        "rate": "2.5",
        "interval": "1m",
        "block_interval": 120,
        "inheritable": True,
        "group_by": "none",
    }
    rule = RateLimit("a", 2.5, 60, 120, inheritable=True, group_by="none")
    assert await asked(service, "POST", PATH, body) == WriteRateLimit(rule, "secret/data/a*")


@pytest.mark.parametrize(
    ("body", "rule", "path"),
    [
        ({"rate": 7}, RateLimit("a", 7.0, inheritable=True), ""),
        ({"rate": 7, "path": "secret/"}, RateLimit("a", 7.0), "secret/"),
        ({"rate": 7, "path": "secret/", "interval": "500ms"}, RateLimit("a", 7.0), "secret/"),
        ({"path": "x/", "role": "r"}, RateLimit("a", 0.0, role="r"), "x/"),
    ],
)
async def test_what_is_not_said_is_as_in_the_reference(
    service: Service, body: dict[str, Any], rule: RateLimit, path: str
) -> None:
    assert await asked(service, "PUT", PATH, body) == WriteRateLimit(rule, path)


@pytest.mark.parametrize("rate", ["abc", "1e9", "nan", "inf", "1_0", [1], {"a": 1}])
async def test_a_rate_that_is_no_number_is_refused(service: Service, rate: Any) -> None:
    answer = await service.call("POST", PATH, "root", json={"rate": rate})
    assert answer.status == 400
    assert 'error converting input for field "rate"' in answer.errors[0]
    assert service.tenant.asked == []


async def test_a_rate_limit_is_shown(service: Service) -> None:
    service.tenant.answers[ReadRateLimit] = (RateLimit("a", 200.0, mount=1), "secret/")
    answer = await service.call("GET", PATH, "root")
    assert answer.json["data"] == {
        "block_interval": 0,
        "group_by": "ip",
        "inheritable": False,
        "interval": 1,
        "name": "a",
        "path": "secret/",
        "rate": 200,
        "role": "",
        "type": "rate-limit",
    }


async def test_names_are_listed_and_none_are_not_found(service: Service) -> None:
    service.tenant.answers[ListRateLimits] = ["a", "b"]
    assert (await service.call("LIST", "/v1/sys/quotas/rate-limit", "root")).json["data"] == {"keys": ["a", "b"]}
    service.tenant.answers[ListRateLimits] = []
    answer = await service.call("GET", "/v1/sys/quotas/rate-limit?list=true", "root")
    assert (answer.status, answer.json) == (404, {"errors": []})


async def test_deletions_and_settings_arrive(service: Service) -> None:
    assert await asked(service, "DELETE", PATH) == DeleteRateLimit("a")
    service.tenant.asked.clear()
    body = {"rate_limit_exempt_paths": ["sys/health", "x/*"], "enable_rate_limit_response_headers": True}
    message = await asked(service, "POST", "/v1/sys/quotas/config", body)
    assert message == WriteQuotaConfig(QuotaConfig(("sys/health", "x/*"), True))


@pytest.mark.parametrize(
    "body",
    [
        {"rate_limit_exempt_paths": ["x"] * 200},
        {"rate_limit_exempt_paths": [1]},
        {"rate_limit_exempt_paths": ["x" * 600]},
    ],
)
async def test_exempt_paths_have_a_bound(service: Service, body: dict[str, Any]) -> None:
    answer = await service.call("POST", "/v1/sys/quotas/config", "root", json=body)
    assert answer.status == 400
    assert "rate_limit_exempt_paths" in answer.errors[0]


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/v1/sys/quotas/config", "enable_rate_limit_audit_logging", True),
        ("/v1/sys/quotas/config", "absolute_rate_limit_exempt_paths", ["sys/health"]),
        (PATH, "secondary_rate", 3),
        (PATH, "type", "lease-count"),
    ],
)
async def test_what_is_not_done_is_refused_and_not_dropped(
    service: Service, path: str, name: str, value: Any
) -> None:
    answer = await service.call("POST", path, "root", json={"rate": 5, name: value})
    assert answer.status == 400
    assert name in answer.errors[0]
    assert service.tenant.asked == []


async def test_what_asks_for_nothing_of_it_is_taken(service: Service) -> None:
    body = {"rate": 5, "secondary_rate": 0, "type": "rate-limit", "name": "a"}
    assert (await asked(service, "POST", PATH, body)).rule.rate == 5


async def test_settings_are_shown(service: Service) -> None:
    service.tenant.answers[ReadQuotaConfig] = QuotaConfig(("a",), True)
    assert (await service.call("GET", "/v1/sys/quotas/config", "root")).json["data"] == {
        "enable_rate_limit_audit_logging": False,
        "enable_rate_limit_response_headers": True,
        "rate_limit_exempt_paths": ["a"],
    }


@pytest.mark.parametrize("token", ["data"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", PATH), ("POST", PATH), ("DELETE", PATH), ("GET", "/v1/sys/quotas/config")]
)
async def test_quotas_are_for_who_has_all_of_the_vault(service: Service, token: str, method: str, path: str) -> None:
    assert (await service.call(method, path, token)).status == 403


async def test_quotas_of_leases_are_answered_with_a_sentence(service: Service) -> None:
    answer = await service.call("GET", "/v1/sys/quotas/lease-count/x", "root")
    assert answer.status == 400
    assert "kms-cli tenants limit" in answer.errors[0]


def headers(answer: Answer) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items()}


def limit(service: Service, *rules: RateLimit, shown: bool = False, given: tuple[RateLimit, ...] = ()) -> None:
    quotas = Quotas(rules, QuotaConfig((), shown))
    mounts: MountTable = service.tenant.mounts
    service.tenant.limiter = limiter(given, quotas, mounts, workers=1, before=None)


async def test_who_asks_too_often_is_refused_before_his_body_is_read(service: Service) -> None:
    limit(service, RateLimit("a", 1.0, interval=3600, mount=1))
    assert (await service.call("GET", "/v1/secret/data/x", "data")).status != 429
    answer = await service.call("POST", "/v1/secret/data/x", "data", data=b"{" * 100)
    assert answer.status == 429
    assert answer.json == {"errors": ['request path "secret/data/x": rate limit quota exceeded']}
    assert answer.headers["Retry-After"] == "3600"
    assert "x-ratelimit-limit" not in headers(answer)
    assert (await service.call("GET", "/v1/sys/mounts", "data")).status == 200


async def test_answers_say_what_is_left_where_that_is_wanted(service: Service) -> None:
    limit(service, RateLimit("a", 2.0, interval=3600), shown=True)
    answer = await service.call("GET", "/v1/sys/mounts", "data")
    assert (
        headers(answer).items()
        >= {
            "x-ratelimit-limit": "2",
            "x-ratelimit-remaining": "1",
            "x-ratelimit-reset": "3600",
        }.items()
    )
    await service.call("GET", "/v1/sys/mounts", "data")
    answer = await service.call("GET", "/v1/sys/mounts", "data")
    assert (answer.status, headers(answer)["x-ratelimit-remaining"]) == (429, "0")


async def test_what_the_operator_gave_is_told_from_the_vaults_own(service: Service) -> None:
    limit(service, given=(RateLimit("g", 1.0, interval=3600),))
    assert (await service.call("GET", "/v1/sys/mounts", "data")).status == 200
    answer = await service.call("GET", "/v1/sys/mounts", "data")
    assert answer.status == 429
    assert "the operator of the cluster has given this vault" in answer.errors[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("LIST", "/v1/sys/quotas/rate-limit"),
        ("GET", PATH),
        ("POST", PATH),
        ("DELETE", PATH),
        ("GET", "/v1/sys/quotas/config"),
        ("POST", "/v1/sys/quotas/config"),
    ],
)
async def test_the_operator_of_the_cluster_is_told_where_limits_of_vaults_are(
    service: Service, method: str, path: str
) -> None:
    answer = await service.call(method, path, "operator", json={"rate": 5} if method == "POST" else None)
    assert answer.status == 400
    assert "sys/tenants/<vault id>" in answer.errors[0]
    assert service.backend.asked == []
    assert (await service.call(method, path, "data", json={} if method == "POST" else None)).status == 403
