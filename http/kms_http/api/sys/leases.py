"""Leases: the tokens that end, by the paths of the requests that made them. No engine here gives any others.

Source: Vault's API page `sys/leases`; texts are those of its reference.
"""

from __future__ import annotations

from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.auth.service_token import ServiceToken
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.token.messages import ListLeases, LookUpLease, RevokeLeases, TidyTokens
from kms_http.api.auth.replies import rfc3339, tidying
from kms_http.fields import Fields, to_any, to_bool, to_int, to_str
from kms_http.routing import TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route

#: Characters of a lease's id, and of what it begins with.
MAX_ID: Final = 2048


def _id(call: Call) -> str:
    """Return the id, of the path or of the body."""
    found: str = call.captures.get("url_lease_id") or call.values.get("lease_id", "")
    if not found:
        raise InvalidRequest("lease_id must be specified")
    return _bounded("lease_id", found)


def _bounded(name: str, text: str) -> str:
    if len(text) > MAX_ID:
        raise InvalidRequest(f"{name} has at most {MAX_ID} characters")
    return text


def _look_up(call: Call) -> LookUpLease:
    return LookUpLease(_id(call))


def _show(call: Call, token: ServiceToken | None) -> Reply:
    if token is None or token.expires_at is None:
        raise InvalidRequest("invalid lease")
    return Reply(
        data={
            "expire_time": rfc3339(token.expires_at),
            "id": _id(call),
            "issue_time": rfc3339(token.created),
            "last_renewal": None if token.renewed is None else rfc3339(token.renewed),
            "path": token.path,
            "renewable": token.renewable,
            "ttl": max(1, int(token.expires_at - call.now)),
        }
    )


def _refuse_renewal(_: Call, token: ServiceToken | None) -> Reply:
    raise InvalidRequest("lease not found" if token is None else "tokens cannot be renewed through this endpoint")


def _list(call: Call) -> ListLeases:
    prefix = _bounded("prefix", call.captures.get("prefix", "").strip("/"))
    after, limit = call.values.get("after", ""), max(0, call.values.get("limit", 0))
    return ListLeases(f"{prefix}/" if prefix else "", after, limit)


def _show_names(_: Call, names: list[str]) -> Reply:
    if not names:
        raise NotFound
    return Reply(data={"keys": names})


def _revoke(call: Call) -> RevokeLeases:
    return RevokeLeases(lease_id=_id(call))


def _revoke_all(call: Call) -> RevokeLeases:
    prefix = call.captures["prefix"]
    if not prefix:
        raise InvalidRequest("prefix must be specified")
    return RevokeLeases(prefix=_bounded("prefix", prefix))


def _no_content(_: Call, __: Any) -> Reply:
    return Reply(status=204)


def _nothing(_: Call) -> None:
    return None


def _show_irrevocable(_: Call, __: None) -> Reply:
    """Tell of leases that could not be revoked, of which there are none."""
    return Reply(data={"lease_count": 0, "leases": []})


def _show_count(_: Call, __: None) -> Reply:
    return Reply(data={"counts": {}, "lease_count": 0})


def _tidy(_: Call) -> TidyTokens:
    return TidyTokens()


def _post(build: Any, render: Any, fields: Fields, *, sudo: bool = False) -> dict[Operation, Endpoint]:
    return {Operation.WRITE: Endpoint(build, render, Capability.UPDATE, fields, TENANT_ADMIN, sudo=sudo)}


def _read(render: Any) -> dict[Operation, Endpoint]:
    return {Operation.READ: Endpoint(_nothing, render, Capability.READ, Fields(type=to_str), TENANT_ADMIN, sudo=True)}


_LISTED: Final = Endpoint(
    _list, _show_names, Capability.LIST, Fields(after=to_str, limit=to_int), TENANT_ADMIN, sudo=True
)
_BY_ID: Final = Fields(lease_id=to_str)
_RENEWAL: Final = Fields(lease_id=to_str, increment=to_any)
_REVOCATION: Final = Fields(lease_id=to_str, sync=to_bool)
_ALL: Final = Fields(sync=to_bool)

LEASE_ROUTES: Final = (
    Route("sys/leases/lookup", {**_post(_look_up, _show, _BY_ID), Operation.LIST: _LISTED}),
    Route("sys/leases/lookup/{prefix...}", {Operation.LIST: _LISTED}),
    Route("sys/leases/renew", _post(_look_up, _refuse_renewal, _RENEWAL)),
    Route("sys/leases/renew/{url_lease_id...}", _post(_look_up, _refuse_renewal, _RENEWAL)),
    Route("sys/leases/revoke", _post(_revoke, _no_content, _REVOCATION)),
    Route("sys/leases/revoke/{url_lease_id...}", _post(_revoke, _no_content, _REVOCATION)),
    Route("sys/leases/revoke-prefix/{prefix...}", _post(_revoke_all, _no_content, _ALL, sudo=True)),
    Route("sys/leases/revoke-force/{prefix...}", _post(_revoke_all, _no_content, _ALL, sudo=True)),
    Route("sys/leases/tidy", _post(_tidy, tidying, Fields())),
    Route("sys/leases", _read(_show_irrevocable)),
    Route("sys/leases/count", _read(_show_count)),
)
