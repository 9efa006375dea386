"""Routes of `kubernetes`: from requests to messages, and from answers to what clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kms_actors.errors import LoginRefused
from kms_actors.login.kubernetes import (
    DeleteKubernetesRole,
    KubernetesConfig,
    KubernetesRole,
    ListKubernetesRoles,
    LoginOfAccount,
    ReadKubernetesConfig,
    ReadKubernetesRole,
    WriteKubernetesConfig,
    WriteKubernetesRole,
)
from kms_actors.login.parameters import TokenParameters
from kms_actors.messages import Grants
from tests.http.api.login.conftest import AUTH, GIVEN, MountLogins

if TYPE_CHECKING:
    from tests.http.conftest import Service


@pytest.fixture
def logins(mount_logins: MountLogins) -> Service:
    return mount_logins("kubernetes")


async def test_a_login_needs_no_token_and_is_told_why_it_is_refused(logins: Service) -> None:
    logins.tenant.answers[LoginOfAccount] = GIVEN
    answer = await logins.call("POST", "/v1/auth/in/login", json={"role": "App", "jwt": "a.b.c"})
    assert (answer.status, answer.json["auth"]) == (200, AUTH)
    assert logins.tenant.asked == [LoginOfAccount(9, "auth/in/login", "127.0.0.1", "app", "a.b.c")]
    logins.tenant.answers[LoginOfAccount] = LoginRefused("namespace not authorized")
    answer = await logins.call("POST", "/v1/auth/in/login", json={"role": "App", "jwt": "a.b.c"})
    assert (answer.status, answer.errors) == (403, ["namespace not authorized"])


async def test_a_configuration_is_written_and_read_without_its_secret(logins: Service) -> None:
    body = {"kubernetes_host": "https://k", "token_reviewer_jwt": "canary", "disable_iss_validation": "false"}
    assert (await logins.call("PUT", "/v1/auth/in/config", "root", json=body)).status == 204
    sent = {"kubernetes_host": "https://k", "token_reviewer_jwt": "canary", "disable_iss_validation": False}
    assert logins.tenant.asked == [WriteKubernetesConfig(9, sent)]
    logins.tenant.answers[ReadKubernetesConfig] = KubernetesConfig(kubernetes_host="k", token_reviewer_jwt="canary")
    answer = await logins.call("GET", "/v1/auth/in/config", "root")
    assert b"canary" not in answer.body
    assert answer.json["data"] == {
        "disable_iss_validation": True,
        "disable_local_ca_jwt": False,
        "issuer": "",
        "kubernetes_ca_cert": "",
        "kubernetes_host": "k",
        "pem_keys": [],
        "token_reviewer_jwt_set": True,
    }


async def test_a_role_is_written_and_read(logins: Service) -> None:
    logins.tenant.answers[WriteKubernetesRole] = ()
    body = {"bound_service_account_names": "a,b", "bound_service_account_namespaces": ["c"], "ttl": "1h"}
    assert (await logins.call("POST", "/v1/auth/in/role/App", "root", json=body)).status == 204
    sent = {
        "bound_service_account_names": ("a", "b"),
        "bound_service_account_namespaces": ("c",),
        "token_ttl": 3600,
    }
    assert logins.tenant.asked == [WriteKubernetesRole(9, "app", sent, ("token_ttl",), Grants())]
    logins.tenant.answers[ReadKubernetesRole] = KubernetesRole(
        bound_service_account_names=("a",),
        bound_service_account_namespaces=("c",),
        audience="x",
        parameters=TokenParameters(ttl=5),
    )
    assert (await logins.call("GET", "/v1/auth/in/role/App", "root")).json["data"] == {
        "alias_name_source": "serviceaccount_uid",
        "audience": "x",
        "bound_service_account_names": ["a"],
        "bound_service_account_namespace_selector": "",
        "bound_service_account_namespaces": ["c"],
        "token_bound_cidrs": [],
        "token_explicit_max_ttl": 0,
        "token_max_ttl": 0,
        "token_no_default_policy": False,
        "token_num_uses": 0,
        "token_period": 0,
        "token_policies": [],
        "token_strictly_bind_ip": False,
        "token_ttl": 5,
        "token_type": "default",
    }
    refused = {"bound_service_account_namespace_selector": '{"matchLabels":{"a":"b"}}'}
    answer = await logins.call("POST", "/v1/auth/in/role/App", "root", json=refused)
    assert answer.status == 400
    assert answer.errors[0].startswith("bound_service_account_namespace_selector: ")


async def test_roles_are_listed_and_taken_away(logins: Service) -> None:
    logins.tenant.answers[ListKubernetesRoles] = ["a"]
    assert (await logins.call("LIST", "/v1/auth/in/role?limit=2", "root")).json["data"] == {"keys": ["a"]}
    assert (await logins.call("DELETE", "/v1/auth/in/role/A", "root")).status == 204
    assert logins.tenant.asked == [ListKubernetesRoles(9, "", 2), DeleteKubernetesRole(9, "a")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "config"),
        ("POST", "config"),
        ("LIST", "role"),
        ("GET", "role/r"),
        ("POST", "role/r"),
        ("DELETE", "role/r"),
    ],
)
async def test_only_administrators_say_who_may_log_in(logins: Service, method: str, path: str) -> None:
    for token in ("", "data"):
        answer = await logins.call(method, f"/v1/auth/in/{path}", token, json={} if method == "POST" else None)
        assert answer.status == 403
    assert not logins.tenant.asked
