"""Tokens that tokens make: what is allowed, by the role as it is in the very transaction that makes the token."""

from __future__ import annotations

from typing import Final

import msgspec

from kms_actors.actors.identity import resolving
from kms_actors.actors.identity.resolving import IdentityChanged, NewIds, entity_for
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.actors.token.bearers import TokenChanged
from kms_actors.actors.token.issuing import draw, issue, with_entity
from kms_actors.actors.token.roles import TokenRoles
from kms_actors.errors import InvalidRequest
from kms_actors.identity.messages import Resolved
from kms_actors.mounts import token_mount_accessor
from kms_actors.policy.builtin import BUILTIN
from kms_actors.policy.messages import PolicyKind
from kms_actors.store.api import Reads, Transaction
from kms_actors.token.making import Plan, plan
from kms_actors.token.messages import CreateToken
from kms_actors.token.spec import Issued

_SECOND: Final = 1e9


class Creating:
    """Makes the tokens of one vault that its tokens ask for."""

    def __init__(self, context: TenantContext, records: TokenRecords, roles: TokenRoles) -> None:
        self._context = context
        self._records = records
        self._roles = roles

    async def create(self, message: CreateToken) -> Issued:
        """Make a token."""
        context, now = self._context, self._context.clock() / _SECOND
        new, ids = draw(context.keys.number), resolving.draw()
        if message.wanted.id:
            new = new._replace(text=message.wanted.id)

        async def body(tr: Transaction) -> tuple[Issued, Resolved | None]:
            planned, entity = await self._plan(tr, message, ids, now)
            issued = await issue(tr, context, planned.spec, new, now)
            missing = await self._missing(tr, planned.spec.policies)
            warnings = (*planned.warnings, *issued.warnings, *missing)
            return msgspec.structs.replace(issued, warnings=warnings), entity

        issued, entity = await context.store.change(body, mount=None)
        if entity is not None and entity.changed:
            await context.ask(IdentityChanged(entity.entity_id))
        if issued.spec.chosen:
            await context.ask(TokenChanged(self._records.hash(issued.token).hex()))
        return await with_entity(context, issued)

    async def _plan(
        self, tr: Transaction, message: CreateToken, ids: NewIds, now: float
    ) -> tuple[Plan, Resolved | None]:
        role = None
        if message.role:
            role = await self._roles.find(tr, message.role)
            if role is None:
                raise InvalidRequest("unknown role")
        planned = plan(message.wanted, message.maker, role, now, await self._records.limits(tr))
        if not message.wanted.entity_alias:
            return planned, None
        entity = await entity_for(
            tr,
            self._context,
            mount_accessor=token_mount_accessor(self._context.vault_id),
            mount_type="token",
            mount_path="auth/token/",
            alias_name=message.wanted.entity_alias.lower(),
            alias_metadata=None,
            groups=(),
            new_ids=ids,
            now=now,
        )
        if entity.disabled:
            raise InvalidRequest("the entity of this alias is disabled")
        spec = msgspec.structs.replace(planned.spec, entity_id=entity.entity_id)
        return msgspec.structs.replace(planned, spec=spec), entity

    async def _missing(self, tr: Reads, policies: tuple[str, ...]) -> list[str]:
        """Return what is told of policies that are not there."""
        names = [name for name in policies if name not in BUILTIN]
        keys = [self._context.keys.key("policy", PolicyKind.ACL.value, name) for name in names]
        found = await tr.get_many(keys) if keys else []
        return [f'Policy "{name}" does not exist' for name, raw in zip(names, found, strict=True) if raw is None]
