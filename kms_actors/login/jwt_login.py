"""A login by a signed token that the caller sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_claims import check_registered
from kms_actors.login.jwt_config import JwtConfig
from kms_actors.login.jwt_role import OIDC, JwtRole, check_audience_is_bound
from kms_actors.login.messages import Login
from kms_actors.login.outcome import Outcome
from kms_actors.login.tokens import require_address


class LoginByJwt(Login, frozen=True):
    """Log in with a token of an issuer. `role` is lower-case; empty: the mount's default."""

    role: str
    jwt: str


def role_name(config: JwtConfig | None, sent: str) -> str:
    """Return the role that a login is for; raises InvalidRequest."""
    if config is None:
        raise InvalidRequest("could not load configuration")
    name = sent or config.default_role
    if not name:
        raise InvalidRequest("missing role")
    return name


def check_request(role: JwtRole | None, message: LoginByJwt) -> JwtRole:
    """Return the role, where a login may be tried at all; raises InvalidRequest and PermissionDenied."""
    if role is None:
        raise InvalidRequest("the role could not be found")
    if role.role_type == OIDC:
        raise InvalidRequest("role with oidc role_type is not allowed")
    if not message.jwt:
        raise InvalidRequest("missing token")
    require_address(role.parameters, message.client_ip)
    return role


def outcome_of(config: JwtConfig, role: JwtRole, name: str, claims: Mapping[str, Any], now: float) -> Outcome:
    """Return what the verified claims of a token prove at `now`; raises InvalidRequest."""
    try:
        check_registered(claims, role.expected(config.bound_issuer), now)
    except InvalidRequest as refused:
        raise InvalidRequest(f"error validating token: {refused}") from None
    check_audience_is_bound(role, claims)
    return role.outcome(name, claims)
