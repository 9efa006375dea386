"""Routes of `userpass`: from requests to messages, and from answers to what clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.login.parameters import TokenParameters
from kms_actors.login.userpass import DeleteUser, ListUsers, LoginUser, ReadUser, User, WriteUser
from kms_actors.messages import Grants
from tests.http.api.login.conftest import AUTH, GIVEN, MountLogins

if TYPE_CHECKING:
    from tests.http.conftest import Service


@pytest.fixture
def users(mount_logins: MountLogins) -> Service:
    return mount_logins("userpass")


async def test_a_login_needs_no_token_and_names_are_lower_case(users: Service) -> None:
    users.tenant.answers[LoginUser] = GIVEN
    for token in ("", "root", "made-up"):
        answer = await users.call("POST", "/v1/auth/in/login/Ann", token, json={"password": "pw"})
        assert (answer.status, answer.json["auth"], answer.json["warnings"]) == (200, AUTH, ["a warning"])
    assert users.tenant.asked == [LoginUser(9, "auth/in/login/Ann", "127.0.0.1", "ann", "pw")] * 3


@pytest.mark.parametrize("body", [{}, {"password": ""}, {"password": None}])
async def test_a_login_needs_a_password(users: Service, body: Any) -> None:
    answer = await users.call("POST", "/v1/auth/in/login/ann", json=body)
    assert (answer.status, answer.errors) == (400, ["missing password"])


async def test_a_user_is_written(users: Service) -> None:
    body = {"password": "pw", "token_ttl": "1h", "policies": "a,b", "token_policies": ["c"], "ttl": 5}
    answer = await users.call("POST", "/v1/auth/in/users/Ann", "root", json=body)
    assert answer.status == 204
    sent = {"token_policies": ("c",), "token_ttl": 3600}
    assert users.tenant.asked == [WriteUser(9, "ann", sent, "pw", ("token_policies", "token_ttl"), Grants())]


async def test_a_user_is_read(users: Service) -> None:
    users.tenant.answers[ReadUser] = User(
        password="$argon2id$x", parameters=TokenParameters(ttl=5, policies=("a",)), spelled=("token_policies",)
    )
    answer = await users.call("GET", "/v1/auth/in/users/Ann", "root")
    assert users.tenant.asked == [ReadUser(9, "ann")]
    assert answer.json["data"] == {
        "policies": ["a"],
        "token_bound_cidrs": [],
        "token_explicit_max_ttl": 0,
        "token_max_ttl": 0,
        "token_no_default_policy": False,
        "token_num_uses": 0,
        "token_period": 0,
        "token_policies": ["a"],
        "token_strictly_bind_ip": False,
        "token_ttl": 5,
        "token_type": "default",
    }
    assert b"argon2" not in answer.body


async def test_passwords_and_policies_are_set_by_themselves(users: Service) -> None:
    await users.call("POST", "/v1/auth/in/users/ann/password", "root", json={"password": "pw"})
    await users.call("POST", "/v1/auth/in/users/ann/policies", "root", json={"policies": "a"})
    assert users.tenant.asked == [
        WriteUser(9, "ann", {}, "pw", must_exist=True),
        WriteUser(9, "ann", {"token_policies": ("a",)}, spelled=("token_policies",), must_exist=True),
    ]


async def test_users_are_listed_and_deleted(users: Service) -> None:
    users.tenant.answers[ListUsers] = ["ann", "bob"]
    answer = await users.call("LIST", "/v1/auth/in/users?after=a&limit=2", "root")
    assert answer.json["data"] == {"keys": ["ann", "bob"]}
    assert (await users.call("DELETE", "/v1/auth/in/users/ann", "root")).status == 204
    assert users.tenant.asked == [ListUsers(9, "a", 2), DeleteUser(9, "ann")]


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (
            "users/ann",
            {"password": "a", "password_hash": "b"},
            "only one of password or password_hash may be provided",
        ),
        ("users/ann", {"password_hash": "b"}, "password_hash: hashes that another server made are not taken"),
        ("users/ann/password", {}, "must provide either password or password_hash"),
        ("users/ann", {"token_ttl": "x"}, 'error converting input for field "token_ttl"'),
        ("users/ann", {"token_policies": "a," * 99_000}, 'error converting input for field "token_policies"'),
    ],
)
async def test_what_is_wrong_is_said(users: Service, path: str, body: Any, text: str) -> None:
    answer = await users.call("POST", f"/v1/auth/in/{path}", "root", json=body)
    assert answer.status == 400
    assert answer.errors[0].startswith(text)
    assert users.tenant.asked == []


@pytest.mark.parametrize("path", ["users", "users/ann", "users/ann/password", "users/ann/policies"])
@pytest.mark.parametrize("token", ["", "data", "made-up"])
async def test_users_are_kept_by_those_who_may_all(users: Service, path: str, token: str) -> None:
    for method in ("GET", "LIST", "POST", "DELETE"):
        answer = await users.call(method, f"/v1/auth/in/{path}", token, json={} if method == "POST" else None)
        assert answer.status in (403, 404, 405)
    assert users.tenant.asked == []
