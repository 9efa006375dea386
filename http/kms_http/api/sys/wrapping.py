"""Wrapping tokens: what was wrapped is looked up, taken, wrapped anew; and what is sent is wrapped.

The token is one of the body, or else the request's own. With its own, nothing but it is needed; who takes another one
needs a token that allows it.

Source: Vault's API pages `sys/wrapping/…`.
"""

from __future__ import annotations

from typing import Final

from kms_actors.auth.principal import Capability
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.cubbyhole.messages import LookUpWrapping, Rewrap, Unwrap, Unwrapped, Wrapped
from kms_actors.cubbyhole.records import WrapInfo
from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.exact_json import RawJson
from kms_actors.kv import documents
from kms_http.api.kv.requests import MOST_BODY
from kms_http.fields import Everything, Fields, to_any
from kms_http.routing import Call, Endpoint, Operation, Reply, Route
from kms_http.times import rfc3339
from kms_http.wire.errors import HttpError
from kms_http.wrapping import reply_of, seconds

_UNWRAP: Final = "sys/wrapping/unwrap"


def _token(call: Call) -> str:
    """Return the token that is meant."""
    sent = call.values.get("token")
    if sent is None:
        if not call.token:
            raise _invalid("token is empty")
        return call.token
    if not isinstance(sent, str):
        raise _invalid("could not decode token in request body")
    if not sent:
        raise _invalid("empty token in request body")
    return sent


def _invalid(why: str) -> HttpError:
    return HttpError(403, f"error validating wrapping token: {why}")


def _taken(call: Call) -> tuple[str, str]:
    """Return the token that is taken, and that of the bearer if it is another one whose uses are counted."""
    token = _token(call)
    if token == call.token:
        return token, ""
    if call.principal is None:
        raise AuthenticationFailed("no token")
    counted = isinstance(call.principal, ServicePrincipal) and call.principal.record.num_uses
    return token, call.token if counted else ""


def _look_up(call: Call) -> LookUpWrapping:
    return LookUpWrapping(_token(call))


def _show_info(_: Call, info: WrapInfo) -> Reply:
    return Reply(data={"creation_path": info.path, "creation_time": rfc3339(info.created), "creation_ttl": info.ttl})


def _unwrap(call: Call) -> Unwrap | Rewrap:
    if call.wrap_ttl:  # it goes from one token to the next in one transaction, and is seen by nobody
        return Rewrap(*_taken(call), seconds(call.wrap_ttl), _UNWRAP)
    return Unwrap(*_taken(call))


def _show(call: Call, found: Unwrapped | Wrapped) -> Reply:
    if isinstance(found, Wrapped):
        return reply_of(found, call.wrap_ttl)
    return Reply(status=found.status, whole=found.answer)


def _rewrap(call: Call) -> Rewrap:
    return Rewrap(*_taken(call), seconds(call.wrap_ttl))


def _show_rewrapped(_: Call, wrapped: Wrapped) -> Reply:
    return reply_of(wrapped)


def _wrap(call: Call) -> None:
    if not call.wrap_ttl:
        raise InvalidRequest("endpoint requires response wrapping to be used")
    if call.size > MOST_BODY:
        raise documents.too_large()


def _show_sent(call: Call, _: None) -> Reply:
    return Reply(data=RawJson(documents.pack(call.values)))


_TOKEN: Final = Fields(token=to_any)
WRAPPING_ROUTES: Final = (
    Route(
        "sys/wrapping/lookup",
        {
            Operation.READ: Endpoint(_look_up, _show_info, Capability.READ, _TOKEN, anonymous=True, of_wrapping=True),
            Operation.WRITE: Endpoint(
                _look_up, _show_info, Capability.UPDATE, _TOKEN, anonymous=True, of_wrapping=True
            ),
        },
    ),
    Route(
        "sys/wrapping/unwrap",
        {Operation.WRITE: Endpoint(_unwrap, _show, Capability.UPDATE, _TOKEN, of_wrapping=True)},
    ),
    Route(
        "sys/wrapping/rewrap",
        {Operation.WRITE: Endpoint(_rewrap, _show_rewrapped, Capability.UPDATE, _TOKEN, of_wrapping=True)},
    ),
    Route("sys/wrapping/wrap", {Operation.WRITE: Endpoint(_wrap, _show_sent, Capability.UPDATE, Everything())}),
)
