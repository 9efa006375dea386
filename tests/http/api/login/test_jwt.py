"""Routes of `jwt` and `oidc`: from requests to messages, and from answers to what clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_actors.login.jwt_config import JwtConfig, ReadJwtConfig, ShownJwtConfig, WriteJwtConfig
from kms_actors.login.jwt_login import LoginByJwt
from kms_actors.login.jwt_role import DeleteJwtRole, JwtRole, ListJwtRoles, ReadJwtRole, WriteJwtRole
from kms_actors.login.oidc_messages import BeginFlow, EndFlow, TakeForm
from kms_actors.login.parameters import TokenParameters
from kms_actors.messages import Grants
from tests.http.api.login.conftest import AUTH, GIVEN, MountLogins

if TYPE_CHECKING:
    from tests.http.conftest import Service

PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"
NO_ROLE: dict[str, Any] = {
    "allowed_redirect_uris": None,
    "bound_audiences": None,
    "bound_claims": None,
    "bound_claims_type": "string",
    "bound_subject": "",
    "callback_mode": "client",
    "claim_mappings": None,
    "clock_skew_leeway": 0,
    "expiration_leeway": 0,
    "groups_claim": "",
    "max_age": 0,
    "not_before_leeway": 0,
    "oauth2_metadata": None,
    "oidc_disable_confirmation": False,
    "oidc_scopes": None,
    "role_type": "oidc",
    "token_bound_cidrs": [],
    "token_explicit_max_ttl": 0,
    "token_max_ttl": 0,
    "token_no_default_policy": False,
    "token_num_uses": 0,
    "token_period": 0,
    "token_policies": [],
    "token_policies_template_claims": False,
    "token_strictly_bind_ip": False,
    "token_ttl": 0,
    "token_type": "default",
    "user_claim": "",
    "user_claim_json_pointer": False,
    "verbose_oidc_logging": False,
}


@pytest.fixture(params=["jwt", "oidc"])
def logins(mount_logins: MountLogins, request: pytest.FixtureRequest) -> Service:
    return mount_logins(request.param)


async def test_a_login_needs_no_token(logins: Service) -> None:
    logins.tenant.answers[LoginByJwt] = GIVEN
    for token in ("", "root", "made-up"):
        answer = await logins.call("POST", "/v1/auth/in/login", token, json={"role": "Devs", "jwt": "a.b.c"})
        assert (answer.status, answer.json["auth"]) == (200, AUTH)
    assert logins.tenant.asked == [LoginByJwt(9, "auth/in/login", "127.0.0.1", "devs", "a.b.c")] * 3


async def test_a_configuration_is_written(logins: Service) -> None:
    logins.tenant.answers[WriteJwtConfig] = ()
    body = {
        "jwt_validation_pubkeys": [PEM + "\n"],
        "jwt_supported_algs": "RS256, ES256",
        "default_role": "Devs",
        "provider_config": {},
        "nobody": 1,
    }
    answer = await logins.call("PUT", "/v1/auth/in/config", "root", json=body)
    assert answer.status == 204
    sent = {"jwt_validation_pubkeys": (PEM,), "jwt_supported_algs": ("RS256", "ES256"), "default_role": "devs"}
    assert logins.tenant.asked == [WriteJwtConfig(9, sent)]
    logins.tenant.answers[WriteJwtConfig] = ("error checking jwks URL: x",)
    body = {"jwks_url": "https://x", "skip_jwks_validation": True}
    answer = await logins.call("POST", "/v1/auth/in/config", "root", json=body)
    assert (answer.status, answer.json["warnings"]) == (200, ["error checking jwks URL: x"])
    assert logins.tenant.asked[-1] == WriteJwtConfig(9, {"jwks_url": "https://x"}, unchecked=True)


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("config", "provider_config", {"provider": "azure"}),
        ("config", "override_allowed_server_names", ["x"]),
        ("config", "jwks_pairs", [{"jwks_url": "x"}]),
        ("role/r", "verbose_oidc_logging", True),
        ("role/r", "oauth2_metadata", ["id_token"]),
        ("role/r", "token_policies_template_claims", "true"),
        ("role/r", "poll_interval", 3),
        ("role/r", "oidc_disable_confirmation", True),
    ],
)
async def test_what_is_not_honoured_is_refused_in_a_sentence(
    logins: Service, path: str, field: str, value: Any
) -> None:
    answer = await logins.call("POST", f"/v1/auth/in/{path}", "root", json={field: value})
    assert answer.status == 400
    assert answer.errors[0].startswith(f"{field}: ")
    assert not logins.tenant.asked


async def test_a_configuration_is_read_without_its_secret(logins: Service) -> None:
    config = JwtConfig(oidc_discovery_url="https://i", oidc_client_id="me", oidc_client_secret="canary")
    logins.tenant.answers[ReadJwtConfig] = ShownJwtConfig(config)
    answer = await logins.call("GET", "/v1/auth/in/config", "root")
    assert b"canary" not in answer.body
    assert answer.json["data"] == {
        "bound_issuer": "",
        "default_role": "",
        "jwks_ca_pem": "",
        "jwks_url": "",
        "jwt_supported_algs": [],
        "jwt_validation_pubkeys": [],
        "namespace_in_state": True,
        "oidc_client_id": "me",
        "oidc_discovery_ca_pem": "",
        "oidc_discovery_url": "https://i",
        "oidc_response_mode": "",
        "oidc_response_types": [],
        "override_allowed_server_names": [],
        "provider_config": {},
        "status": "valid",
    }
    logins.tenant.answers[ReadJwtConfig] = ShownJwtConfig(JwtConfig(oidc_discovery_url="https://i"), "it is away")
    answer = await logins.call("GET", "/v1/auth/in/config", "root")
    assert answer.json["data"]["status"] == "invalid"
    assert answer.json["warnings"] == ["failed to construct JWK validator: it is away"]


async def test_a_role_is_written(logins: Service) -> None:
    logins.tenant.answers[WriteJwtRole] = ()
    body = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": "a,b",
        "bound_claims": {"x": ["y", 1, True]},
        "claim_mappings": {"mail": "email"},
        "clock_skew_leeway": "-1s",
        "expiration_leeway": -1,
        "ttl": "1h",
        "policies": ["p"],
    }
    answer = await logins.call("POST", "/v1/auth/in/role/Devs", "root", json=body)
    assert answer.status == 204
    sent = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": ("a", "b"),
        "bound_claims": {"x": ["y", 1, True]},
        "claim_mappings": {"mail": "email"},
        "clock_skew_leeway": -1,
        "expiration_leeway": -1,
        "token_ttl": 3600,
        "token_policies": ("p",),
    }
    assert logins.tenant.asked == [WriteJwtRole(9, "devs", sent, ("token_policies", "token_ttl"), Grants())]
    logins.tenant.asked.clear()
    answer = await logins.call("POST", "/v1/auth/in/role/Devs", "root", json={"claim_mappings": "a=b, c=d"})
    assert logins.tenant.asked[0].sent == {"claim_mappings": {"a": "b", "c": "d"}}
    bad: tuple[dict[str, Any], ...] = (
        {"claim_mappings": "a"},
        {"bound_claims": "a"},
        {"ttl": -1},
        {"user_claim": {}},
    )
    for wrong in bad:
        assert (await logins.call("POST", "/v1/auth/in/role/r", "root", json=wrong)).status == 400


async def test_a_role_is_read(logins: Service) -> None:
    logins.tenant.answers[ReadJwtRole] = JwtRole()
    assert (await logins.call("GET", "/v1/auth/in/role/Devs", "root")).json["data"] == NO_ROLE
    assert logins.tenant.asked == [ReadJwtRole(9, "devs")]
    logins.tenant.answers[ReadJwtRole] = JwtRole(
        bound_audiences=("a",), parameters=TokenParameters(ttl=5), spelled=("token_ttl",)
    )
    data = (await logins.call("GET", "/v1/auth/in/role/Devs", "root")).json["data"]
    assert data == {**NO_ROLE, "bound_audiences": ["a"], "token_ttl": 5, "ttl": 5}


async def test_roles_are_listed_and_taken_away(logins: Service) -> None:
    logins.tenant.answers[ListJwtRoles] = ["a", "b"]
    answer = await logins.call("LIST", "/v1/auth/in/role?after=x&limit=2", "root")
    assert answer.json["data"] == {"keys": ["a", "b"]}
    assert (await logins.call("DELETE", "/v1/auth/in/role/A", "root")).status == 204
    assert logins.tenant.asked == [ListJwtRoles(9, "x", 2), DeleteJwtRole(9, "a")]


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
    """Whoever may only use a vault's data would make a role for itself that may all."""
    for token in ("", "data"):
        answer = await logins.call(method, f"/v1/auth/in/{path}", token, json={} if method == "POST" else None)
        assert answer.status == 403
    assert not logins.tenant.asked


