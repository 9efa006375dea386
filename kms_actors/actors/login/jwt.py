"""Logins by signed tokens in a tenant actor: configuration, roles, and tokens that callers send.

A token is verified in a thread, by keys that were given or fetched before; the role and the configuration are read
again by the transaction that makes the login's token.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from kms_actors.actors.login.completing import log_in
from kms_actors.actors.login.familiar import Familiar
from kms_actors.actors.login.jwt_records import ROLE, Basis, JwtRecords
from kms_actors.actors.login.listing import list_keys
from kms_actors.actors.login.verifying import Verifier, source_of
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import InvalidRequest, PermissionDenied
from kms_actors.fetch import FetchFailed
from kms_actors.login import jwt_compact
from kms_actors.login.jwt_config import JwtConfig, ReadJwtConfig, ShownJwtConfig, WriteJwtConfig, configured
from kms_actors.login.jwt_login import LoginByJwt, check_request, outcome_of
from kms_actors.login.jwt_role import (
    DeleteJwtRole,
    JwtRole,
    ListJwtRoles,
    ReadJwtRole,
    WriteJwtRole,
    written,
)
from kms_actors.login.messages import LoggedIn
from kms_actors.login.outcome import Outcome
from kms_actors.messages import Message
from kms_actors.mounts import SYSTEM_LEASE_TTL
from kms_actors.store.api import Transaction

#: What a `JwtController` handles.
JWT_MESSAGES: Final = (
    LoginByJwt,
    ReadJwtConfig,
    WriteJwtConfig,
    ReadJwtRole,
    ListJwtRoles,
    WriteJwtRole,
    DeleteJwtRole,
)


class JwtController:
    """Logs bearers of signed tokens in, and keeps what says how."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._verifier = Verifier(context)
        self._familiar = Familiar(context)

    def handlers(self) -> Mapping[type[Message], Handler]:
        work: dict[type[Message], Any] = {
            LoginByJwt: self._log_in,
            ReadJwtConfig: self._read_config,
            WriteJwtConfig: self._write_config,
            ReadJwtRole: lambda message: self._records(message.mount).read_role(message.name),
            ListJwtRoles: self._list,
            WriteJwtRole: self._write_role,
            DeleteJwtRole: self._delete_role,
        }
        return {kind: partial(self._spawn, each) for kind, each in work.items()}

    def _spawn(self, work: Any, message: Any) -> Any:
        return self._context.spawn(work(message))

    def _records(self, mount: int) -> JwtRecords:
        return JwtRecords(self._context, mount)

    async def _log_in(self, message: LoginByJwt) -> LoggedIn:
        basis = await self._records(message.mount).basis(message.role)
        role = check_request(basis.role, message)
        try:
            token = jwt_compact.parse(message.jwt)
            claims = await self._verifier.claims(token, basis.config, basis.config.algorithms)
        except InvalidRequest as refused:
            raise InvalidRequest(f"error validating token: {refused}") from None
        return await log_in(self._context, message, partial(self._prove, basis, role, claims), self._familiar)

    async def _prove(
        self, basis: Basis, role: JwtRole, claims: Mapping[str, Any], tr: Transaction, now: float
    ) -> Outcome:
        outcome = outcome_of(basis.config, role, basis.name, claims, now)
        await basis.hold(tr)
        return outcome

    async def _read_config(self, message: ReadJwtConfig) -> ShownJwtConfig:
        config = await self._records(message.mount).read_config()
        source = source_of(config)
        if source is not None and source.is_issuer:
            try:
                await self._verifier.issuers.issuer(source)
            except FetchFailed as failed:
                return ShownJwtConfig(config, str(failed))
        return ShownJwtConfig(config)

    async def _write_config(self, message: WriteJwtConfig) -> tuple[str, ...]:
        records = self._records(message.mount)
        # What is fetched does not rest on what was there before.
        warnings = await self._check(configured(None, message.sent), unchecked=message.unchecked)

        async def body(tr: Transaction) -> None:
            before = records.config(await tr.get(records.config_place))
            after = configured(before, message.sent)
            tr.set(records.config_place, self._context.keyring.seal(records.config_place, after.encode()))

        await self._context.store.change(body, mount=message.mount)
        return warnings

    async def _check(self, config: JwtConfig, *, unchecked: bool) -> tuple[str, ...]:
        """Return a warning, or raise InvalidRequest, where the keys of a configuration cannot be had now."""
        source = source_of(config)
        if source is None:
            return ()
        what = "error checking oidc discovery URL" if source.is_issuer else "error checking jwks URL"
        try:
            self._context.fetch.check(source.url)
        except FetchFailed as refused:
            raise InvalidRequest(f"{what}: {refused}") from None
        try:
            await self._verifier.issuers.check(source)
        except FetchFailed as failed:
            if not unchecked:
                raise InvalidRequest(f"{what}: {failed}") from None
            return (f"{what}: {failed}",)
        return ()

    async def _list(self, message: ListJwtRoles) -> list[str]:
        mount = self._records(message.mount).mount
        return await list_keys(self._context, (mount.type, mount.number, ROLE), message.after, message.limit)

    async def _write_role(self, message: WriteJwtRole) -> tuple[str, ...]:
        records = self._records(message.mount)
        place, longest = records.role_place(message.name), records.mount.config.max_lease_ttl or SYSTEM_LEASE_TTL

        async def body(tr: Transaction) -> tuple[str, ...]:
            before = records.role(message.name, await tr.get(place))
            if not (message.grants.create if before is None else message.grants.update):
                raise PermissionDenied("permission denied")
            after, warnings = written(before, message.sent, message.spelled, longest)
            tr.set(place, self._context.keyring.seal(place, after.encode()))
            return warnings

        return await self._context.store.change(body, mount=message.mount)

    async def _delete_role(self, message: DeleteJwtRole) -> None:
        place = self._records(message.mount).role_place(message.name)

        async def body(tr: Transaction) -> None:
            tr.clear(place)

        await self._context.store.change(body, mount=message.mount)
