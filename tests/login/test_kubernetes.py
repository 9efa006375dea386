from __future__ import annotations

import json
from typing import Any

import pytest

from kms_actors.errors import FormatError, InvalidRequest, LoginRefused
from kms_actors.login.jwt_json import read_object
from kms_actors.login.kubernetes import KubernetesConfig, KubernetesRole, configured, written
from kms_actors.login.kubernetes_accounts import (
    Account,
    account_of,
    check_account,
    check_claims,
    check_review,
    outcome_of,
    review_of,
)
from tests.support.jwt import Signer

PEM = Signer.make("RS256").pem
HOST = {"kubernetes_host": "https://k"}
DAY = 24 * 3600
ACCOUNT = Account("dev", "app", "u1")
GOOD = {"bound_service_account_names": ("a",), "bound_service_account_namespaces": ("b",)}


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({}, "no host provided"),
        (
            {**HOST, "disable_local_ca_jwt": True},
            "kubernetes_ca_cert must be given when disable_local_ca_jwt is true",
        ),
        ({**HOST, "pem_keys": ("x",)}, "error parsing public key: not a public key or certificate in PEM"),
        ({"pem_keys": (PEM,) * 33}, "pem_keys: at most 32 keys"),
        ({**HOST, "kubernetes_ca_cert": "x"}, "kubernetes_ca_cert: not certificates in PEM"),
        ({**HOST, "kubernetes_ca_cert": "x" * 70_000}, "the configuration takes more than 65536 bytes"),
        ({**HOST, "token_reviewer_jwt": "a\r\nX: y"}, "token_reviewer_jwt: not a token"),
    ],
)
def test_configurations_that_are_none(sent: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        configured(sent)
    assert str(refused.value) == text


def test_a_configuration_is_kept_as_it_is() -> None:
    config = configured({**HOST, "token_reviewer_jwt": "canary"})
    assert KubernetesConfig.decode(config.encode()) == config
    assert config.disable_iss_validation
    assert "canary" not in repr(config)
    with pytest.raises(FormatError):
        KubernetesConfig.decode(b'{"format":2}')


@pytest.mark.parametrize("host", ["k:6443", "https://k:6443", "https://k:6443/"])
def test_a_host_need_not_say_how(host: str) -> None:
    url = "https://k:6443/apis/authentication.k8s.io/v1/tokenreviews"
    assert configured({"kubernetes_host": host}).review_url == url


MIXED = 'can not mix "*" with values'
NO_SPACES = (
    '"bound_service_account_namespaces" can not be empty if "bound_service_account_namespace_selector" is not set'
)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({}, '"bound_service_account_names" can not be empty'),
        ({"bound_service_account_names": ("a",)}, NO_SPACES),
        ({**GOOD, "bound_service_account_names": ("a", "*")}, MIXED),
        ({**GOOD, "bound_service_account_namespaces": ("*", "a")}, MIXED),
        (
            {**GOOD, "alias_name_source": "x"},
            "invalid alias_name_source, must be one of: serviceaccount_uid, serviceaccount_name",
        ),
        ({**GOOD, "token_period": 2 * DAY}, "token period is greater than the backend's maximum lease TTL"),
        ({**GOOD, "token_ttl": 10, "token_max_ttl": 5}, "'token_ttl' cannot be greater than 'token_max_ttl'"),
        ({**GOOD, "bound_service_account_names": ("a",) * 257}, "bound_service_account_names: at most 256 entries"),
        ({**GOOD, "audience": "x" * 70_000}, "the role takes more than 65536 bytes"),
    ],
)
def test_roles_that_are_none(sent: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        written(None, sent, (), DAY)
    assert str(refused.value) == text


def test_what_a_request_does_not_name_stays() -> None:
    role, _ = written(None, {**GOOD, "audience": "x"}, (), DAY)
    after, warnings = written(role, {"token_max_ttl": 2 * DAY}, (), DAY)
    assert (after.audience, after.parameters.max_ttl) == ("x", 2 * DAY)
    assert "will be truncated" in warnings[0]
    assert KubernetesRole.decode(after.encode()) == after


def test_accounts_are_known_by_both_forms_of_tokens() -> None:
    newer = {"kubernetes.io": {"namespace": "dev", "serviceaccount": {"name": "app", "uid": "u1"}}}
    assert account_of(newer) == ACCOUNT
    prefix = "kubernetes.io/serviceaccount/"
    older = {
        f"{prefix}namespace": "dev",
        f"{prefix}service-account.name": "app",
        f"{prefix}service-account.uid": "u1",
        f"{prefix}secret.name": "s",
    }
    assert account_of(older) == Account("dev", "app", "u1", "s")
    # The newer form counts, wholly, where both are there.
    assert account_of({**older, **newer, f"{prefix}namespace": "other"}) == ACCOUNT


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"kubernetes.io": {}},
        {"kubernetes.io": {"namespace": "dev"}},
        {"kubernetes.io": {"namespace": "dev", "serviceaccount": "app"}},
        {"kubernetes.io": {"namespace": "dev", "serviceaccount": {"name": "app"}}},
        {"kubernetes.io": {"namespace": ["dev"], "serviceaccount": {"name": "app", "uid": "u"}}},
        {"kubernetes.io": {"namespace": "dev", "serviceaccount": {"name": "a" * 2000, "uid": "u"}}},
        {"sub": "system:serviceaccount:dev:app"},
    ],
)
def test_other_tokens_are_of_no_account(claims: dict[str, Any]) -> None:
    with pytest.raises(LoginRefused, match="not one of a service account"):
        account_of(claims)


