"""What a browser flow brings: an ID token of this client, this request and this moment, and what `userinfo` adds.

Source: OpenID Connect Core 1.0, sections 3.1.3 and 5.3.2.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_claims import DEFAULT_SKEW, Claims, audiences_of
from kms_actors.login.jwt_compact import Jws
from kms_actors.login.jwt_config import JwtConfig
from kms_actors.login.jwt_issuer import Issuer
from kms_actors.login.jwt_json import read_object
from kms_actors.login.jwt_role import JwtRole
from kms_actors.login.oidc_requests import OidcRequest

#: Of an ID token: what the signature is worth nothing without. The answer of `userinfo` does not replace them.
_SIGNED: Final = frozenset({"iss", "sub", "aud", "exp", "iat", "nbf", "azp", "auth_time", "at_hash", "acr", "amr"})


class Client(NamedTuple):
    """Who the mount is to an issuer."""

    config: JwtConfig
    issuer: Issuer


class Exchanged(msgspec.Struct, frozen=True):
    """What an issuer gave for a code."""

    id_token: str
    access_token: str = ""

    def __repr__(self) -> str:
        return "<Exchanged>"


def token_request(client: Client, request: OidcRequest, code: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fields and the headers that trade a code (RFC 6749, sections 2.3.1 and 4.1.3)."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": request.redirect_uri,
        "code_verifier": request.verifier,
    }
    own = (client.config.oidc_client_id, client.config.oidc_client_secret)
    if not client.issuer.basic_authentication:
        return {**fields, "client_id": own[0], "client_secret": own[1]}, {}
    words = ":".join(quote(word, safe="") for word in own)
    return fields, {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}


def read_exchanged(body: bytes) -> Exchanged:
    """Return what an answer to a traded code holds; raises InvalidRequest."""
    found = read_object(body, "answer of the issuer")
    id_token, access_token = found.get("id_token"), found.get("access_token", "")
    if not isinstance(id_token, str) or not isinstance(access_token, str):
        raise InvalidRequest("no id_token found in response")
    return Exchanged(id_token, access_token)


def check_id_token(claims: Claims, client: Client, role: JwtRole, request: OidcRequest, now: float) -> None:
    """Raise InvalidRequest unless a verified ID token is of this client, for this request, and good now."""
    audiences, own = audiences_of(claims), client.config.oidc_client_id
    if claims.get("iss") != client.issuer.name:
        raise InvalidRequest("invalid issuer (iss) claim")
    if own not in audiences:
        raise InvalidRequest("invalid audience (aud) claim: not of this client")
    if role.bound_audiences and not set(role.bound_audiences) & set(audiences):
        raise InvalidRequest("invalid audience (aud) claim: audience claim does not match any expected audience")
    party = claims.get("azp")
    if (party is not None or len(audiences) > 1) and party != own:
        raise InvalidRequest("invalid authorized party (azp) claim")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not secrets.compare_digest(nonce.encode(), request.nonce.encode()):
        raise InvalidRequest("invalid ID token nonce.")
    if _seconds(claims, "exp") <= now:
        raise InvalidRequest("invalid expiration time (exp) claim: token is expired")
    if _seconds(claims, "iat") > now + DEFAULT_SKEW:
        raise InvalidRequest("invalid issued at (iat) claim: token issued in the future")
    if "nbf" in claims and _seconds(claims, "nbf") > now + DEFAULT_SKEW:
        raise InvalidRequest("invalid not before (nbf) claim: token not yet valid")
    if role.max_age and _seconds(claims, "auth_time") + role.max_age + DEFAULT_SKEW < now:
        raise InvalidRequest("invalid authentication time (auth_time) claim: too long ago")
    if role.bound_subject and claims.get("sub") != role.bound_subject:
        raise InvalidRequest("sub claim does not match bound subject")


def check_access_token(claims: Claims, token: Jws, access_token: str) -> None:
    """Raise InvalidRequest where an ID token says of what access token it is, and that is another."""
    said = claims.get("at_hash")
    if said is None or not access_token:
        return
    name = {"256": "sha256", "384": "sha384"}.get(token.algorithm[-3:], "sha512")  # of EdDSA, that of Ed25519
    digest = hashlib.new(name, access_token.encode()).digest()
    half = digest[: len(digest) // 2]
    if said != base64.urlsafe_b64encode(half).rstrip(b"=").decode():
        raise InvalidRequest("invalid access token hash (at_hash) claim")


def with_user_info(claims: Claims, body: bytes) -> dict[str, Any]:
    """Return the claims with those that an answer of `userinfo` adds; raises InvalidRequest for somebody else's."""
    found = read_object(body, "answer of userinfo")
    if not isinstance(found.get("sub"), str) or found["sub"] != claims.get("sub"):
        raise InvalidRequest("the answer of userinfo is of another subject")
    return {**claims, **{name: value for name, value in found.items() if name not in _SIGNED}}


def known_of(claims: Claims) -> Mapping[str, Any]:
    """Return the claims that roles see: all but the nonce."""
    return {name: value for name, value in claims.items() if name != "nonce"}


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"claim {name} is missing, or not a number of seconds")
    return float(value) if abs(value) < 1e15 else 0.0
