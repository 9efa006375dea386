"""Tenants on the wire: for the cluster's operator alone, within bounds, and all that is told of one."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kms_actors.errors import NamedNotFound
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
    State,
    Tenant,
)
from kms_actors.tenancy.records import KINDS, Erasure, Limits, Measured
from tests.http.conftest import Service

ROOT = "/v1/sys/tenants"
ONE = f"{ROOT}/vault_1"
DAY = 86_400
TENANT = Tenant(
    "vault_1",
    9,
    State.LEAVING,
    created=1_800_000_000.0,
    threshold=2,
    shares=3,
    counts=dict.fromkeys(KINDS, 1),
    limits=dict.fromkeys(KINDS, 5),
    own_limits=Limits(keys=5),
    rate_limit=RateLimit("", 2.0, 60, group_by=TOGETHER),
    measured=Measured(1_800_000_000.0, 10, 1000),
    erasure=Erasure("vault_1", 1_800_000_000.0, 1_800_086_400.0, "orga_1"),
)


async def asked(service: Service, method: str, path: str, answer: Any = None, body: Any = None) -> Any:
    for kind in (ListTenants, ReadTenant, GrantTenant, DeleteTenant, KeepTenant, ExportTenant, MeasureTenant):
        service.backend.answers[kind] = answer
    service.backend.answers[NoteMeasured] = answer
    got = await service.call(method, path, "operator", json=body)
    assert got.status in (200, 204), got.json
    (message,) = service.backend.asked
    return message


async def test_lists_go_on_behind_a_name(service: Service) -> None:
    assert await asked(service, "LIST", f"{ROOT}?after=a&limit=7", [TENANT]) == ListTenants("a", 7)
    service.backend.asked.clear()
    assert await asked(service, "GET", f"{ROOT}?list=true", []) == ListTenants("", 100)


@pytest.mark.parametrize("limit", ["501", "-1", "99999999"])
async def test_pages_have_a_bound(service: Service, limit: str) -> None:
    answer = await service.call("LIST", f"{ROOT}?limit={limit}", "operator")
    assert (answer.status, answer.errors) == (400, ["'limit' is 1 to 500"])


async def test_all_that_is_told_of_a_vault(service: Service) -> None:
    service.backend.answers[ReadTenant] = TENANT
    answer = await service.call("GET", ONE, "operator")
    assert answer.json["data"] == {
        "vault_id": "vault_1",
        "number": 9,
        "state": "leaving",
        "created_time": "2027-01-15T08:00:00Z",
        "last_used": "",
        "seal": {"type": "shamir", "t": 2, "n": 3},
        "counts": dict.fromkeys(KINDS, 1),
        "limits": dict.fromkeys(KINDS, 5),
        "own_limits": ["keys"],
        "rate_limit": {"rate": 2, "interval": 60, "block_interval": 0, "group_by": "none"},
        "measured": {"time": "2027-01-15T08:00:00Z", "records": 10, "bytes": 1000},
        "deletion": {
            "asked_time": "2027-01-15T08:00:00Z",
            "due_time": "2027-01-16T08:00:00Z",
            "asked_by": "orga_1",
            "begun": False,
            "removed": 0,
        },
    }


async def test_limits_arrive(service: Service) -> None:
    body = {"max_secrets": "10", "max_keys": "default", "max_bytes": 0, "rate": 5, "interval": "1m"}
    message = await asked(service, "POST", ONE, TENANT, body)
    rate = RateLimit("", 5.0, 60, group_by=TOGETHER)
    assert message == GrantTenant("vault_1", {"secrets": 10, "keys": None, "bytes": 0}, rate)
    service.backend.asked.clear()
    assert await asked(service, "POST", ONE, TENANT, {"lift_rate": True}) == GrantTenant("vault_1", {}, lift=True)


@pytest.mark.parametrize(
    "body",
    [
        {"max_keys": -1},
        {"max_keys": "many"},
        {"interval": 5},
        {"rate": "x"},
        {"rate": 5, "lift_rate": True},
    ],
)
async def test_wrong_limits_are_refused(service: Service, body: dict[str, Any]) -> None:
    assert (await service.call("POST", ONE, "operator", json=body)).status == 400
    assert service.backend.asked == []


async def test_deletions_arrive_with_who_asked(service: Service) -> None:
    message = await asked(service, "DELETE", f"{ONE}?waiting_period=2d", TENANT)
    assert (message.vault_id, message.wait) == ("vault_1", 2 * DAY)
    service.backend.asked.clear()
    assert (await asked(service, "DELETE", ONE, TENANT)).wait is None
    assert (await service.call("DELETE", f"{ONE}?waiting_period=90000h", "operator")).status == 400
    service.backend.asked.clear()
    assert await asked(service, "POST", f"{ONE}/keep", TENANT) == KeepTenant("vault_1")
    service.backend.asked.clear()
    assert await asked(service, "POST", f"{ONE}/seal") == SealTenant("vault_1")


async def test_a_waiting_period_is_not_dropped_where_nobody_looks_for_it(service: Service) -> None:
    """Else a vault that was to be kept for a month is gone after the usual week."""
    answer = await service.call("DELETE", ONE, "operator", json={"waiting_period": "30d"})
    assert answer.status == 400
    assert "?waiting_period=" in answer.errors[0]
    assert service.backend.asked == []


async def test_pages_of_an_export_are_base64(service: Service) -> None:
    page = ExportedPage(9, ((b"k\0", b"v\xff"),), b"next", ((b"l", b"w"),))
    after = base64.urlsafe_b64encode(b"k").decode()
    assert await asked(service, "GET", f"{ONE}/export?after={after}", page) == ExportTenant("vault_1", b"k")
    answer = await service.call("GET", f"{ONE}/export", "operator")
    assert answer.json["data"] == {
        "number": 9,
        "entries": [["awA=", "dv8="]],
        "next": "bmV4dA==",
        "what_it_is": [["bA==", "dw=="]],
        "restored": "",
    }
    assert (await service.call("GET", f"{ONE}/export?after=%C3%A9", "operator")).status == 400


async def test_what_was_measured_is_shown_and_noted(service: Service) -> None:
    page = MeasuredPage(3, 300, {("secrets", 1): 2, ("tokens", 0): 1})
    assert await asked(service, "GET", f"{ONE}/measure", page) == MeasureTenant("vault_1")
    answer = await service.call("GET", f"{ONE}/measure", "operator")
    counts = {"secrets": {"1": 2}, "tokens": {"0": 1}}
    assert answer.json["data"] == {"records": 3, "bytes": 300, "counts": counts, "next": ""}
    service.backend.asked.clear()
    body = {"records": 3, "bytes": 300, "counts": counts}
    message = await asked(service, "POST", f"{ONE}/measure", TENANT, body)
    assert message == NoteMeasured("vault_1", 3, 300, page.counts)


@pytest.mark.parametrize(
    "counts", [{"other": {"1": 1}}, {"keys": 1}, {"keys": {"x": 1}}, {"keys": {"1": -1}}, {"keys": {"-1": 1}}]
)
async def test_counts_that_no_page_gives_are_refused(service: Service, counts: Any) -> None:
    answer = await service.call("POST", f"{ONE}/measure", "operator", json={"counts": counts})
    assert answer.status == 400
    assert "counts" in answer.errors[0]


async def test_a_vault_that_is_not_there_is_named(service: Service) -> None:
    service.backend.answers[ReadTenant] = NamedNotFound("there is no vault vault_1")
    answer = await service.call("GET", ONE, "operator")
    assert (answer.status, answer.errors) == (404, ["there is no vault vault_1"])


@pytest.mark.parametrize("token", ["root", "data", "foreign-operator", ""])
@pytest.mark.parametrize(
    ("method", "path"),
    [("LIST", ROOT), ("GET", ONE), ("POST", ONE), ("DELETE", ONE), ("POST", f"{ONE}/seal"), ("GET", f"{ONE}/export")],
)
async def test_nobody_but_the_clusters_operator_may(service: Service, token: str, method: str, path: str) -> None:
    assert (await service.call(method, path, token)).status == 403
    assert service.backend.asked == []


async def test_what_leaves_says_so(service: Service) -> None:
    service.tenant.sealed, service.tenant.erasure = True, TENANT.erasure
    answer = await service.call("GET", "/v1/toy/names/a", "data")
    assert answer.status == 503
    assert answer.errors == [
        "this vault is to be deleted at 2027-01-16T08:00:00Z; until then the operator of the cluster can keep it"
    ]
    assert (await service.call("GET", "/v1/sys/seal-status", "data")).status == 200
