"""Clients by month as clients of the API see them: Vault's form, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.activity.clients import NO_MOUNT, OTHER_MOUNTS
from kms_actors.activity.messages import (
    ExportClients,
    NoteBiscuit,
    ReadActivity,
    ReadActivityConfig,
    WriteActivityConfig,
)
from kms_actors.activity.records import ActivityConfig, Month, Part, SeenClient
from kms_actors.activity.usage import Usage, VaultUsage, added, months_of
from kms_actors.auth.principal import Right
from kms_actors.mounts import TOKENS_NUMBER
from kms_actors.tenancy.messages import ReadAllActivity
from tests.http.conftest import VAULT_ID, FakePrincipal

if TYPE_CHECKING:
    from tests.http.conftest import Service

ACTIVITY = "/v1/sys/internal/counters/activity"
CONFIG = "/v1/sys/internal/counters/config"
NOVEMBER = 2026 * 12 + 10
SEPTEMBER = NOVEMBER - 2
KEPT = {
    SEPTEMBER: Month((Part(0, 4, 2, 0), Part(0, NO_MOUNT, 0, 1))),
    NOVEMBER: Month((Part(SEPTEMBER, 4, 1, 0), Part(0, TOKENS_NUMBER, 0, 3), Part(0, 99, 1, 0))),
}


def usage(kept: dict[int, Month], vault_id: str = VAULT_ID, number: int = 7) -> Usage:
    months = months_of(kept, SEPTEMBER, NOVEMBER)
    return Usage(SEPTEMBER, NOVEMBER, (VaultUsage(vault_id, number, months),), months)


def counts(entities: int, others: int) -> dict[str, int]:
    return {
        "distinct_entities": entities,
        "entity_clients": entities,
        "non_entity_tokens": others,
        "non_entity_clients": others,
        "clients": entities + others,
    }


async def test_a_vault_is_told_its_clients_by_months_and_mounts(service: Service) -> None:
    service.tenant.answers[ReadActivity] = usage(KEPT)
    data = (await service.call("GET", ACTIVITY, "root")).json["data"]
    assert list(data) == ["by_namespace", "end_time", "months", "start_time", "total"]
    assert (data["start_time"], data["end_time"]) == ("2026-09-01T00:00:00Z", "2026-11-30T23:59:59Z")
    assert data["total"] == counts(3, 4)
    (space,) = data["by_namespace"]
    assert (space["namespace_id"], space["namespace_path"]) == ("7", f"{VAULT_ID}/")
    assert space["counts"] == counts(3, 4)
    assert [(each["mount_path"], each["counts"]["clients"]) for each in space["mounts"]] == [
        ("auth/token/", 3),
        ("auth/door/", 2),
        ("biscuits, by no mount", 1),
        ('deleted mount; number "99"', 1),
    ]
    september, october, november = data["months"]
    assert (september["timestamp"], september["counts"]) == ("2026-09-01T00:00:00Z", counts(2, 1))
    assert october == {
        "timestamp": "2026-10-01T00:00:00Z",
        "counts": None,
        "namespaces": None,
        "new_clients": None,
    }
    assert november["counts"] == counts(2, 3)
    assert november["new_clients"]["counts"] == counts(1, 3)
    assert november["namespaces"][0]["counts"] == counts(2, 3)
    assert november["new_clients"]["namespaces"][0]["counts"] == counts(1, 3)


async def test_a_month_without_a_new_client_says_so(service: Service) -> None:
    months = {
        SEPTEMBER: Month((Part(0, OTHER_MOUNTS, 1, 0),)),
        NOVEMBER: Month((Part(SEPTEMBER, OTHER_MOUNTS, 1, 0),)),
    }
    service.tenant.answers[ReadActivity] = usage(months)
    data = (await service.call("GET", ACTIVITY, "root")).json["data"]
    assert data["months"][-1]["new_clients"] == {"counts": None, "namespaces": None}
    assert data["months"][-1]["namespaces"][0]["mounts"][0]["mount_path"] == "other mounts"


async def test_a_vault_without_a_client_is_told_that_it_has_none(service: Service) -> None:
    service.tenant.answers[ReadActivity] = usage({})
    data = (await service.call("GET", ACTIVITY, "root")).json["data"]
    assert data["total"] == data["by_namespace"][0]["counts"] == counts(0, 0)


async def test_the_present_month_is_told_at_the_top(service: Service) -> None:
    months = months_of(KEPT, NOVEMBER, NOVEMBER)
    service.tenant.answers[ReadActivity] = Usage(NOVEMBER, NOVEMBER, (VaultUsage(VAULT_ID, 7, months),), months)
    data = (await service.call("GET", f"{ACTIVITY}/monthly", "root")).json["data"]
    assert {name: data[name] for name in counts(0, 0)} == counts(2, 3)
    assert list(data) == sorted(data)
    assert len(data["months"]) == len(data["by_namespace"]) == 1
    assert service.tenant.asked == [ReadActivity(monthly=True)]


@pytest.mark.parametrize("path", [ACTIVITY, f"{ACTIVITY}/monthly", f"{ACTIVITY}/export"])
async def test_where_nothing_is_kept_there_is_no_content(service: Service, path: str) -> None:
    service.tenant.answers[ExportClients] = (7, [])
    assert (await service.call("GET", path, "root")).status == 204


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-10-01T00:00:00Z", 1_790_812_800.0),
        ("2026-10-01T02:00:00%2B02:00", 1_790_812_800.0),
        ("1790812800", 1_790_812_800.0),
        ("-5", None),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        ("2026-10", None),
        ("2026-13-01T00:00:00Z", None),
        ("yesterday", None),
        ("99999999999999999999", None),
    ],
)
async def test_times_are_those_of_rfc_3339_or_seconds(service: Service, text: str, seconds: float | None) -> None:
    answer = await service.call("GET", f"{ACTIVITY}?start_time={text}&end_time=9", "root")
    if seconds is None:
        assert answer.status == 400
        assert text[:10] not in answer.errors[0] or not text
    else:
        assert service.tenant.asked == [ReadActivity(seconds, 9.0)]


async def test_the_clusters_operator_sees_vaults_and_no_mounts(service: Service) -> None:
    one, other = usage(KEPT), usage({NOVEMBER: Month((Part(0, 4, 1, 1),))}, "vault_b", 8)
    months = added(one.months, other.months)
    found = Usage(SEPTEMBER, NOVEMBER, (*one.vaults, *other.vaults), months, left_out=3)
    service.backend.answers[ReadAllActivity] = found
    answer = (await service.call("GET", f"{ACTIVITY}?limit_namespaces=1", "operator")).json
    data = answer["data"]
    (space,) = data["by_namespace"]
    assert (space["namespace_path"], space["mounts"]) == (f"{VAULT_ID}/", [])
    assert data["total"] == counts(4, 5)
    assert (data["months"][-1]["counts"], data["months"][-1]["namespaces"]) == (counts(3, 4), [])
    assert "3 more vaults" in answer["warnings"][0]
    assert service.backend.asked == [ReadAllActivity()]
    data = (await service.call("GET", f"{ACTIVITY}/monthly", "operator")).json["data"]
    assert len(data["by_namespace"]) == 2
    assert service.tenant.asked == []


@pytest.mark.parametrize(("method", "path"), [("GET", CONFIG), ("POST", CONFIG), ("GET", f"{ACTIVITY}/export")])
async def test_the_rest_is_a_vaults_own(service: Service, method: str, path: str) -> None:
    answer = await service.call(method, path, "operator", json={} if method == "POST" else None)
    assert answer.status == 400
    assert "a vault's own" in answer.errors[0]


async def test_a_full_month_and_a_billing_period_are_told(service: Service) -> None:
    service.tenant.answers[ReadActivity] = usage({NOVEMBER: Month((Part(0, 4, 1, 0),), full=True)})
    (warning,) = (await service.call("GET", ACTIVITY, "root")).json["warnings"]
    assert "2026-11 has more clients than the 100000" in warning
    answer = await service.call("GET", f"{ACTIVITY}?current_billing_period=true", "root")
    assert (answer.status, "no billing periods" in answer.errors[0]) == (400, True)


CLIENTS = [SeenClient("e1", True, 4, 100), SeenClient("d,1", False, NO_MOUNT, 200)]


async def test_clients_are_exported_a_line_each(service: Service) -> None:
    service.tenant.answers[ExportClients] = (7, CLIENTS)
    answer = await service.call("GET", f"{ACTIVITY}/export?start_time=5", "root")
    assert answer.headers["Content-Type"] == "application/json"
    assert [json.loads(line) for line in answer.body.splitlines()] == [
        {
            "client_id": "e1",
            "namespace_id": "7",
            "timestamp": 100,
            "non_entity": False,
            "mount_accessor": "auth_door_5678",
        },
        {"client_id": "d,1", "namespace_id": "7", "timestamp": 200, "non_entity": True, "mount_accessor": ""},
    ]
    assert service.tenant.asked == [ExportClients(5.0)]
    answer = await service.call("GET", f"{ACTIVITY}/export?format=csv", "root")
    assert answer.headers["Content-Type"] == "application/csv"
    assert answer.body.decode().splitlines() == [
        "client_id,namespace_id,timestamp,non_entity,mount_accessor",
        "e1,7,100,false,auth_door_5678",
        '"d,1",7,200,true,',
    ]
    assert (await service.call("GET", f"{ACTIVITY}/export?format=xml", "root")).status == 400


async def test_the_configuration_is_read_and_written(service: Service) -> None:
    service.tenant.answers[ReadActivityConfig] = (ActivityConfig(), {})
    assert (await service.call("GET", CONFIG, "root")).json["data"] == {
        "default_report_months": 12,
        "enabled": "default-enabled",
        "minimum_retention_months": 0,
        "queries_available": False,
        "reporting_enabled": False,
        "retention_months": 24,
    }
    service.tenant.answers[ReadActivityConfig] = (ActivityConfig("disable", 5, 3), KEPT)
    data = (await service.call("GET", CONFIG, "root")).json["data"]
    assert (data["enabled"], data["queries_available"]) == ("disable", True)
    service.tenant.answers[WriteActivityConfig] = ()
    sent: dict[str, Any] = {"enabled": "enable", "retention_months": "6", "default_report_months": 2}
    assert (await service.call("POST", CONFIG, "root", json=sent)).status == 204
    assert service.tenant.asked[-1] == WriteActivityConfig("enable", 6, 2)
    service.tenant.answers[WriteActivityConfig] = ("a warning",)
    answer = await service.call("POST", CONFIG, "root", json={})
    assert answer.json["warnings"] == ["a warning"]
    assert service.tenant.asked[-1] == WriteActivityConfig()


@pytest.mark.parametrize("path", [ACTIVITY, f"{ACTIVITY}/monthly", f"{ACTIVITY}/export", CONFIG])
async def test_users_are_not_told(service: Service, path: str) -> None:
    assert (await service.call("GET", path, "data")).status == 403


@pytest.mark.parametrize("path", ["write", "nothing"])
async def test_what_vault_has_not_either_is_not_there(service: Service, path: str) -> None:
    assert (await service.call("GET", f"{ACTIVITY}/{path}", "root")).status in {400, 404}


async def test_a_biscuit_is_noted_once_a_month_and_never_of_a_sealed_vault(service: Service) -> None:
    service.tenant.answers[ReadActivityConfig] = (ActivityConfig(), {})
    service.tenant.all_seen = False
    owned = FakePrincipal(VAULT_ID, Right.DATA, metadata={"owner": "orga_1"}, revocation_ids=("first", "last"))
    service.authenticator.principals["owned"] = owned
    await service.call("GET", "/v1/secret/data/a", "owned")
    (noted,) = [each for each in service.tenant.asked if isinstance(each, NoteBiscuit)]
    assert noted.biscuit == "last"
    assert noted.client is not None
    await service.call("GET", CONFIG, "root")
    assert service.tenant.asked[-2:] == [NoteBiscuit("r1", None), ReadActivityConfig()]
    service.tenant.all_seen = True
    service.tenant.asked.clear()
    await service.call("GET", CONFIG, "root")
    assert service.tenant.asked == [ReadActivityConfig()]
    service.tenant.all_seen = False
    service.tenant.sealed = True
    service.tenant.asked.clear()
    await service.call("GET", CONFIG, "root")
    assert not any(isinstance(each, NoteBiscuit) for each in service.tenant.asked)
