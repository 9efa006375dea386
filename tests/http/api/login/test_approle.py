"""Routes of `approle`: from requests to messages, and from answers to what clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.errors import NamedNotFound
from kms_actors.login.approle import Role, SecretId
from kms_actors.login.approle_messages import (
    DeleteRole,
    DestroySecretId,
    ListRoles,
    ListSecretIds,
    LoginRole,
    LookUpSecretId,
    MadeSecretId,
    Missing,
    NewSecretId,
    ReadRole,
    TidySecretIds,
    WriteRole,
)
from kms_actors.login.parameters import TokenParameters
from kms_actors.messages import Grants
from kms_http.api.login.approle import ROUTES
from tests.http.api.login.conftest import AUTH, GIVEN, MountLogins

if TYPE_CHECKING:
    from tests.http.conftest import Service

ROLE = Role(
    role_id="rid",
    secret_id_num_uses=3,
    parameters=TokenParameters(ttl=5, period=7, policies=("a",), bound_cidrs=("10.0.0.0/8",)),
    spelled=("token_policies",),
)


@pytest.fixture
def roles(mount_logins: MountLogins) -> Service:
    service = mount_logins("approle")
    service.tenant.answers[ReadRole] = ROLE
    service.tenant.answers[WriteRole] = ()
    return service


async def post(service: Service, path: str, body: Any = None, token: str = "root") -> Any:
    return await service.call("POST", f"/v1/auth/in/{path}", token, json=body or {})


async def test_a_login_needs_no_token(roles: Service) -> None:
    roles.tenant.answers[LoginRole] = GIVEN
    answer = await post(roles, "login", {"role_id": "r", "secret_id": "s"}, "")
    assert (answer.status, answer.json["auth"]) == (200, AUTH)
    assert roles.tenant.asked == [LoginRole(9, "auth/in/login", "127.0.0.1", "r", "s")]
    answer = await post(roles, "login", {"secret_id": "s"}, "")
    assert (answer.status, answer.errors) == (400, ["missing role_id"])


async def test_a_role_is_written(roles: Service) -> None:
    body = {
        "role_id": "own",
        "bind_secret_id": "true",
        "secret_id_ttl": "1h",
        "secret_id_num_uses": "3",
        "bound_cidr_list": "10.0.0.0/8",
        "local_secret_ids": True,
        "policies": "a",
        "period": "1m",
        "token_ttl": 5,
    }
    assert (await post(roles, "role/App", body)).status == 204
    sent = {
        "token_policies": ("a",),
        "token_period": 60,
        "token_ttl": 5,
        "role_id": "own",
        "bind_secret_id": True,
        "secret_id_ttl": 3600,
        "secret_id_num_uses": 3,
        "secret_id_bound_cidrs": ("10.0.0.0/8",),
        "local_secret_ids": True,
    }
    assert roles.tenant.asked == [WriteRole(9, "app", sent, ("token_policies", "token_period"), Grants())]


async def test_warnings_are_told(roles: Service) -> None:
    roles.tenant.answers[WriteRole] = ("adjusted",)
    answer = await post(roles, "role/app", {"token_type": "default-batch"})
    assert (answer.status, answer.json["warnings"], answer.json["data"]) == (200, ["adjusted"], None)


async def test_a_role_is_read(roles: Service) -> None:
    answer = await roles.call("GET", "/v1/auth/in/role/App", "root")
    assert roles.tenant.asked == [ReadRole(9, "app")]
    assert answer.json["data"] == {
        "bind_secret_id": True,
        "local_secret_ids": False,
        "policies": ["a"],
        "secret_id_bound_cidrs": None,
        "secret_id_num_uses": 3,
        "secret_id_ttl": 0,
        "token_bound_cidrs": ["10.0.0.0/8"],
        "token_explicit_max_ttl": 0,
        "token_max_ttl": 0,
        "token_no_default_policy": False,
        "token_num_uses": 0,
        "token_period": 7,
        "token_policies": ["a"],
        "token_strictly_bind_ip": False,
        "token_ttl": 5,
        "token_type": "default",
    }


SINGLES: list[tuple[str, Any, Any, Any, Any]] = [
    ("policies", {"policies": "b"}, {"token_policies": ("b",)}, {"policies": ["a"], "token_policies": ["a"]}, ()),
    ("period", {"period": 9}, {"token_period": 9}, {"token_period": 7}, 0),
    ("token-ttl", {"token_ttl": 9}, {"token_ttl": 9}, {"token_ttl": 5}, 0),
    ("token-max-ttl", {"token_max_ttl": 9}, {"token_max_ttl": 9}, {"token_max_ttl": 0}, 0),
    ("token-num-uses", {"token_num_uses": 9}, {"token_num_uses": 9}, {"token_num_uses": 0}, 0),
    (
        "token-bound-cidrs",
        {"token_bound_cidrs": "1.1.1.1"},
        {"token_bound_cidrs": ("1.1.1.1",)},
        {"token_bound_cidrs": ["10.0.0.0/8"]},
        (),
    ),
    ("bind-secret-id", {"bind_secret_id": False}, {"bind_secret_id": False}, {"bind_secret_id": True}, True),
    ("secret-id-num-uses", {"secret_id_num_uses": 9}, {"secret_id_num_uses": 9}, {"secret_id_num_uses": 3}, 0),
    ("secret-id-ttl", {"secret_id_ttl": 9}, {"secret_id_ttl": 9}, {"secret_id_ttl": 0}, 0),
    (
        "secret-id-bound-cidrs",
        {"secret_id_bound_cidrs": "1.1.1.1/32"},
        {"secret_id_bound_cidrs": ("1.1.1.1/32",)},
        {"secret_id_bound_cidrs": None},
        (),
    ),
    (
        "bound-cidr-list",
        {"bound_cidr_list": "1.1.1.1/32"},
        {"secret_id_bound_cidrs": ("1.1.1.1/32",)},
        {"bound_cidr_list": None},
        (),
    ),
]


@pytest.mark.parametrize("single", SINGLES, ids=[single[0] for single in SINGLES])
async def test_a_field_has_a_path_of_its_own(roles: Service, single: tuple[str, Any, Any, Any, Any]) -> None:
    path, body, sent, shown, default = single
    place = f"/v1/auth/in/role/App/{path}"
    assert (await roles.call("GET", place, "root")).json["data"] == shown
    assert (await roles.call("POST", place, "root", json=body)).status == 204
    assert (await roles.call("DELETE", place, "root")).status == 204
    _, written, deleted = roles.tenant.asked
    assert (written.role, written.sent, written.missing) == ("app", sent, Missing.REFUSED)
    assert (deleted.sent, deleted.missing) == (dict.fromkeys(sent, default), Missing.IGNORED)
    answer = await roles.call("POST", place, "root", json={})
    assert answer.status == 400
    assert answer.errors[0].startswith("missing ")


async def test_role_ids(roles: Service) -> None:
    assert (await roles.call("GET", "/v1/auth/in/role/app/role-id", "root")).json["data"] == {"role_id": "rid"}
    await post(roles, "role/app/role-id", {"role_id": "own"})
    assert roles.tenant.asked[1] == WriteRole(9, "app", {"role_id": "own"}, missing=Missing.REFUSED)
    assert (await post(roles, "role/app/role-id")).errors == ["missing role_id"]
    local = await roles.call("GET", "/v1/auth/in/role/app/local-secret-ids", "root")
    assert local.json["data"] == {"local_secret_ids": False}


async def test_a_secret_id_is_made(roles: Service) -> None:
    roles.tenant.answers[NewSecretId] = MadeSecretId("s", "a", 2, 60)
    body = {"metadata": '{"x":"y"}', "cidr_list": "10.0.0.0/8", "ttl": "1m", "num_uses": 2, "secret_id": "ignored"}
    shown = {"secret_id": "s", "secret_id_accessor": "a", "secret_id_num_uses": 2, "secret_id_ttl": 60}
    sent = {"metadata": '{"x":"y"}', "cidr_list": ("10.0.0.0/8",), "ttl": 60, "num_uses": 2}
    answer = await post(roles, "role/App/secret-id", body)
    assert answer.json["data"] == shown
    assert answer.json["warnings"] == ["Endpoint ignored these unrecognized parameters: [secret_id]"]
    answer = await post(roles, "role/App/custom-secret-id", {**body, "secret_id": "own"})
    assert answer.json["data"] == shown
    assert roles.tenant.asked == [NewSecretId(9, "app", sent), NewSecretId(9, "app", sent, "own")]
    assert (await post(roles, "role/app/custom-secret-id")).errors == ["missing secret_id"]
    roles.tenant.answers[NewSecretId] = NamedNotFound('role "app" does not exist')
    answer = await post(roles, "role/app/secret-id")
    assert (answer.status, answer.errors) == (404, ['role "app" does not exist'])


async def test_a_secret_id_is_looked_up_and_destroyed(roles: Service) -> None:
    moment = 1_700_000_000 * 10**9
    roles.tenant.answers[LookUpSecretId] = SecretId(accessor="a", created=moment, updated=moment + 5, uses=1)
    for path, field in (("secret-id", "secret_id"), ("secret-id-accessor", "secret_id_accessor")):
        answer = await post(roles, f"role/app/{path}/lookup", {field: "x"})
        assert answer.json["data"] == {
            "cidr_list": [],
            "creation_time": "2023-11-14T22:13:20Z",
            "expiration_time": "0001-01-01T00:00:00Z",
            "last_updated_time": "2023-11-14T22:13:20.000000005Z",
            "metadata": {},
            "secret_id_accessor": "a",
            "secret_id_num_uses": 1,
            "secret_id_ttl": 0,
            "token_bound_cidrs": [],
        }
        assert (await post(roles, f"role/app/{path}/destroy", {field: "x"})).status == 204
        place = f"/v1/auth/in/role/app/{path}/destroy?{field}=x"
        assert (await roles.call("DELETE", place, "root")).status == 204
        for action in ("lookup", "destroy"):
            assert (await post(roles, f"role/app/{path}/{action}")).errors == [f"missing {field}"]
    by_id, by_accessor = {"secret_id": "x"}, {"accessor": "x"}
    assert roles.tenant.asked == [
        LookUpSecretId(9, "app", **by_id),
        *[DestroySecretId(9, "app", **by_id)] * 2,
        LookUpSecretId(9, "app", **by_accessor),
        *[DestroySecretId(9, "app", **by_accessor)] * 2,
    ]
    roles.tenant.answers[LookUpSecretId] = None
    assert (await post(roles, "role/app/secret-id/lookup", {"secret_id": "x"})).status == 204


async def test_lists_and_deletes(roles: Service) -> None:
    roles.tenant.answers |= {ListRoles: ["a"], ListSecretIds: ["b"]}
    assert (await roles.call("LIST", "/v1/auth/in/role?limit=1", "root")).json["data"] == {"keys": ["a"]}
    assert (await roles.call("LIST", "/v1/auth/in/role/App/secret-id", "root")).json["data"] == {"keys": ["b"]}
    assert (await roles.call("DELETE", "/v1/auth/in/role/App", "root")).status == 204
    assert roles.tenant.asked == [ListRoles(9, "", 1), ListSecretIds(9, "app"), DeleteRole(9, "app")]


async def test_tidying_begins_once(roles: Service) -> None:
    for begun, status, text in ((True, 202, "successfully started"), (False, 200, "already in progress")):
        roles.tenant.answers[TidySecretIds] = begun
        answer = await post(roles, "tidy/secret-id")
        assert answer.status == status
        assert text in answer.json["warnings"][0]


@pytest.mark.parametrize("token", ["", "data", "made-up"])
async def test_roles_are_kept_by_those_who_may_all(roles: Service, token: str) -> None:
    for route in ROUTES:
        if route.pattern == "login":
            continue
        for operation in route.operations:
            method = {"read": "GET", "list": "LIST", "write": "POST", "delete": "DELETE"}[operation.value]
            path = route.pattern.format(role_name="app")
            answer = await roles.call(method, f"/v1/auth/in/{path}", token, json={} if method == "POST" else None)
            assert answer.status == 403, path
    assert roles.tenant.asked == []
