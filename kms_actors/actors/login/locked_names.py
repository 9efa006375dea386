"""Names that failed logins have locked: told, and unlocked."""

from __future__ import annotations

from collections.abc import Mapping

from kms_actors.actors.login.locking import KNOWN, Locking, rule_of
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.login.messages import ReadLockedNames, UnlockName
from kms_actors.messages import Message
from kms_actors.mounts import Mount
from kms_actors.store.api import Transaction
from kms_actors.store.pages import read_page

#: What a `LockedNamesController` handles.
LOCKED_MESSAGES = (ReadLockedNames, UnlockName)


class LockedNamesController:
    """Looks at failed logins, and forgets them."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._locking = Locking(context)

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            ReadLockedNames: lambda message: self._context.spawn(self._read(message)),
            UnlockName: lambda message: self._context.spawn(self._unlock(message)),
        }

    async def _read(self, message: ReadLockedNames) -> dict[int, list[str]]:
        return {number: await self._locked(self._context.store.require_mount(number)) for number in message.mounts}

    async def _locked(self, mount: Mount) -> list[str]:
        """Return the names that are locked, a page a transaction: there are as many as the mount has names."""
        context, now, rule = self._context, self._context.clock() / 1e9, rule_of(mount)
        begin, end = context.keys.span(mount.type, mount.number, KNOWN)
        found: list[str] = []
        following: bytes | None = begin
        while following is not None:
            await context.turns.turn(context.vault_id)
            start = following
            page = await context.store.read(lambda tr, start=start: read_page(tr, start, end))  # type: ignore[misc]
            for key, record in page.entries:
                failures = self._locking.opened(key, record)
                if failures is not None and rule.locked(failures, now):
                    found.append(failures.alias)
            following = page.next
        return sorted(found)

    async def _unlock(self, message: UnlockName) -> None:
        mount = self._context.store.require_mount(message.mount)
        key = self._locking.key(mount, message.alias, known=True)

        async def body(tr: Transaction) -> None:
            tr.clear(key)

        await self._context.store.change(body, mount=mount.number)
