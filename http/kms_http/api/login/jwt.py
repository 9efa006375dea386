"""Logins by signed tokens: configuration, roles, tokens that callers send, and the browser flow.

Source: Vault's API page `auth/jwt`, and what its reference answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.login.jwt_config import ReadJwtConfig, ShownJwtConfig, WriteJwtConfig
from kms_actors.login.jwt_login import LoginByJwt
from kms_actors.login.jwt_role import DeleteJwtRole, JwtRole, ListJwtRoles, ReadJwtRole, WriteJwtRole
from kms_actors.login.oidc_messages import BeginFlow, EndFlow, TakeForm
from kms_actors.messages import Message
from kms_http.api.login.fields import TOKEN_FIELDS, older_fields, shown_parameters, to_names, token_values
from kms_http.api.login.refusing import RefusingFields
from kms_http.api.login.replies import listing, logged_in, login, mount_number, no_content
from kms_http.fields import Fields, WrongType, silent_null, to_bool, to_duration, to_map, to_str
from kms_http.routing import (
    ANY_RIGHT,
    EXISTENCE,
    NO_FIELDS,
    TENANT_ADMIN,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
    spelled,
)

_SECOND: Final = 10**9

#: Older names of fields, as clients still send them.
OLDER: Final[Mapping[str, str]] = {
    "policies": "token_policies",
    "ttl": "token_ttl",
    "max_ttl": "token_max_ttl",
    "period": "token_period",
    "num_uses": "token_num_uses",
    "bound_cidrs": "token_bound_cidrs",
}


def to_name(value: Any) -> str:
    """Return a text in lower case."""
    return to_str(value).lower()


@silent_null
def to_leeway(value: Any) -> int:
    """Durations, cut to whole seconds, which may be below zero."""
    return int(to_duration(value) / _SECOND)


def to_text_pairs(value: Any) -> dict[str, str]:
    """Objects of texts, or texts `name=value`."""
    if isinstance(value, str | list):
        pairs = [pair.partition("=") for pair in to_names(value) if pair]
        if not all(equals for _, equals, _ in pairs):
            raise WrongType("invalid key pair: name=value is needed")
        return {name.strip(): text.strip() for name, _, text in pairs}
    return {name: to_str(text) for name, text in to_map(value).items()}


_CONFIG: Final = RefusingFields(
    {
        "jwt_validation_pubkeys": to_names,
        "jwks_url": to_str,
        "jwks_ca_pem": to_str,
        "oidc_discovery_url": to_str,
        "oidc_discovery_ca_pem": to_str,
        "oidc_client_id": to_str,
        "oidc_client_secret": to_str,
        "oidc_response_mode": to_str,
        "oidc_response_types": to_names,
        "bound_issuer": to_str,
        "jwt_supported_algs": to_names,
        "default_role": to_name,
        "namespace_in_state": to_bool,
        "skip_jwks_validation": to_bool,
    },
    {
        "provider_config": "there are no providers with an interface of their own: what a token says is all",
        "override_allowed_server_names": "a certificate must be of the host that the URL names",
        "jwks_pairs": "a mount has one key set: mount the method once for each",
    },
)

_ROLE: Final = RefusingFields(
    {
        "role_type": to_str,
        "user_claim": to_str,
        "user_claim_json_pointer": to_bool,
        "groups_claim": to_str,
        "bound_audiences": to_names,
        "bound_subject": to_str,
        "bound_claims": to_map,
        "bound_claims_type": to_str,
        "claim_mappings": to_text_pairs,
        "expiration_leeway": to_leeway,
        "not_before_leeway": to_leeway,
        "clock_skew_leeway": to_leeway,
        "allowed_redirect_uris": to_names,
        "oidc_scopes": to_names,
        "callback_mode": to_str,
        "max_age": to_leeway,
        **TOKEN_FIELDS,
        **older_fields(OLDER),
    },
    {
        "verbose_oidc_logging": "tokens and claims are not logged",
        "oauth2_metadata": "tokens of the issuer are not kept in a token's metadata",
        "token_policies_template_claims": "policies are named, or come by groups (groups_claim)",
        "poll_interval": "there is no device flow, and no callback to the server",
        "oidc_disable_confirmation": "there is no callback to the server",
    },
    existence_checked=True,
)


def warned(_: Call, found: tuple[str, ...]) -> Reply:
    """Return the answer to what changes something, and warns of something or nothing."""
    return Reply(warnings=found) if found else Reply(status=204)


def _read_config(call: Call) -> Message:
    return ReadJwtConfig(mount_number(call))


def _write_config(call: Call) -> Message:
    sent = dict(call.values)
    unchecked = sent.pop("skip_jwks_validation", False)
    return WriteJwtConfig(mount_number(call), sent, unchecked)


def _show_config(_: Call, found: ShownJwtConfig) -> Reply:
    config = found.config
    data = {
        "bound_issuer": config.bound_issuer,
        "default_role": config.default_role,
        "jwks_ca_pem": config.jwks_ca_pem,
        "jwks_url": config.jwks_url,
        "jwt_supported_algs": list(config.jwt_supported_algs),
        "jwt_validation_pubkeys": list(config.jwt_validation_pubkeys),
        "namespace_in_state": config.namespace_in_state,
        "oidc_client_id": config.oidc_client_id,
        "oidc_discovery_ca_pem": config.oidc_discovery_ca_pem,
        "oidc_discovery_url": config.oidc_discovery_url,
        "oidc_response_mode": config.oidc_response_mode,
        "oidc_response_types": list(config.oidc_response_types),
        "override_allowed_server_names": [],
        "provider_config": {},
        "status": "invalid" if found.problem else "valid",
    }
    warnings = (f"failed to construct JWK validator: {found.problem}",) if found.problem else ()
    return Reply(data=data, warnings=warnings)


def _role_name(call: Call) -> str:
    return call.captures["name"].lower()


def _write_role(call: Call) -> Message:
    tokens = token_values(call.values, OLDER)
    own = {name: value for name, value in call.values.items() if name not in OLDER}
    return WriteJwtRole(mount_number(call), _role_name(call), own | tokens.values, tokens.older, call.grants)


def _list_roles(call: Call) -> Message:
    return ListJwtRoles(mount_number(call), call.values.get("after", ""), max(0, call.values.get("limit", 0)))


def _read_role(call: Call) -> Message:
    return ReadJwtRole(mount_number(call), _role_name(call))


def _delete_role(call: Call) -> Message:
    return DeleteJwtRole(mount_number(call), _role_name(call))


def _show_role(_: Call, role: JwtRole) -> Reply:
    data: dict[str, Any] = {
        "allowed_redirect_uris": list(role.allowed_redirect_uris) or None,
        "bound_audiences": list(role.bound_audiences) or None,
        "bound_claims": role.bound_claims or None,
        "bound_claims_type": role.bound_claims_type,
        "bound_subject": role.bound_subject,
        "callback_mode": role.callback_mode,
        "claim_mappings": role.claim_mappings or None,
        "clock_skew_leeway": role.clock_skew_leeway,
        "expiration_leeway": role.expiration_leeway,
        "groups_claim": role.groups_claim,
        "max_age": role.max_age,
        "not_before_leeway": role.not_before_leeway,
        "oauth2_metadata": None,
        "oidc_disable_confirmation": False,
        "oidc_scopes": list(role.oidc_scopes) or None,
        "role_type": role.role_type,
        "token_policies_template_claims": False,
        "user_claim": role.user_claim,
        "user_claim_json_pointer": role.user_claim_json_pointer,
        "verbose_oidc_logging": False,
        **shown_parameters(role.parameters, role.spelled, OLDER),
    }
    return Reply(data=dict(sorted(data.items())))


def _log_in(call: Call) -> Message:
    values = call.values
    return LoginByJwt(mount_number(call), call.path, call.client_ip, values.get("role", ""), values.get("jwt", ""))


def _begin_flow(call: Call) -> Message:
    values = call.values
    return BeginFlow(
        mount_number(call), values.get("role", ""), values.get("redirect_uri", ""), values.get("client_nonce", "")
    )


def _show_url(_: Call, url: str) -> Reply:
    return Reply(data={"auth_url": url})


def _end_flow(call: Call) -> Message:
    values = call.values
    return EndFlow(
        mount_number(call),
        call.path,
        call.client_ip,
        state=values.get("state", ""),
        code=values.get("code", ""),
        client_nonce=values.get("client_nonce", ""),
        error=values.get("error", "").strip().lower(),
    )


def _take_form(call: Call) -> Message:
    values = call.values
    if values.get("error"):
        raise InvalidRequest("Vault login failed. The issuer refused it.")
    return TakeForm(mount_number(call), values.get("state", ""), values.get("code", ""), values.get("id_token", ""))


def to_one(value: Any) -> str:
    """Return a text; of several in a query, the first."""
    return to_str(value[0] if isinstance(value, list) and value else value)


_BEGIN: Final = Fields(role=to_name, redirect_uri=to_str, client_nonce=to_str)
_CALLBACK: Final = Fields(
    state=to_one, code=to_one, client_nonce=to_one, error=to_one, error_description=to_one, error_uri=to_one
)
_FORM: Final = Fields(
    state=to_one, code=to_one, id_token=to_one, client_nonce=to_one, error=to_one, error_description=to_one
)


def _administered(
    build: Callable[[Call], Message],
    render: Callable[[Call, Any], Reply],
    capability: Capability | None,
    fields: Fields = NO_FIELDS,
) -> Endpoint:
    return Endpoint(build, render, capability, fields, TENANT_ADMIN)


def _open(
    build: Callable[[Call], Message], render: Callable[[Call, Any], Reply], capability: Capability, fields: Fields
) -> Endpoint:
    return Endpoint(build, render, capability, fields, ANY_RIGHT, anonymous=True)


_ROUTES: Final = (
    Route(
        "config",
        {
            Operation.READ: _administered(_read_config, _show_config, Capability.READ),
            Operation.WRITE: _administered(_write_config, warned, Capability.UPDATE, _CONFIG),
        },
    ),
    Route("role", {Operation.LIST: listing(_list_roles)}),
    Route(
        "role/{name}",
        {
            Operation.READ: _administered(_read_role, _show_role, Capability.READ),
            Operation.WRITE: _administered(_write_role, warned, EXISTENCE, _ROLE),
            Operation.DELETE: _administered(_delete_role, no_content, Capability.DELETE),
        },
    ),
    Route("login", {Operation.WRITE: login(_log_in, Fields(role=to_name, jwt=to_str))}),
    Route("oidc/auth_url", {Operation.WRITE: _open(_begin_flow, _show_url, Capability.UPDATE, _BEGIN)}),
    Route(
        "oidc/callback",
        {
            Operation.READ: _open(_end_flow, logged_in, Capability.READ, _CALLBACK),
            Operation.WRITE: _open(_take_form, no_content, Capability.UPDATE, _FORM),
        },
    ),
)
#: What a path calls by capitals is the same without; policies and checks see it so.
ROUTES: Final = spelled(_ROUTES, "name")
