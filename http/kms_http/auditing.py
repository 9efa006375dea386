"""Entries of requests for audit devices: when they are made, and from what.

A request is entered once it is allowed and its body is read, before anything is done for it; one that is refused
before that, when it is refused. Its answer is entered before it leaves. Both wait for what devices say only where it
matters: before a change, which the change itself sees to (`TenantStore.change`), and before the answer leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from multidict import istr

from kms_actors import exact_json
from kms_actors.audit.facts import LARGE, Answered, Asked, Bearer, Place
from kms_actors.audit.receipts import Ticket
from kms_actors.auth.principal import Principal
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.errors import AuthenticationFailed, PermissionDenied
from kms_actors.exact_json import RawJson
from kms_actors.messages import Command, Message
from kms_actors.mounts import TOKENS, Mount
from kms_http import wrapping
from kms_http.backend import Backend, Tenant, Trail
from kms_http.exchange import Exchange
from kms_http.recording import Recording
from kms_http.routing import EXISTENCE, Endpoint, Operation, Reply
from kms_http.wire.response import Response

#: Vault's names of operations.
_OPERATIONS: Final = {each: "update" if each is Operation.WRITE else str(each.value) for each in Operation}
_NO_ACCESSOR: Final = "n/a"
#: A request with this header gets one of the same name for each device that can prove its line.
RECEIPT: Final = istr("X-Kms-Audit-Receipt")
#: What Vault mounts by itself, by the first segments of paths.
_SYSTEM: Final = {
    "sys": Place("sys/", "system"),
    "cubbyhole": Place("cubbyhole/", "cubbyhole"),
    "identity": Place("identity/", "identity"),
}
_TOKENS: Final = Place(TOKENS, "token")
_ERRORS: Final = msgspec.json.Decoder(dict[str, list[str]])


class Auditing:
    """Makes the entries of requests. `wanted` is asked of each request; all else only where there are devices."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def wanted(self, exchange: Exchange) -> bool:
        """Tell whether a request is to be recorded, as far as is known now."""
        tenant = exchange.caller.tenant
        return (self._backend.audited or (tenant is not None and tenant.trail is not None)) and exchange.audited

    async def begin(self, exchange: Exchange, sent: Mapping[str, Any], size: int, endpoint: Endpoint) -> None:
        """Enter a request that is allowed, with what was sent; `size` is that of its body."""
        tenant = exchange.caller.tenant
        trails = self._own(tenant) if not self._backend.audited else await self._all(tenant)
        if not trails:
            return
        data = endpoint.written(sent) if endpoint.written is not None and size else sent
        tell = partial(_asked, exchange, self._scope(exchange), data, size, allowed=True)
        exchange.recording = recording = Recording(exchange.request_id, tell, _revision(tenant))
        if size > LARGE and recording.asked.large:
            await recording.prepare(trails)
        recording.request(trails)

    async def answered(self, exchange: Exchange, reply: Reply, response: Response) -> None:
        """Enter an answer; it is held until all is recorded. Raises NotRecorded where it waits for receipts."""
        data: Any = reply.data
        if isinstance(data, RawJson):
            data = exact_json.loads(data.text)
        if reply.whole:
            data = {
                "http_content_type": "application/json",
                "http_raw_body": reply.whole.decode(),
                "http_status_code": reply.status,
            }
        answered = Answered(data, len(response.body), reply.auth, reply.wrap_info, reply.warnings)
        principal, tenant = exchange.caller
        receipts: list[Ticket] | None = None
        if RECEIPT in exchange.request.headers and principal is not None and (tenant is None or tenant.trail):
            receipts = []  # of the caller's own devices alone: what the node records besides is the operator's
        recording = exchange.recording
        if recording is None or self._backend.audited or answered.large:
            await self._answer(exchange, tenant, answered, receipts=receipts)
        else:
            recording.answer(self._own(tenant), answered, receipts)
        if receipts:
            assert exchange.recording is not None
            await exchange.recording.recorded()
            for ticket in receipts:
                if ticket.receipt is not None:
                    response.add_header(RECEIPT.encode(), ticket.receipt.text().encode())

    async def refused(self, exchange: Exchange, error: Exception, response: Response) -> None:
        """Enter a refusal, and the request if it is not yet entered; as `answered`."""
        tenant = exchange.caller.tenant
        if tenant is None and isinstance(error, AuthenticationFailed) and error.scope:
            tenant = self._backend.awake(error.scope)
        text = "\n".join(_ERRORS.decode(response.body).get("errors", ())) if response.body else ""
        data = {"error": text} if text else None
        await self._answer(exchange, tenant, Answered(data, error=text), error)

    async def _answer(
        self,
        exchange: Exchange,
        tenant: Tenant | None,
        answered: Answered,
        error: Exception | None = None,
        receipts: list[Ticket] | None = None,
    ) -> None:
        trails = await self._all(tenant)
        recording = exchange.recording
        if recording is None:
            if not trails:
                return
            allowed = not isinstance(error, PermissionDenied | AuthenticationFailed)
            scope = self._scope(exchange) if tenant is None else tenant.vault_id
            tell = partial(_asked, exchange, scope, exchange.query, 0, allowed=allowed)
            recording = exchange.recording = Recording(exchange.request_id, tell, _revision(tenant))
            if error is not None:
                recording.request(trails, answered.error)
        if answered.large:
            await recording.prepare(trails, answered)
        recording.answer(trails, answered, receipts)

    @staticmethod
    def _own(tenant: Tenant | None) -> Sequence[Trail]:
        trail = None if tenant is None else tenant.trail
        return () if trail is None else (trail,)

    async def _all(self, tenant: Tenant | None) -> Sequence[Trail]:
        own = self._own(tenant)
        if not self._backend.audited:
            return own
        of_node = await self._backend.trail()
        return own if of_node is None else (*own, of_node)

    def _scope(self, exchange: Exchange) -> str:
        principal, tenant = exchange.caller
        if tenant is not None:
            return tenant.vault_id
        return "" if principal is None else principal.resource


