"""Wrapping of answers: one is kept in its vault, and a token that gives it once goes out in its place.

What a request asked for is done, and committed, before its answer is wrapped. So whether an answer can be wrapped is
asked first; if it cannot be after all, the caller gets an error, never the bare answer, and a token that was made for
him is revoked.

Source: Vault's page "Response Wrapping".
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from multidict import istr

from kms_actors import request_context
from kms_actors.auth import service_token
from kms_actors.cubbyhole.messages import FindRoom, OfWrapping, WrapAnswer, Wrapped
from kms_actors.errors import InvalidRequest, InvalidWrappingToken, KmsError, Sealed
from kms_actors.messages import WithdrawToken
from kms_actors.mounts import SYSTEM_LEASE_TTL
from kms_actors.observe.bounded import BoundedLog
from kms_http import envelope
from kms_http.backend import Backend, Tenant
from kms_http.exchange import Exchange
from kms_http.fields import WrongType, to_duration
from kms_http.routing import Reply
from kms_http.times import rfc3339

WRAP_TTL: Final = istr("X-Vault-Wrap-TTL")
WRAP_FORMAT: Final = istr("X-Vault-Wrap-Format")

_SECOND: Final = 10**9
_NOT_HERE: Final = "only answers of a vault can be wrapped, and this request is of none"
#: Else anybody could fill a vault's room.
_NOBODYS: Final = "without a token, only what a login gives can be wrapped"
_TOO_LONG: Final = (
    f"the answer is wrapped for {SYSTEM_LEASE_TTL} seconds, the longest time; X-Vault-Wrap-TTL asked for more"
)

_log: Final = structlog.get_logger(__name__)
_bounded_log: Final = BoundedLog(__name__)


def wanted(headers: Mapping[str, str]) -> int:
    """Return for how many nanoseconds an answer is to be wrapped; 0: not at all. Raises InvalidRequest."""
    text = headers.get(WRAP_TTL, "").strip()
    if not text:
        return 0
    try:
        ttl = to_duration(text)
    except WrongType as wrong:
        raise InvalidRequest(f"error parsing X-Vault-Wrap-TTL header: {wrong}") from None
    if ttl < 0:
        raise InvalidRequest("error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative")
    if ttl and headers.get(WRAP_FORMAT, "").lower() == "jwt":
        raise InvalidRequest("wrapping tokens are not given as JWT: leave X-Vault-Wrap-Format out")
    return ttl


def whole_seconds(ttl: int) -> int:
    """Return a TTL in seconds, a part of one as a whole one."""
    return -(-ttl // _SECOND)


def seconds(ttl: int) -> int:
    """Return for how long an answer is wrapped: as long as any token lives at most."""
    return min(whole_seconds(ttl), SYSTEM_LEASE_TTL)


def reply_of(wrapped: Wrapped, ttl: int = 0, accessor: str = "") -> Reply:
    """Return what goes out in place of an answer; `ttl` as it was asked for, `accessor` of a token within."""
    info: dict[str, Any] = {
        "token": wrapped.token,
        "accessor": wrapped.accessor,
        "ttl": wrapped.ttl,
        "creation_time": rfc3339(wrapped.created),
        "creation_path": wrapped.path,
    }
    if accessor:
        info["wrapped_accessor"] = accessor
    return Reply(wrap_info=info, warnings=(_TOO_LONG,) if ttl > wrapped.ttl * _SECOND else ())


class Wrapping:
    """Wraps answers, and asks with wrapping tokens."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def find_room(self, tenant: Tenant | None) -> None:
        """Raise what forbids that an answer be wrapped, before there is one."""
        if tenant is None:
            raise InvalidRequest(_NOT_HERE)
        await tenant.ask(FindRoom())

    async def wrap(self, exchange: Exchange, reply: Reply, kind: str, warnings: list[str]) -> Reply:
        """Keep an answer, and return what goes out in its place."""
        principal, tenant = exchange.caller
        assert tenant is not None  # there was room
        if principal is None and reply.auth is None:
            raise InvalidRequest(_NOBODYS)
        whole = envelope.respond(msgspec.structs.replace(reply, mirrored=False), exchange.request_id, kind, warnings)
        try:
            wrapped = await tenant.ask(
                WrapAnswer(whole.body, whole.status, seconds(exchange.wrap_ttl), exchange.path)
            )
        except Exception as error:
            await self._lost(exchange, tenant, reply, error)
            raise
        return reply_of(wrapped, exchange.wrap_ttl, _accessor_in(reply))

    async def ask(self, tenant: Tenant | None, message: OfWrapping) -> Any:
        """Ask the tenant of a caller, or else of the token itself; why nothing is given is told to the log alone."""
        number = service_token.tenant_of(message.token)
        try:
            return await (tenant or await self._tenant_of(number, message.token)).ask(message)
        except InvalidWrappingToken:
            await self._tell_why(number, message.token)
            raise

    async def _tenant_of(self, number: int | None, token: str) -> Tenant:
        found = (
            await self._backend.tenant_by_token(number, service_token.proof_digest(token))
            if number is not None
            else None
        )
        if found is None:
            raise InvalidWrappingToken
        tenant, _ = found
        if tenant.sealed:
            raise Sealed
        return tenant

    async def _lost(self, exchange: Exchange, tenant: Tenant, reply: Reply, error: Exception) -> None:
        """Tell of an answer that nobody gets, and revoke the token that it gives."""
        _log.warning(
            "an answer could not be wrapped, and is lost",
            scope=tenant.vault_id,
            request_id=exchange.request_id,
            route=exchange.label,
            accessor=_accessor_in(reply),
            error=type(error).__name__,
        )
        if reply.auth is not None:
            with contextlib.suppress(KmsError):  # it ends by itself, and nobody has it
                await tenant.ask(WithdrawToken(reply.auth["client_token"]))

    async def _tell_why(self, number: int | None, token: str) -> None:
        reason, fields = "it is no wrapping token, or its time is over", {}
        if number is not None:
            with contextlib.suppress(KmsError):
                taken = await self._backend.taken(number, token)
                if taken is not None:
                    reason = "it was used before"
                    fields = {"accessor": taken.accessor, "used": taken.taken, "used_by_request": taken.request_id}
        request_id = request_context.current().id
        _bounded_log.info("wrapping token refused", reason, reason=reason, request_id=request_id, **fields)


def _accessor_in(reply: Reply) -> str:
    """Return the accessor of what an answer gives away, if it has one: a token, or a secret id of AppRole."""
    if reply.auth is not None:
        return str(reply.auth.get("accessor") or "")
    if isinstance(reply.data, Mapping):
        return str(reply.data.get("secret_id_accessor") or "")
    return ""
