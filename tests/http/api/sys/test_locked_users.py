from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.login.messages import ReadLockedNames, UnlockName
from kms_actors.mounts import Mount, MountTable

if TYPE_CHECKING:
    from tests.http.conftest import Service


@pytest.fixture
def locked(service: Service) -> Service:
    service.tenant.mounts = MountTable(
        [
            Mount("auth/apps/", "approle", 7, "u", "auth_approle_7"),
            Mount("auth/people/", "userpass", 8, "u", "auth_userpass_8"),
            Mount("auth/tokens/", "jwt", 9, "u", "auth_jwt_9"),
        ]
    )
    service.tenant.answers[ReadLockedNames] = {7: [], 8: ["ann", "bob"]}
    return service


async def ask(service: Service, query: str = "") -> Any:
    answer = await service.call("GET", f"/v1/sys/locked-users{query}", "root")
    return answer.json["data"]


async def test_names_are_told_by_mount(locked: Service) -> None:
    assert await ask(locked) == {
        "by_namespace": [
            {
                "namespace_id": "root",
                "namespace_path": "",
                "counts": 2,
                "mount_accessors": [
                    {"mount_accessor": "auth_userpass_8", "counts": 2, "alias_identifiers": ["ann", "bob"]}
                ],
            }
        ],
        "total": 2,
    }
    assert locked.tenant.asked == [ReadLockedNames((7, 8))]


@pytest.mark.parametrize(("accessor", "asked"), [("auth_approle_7", (7,)), ("none", ())])
async def test_one_mount_is_told_of_in_any_case(locked: Service, accessor: str, asked: tuple[int, ...]) -> None:
    locked.tenant.answers[ReadLockedNames] = {number: [] for number in asked}
    (of_vault,) = (await ask(locked, f"?mount_accessor={accessor}"))["by_namespace"]
    assert of_vault["mount_accessors"] == [{"mount_accessor": accessor, "counts": 0, "alias_identifiers": None}]
    assert locked.tenant.asked == [ReadLockedNames(asked)]


async def test_a_name_is_unlocked(locked: Service) -> None:
    for accessor, alias in (("auth_userpass_8", "ann"), ("auth_approle_7", "a/b"), ("none", "ann")):
        answer = await locked.call("POST", f"/v1/sys/locked-users/{accessor}/unlock/{alias}", "root", json={})
        assert answer.status == 204
    assert locked.tenant.asked == [UnlockName(8, "ann"), UnlockName(7, "a/b")]


async def test_it_is_for_those_who_may_all(locked: Service) -> None:
    assert (await locked.call("GET", "/v1/sys/locked-users", "data")).status == 403
    answer = await locked.call("POST", "/v1/sys/locked-users/auth_userpass_8/unlock/ann", "data", json={})
    assert answer.status == 403
