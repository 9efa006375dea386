from __future__ import annotations

from typing import Any

import pytest

from kms_actors.errors import FormatError, InvalidRequest
from kms_actors.login.jwt_algorithms import ALGORITHMS
from kms_actors.login.jwt_config import JwtConfig, configured
from kms_actors.login.jwt_role import MAX_ENTRIES, MAX_LEEWAY, JwtRole, check_audience_is_bound, written
from kms_actors.login.parameters import TokenParameters
from tests.support.jwt import Signer

PEM = Signer.make("RS256").pem
KEYS = {"jwt_validation_pubkeys": (PEM,)}
FLOW = {"oidc_discovery_url": "https://i", "oidc_client_id": "a", "oidc_client_secret": "b"}
ONE = "exactly one of 'jwt_validation_pubkeys', 'jwks_url' or 'oidc_discovery_url' must be set"
DAY = 24 * 3600


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({}, ONE),
        ({**KEYS, "jwks_url": "https://x"}, ONE),
        ({"jwt_validation_pubkeys": ("x",)}, "error parsing public key: not a public key or certificate in PEM"),
        ({"jwt_validation_pubkeys": (PEM,) * 33}, "jwt_validation_pubkeys: at most 32 keys"),
        ({**KEYS, "oidc_client_id": "a"}, "both 'oidc_client_id' and 'oidc_client_secret' must be set for OIDC"),
        ({**KEYS, "oidc_client_id": "a", "oidc_client_secret": "b"}, "'oidc_discovery_url' must be set for OIDC"),
        ({**KEYS, "jwt_supported_algs": ("HS256",)}, "invalid jwt_supported_algs: unsupported signing algorithm"),
        ({**KEYS, "jwt_supported_algs": ("none",)}, "invalid jwt_supported_algs: unsupported signing algorithm"),
        ({**KEYS, "oidc_response_types": ("x",)}, "invalid response_types. 'code' and 'id_token' are allowed"),
        ({**KEYS, "oidc_response_mode": "x"}, "invalid response_mode"),
        (
            {**KEYS, "oidc_response_types": ("id_token",)},
            "query response_mode may not be used with an id_token response_type",
        ),
        (
            {"oidc_discovery_url": "https://i/.well-known/openid-configuration"},
            "'oidc_discovery_url' contains '.well-known' component",
        ),
        ({"jwks_url": "https://x", "jwks_ca_pem": "x"}, "error checking jwks_ca_pem: not certificates in PEM"),
        ({**KEYS, "bound_issuer": "x" * 70_000}, "the configuration takes more than 65536 bytes"),
    ],
)
def test_configurations_that_are_none(sent: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        configured(None, sent)
    assert str(refused.value) == text


def test_a_configuration_is_replaced_whole_but_where_the_namespace_goes() -> None:
    before = configured(None, {**KEYS, "bound_issuer": "i", "namespace_in_state": False})
    after = configured(before, {"jwks_url": "https://x"})
    assert after == JwtConfig(jwks_url="https://x", namespace_in_state=False)
    assert JwtConfig.decode(after.encode()) == after
    with pytest.raises(FormatError):
        JwtConfig.decode(b'{"format":2}')


def test_which_algorithms_count_where_none_are_named() -> None:
    assert set(configured(None, KEYS).algorithms) == set(ALGORITHMS)
    assert configured(None, KEYS).flow_algorithms == ("RS256",)
    one = configured(None, {**FLOW, "jwt_supported_algs": ("ES256",)})
    assert one.algorithms == one.flow_algorithms == ("ES256",)
    assert configured(None, FLOW).has_flow
    assert not configured(None, {"oidc_discovery_url": "https://i"}).has_flow


GOOD = {"role_type": "jwt", "user_claim": "sub", "bound_subject": "s"}


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({}, "a user claim must be defined on the role"),
        ({"role_type": "x"}, "invalid 'role_type'"),
        ({"role_type": "jwt"}, "a user claim must be defined on the role"),
        ({"user_claim": "sub"}, "'allowed_redirect_uris' must be set if 'role_type' is 'oidc' or unspecified."),
        (
            {"role_type": "jwt", "user_claim": "sub"},
            "must have at least one bound constraint when creating/updating a role",
        ),
        ({**GOOD, "bound_claims_type": "x"}, "invalid 'bound_claims_type'"),
        ({**GOOD, "callback_mode": "direct"}, "invalid 'callback_mode'"),
        ({**GOOD, "bound_claims_type": "glob", "bound_claims": {"a": 1}}, "bound_claims: claim is not a string"),
        (
            {**GOOD, "bound_claims_type": "glob", "bound_claims": {"a": ["b", 1]}},
            "bound_claims: claim is not a string",
        ),
        (
            {**GOOD, "bound_claims": {"a": {"b": 1}}},
            "bound_claims: claim is not a string, bool, int or list of these",
        ),
        ({**GOOD, "bound_claims": {"a": 1.5}}, "bound_claims: claim is not a string, bool, int or list of these"),
        (
            {**GOOD, "claim_mappings": {"a": "role"}},
            'claim_mappings: metadata key "role" is reserved and may not be a mapping destination',
        ),
        (
            {**GOOD, "claim_mappings": {"a": "x", "b": "x"}},
            "claim_mappings: multiple keys are mapped to one metadata key",
        ),
        ({**GOOD, "token_ttl": 10, "token_max_ttl": 5}, "'token_ttl' cannot be greater than 'token_max_ttl'"),
        ({**GOOD, "token_period": 2 * DAY}, "'period' is greater than the backend's maximum lease TTL"),
        ({**GOOD, "clock_skew_leeway": MAX_LEEWAY + 1}, f"clock_skew_leeway: at most {MAX_LEEWAY} seconds"),
        ({**GOOD, "max_age": -1}, f"max_age: at most {MAX_LEEWAY} seconds"),
        ({**GOOD, "bound_audiences": ("a",) * 257}, f"bound_audiences: at most {MAX_ENTRIES} entries"),
        ({**GOOD, "bound_claims": {"a": "x" * 70_000}}, "the role takes more than 65536 bytes"),
    ],
)
def test_roles_that_are_none(sent: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        written(None, sent, (), DAY)
    assert str(refused.value) == text


def test_what_a_request_does_not_name_stays_but_kinds_are_set_anew() -> None:
    role, _ = written(None, {**GOOD, "bound_claims": {"a": "b*"}, "bound_claims_type": "glob"}, (), DAY)
    after, _ = written(role, {"role_type": "jwt", "token_ttl": 60}, ("token_ttl",), DAY)
    assert after.bound_claims == {"a": "b*"}
    assert after.bound_claims_type == "string"
    assert after.bound_subject == "s"
    assert after.parameters == TokenParameters(ttl=60)
    assert after.spelled == ("token_ttl",)
    with pytest.raises(InvalidRequest, match="allowed_redirect_uris"):
        written(role, {"token_ttl": 60}, (), DAY)
    assert JwtRole.decode(after.encode()) == after


def test_a_lifetime_past_the_mounts_is_warned_of() -> None:
    _, warnings = written(None, {**GOOD, "token_max_ttl": 2 * DAY}, (), DAY)
    assert "will be truncated" in warnings[0]


def test_a_role_says_what_claims_prove() -> None:
    role, _ = written(
        None, {**GOOD, "claim_mappings": {"mail": "email"}, "groups_claim": "g", "token_policies": ("p",)}, (), DAY
    )
    outcome = role.outcome("r", {"sub": "anna", "mail": "a@b", "g": ["x"]})
    assert outcome.alias == outcome.display_name == "anna"
    assert outcome.metadata == outcome.alias_metadata == {"email": "a@b", "role": "r"}
    assert outcome.groups == ("x",)
    assert outcome.role == "r"
    assert outcome.parameters.policies == ("p",)
    with pytest.raises(InvalidRequest, match="failed to fetch groups"):
        role.outcome("r", {"sub": "anna"})


def test_a_token_for_somebody_needs_a_role_that_says_for_whom() -> None:
    role, _ = written(None, GOOD, (), DAY)
    check_audience_is_bound(role, {"sub": "a"})
    with pytest.raises(InvalidRequest, match="no audiences bound"):
        check_audience_is_bound(role, {"aud": "a"})
