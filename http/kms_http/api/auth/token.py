"""A token's dealings with itself: looked up, renewed, revoked.

Biscuits are stored nowhere: they answer from what they say, and end when they say. Short service tokens are
renewed by their tenant.

Source: Vault's API page `auth/token`.
"""

from __future__ import annotations

from typing import Final

from kms_actors.auth.principal import Capability, Principal
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.errors import InvalidRequest
from kms_actors.messages import RevokeToken
from kms_actors.token.messages import RenewToken
from kms_actors.token.spec import Issued
from kms_http.api.auth.replies import auth_of, auth_reply, refuse_batch, shown, ttl
from kms_http.fields import (
    Fields,
    to_any,
    to_period,
)
from kms_http.routing import (
    ANY_RIGHT,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)

_SECOND: Final = 10**9


def _nothing(_: Call) -> None:
    return None


def _show_token(call: Call, _: None) -> Reply:
    return Reply(data=shown(_principal(call), call.token, call.now))


def _renew(call: Call) -> RenewToken | None:
    refuse_batch(call.token, "renewed")
    if not isinstance(_principal(call), ServicePrincipal):
        return None
    increment = call.values.get("increment", 0) // _SECOND
    return RenewToken(call.token, increment=increment, certificates=call.certificates)


def _show_renewed(call: Call, renewed: Issued | None) -> Reply:
    principal = _principal(call)
    if isinstance(principal, ServicePrincipal):
        if renewed is None:  # this was its last use, or it was revoked meanwhile
            raise InvalidRequest("token not found")
        return auth_reply(renewed)
    auth = auth_of(call.token, principal.accessor, principal.policies, lease_duration=ttl(principal, call.now))
    return Reply(auth=auth)


def _revoke(call: Call) -> RevokeToken:
    refuse_batch(call.token, "revoked")
    return RevokeToken(_principal(call), call.token)


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _principal(call: Call) -> Principal:
    assert call.principal is not None  # none of these endpoints is anonymous
    return call.principal


OWN_TOKEN_ROUTES: Final = (
    Route(
        "auth/token/lookup-self",
        {
            Operation.READ: Endpoint(_nothing, _show_token, Capability.READ, rights=ANY_RIGHT, while_sealed=True),
            Operation.WRITE: Endpoint(
                _nothing, _show_token, Capability.UPDATE, Fields(token=to_any), ANY_RIGHT, while_sealed=True
            ),
        },
    ),
    Route(
        "auth/token/renew-self",
        {
            Operation.WRITE: Endpoint(
                _renew, _show_renewed, Capability.UPDATE, Fields(increment=to_period, token=to_any), ANY_RIGHT
            )
        },
    ),
    Route(
        "auth/token/revoke-self",
        {Operation.WRITE: Endpoint(_revoke, _no_content, Capability.UPDATE, Fields(token=to_any), ANY_RIGHT)},
    ),
)
