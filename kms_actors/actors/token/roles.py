"""Roles of tokens: (`token-role`, name) TokenRole, sealed."""

from __future__ import annotations

from functools import partial
from typing import Final

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.errors import InvalidRequest, NotFound, PermissionDenied
from kms_actors.store.api import Reads, Transaction
from kms_actors.token import role as roles
from kms_actors.token.messages import DeleteRole, ListRoles, ReadRole, WriteRole
from kms_actors.token.role import TokenRole

#: Roles of a vault.
MOST: Final = 10_000
ROLE: Final = "token-role"


class TokenRoles:
    """Those of one vault."""

    def __init__(self, context: TenantContext, records: TokenRecords) -> None:
        self._context = context
        self._records = records

    async def find(self, tr: Reads, name: str) -> TokenRole | None:
        """Return a role."""
        key = self._context.keys.key(ROLE, name)
        raw = await tr.get(key)
        return None if raw is None else TokenRole.decode(self._context.keyring.open(key, raw))

    async def read(self, message: ReadRole) -> TokenRole:
        """Return a role; raises NotFound."""
        found = await self._context.store.read(partial(self.find, name=message.name))
        if found is None:
            raise NotFound
        return found

    async def write(self, message: WriteRole) -> tuple[str, ...]:
        """Make or change a role; return what its sender is told."""

        async def body(tr: Transaction) -> tuple[str, ...]:
            before = await self.find(tr, message.name)
            if not (message.grants.create if before is None else message.grants.update):
                raise PermissionDenied("permission denied")
            if before is None and len(await self._names(tr, MOST)) >= MOST:
                raise InvalidRequest(f"a vault has at most {MOST} roles of tokens")
            limits = await self._records.limits(tr)
            changed = roles.changed(before or TokenRole(name=message.name), message.sent, limits.most)
            key = self._context.keys.key(ROLE, message.name)
            tr.set(key, self._context.keyring.seal(key, changed.role.encode()))
            return changed.warnings

        return await self._context.store.change(body, mount=None)

    async def delete(self, message: DeleteRole) -> None:
        """Delete a role."""

        async def body(tr: Transaction) -> None:
            tr.clear(self._context.keys.key(ROLE, message.name))

        await self._context.store.change(body, mount=None)

    async def names(self, _: ListRoles) -> list[str]:
        """Return all names, sorted."""
        return await self._context.store.read(partial(self._names, limit=MOST))

    async def _names(self, tr: Reads, limit: int) -> list[str]:
        keys = self._context.keys
        return [keys.parts(key)[1] for key in await tr.get_keys(*keys.span(ROLE), limit=limit)]
