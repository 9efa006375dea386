"""The identities of a tenant on one node, without its actor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from kms_actors.actors.identity.controller import IdentityController
from kms_actors.actors.identity.resolving import IdentityChanged, draw, entity_for
from kms_actors.actors.tenant.authorities import DutyLeft
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.identity import messages as identity
from kms_actors.identity.messages import Resolved
from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import Event, Message
from kms_actors.mounts import Mount
from kms_actors.runtime import Threads
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from tests.actors.grounds import plant, tenant_store

SECOND = 10**9
T0 = 1_700_000_000 * SECOND
KEYS = TenantKeys(9)
USERPASS = Mount("auth/userpass/", "userpass", 4, "u4", "auth_userpass_1111")
JWT = Mount("auth/jwt/", "jwt", 5, "u5", "auth_jwt_2222")

#: That of tokens, which is there without a record.
TOKENS = identity.LoginMount("auth_token_3333", "token", "auth/token/", None)


def alias_mount(mount: Mount | identity.LoginMount) -> identity.LoginMount:
    if isinstance(mount, identity.LoginMount):
        return mount
    return identity.LoginMount(mount.accessor, mount.type, mount.path, mount.number)


class Tenant:
    """A controller on a store, a clock that tests set, and what was written to the change log."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self.store = store
        self.keyring = keyring
        self.now = T0
        self.recorded: list[tuple[str, str]] = []
        self.context = TenantContext(
            vault_id="vault",
            store=tenant_store(store, KEYS, keyring, USERPASS, JWT),
            keys=KEYS,
            keyring=keyring,
            clock=lambda: self.now,
            spawn=asyncio.ensure_future,
            spawn_apart=asyncio.ensure_future,
            ask=self.ask,
            notify=self.notify,
            record=self._record,
            threads=Threads().of("vault_1"),
        )
        self.controller = IdentityController(self.context)
        self.handlers = self.controller.handlers()

    async def ask(self, message: Message) -> Any:
        answer = self.handlers[type(message)](message)
        return await answer if asyncio.isfuture(answer) else answer

    def notify(self, event: Event) -> None:
        self.handlers[type(event)](event)

    def _record(self, tr: Transaction, area: str, name: str, ends: int = 0) -> None:
        self.recorded.append((area, name))

    async def log_in(
        self,
        name: str,
        mount: Mount = USERPASS,
        metadata: dict[str, str] | None = None,
        groups: Iterable[str] = (),
    ) -> Resolved:
        """Do of a login what identities have to do with it."""
        ids, now = draw(), self.now / SECOND

        async def body(tr: Transaction) -> Resolved:
            return await entity_for(
                tr,
                self.context,
                mount_accessor=mount.accessor,
                mount_type=mount.type,
                mount_path=mount.path,
                alias_name=name,
                alias_metadata=metadata,
                groups=groups,
                new_ids=ids,
                now=now,
            )

        found = await self.context.store.change(body, mount=mount.number)
        if found.changed:
            await self.ask(IdentityChanged(found.entity_id))
        return found

    async def settled(self) -> None:
        """Return once nothing is left to be removed."""
        while True:
            self.notify(DutyLeft())
            if not await self.controller._doing:  # type: ignore[misc]
                return

    async def stored(self) -> dict[tuple[Any, ...], bytes]:
        """Return all records of identities, by their keys."""

        async def body(tr: Transaction) -> list[tuple[bytes, bytes]]:
            return await tr.get_range(*KEYS.span("identity"))

        return {KEYS.parts(key): value for key, value in await self.store.run(body)}

    async def links(self) -> list[tuple[Any, ...]]:
        """Return the keys of all memberships."""
        kinds = {"member", "member-of", "subgroup", "subgroup-of"}
        return [key for key in await self.stored() if key[1] in kinds]


async def planted(store: Store) -> Keyring:
    """Write what changes of the tenant rest on; return its keyring."""
    keyring = Keyring.generate(0.0)
    await plant(store, KEYS, keyring, USERPASS, JWT)
    return keyring
