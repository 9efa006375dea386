"""The browser flow in a tenant actor: begun on one node, ended on any.

Records, below a mount's type and number: (`flow`, place) OidcRequest, sealed. A request is taken out by the
transaction that reads it, before its code is traded: so each state counts once, whoever races.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from kms_actors.actors.login.completing import log_in
from kms_actors.actors.login.familiar import Familiar
from kms_actors.actors.login.jwt_records import Basis, JwtRecords, must_exist
from kms_actors.actors.login.verifying import Verifier, source_of
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import InvalidRequest, NotFound, Overloaded, UnsupportedOperation
from kms_actors.fetch import FetchFailed
from kms_actors.login import jwt_compact
from kms_actors.login.jwt_config import JwtConfig
from kms_actors.login.jwt_issuer import Issuer
from kms_actors.login.jwt_role import JwtRole
from kms_actors.login.messages import LoggedIn
from kms_actors.login.oidc_messages import BeginFlow, EndFlow, TakeForm
from kms_actors.login.oidc_requests import (
    LIFETIME,
    MAX_TEXT,
    OidcRequest,
    authorization_url,
    draw,
    place_of,
    redirect_of,
)
from kms_actors.login.oidc_tokens import (
    Client,
    Exchanged,
    check_access_token,
    check_id_token,
    known_of,
    read_exchanged,
    token_request,
    with_user_info,
)
from kms_actors.login.outcome import Outcome
from kms_actors.login.tokens import require_address
from kms_actors.messages import Message
from kms_actors.observe.bounded import BoundedLog
from kms_actors.request_context import computed
from kms_actors.store.api import Transaction

FLOW: Final = "flow"

#: What an `OidcController` handles.
OIDC_MESSAGES: Final = (BeginFlow, TakeForm, EndFlow)

_FAILED: Final = "Vault login failed."
_GONE: Final = f"{_FAILED} Expired or missing OAuth state."
_NO_FLOW: Final = "OIDC login is not configured for this mount"
#: What an issuer may say instead of a code (RFC 6749, section 4.1.2.1).
_ERRORS: Final = frozenset(
    {
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
    }
)

_log: Final = BoundedLog(__name__)


class _Flow(NamedTuple):
    """A flow that has come back: what it rests on, and its request, which is taken out."""

    basis: Basis
    role: JwtRole
    request: OidcRequest
    issuer: Issuer

    @property
    def config(self) -> JwtConfig:
        return self.basis.config

    @property
    def client(self) -> Client:
        return Client(self.config, self.issuer)


class OidcController:
    """Sends browsers to an issuer, and logs in who comes back."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._verifier = Verifier(context)
        self._familiar = Familiar(context)

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            BeginFlow: lambda message: self._context.spawn(self._begin(message)),
            TakeForm: lambda message: self._context.spawn(self._take_form(message)),
            EndFlow: lambda message: self._context.spawn(self._end(message)),
        }

    async def _begin(self, message: BeginFlow) -> str:
        records = JwtRecords(self._context, message.mount)
        basis = await records.basis(message.role)
        if not basis.config.has_flow:
            raise InvalidRequest(_NO_FLOW)
        role = must_exist(basis.role)
        redirect = redirect_of(basis.config, role, message.redirect_uri)
        if redirect is None or len(message.client_nonce) > MAX_TEXT:
            return ""
        uri, namespace = redirect
        issuer = await self._issuer(basis.config)
        drawn, now = draw(), self._context.clock() / 1e9
        made = OidcRequest(
            state="",
            role=basis.name,
            redirect_uri=uri,
            nonce=drawn.nonce,
            verifier=drawn.verifier,
            client_nonce=message.client_nonce,
            ends=now + LIFETIME,
        )
        places = [self._place(records, state) for state in drawn.states]

        async def body(tr: Transaction) -> OidcRequest:
            found = await tr.get_many(places)
            for state, place, record in zip(drawn.states, places, found, strict=True):
                if record is None or self._opened(place, record).ends <= now:
                    request = msgspec.structs.replace(made, state=state)
                    self._keep(tr, place, request)
                    return request
            raise Overloaded("too many logins of this mount are under way")

        request = await self._context.store.change(body, mount=message.mount, bearers=())
        return authorization_url(basis.config, issuer, role, request, namespace)

    async def _take_form(self, message: TakeForm) -> None:
        records = JwtRecords(self._context, message.mount)
        config = await self._config(records)
        if config.oidc_response_mode != "form_post":
            raise UnsupportedOperation("unsupported operation")
        if len(message.code) > MAX_TEXT:
            raise InvalidRequest(f"code is longer than {MAX_TEXT} characters")
        place, state = self._found(records, message.state)
        if message.id_token:
            await self._verified(message.id_token, config)  # what anybody makes up is not kept

        async def body(tr: Transaction) -> None:
            request = self._good(place, await tr.get(place), state)
            self._keep(tr, place, msgspec.structs.replace(request, code=message.code, id_token=message.id_token))

        await self._context.store.change(body, mount=message.mount, bearers=())

    async def _end(self, message: EndFlow) -> LoggedIn:
        flow = await self._taken(message)
        claims = await self._claims(flow, message)
        return await log_in(self._context, message, partial(self._prove, flow, claims), self._familiar)

    async def _prove(self, flow: _Flow, claims: Mapping[str, Any], tr: Transaction, _: float) -> Outcome:
        outcome = flow.role.outcome(flow.basis.name, claims)
        await flow.basis.hold(tr)
        return outcome

    async def _taken(self, message: EndFlow) -> _Flow:
        """Take a request out of the store, and return the flow if it may go on."""
        records = JwtRecords(self._context, message.mount)
        config = await self._config(records)
        place, state = self._found(records, message.state)

        async def body(tr: Transaction) -> OidcRequest:
            request = self._good(place, await tr.get(place), state)
            tr.clear(place)
            return request

        request = await self._context.store.change(body, mount=message.mount, bearers=())
        if message.error:
            _log.info("issuer refused a login", self._context.vault_id, scope=self._context.vault_id)
            raise InvalidRequest(
                f"{_FAILED} {message.error if message.error in _ERRORS else 'The issuer refused it.'}"
            )
        if request.client_nonce and not secrets.compare_digest(
            request.client_nonce.encode(errors="replace"), message.client_nonce.encode(errors="replace")
        ):
            raise InvalidRequest("invalid client_nonce")
        basis = await records.basis(request.role)
        role = must_exist(basis.role)
        require_address(role.parameters, message.client_ip)
        if not basis.config.has_flow:
            raise InvalidRequest(_NO_FLOW)
        return _Flow(basis, role, request, await self._issuer(config))

    async def _claims(self, flow: _Flow, message: EndFlow) -> Mapping[str, Any]:
        code = flow.request.code if message.code == "no_code" else message.code
        if code:
            if len(code) > MAX_TEXT:
                raise InvalidRequest(f"{_FAILED} code is longer than {MAX_TEXT} characters")
            exchanged = await self._exchange(flow, code)
        elif flow.request.id_token:
            exchanged = Exchanged(flow.request.id_token)
        else:
            raise InvalidRequest(f"{_FAILED} No code or id_token received.")
        try:
            token = jwt_compact.parse(exchanged.id_token)
            claims = await self._verifier.claims(token, flow.config, flow.config.flow_algorithms)
            now = self._context.clock() / 1e9
            check_id_token(claims, flow.client, flow.role, flow.request, now)
            check_access_token(claims, token, exchanged.access_token)
        except InvalidRequest as refused:
            raise InvalidRequest(f"{_FAILED} Token verification failed. {refused}") from None
        return known_of(await self._enriched(flow, claims, exchanged.access_token))

    async def _exchange(self, flow: _Flow, code: str) -> Exchanged:
        fields, headers = token_request(flow.client, flow.request, code)
        try:
            answer = await computed(
                self._context.fetch.post_form(
                    flow.issuer.token_endpoint, fields, flow.config.oidc_discovery_ca_pem, headers
                )
            )
        except FetchFailed as failed:
            raise self._verifier.unavailable(failed) from None
        if answer.status != 200:
            raise InvalidRequest(f"{_FAILED} Error exchanging oidc code.")
        try:
            return read_exchanged(answer.body)
        except InvalidRequest as wrong:
            raise InvalidRequest(f"{_FAILED} Error exchanging oidc code: {wrong}") from None

    async def _enriched(self, flow: _Flow, claims: Mapping[str, Any], access_token: str) -> Mapping[str, Any]:
        """Return the claims with what `userinfo` says of who, if it does: it need not be there."""
        url = flow.issuer.userinfo_endpoint
        if not url or not access_token:
            return claims
        headers = {"Authorization": f"Bearer {access_token}"}
        try:
            answer = await computed(self._context.fetch.get(url, flow.config.oidc_discovery_ca_pem, headers))
            return with_user_info(claims, answer.body) if answer.status == 200 else claims
        except (FetchFailed, InvalidRequest) as failed:
            scope = self._context.vault_id
            _log.warning("userinfo cannot be had", scope, scope=scope, reason=str(failed))
            return claims

    async def _verified(self, id_token: str, config: JwtConfig) -> None:
        try:
            await self._verifier.claims(jwt_compact.parse(id_token), config, config.flow_algorithms)
        except InvalidRequest as refused:
            raise InvalidRequest(f"{_FAILED} Token verification failed. {refused}") from None

    async def _config(self, records: JwtRecords) -> JwtConfig:
        try:
            return await records.read_config()
        except NotFound:
            raise InvalidRequest(f"{_FAILED} Could not load configuration") from None

    async def _issuer(self, config: JwtConfig) -> Issuer:
        source = source_of(config)
        if source is None or not source.is_issuer:
            raise InvalidRequest(_NO_FLOW)
        try:
            return await self._verifier.issuers.issuer(source)
        except FetchFailed as failed:
            raise self._verifier.unavailable(failed) from None

    def _found(self, records: JwtRecords, sent: str) -> tuple[bytes, str]:
        """Return where the request of a state lies, and the state, without the namespace that may follow it."""
        state = sent.partition(",ns=")[0]
        if len(state) > MAX_TEXT:
            raise InvalidRequest(_GONE)
        return self._place(records, state), state

    def _place(self, records: JwtRecords, state: str) -> bytes:
        return self._context.keys.key(records.mount.type, records.mount.number, FLOW, place_of(state))

    def _good(self, place: bytes, record: bytes | None, state: str) -> OidcRequest:
        request = None if record is None else self._opened(place, record)
        if request is None or not request.is_good(state, self._context.clock() / 1e9):
            raise InvalidRequest(_GONE)
        return request

    def _opened(self, place: bytes, record: bytes) -> OidcRequest:
        return OidcRequest.decode(self._context.keyring.open(place, record))

    def _keep(self, tr: Transaction, place: bytes, request: OidcRequest) -> None:
        tr.set(place, self._context.keyring.seal(place, request.encode()))