def changes(endpoint: Endpoint, message: Message | None) -> bool:
    """Tell whether a message waits until its request is recorded. What a transaction decides waits there, too."""
    return isinstance(message, Command) and endpoint.capability is not EXISTENCE


def _asked(exchange: Exchange, scope: str, data: Mapping[str, Any], size: int, *, allowed: bool) -> Asked:
    request = exchange.request
    return Asked(
        exchange.request_id,
        _OPERATIONS[exchange.operation],
        exchange.path,
        scope,
        _place(exchange),
        token=exchange.token,
        identity=exchange.caller.principal,
        describe=describe,
        allowed=allowed,
        data=data,
        size=size,
        remote=request.remote,
        port=request.remote_port,
        headers=lambda name: list(map(str, request.headers.getall(name, ()))),
        wrap_ttl=wrapping.whole_seconds(exchange.wrap_ttl) if exchange.wrap_ttl else 0,
    )


def _place(exchange: Exchange) -> Place | None:
    mount = exchange.mount
    if mount is None:
        of_tokens = exchange.path.startswith(TOKENS)
        return _place_of_tokens(exchange.caller.tenant) if of_tokens else _SYSTEM.get(exchange.path.partition("/")[0])
    return _place_of(mount)


def _place_of_tokens(tenant: Tenant | None) -> Place:
    tuned = None if tenant is None else tenant.mounts.tokens
    return _TOKENS if tuned is None else msgspec.structs.replace(_place_of(tuned), accessor="")


def _place_of(mount: Mount) -> Place:
    config = mount.config
    if not (config.audit_non_hmac_request_keys or config.audit_non_hmac_response_keys):
        return Place(mount.path, mount.type, mount.accessor)
    return Place(
        mount.path,
        mount.type,
        mount.accessor,
        frozenset(config.audit_non_hmac_request_keys),
        frozenset(config.audit_non_hmac_response_keys),
    )


def describe(principal: Principal) -> Bearer:
    """Return what entries have of who bears a token; of a biscuit, which has no accessor, its revocation id."""
    if isinstance(principal, ServicePrincipal):
        record = principal.record
        return Bearer(
            record.accessor,
            record.display_name,
            tuple(sorted({*record.policies, *principal.identity_policies})),
            record.policies,
            principal.identity_policies,
            record.metadata,
            record.entity_id,
            "batch" if principal.batch else "service",
            record.creation_ttl,
            int(record.created),
        )
    metadata = dict(principal.metadata or {})
    if principal.revocation_ids:
        metadata["revocation_id"] = principal.revocation_ids[-1]
    accessor = "" if principal.accessor == _NO_ACCESSOR else principal.accessor
    names = tuple(principal.policies)
    return Bearer(accessor, principal.display_name, names, names, (), metadata, issued=principal.issued_at)


def _revision(tenant: Tenant | None) -> int:
    return 0 if tenant is None or tenant.trail is None else tenant.trail.revision
