"""Who calls, and in which scope: from the headers of a request to a principal and its tenant.

The token alone decides the scope. A namespace header can agree with it, never choose another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from multidict import istr

from kms_actors import request_context
from kms_actors.activity import clients
from kms_actors.activity.messages import NoteBiscuit
from kms_actors.auth import batch_token, service_token
from kms_actors.auth.checks import WithPolicies
from kms_actors.auth.principal import MadeOf, Principal, Right
from kms_actors.auth.service_token import ServicePrincipal, TokenProof
from kms_actors.errors import AuthenticationFailed, Sealed
from kms_actors.messages import AuthenticateToken
from kms_actors.observe.bounded import BoundedLog
from kms_actors.policy.messages import ResolveAcl
from kms_actors.request_context import Bearer
from kms_actors.token.messages import LookUpBiscuit, OfBiscuit, RevokeBiscuit
from kms_http.backend import (
    Authenticator,
    Backend,
    Tenant,
)

TOKEN: Final = istr("X-Vault-Token")
NAMESPACE: Final = istr("X-Vault-Namespace")
AUTHORIZATION: Final = istr("Authorization")
#: Characters of a revocation id, or of an accessor, and of an owner, that logs have.
_SHOWN: Final = 16
_LONGEST_OWNER: Final = 128
_BEARER: Final = "Bearer "
_ROOT_NAMESPACE: Final = "root"

_log: Final = BoundedLog(__name__)


class Caller(NamedTuple):
    """Nobody has no principal; an operator of the cluster has no tenant."""

    principal: Principal | None
    tenant: Tenant | None


NOBODY: Final = Caller(None, None)


class Sent(NamedTuple):
    """What a request says of who sends it. `now` is in seconds since 1970, `address` that of the connection."""

    token: str
    namespace: str = ""
    now: float = 0.0
    address: str = ""


def token_of(headers: Mapping[str, str]) -> str:
    """Return the token a request carries, or an empty text."""
    token = headers.get(TOKEN)
    if token:
        return token
    authorization = headers.get(AUTHORIZATION, "")
    return authorization[len(_BEARER) :].strip(" ") if authorization.startswith(_BEARER) else ""


def name_of(principal: Principal) -> str:
    """Return what logs call the bearer: owner or display name, and what tells his token from others of his."""
    owner = (principal.metadata or {}).get("owner", principal.display_name)
    token = principal.revocation_ids[-1][:_SHOWN] if principal.revocation_ids else principal.accessor[:_SHOWN]
    return f"{owner[:_LONGEST_OWNER]} {token}".rstrip()


class Callers:
    """Turns tokens into callers."""

    def __init__(self, backend: Backend, authenticator: Authenticator) -> None:
        self._backend = backend
        self._authenticator = authenticator

    async def identify(self, sent: Sent, *, anonymous: bool, use: bool = True) -> Caller:
        """Return who calls. Without a token, or with one that proves nothing, that is nobody, if `anonymous`.

        To nobody a namespace means nothing: what anybody may ask is told of the node, and is the same whatever vault
        is named, so that nothing is learnt of vaults. Without `use`, it does not count as one of a token whose uses
        are counted.

        Raises:
            AuthenticationFailed: no token, one that proves nothing or was revoked, or a namespace of another scope.
            Sealed: the tenant cannot be reached while the node is sealed.

        """
        if not sent.token and not anonymous:
            raise AuthenticationFailed("no token")
        try:
            caller = await self._bearer(sent, use=use) if sent.token else NOBODY
        except (AuthenticationFailed, Sealed):
            # What anybody may ask is then answered as for anybody: `vault status` works with a stale token, too.
            if not anonymous:
                raise
            caller = NOBODY
        self._require_namespace(caller, sent.namespace)
        return caller

    async def identify_login(self, sent: Sent) -> Caller:
        """Return who calls below a mount of logins: the bearer, or nobody, of the vault that is named.

        Who logs in has no token yet, or an old one that says nothing. So this is the one place where a header names a
        vault: it gives nobody any right there, and a token of another one counts for none.

        Raises:
            AuthenticationFailed: no vault is named.
            Sealed: there is no such vault, or it is sealed, or not initialised: nobody learns which.

        """
        caller = NOBODY
        if sent.token:
            try:
                caller = await self._bearer(sent)
            except (AuthenticationFailed, Sealed):  # of a vault that may not be the one that is named
                caller = NOBODY
        named = sent.namespace.strip("/")
        name = self._backend.default_vault if named in ("", _ROOT_NAMESPACE) else named
        if caller.tenant is not None and (named in ("", _ROOT_NAMESPACE) or caller.tenant.vault_id == named):
            return caller
        if not name:
            raise _refusal("a login names no vault: X-Vault-Namespace, or the setting tenants.default_vault")
        tenant = await self._backend.named_tenant(name)
        if tenant is None:
            raise Sealed
        request_context.borne_by(None)
        return Caller(None, tenant)

    async def identify_visitor(self, sent: Sent) -> Caller:
        """Return nobody, of the vault that a login would be of: of no vault where that is sealed, or is not there."""
        try:
            caller = await self.identify_login(sent._replace(token=""))
        except (AuthenticationFailed, Sealed):
            return NOBODY
        return NOBODY if caller.tenant is None or caller.tenant.sealed else caller

    async def identify_taker(self, sent: Sent) -> Caller:
        """Return who comes with, or for, a wrapping token: nobody where what he sent as his own proves nothing.

        Raises:
            AuthenticationFailed: the namespace is not the bearer's.

        """
        try:
            caller = await self._bearer(sent, use=False) if sent.token else NOBODY
        except AuthenticationFailed:
            return NOBODY
        self._require_namespace(caller, sent.namespace)
        return caller

    async def ask_of_biscuit(self, tenant: Tenant, message: OfBiscuit, now: float) -> Any:
        """Answer what somebody asks of a biscuit that is not his own, for the bearer's vault."""
        try:
            principal = self._authenticator.authenticate(message.text, now)
        except AuthenticationFailed:
            return None
        if principal.resource != tenant.vault_id or tenant.revoked(principal.revocation_ids):
            return None
        if isinstance(message, LookUpBiscuit):
            return principal
        await tenant.ask(RevokeBiscuit(principal.revocation_ids[-1], principal.expires_at))
        return True

    async def use(self, sent: Sent) -> None:
        """Count a use of a token that was only looked at."""
        if service_token.tenant_of(sent.token) is not None or service_token.is_chosen(sent.token):
            with contextlib.suppress(AuthenticationFailed):
                await self._bearer(sent)

    async def _bearer(self, sent: Sent, *, use: bool = True) -> Caller:
        number = service_token.tenant_of(sent.token)
        if number is not None:
            return await self._by_service_token(sent, number, use=use)
        number = batch_token.tenant_of(sent.token)
        if number is not None:
            return await self._by_batch_token(sent, number)
        if self._backend.default_vault and service_token.is_chosen(sent.token):
            return await self._by_chosen_token(sent, use=use)
        principal = self._authenticator.authenticate(sent.token, sent.now)
        if principal.right is Right.OPERATOR:
            if principal.resource != self._backend.namespace or self._backend.node_revoked(principal.revocation_ids):
                raise _refusal("an operator's token of another cluster, or revoked", self._backend.namespace)
            return Caller(principal, None)
        tenant = self._backend.awake(principal.resource) or await self._backend.tenant(principal.resource)
        principal = await self._of_vault(principal, tenant, sent.now)
        request_context.borne_by(Bearer(principal.revocation_ids, policies=_made_of(principal)))
        return Caller(principal, tenant)

    async def _of_vault(self, principal: Principal, tenant: Tenant, now: float) -> Principal:
        """Return the bearer of a biscuit of this vault, with what policies give him now. It is noted once a month."""
        ids = principal.revocation_ids
        if tenant.revoked(ids):
            raise _refusal("token was revoked", tenant.vault_id)
        if tenant.sealed:
            return principal
        if not tenant.seen(ids[-1], now):
            await tenant.ask(NoteBiscuit(ids[-1], clients.of_biscuit(principal)))
        if principal.right is Right.POLICY and principal.acl is None:
            return WithPolicies(principal, await tenant.ask(ResolveAcl(principal.policies)))
        return principal

    async def _by_service_token(self, sent: Sent, number: int, *, use: bool) -> Caller:
        """Return the bearer: what a made-up token is answered does not tell which vaults there are, or are sealed."""
        digest = service_token.proof_digest(sent.token)
        found = await self._backend.tenant_by_token(number, digest)
        if found is None:
            raise _refusal("unknown service token")
        tenant, proof = found
        if tenant.sealed:
            if proof is None:
                raise _refusal("service token of an older program, in a sealed vault", tenant.vault_id)
            principal = proof.principal(tenant.vault_id)
            if principal.record.expired(sent.now):
                raise _refusal("service token expired", tenant.vault_id)
            return Caller(principal, tenant)
        message = AuthenticateToken(sent.token, proof is not None, use, sent.address, digest)
        return await self._by_own_token(sent, tenant, message)

    async def _by_batch_token(self, sent: Sent, number: int) -> Caller:
        """Return the bearer; as of service tokens, a made-up one tells nothing of vaults."""
        tenant = await self._backend.tenant_by_batch_token(number, sent.token)
        if tenant is None:
            raise _refusal("unknown batch token")
        if tenant.sealed:
            return Caller(TokenProof(right=Right.POLICY, created=sent.now).principal(tenant.vault_id), tenant)
        return await self._by_own_token(sent, tenant, AuthenticateToken(sent.token, address=sent.address))

    async def _by_chosen_token(self, sent: Sent, *, use: bool) -> Caller:
        """Return the bearer of a token whose text its maker has chosen: nothing is known of it without its vault."""
        tenant = await self._backend.named_tenant(self._backend.default_vault)
        if tenant is None:
            raise _refusal("unknown chosen token")
        if tenant.sealed:
            raise Sealed
        message = AuthenticateToken(
            sent.token, address=sent.address, use=use, digest=service_token.proof_digest(sent.token)
        )
        return await self._by_own_token(sent, tenant, message)

    async def _by_own_token(self, sent: Sent, tenant: Tenant, message: AuthenticateToken) -> Caller:
        """Return the bearer of a token that the vault itself has given."""
        try:
            principal: ServicePrincipal = await tenant.ask(message)
        except AuthenticationFailed as refused:
            raise _refusal(str(refused), tenant.vault_id) from None
        record = principal.record
        maker = await self._maker(record.under, tenant, sent.now) if record.under else None
        if maker is not None:
            principal = principal.made_by(maker)
        if principal.batch and principal.expires_at is not None and sent.now >= principal.expires_at:
            raise _refusal("batch token has expired", tenant.vault_id)  # as its holders have narrowed it
        if not principal.spent:  # else it is gone, and this was the last that it allows
            # Where its uses are counted and this one is not yet, the change that counts it sees whether there is one.
            proven = not (principal.batch or record.chosen) and (message.use or not record.num_uses)
            request_context.borne_by(
                Bearer(
                    revocation_ids=() if maker is None else maker.revocation_ids,
                    proof=message.digest if proven else b"",
                    line=record.line,
                    mount=record.mount,
                    policies=_made_of(principal),
                    entity=principal.entity,
                    moves=None if principal.batch else record.mount_moves,
                    accessor=record.accessor if record.chosen else "",
                    counted=message.digest if message.use and record.num_uses else b"",
                )
            )
        return Caller(principal, tenant)

    async def _maker(self, text: str, tenant: Tenant, now: float) -> Principal:
        """Return who made a service token by a biscuit, which must be as good as if he called himself."""
        principal = self._authenticator.authenticate(text, now)
        if principal.resource != tenant.vault_id or principal.right is Right.OPERATOR:
            raise _refusal("a service token of another vault's biscuit", tenant.vault_id)
        return await self._of_vault(principal, tenant, now)

    def _require_namespace(self, caller: Caller, namespace: str) -> None:
        named = namespace.strip("/")
        if caller.principal is None or named in ("", _ROOT_NAMESPACE):  # to servers with namespaces, that names none
            return
        own = caller.principal.resource
        if named != own:
            raise _refusal("namespace header names another scope", own)


def _made_of(principal: Principal) -> MadeOf:
    """Return which policies a change by this bearer rests on."""
    own = () if principal.acl is None else principal.acl.made_of
    return own if principal.under is None else own + _made_of(principal.under)


def _refusal(reason: str, scope: str = "") -> AuthenticationFailed:
    """Log why a token is refused, and the scope if it proved one; forged biscuits are logged elsewhere."""
    fields = {"scope": scope} if scope else {}
    _log.info("token refused", reason + scope, reason=reason, request_id=request_context.current().id, **fields)
    refused = AuthenticationFailed(reason)
    refused.scope = scope
    return refused