async def test_a_flow_is_begun_and_ended(logins: Service) -> None:
    logins.tenant.answers[BeginFlow] = "https://idp/authorize?x"
    logins.tenant.answers[EndFlow] = GIVEN
    body = {"role": "Devs", "redirect_uri": "http://localhost:8250/oidc/callback", "client_nonce": "c"}
    answer = await logins.call("PUT", "/v1/auth/in/oidc/auth_url", json=body)
    assert answer.json["data"] == {"auth_url": "https://idp/authorize?x"}
    answer = await logins.call("GET", "/v1/auth/in/oidc/callback?state=s&code=c&client_nonce=n&id_token=")
    assert answer.json["auth"] == AUTH
    await logins.call("GET", "/v1/auth/in/oidc/callback?state=s&error=Access_Denied%20&state=t")
    await logins.call("POST", "/v1/auth/in/oidc/callback", json={"state": "s", "id_token": "t"})
    path, ip = "auth/in/oidc/callback", "127.0.0.1"
    assert logins.tenant.asked == [
        BeginFlow(9, "devs", "http://localhost:8250/oidc/callback", "c"),
        EndFlow(9, path, ip, "s", "c", "n"),
        EndFlow(9, path, ip, "s", error="access_denied"),
        TakeForm(9, "s", "", "t"),
    ]


async def test_a_form_is_taken_as_browsers_send_it(logins: Service) -> None:
    form = "state=s&code=a%2Fb&code=other"
    kind = "application/x-www-form-urlencoded"
    answer = await logins.call("POST", "/v1/auth/in/oidc/callback", data=form, Content_Type=kind)
    assert answer.status == 204
    assert logins.tenant.asked == [TakeForm(9, "s", "a/b")]
    answer = await logins.call("POST", "/v1/auth/in/oidc/callback", data="error=access_denied", Content_Type=kind)
    assert answer.status == 400
