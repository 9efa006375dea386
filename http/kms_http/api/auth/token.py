"""A token's dealings with itself: looked up, renewed, revoked.

Biscuits are stored nowhere: they answer from what they say, and end when they say. Short service tokens are
renewed by their tenant.

Source: Vault's API page `auth/token`.
"""

from __future__ import annotations

import datetime
from typing import Any, Final

from kms_actors.auth.principal import Capability, Principal
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.messages import (
    RenewToken,
    RevokeToken,
)
from kms_http.fields import (
    Fields,
    to_any,
)
from kms_http.routing import (
    ANY_RIGHT,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)


def _nothing(_: Call) -> None:
    return None


def _show_token(call: Call, _: None) -> Reply:
    principal = _principal(call)
    ends, issued = principal.expires_at, principal.issued_at
    if ends is not None and not issued:
        # A biscuit does not say. From now on is as good: clients take creation_time and creation_ttl together.
        issued = int(call.now)
    data = {
        "accessor": principal.accessor,
        "creation_time": issued,
        "creation_ttl": max(0, int(ends) - issued) if ends is not None else 0,
        "display_name": principal.display_name,
        "entity_id": "",
        "expire_time": None if ends is None else _rfc3339(ends),
        "explicit_max_ttl": 0,
        "id": call.token,
        "identity_policies": [],
        "issue_time": _rfc3339(issued) if issued else None,
        "meta": None,  # the command line client would show each entry as a row of its own at login
        "num_uses": 0,
        "orphan": True,
        "path": "auth/token/create",
        "policies": list(principal.policies),
        "renewable": False,
        "ttl": _ttl(principal, call.now),
        "type": "service",
    }
    if isinstance(principal, ServicePrincipal):
        data |= _recorded(principal)
    return Reply(data=data)


def _recorded(principal: ServicePrincipal) -> dict[str, Any]:
    """Return what the record of a service token knows better."""
    record = principal.record
    return {
        "creation_ttl": record.creation_ttl,
        "explicit_max_ttl": record.explicit_max_ttl,
        "meta": principal.metadata,
        "num_uses": record.num_uses,
        "orphan": record.orphan,
        "path": record.path,
        "renewable": record.renewable,
    }


def _renew(call: Call) -> RenewToken | None:
    principal = _principal(call)
    return RenewToken(principal) if isinstance(principal, ServicePrincipal) else None


def _show_renewed(call: Call, renewed: Principal | None) -> Reply:
    principal = renewed if renewed is not None else _principal(call)
    record = principal.record if isinstance(principal, ServicePrincipal) else None
    policies = list(principal.policies)
    return Reply(
        auth={
            "client_token": call.token,
            "accessor": principal.accessor,
            "policies": policies,
            "token_policies": policies,
            "identity_policies": [],
            "metadata": record.metadata if record is not None else None,
            "lease_duration": _ttl(principal, call.now),
            "renewable": record.renewable if record is not None else False,
            "entity_id": "",
            "token_type": "service",
            "orphan": record.orphan if record is not None else True,
            "mfa_requirement": None,
            "num_uses": 0,
        }
    )


def _revoke(call: Call) -> RevokeToken:
    return RevokeToken(_principal(call), call.token)


def _no_content(_: Call, __: None) -> Reply:
    return Reply(status=204)


def _principal(call: Call) -> Principal:
    assert call.principal is not None  # none of these endpoints is anonymous
    return call.principal


def _ttl(principal: Principal, now: float) -> int:
    """Return the seconds left, at least 1 while it lives: 0 is for a token without end."""
    return 0 if principal.expires_at is None else max(1, int(principal.expires_at - now))


def _rfc3339(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat().replace("+00:00", "Z")


TOKEN_ROUTES: Final = (
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
                _renew, _show_renewed, Capability.UPDATE, Fields(increment=to_any, token=to_any), ANY_RIGHT
            )
        },
    ),
    Route(
        "auth/token/revoke-self",
        {Operation.WRITE: Endpoint(_revoke, _no_content, Capability.UPDATE, Fields(token=to_any), ANY_RIGHT)},
    ),
)
