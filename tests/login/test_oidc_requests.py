from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_config import JwtConfig, configured
from kms_actors.login.jwt_issuer import Issuer, document_url, read_issuer
from kms_actors.login.jwt_role import JwtRole
from kms_actors.login.oidc_requests import (
    PLACES,
    OidcRequest,
    authorization_url,
    challenge_of,
    draw,
    place_of,
    redirect_of,
)

CONFIG = JwtConfig(oidc_discovery_url="https://idp", oidc_client_id="me", oidc_client_secret="s")
ISSUER = Issuer("https://idp", "https://idp/keys", "https://idp/auth?tenant=a%20b", "https://idp/token")
URIS = ("https://app.example.com/cb", "http://localhost:8250/oidc/callback", "http://[::1]/cb")
ROLE = JwtRole(user_claim="sub", allowed_redirect_uris=URIS)


def request(**changes: str) -> OidcRequest:
    fields = {"state": "st_1", "role": "r", "redirect_uri": URIS[1], "nonce": "n_1", "verifier": "v", **changes}
    return OidcRequest(**fields, ends=100.0)  # type: ignore[arg-type]


def test_pkce_is_that_of_the_standard() -> None:
    """RFC 7636, appendix B."""
    assert (
        challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        (URIS[0], True),
        (URIS[1], True),
        ("http://localhost:9999/oidc/callback", True),
        ("http://localhost/oidc/callback", True),
        ("http://[::1]:7/cb", True),
        ("http://localhost:9999/other", False),
        ("https://localhost:8250/oidc/callback", False),
        ("http://127.0.0.1:8250/oidc/callback", False),
        ("https://app.example.com:444/cb", False),
        ("https://app.example.com/cb/", False),
        ("https://app.example.com.evil.com/cb", False),
        ("http://localhost@evil.com/oidc/callback", False),
        ("http://evil.com@localhost:1/oidc/callback", False),
        ("http://localhost:8250/oidc/callback?x=1", False),
        ("http://[::1/cb", False),
        ("x" * 3000, False),
    ],
)
def test_a_redirect_is_one_the_role_names_and_the_port_of_a_loopback_may_be_any(uri: str, allowed: bool) -> None:
    assert (redirect_of(CONFIG, ROLE, uri) is not None) is allowed


def test_a_namespace_travels_in_the_state_if_the_mount_says_so() -> None:
    assert redirect_of(CONFIG, ROLE, f"{URIS[0]}?namespace=a%2Fb") == (URIS[0], "a/b")
    url = authorization_url(CONFIG, ISSUER, ROLE, request(), "a/b")
    assert parse_qs(urlsplit(url).query)["state"] == ["st_1,ns=a/b"]
    config = configured(None, {"jwks_url": "https://x", "namespace_in_state": False})
    assert redirect_of(config, ROLE, f"{URIS[0]}?namespace=a") is None
    with pytest.raises(InvalidRequest, match="missing redirect_uri"):
        redirect_of(CONFIG, ROLE, "")


@given(st.text(max_size=60))
def test_any_redirect_is_allowed_or_not(uri: str) -> None:
    found = redirect_of(CONFIG, ROLE, uri) if uri else None
    assert found is None or found[0] in URIS or "localhost" in uri or "::1" in uri


def test_the_url_has_what_the_flow_needs() -> None:
    role = JwtRole(user_claim="sub", oidc_scopes=("openid", "profile"), max_age=60)
    parts = urlsplit(authorization_url(CONFIG, ISSUER, role, request()))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://idp/auth"
    assert parse_qs(parts.query) == {
        "tenant": ["a b"],
        "client_id": ["me"],
        "code_challenge": [challenge_of("v")],
        "code_challenge_method": ["S256"],
        "max_age": ["60"],
        "nonce": ["n_1"],
        "redirect_uri": [URIS[1]],
        "response_type": ["code"],
        "scope": ["openid profile"],
        "state": ["st_1"],
    }


def test_an_implicit_flow_asks_for_a_token_in_a_form() -> None:
    sent = {
        "oidc_discovery_url": "https://idp",
        "oidc_client_id": "me",
        "oidc_client_secret": "s",
        "oidc_response_mode": "form_post",
        "oidc_response_types": ("id_token",),
    }
    query = parse_qs(urlsplit(authorization_url(configured(None, sent), ISSUER, ROLE, request())).query)
    assert query["response_type"] == ["id_token"]
    assert query["response_mode"] == ["form_post"]
    assert "code_challenge" not in query


@pytest.mark.parametrize("endpoint", ["", "javascript:alert(1)", "/relative", "https://"])
def test_an_issuer_without_a_place_for_browsers_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidRequest):
        authorization_url(CONFIG, Issuer("https://idp", "https://idp/keys", endpoint), ROLE, request())


def test_a_request_is_good_for_its_state_and_until_its_end() -> None:
    assert request().is_good("st_1", 99.9)
    assert not request().is_good("st_1", 100.0)
    assert not request().is_good("st_2", 1.0)
    assert not request().is_good("\ud800", 1.0)


def test_what_is_drawn_is_never_the_same_and_has_a_place() -> None:
    one, other = draw(), draw()
    assert len({*one.states, *other.states}) == len(one.states) + len(other.states)
    assert one.nonce != other.nonce
    assert one.verifier != other.verifier
    assert 43 <= len(one.verifier) <= 128
    assert all(0 <= place_of(state) < PLACES for state in one.states)
    assert 0 <= place_of("\ud800") < PLACES


def test_secrets_are_not_shown() -> None:
    assert "v" not in repr(request(verifier="vvvvv")).replace("OidcRequest", "")
    assert repr(draw()) == "<Drawn>"
    assert repr(CONFIG) == "<JwtConfig>"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"{}", "another"),
        (b'{"issuer":"https://other","jwks_uri":"https://idp/keys"}', "another"),
        (b'{"issuer":"https://idp/","jwks_uri":"https://idp/keys"}', "another"),
        (b'{"issuer":"https://idp"}', "where its keys are"),
        (b'{"issuer":"https://idp","jwks_uri":3}', "where its keys are"),
        (b"[]", "not a JSON object"),
    ],
)
def test_a_document_must_be_of_the_issuer(text: bytes, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        read_issuer(text, "https://idp")


def test_a_document_says_where_things_are() -> None:
    issuer = read_issuer(
        b'{"issuer":"https://idp","jwks_uri":"https://idp/k","token_endpoint_auth_methods_supported":["client_secret_post"]}',
        "https://idp",
    )
    assert issuer == Issuer("https://idp", "https://idp/k", basic_authentication=False)
    assert (
        document_url("https://idp/") == document_url("https://idp") == "https://idp/.well-known/openid-configuration"
    )
