from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_compact import parse
from kms_actors.login.jwt_config import JwtConfig
from kms_actors.login.jwt_issuer import Issuer
from kms_actors.login.jwt_role import JwtRole
from kms_actors.login.oidc_requests import OidcRequest
from kms_actors.login.oidc_tokens import (
    Client,
    check_access_token,
    check_id_token,
    known_of,
    read_exchanged,
    token_request,
    with_user_info,
)
from tests.support.jwt import Signer, b64

NOW = 1_000_000.0
CONFIG = JwtConfig(oidc_discovery_url="https://i", oidc_client_id="me & co", oidc_client_secret="a:b")
CLIENT = Client(CONFIG, Issuer("https://i", "https://i/keys"))
REQUEST = OidcRequest(state="st_1", role="r", redirect_uri="u", nonce="n_1", verifier="v", ends=NOW + 1)
CLAIMS = {"iss": "https://i", "sub": "anna", "aud": "me & co", "exp": NOW + 1, "iat": NOW, "nonce": "n_1"}


def refused(claims: dict[str, Any], role: JwtRole) -> str:
    try:
        check_id_token(claims, CLIENT, role, REQUEST, NOW)
    except InvalidRequest as error:
        return str(error)
    return ""


NONE = JwtRole()
NONCE = "invalid ID token nonce."


@pytest.mark.parametrize(
    ("changes", "role", "text"),
    [
        ({}, NONE, ""),
        ({"iss": "https://i/"}, NONE, "invalid issuer (iss) claim"),
        ({"aud": "other"}, NONE, "invalid audience (aud) claim: not of this client"),
        ({"aud": ["me & co", "x"]}, NONE, "invalid authorized party (azp) claim"),
        ({"aud": ["me & co", "x"], "azp": "me & co"}, NONE, ""),
        ({"azp": "other"}, NONE, "invalid authorized party (azp) claim"),
        (
            {},
            JwtRole(bound_audiences=("x",)),
            "invalid audience (aud) claim: audience claim does not match any expected audience",
        ),
        ({"aud": ["me & co", "x"], "azp": "me & co"}, JwtRole(bound_audiences=("x",)), ""),
        ({"nonce": "n_2"}, NONE, NONCE),
        ({"nonce": None}, NONE, NONCE),
        ({"nonce": ["n_1"]}, NONE, NONCE),
        ({"exp": NOW}, NONE, "invalid expiration time (exp) claim: token is expired"),
        ({"exp": None}, NONE, "claim exp is missing, or not a number of seconds"),
        ({"exp": 1 << 70}, NONE, "invalid expiration time (exp) claim: token is expired"),
        ({"iat": NOW + 61}, NONE, "invalid issued at (iat) claim: token issued in the future"),
        ({"iat": None}, NONE, "claim iat is missing, or not a number of seconds"),
        ({"nbf": NOW + 61}, NONE, "invalid not before (nbf) claim: token not yet valid"),
        ({"nbf": NOW + 59}, NONE, ""),
        ({}, JwtRole(max_age=10), "claim auth_time is missing, or not a number of seconds"),
        ({"auth_time": NOW - 69}, JwtRole(max_age=10), ""),
        (
            {"auth_time": NOW - 71},
            JwtRole(max_age=10),
            "invalid authentication time (auth_time) claim: too long ago",
        ),
        ({}, JwtRole(bound_subject="bob"), "sub claim does not match bound subject"),
        ({}, JwtRole(bound_subject="anna"), ""),
    ],
)
def test_an_id_token_is_of_this_client_this_request_and_this_moment(
    changes: dict[str, Any], role: JwtRole, text: str
) -> None:
    assert refused({**CLAIMS, **changes}, role) == text


@pytest.mark.parametrize(("algorithm", "digest"), [("ES256", "sha256"), ("ES384", "sha384"), ("EdDSA", "sha512")])
def test_an_access_token_is_the_one_that_the_id_token_says(algorithm: str, digest: str) -> None:
    token = parse(Signer.make(algorithm).sign({}))
    whole = hashlib.new(digest, b"access").digest()
    claims = {"at_hash": b64(whole[: len(whole) // 2])}
    check_access_token(claims, token, "access")
    check_access_token({}, token, "access")
    with pytest.raises(InvalidRequest, match="at_hash"):
        check_access_token(claims, token, "other")


def test_a_code_is_traded_with_the_secret_of_the_client() -> None:
    fields, headers = token_request(CLIENT, REQUEST, "c")
    assert fields == {"grant_type": "authorization_code", "code": "c", "redirect_uri": "u", "code_verifier": "v"}
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me%20%26%20co:a%3Ab"
    fields, headers = token_request(
        Client(CONFIG, Issuer("https://i", "k", basic_authentication=False)), REQUEST, "c"
    )
    assert (fields["client_id"], fields["client_secret"]) == ("me & co", "a:b")
    assert not headers


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id_token":1}', b'{"id_token":"x","access_token":2}'])
def test_an_answer_without_an_id_token_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_exchanged(body)


def test_userinfo_adds_to_what_is_known_of_the_same_subject_and_nothing_that_was_signed() -> None:
    body = b'{"sub":"anna","email":"a@b","iss":"evil","aud":"evil","exp":1}'
    assert with_user_info(CLAIMS, body) == {**CLAIMS, "email": "a@b"}
    for other in (b'{"sub":"bob"}', b"{}", b"[]", b'{"sub":null}'):
        with pytest.raises(InvalidRequest):
            with_user_info(CLAIMS, other)
    with pytest.raises(InvalidRequest):
        with_user_info({}, b"{}")
    assert "nonce" not in known_of(CLAIMS)