@pytest.mark.parametrize(
    ("names", "spaces", "text"),
    [
        (("app",), ("dev",), ""),
        (("a*", "x"), ("*",), ""),
        (("*",), ("d*v",), ""),
        (("ap",), ("dev",), "service account name not authorized"),
        (("app",), ("prod", "de"), "namespace not authorized"),
        (("*",), ("",), "namespace not authorized"),
    ],
)
def test_a_role_lets_in_accounts_by_patterns(names: tuple[str, ...], spaces: tuple[str, ...], text: str) -> None:
    role = KubernetesRole(bound_service_account_names=names, bound_service_account_namespaces=spaces)
    if not text:
        check_account(ACCOUNT, role)
        return
    with pytest.raises(LoginRefused, match=text):
        check_account(ACCOUNT, role)


@pytest.mark.parametrize(
    ("config", "role", "claims", "good"),
    [
        ({}, {}, {}, True),
        ({}, {}, {"iss": "whoever"}, True),
        ({"disable_iss_validation": False}, {}, {"iss": "whoever"}, False),
        ({"disable_iss_validation": False}, {}, {"iss": "kubernetes/serviceaccount"}, True),
        ({"disable_iss_validation": False, "issuer": "i"}, {}, {"iss": "i"}, True),
        ({}, {"audience": "a"}, {"aud": ["b", "a"]}, True),
        ({}, {"audience": "a"}, {"aud": "b"}, False),
        ({}, {"audience": "a"}, {}, False),
        ({}, {}, {"exp": 1}, False),
    ],
)
def test_registered_claims(config: dict[str, Any], role: dict[str, Any], claims: dict[str, Any], good: bool) -> None:
    if good:
        check_claims(claims, KubernetesConfig(**config), KubernetesRole(**role), 1e6)
        return
    with pytest.raises(LoginRefused):
        check_claims(claims, KubernetesConfig(**config), KubernetesRole(**role), 1e6)


def test_a_review_asks_for_the_audience_of_the_role_or_of_the_token() -> None:
    def asked(claims: dict[str, Any], role: KubernetesRole) -> Any:
        return read_object(review_of("t", claims, role), "it")["spec"]

    assert asked({"aud": ["a", "b"]}, KubernetesRole()) == {"token": "t", "audiences": ["a", "b"]}
    assert asked({"aud": ["a", "b"]}, KubernetesRole(audience="b")) == {"token": "t", "audiences": ["b"]}
    assert asked({}, KubernetesRole()) == {"token": "t"}


GOOD_STATUS: dict[str, Any] = {
    "authenticated": True,
    "user": {"username": "system:serviceaccount:dev:app", "uid": "u1"},
    "audiences": ["a"],
}


@pytest.mark.parametrize(
    ("status", "audiences", "good"),
    [
        (GOOD_STATUS, [], True),
        (GOOD_STATUS, ["b", "a"], True),
        (GOOD_STATUS, ["b"], False),
        ({**GOOD_STATUS, "audiences": None}, ["a"], False),
        ({**GOOD_STATUS, "authenticated": False}, [], False),
        ({**GOOD_STATUS, "authenticated": "true"}, [], False),
        ({**GOOD_STATUS, "error": "x"}, [], False),
        ({**GOOD_STATUS, "user": {"username": "system:serviceaccount:dev:other", "uid": "u1"}}, [], False),
        ({**GOOD_STATUS, "user": {"username": "system:serviceaccount:dev:app", "uid": "u2"}}, [], False),
        ({**GOOD_STATUS, "user": {"username": "app", "uid": "u1"}}, [], False),
        ({**GOOD_STATUS, "user": None}, [], False),
        ({}, [], False),
        (None, [], False),
        ([], [], False),
    ],
)
def test_a_review_must_say_that_the_token_is_good_and_of_this_account(
    status: Any, audiences: list[str], good: bool
) -> None:
    body = json.dumps({"kind": "TokenReview", "status": status}).encode()
    if good:
        check_review(body, ACCOUNT, audiences)
        return
    with pytest.raises(LoginRefused):
        check_review(body, ACCOUNT, audiences)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"status":{"authenticated":true}'])
def test_what_is_no_review_says_nothing(body: bytes) -> None:
    with pytest.raises(LoginRefused):
        check_review(body, ACCOUNT, [])


def test_an_account_is_known_by_its_uid_or_its_name() -> None:
    outcome = outcome_of(Account("dev", "app", "u1", "s"), "r", KubernetesRole())
    assert (outcome.alias, outcome.display_name, outcome.role) == ("u1", "dev-app", "r")
    known = {
        "service_account_uid": "u1",
        "service_account_name": "app",
        "service_account_namespace": "dev",
        "service_account_secret_name": "s",
    }
    assert outcome.alias_metadata == known
    assert outcome.metadata == {**known, "role": "r"}
    assert outcome_of(ACCOUNT, "r", KubernetesRole(alias_name_source="serviceaccount_name")).alias == "dev/app"
