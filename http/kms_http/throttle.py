"""How often may be asked: quotas of the caller's vault, counted once it is known who asks, before the body is read.

Only where the role of a login decides, the count waits for the body, which says it. Requests that are of no vault are
not counted: looks at the node's health and seal, and what the cluster's operator does.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from kms_actors.login.approle_messages import ReadRoleOfId
from kms_actors.mounts import Mount
from kms_actors.quota.windows import Verdict
from kms_http.backend import Tenant
from kms_http.exchange import Exchange
from kms_http.routing import Endpoint, Operation
from kms_http.wire.errors import HttpError
from kms_http.wire.response import Response

#: Fields of a login that say its role; AppRole has an id for it.
_ROLE = "role"
_ROLE_ID = "role_id"


def count(exchange: Exchange, tenant: Tenant, mount: Mount | None, endpoint: Endpoint | None) -> None:
    """Count a request, or have it counted once its role is known. Raises HttpError (429) for one that is too much."""
    limiter = tenant.limiter
    if limiter is None:
        return
    place = "" if mount is None else mount.path
    if _is_login(exchange, mount, endpoint) and limiter.has_roles(place):
        exchange.uncounted = True
    else:
        _judge(exchange, limiter.admit(exchange.spelled, place, exchange.request.remote))


async def count_login(exchange: Exchange, mount: Mount | None, values: Mapping[str, Any]) -> None:
    """Count a login whose fields are known; raises HttpError (429)."""
    tenant = exchange.caller.tenant
    assert mount is not None
    assert tenant is not None
    role = values.get(_ROLE, "")
    if mount.type == "approle":
        role = await tenant.ask(ReadRoleOfId(mount.number, values.get(_ROLE_ID, "")))
    limiter = tenant.limiter
    if limiter is not None:
        _judge(exchange, limiter.admit(exchange.spelled, mount.path, exchange.request.remote, role))


def tell(exchange: Exchange, response: Response) -> None:
    """Let an answer say how much is left, where quotas are to be shown."""
    verdict = exchange.verdict
    if verdict is not None and verdict.shown:
        response.add_header(b"X-Ratelimit-Limit", b"%d" % verdict.limit)
        response.add_header(b"X-Ratelimit-Remaining", b"%d" % verdict.remaining)
        response.add_header(b"X-Ratelimit-Reset", b"%d" % verdict.reset)


def _is_login(exchange: Exchange, mount: Mount | None, endpoint: Endpoint | None) -> bool:
    wanted = endpoint is not None and endpoint.anonymous and exchange.operation is Operation.WRITE
    return wanted and mount is not None and mount.for_logins


def _judge(exchange: Exchange, verdict: Verdict | None) -> None:
    exchange.verdict = verdict
    if verdict is not None and not verdict.allowed:
        whose = "rate limit quota exceeded"
        if verdict.given:
            whose = "rate limit quota exceeded, which the operator of the cluster has given this vault"
        text = f'request path "{exchange.path}": {whose}'
        raise HttpError(HTTPStatus.TOO_MANY_REQUESTS, text, retry_after=verdict.retry_after)
