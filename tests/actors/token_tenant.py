"""A token controller on a store, without its actor: two stand for two nodes that have not heard of each other."""

from __future__ import annotations

import asyncio
import inspect
import os
from typing import Any

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.token.controller import TokenController
from kms_actors.actors.token.issuing import draw, issue
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.identity.messages import Resolved, ResolveEntity
from kms_actors.keyring.keyring import Keyring
from kms_actors.login.messages import ReadRenewalTerms, RenewalTerms
from kms_actors.login.parameters import TokenParameters
from kms_actors.messages import AuthenticateToken, Message
from kms_actors.mounts import Mount
from kms_actors.policy.acl import Acl, compile_acl
from kms_actors.policy.messages import ResolveAcl
from kms_actors.runtime import Threads
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.token.spec import Issued, TokenSpec
from tests.actors.grounds import plant, tenant_store

SECOND = 10**9
T0 = 1_700_000_000
NUMBER = 9
MOUNT = 4
LOGINS = Mount("auth/approle/", "approle", MOUNT, "uuid", "accessor")


class Tenant:
    """A controller, its store, a clock that tests set, and what it wrote into the log."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self.store = store
        self.now = float(T0)
        self.timely = True
        self.keys = TenantKeys(NUMBER)
        self.acls: dict[tuple[str, ...], Acl] = {}
        self.entities: dict[str, Resolved] = {}
        self.said: list[tuple[str, str]] = []
        self.context = TenantContext(
            vault_id="vault",
            store=tenant_store(store, self.keys, keyring, LOGINS),
            keys=self.keys,
            keyring=keyring,
            clock=lambda: int(self.now * SECOND),
            timely=lambda: self.timely,
            spawn=asyncio.ensure_future,
            spawn_apart=asyncio.ensure_future,
            ask=self.ask,
            notify=lambda event: self.handlers[type(event)](event),
            record=lambda _, area, name, ends=0: self.said.append((area, name)),
            threads=Threads().of("vault_1"),
        )
        self.controller = TokenController(self.context, lambda *_: None, self.ask_now)
        self.handlers = self.controller.handlers()

    async def ask(self, message: Message) -> Any:
        handler = self.handlers.get(type(message))
        answer = self.ask_now(message) if handler is None else handler(message)
        return await answer if inspect.isawaitable(answer) else answer

    def ask_now(self, message: Message) -> Any:
        """Answer for policies and entities: as tests have set them, and else nothing may be done."""
        if isinstance(message, ResolveEntity):
            return self.entities[message.entity_id]
        if isinstance(message, ReadRenewalTerms):
            return RenewalTerms(TokenParameters(), ())
        assert isinstance(message, ResolveAcl)
        return self.acls.setdefault(message.names, compile_acl(()))

    async def issue(self, parent: Issued | None = None, **spec: Any) -> Issued:
        """Make a token in a transaction of its own."""
        if parent is not None:
            spec |= {"parent": parent.accessor, "line": (*parent.spec.line, parent.accessor)}
        given: dict[str, Any] = {
            "policies": ("default",),
            "display_name": "token",
            "path": "auth/token/create",
            "ttl": 3600,
        }
        made, new = TokenSpec(**(given | spec)), draw(NUMBER)
        return await self.context.store.change(
            lambda tr: issue(tr, self.context, made, new, self.now), mount=None, bearers=()
        )

    async def bearer(self, token: str | Issued) -> ServicePrincipal:
        """Return who bears a token."""
        text = token if isinstance(token, str) else token.token
        found: ServicePrincipal = await self.ask(AuthenticateToken(text))
        return found

    async def areas(self) -> list[str]:
        """Return the areas of all records of the vault but its mounts', in order."""

        async def body(tr: Transaction) -> list[str]:
            entries = await tr.get_range(self.keys.prefix, after(self.keys.prefix))
            return [self.keys.parts(key)[0] for key, _ in entries]

        kept = {"mount", "revocations", "sealed"}
        return [area for area in await self.store.run(body) if area not in kept]

    async def clear(self, *parts: Any) -> None:
        """Remove a record, as another node does."""

        async def body(tr: Transaction) -> None:
            tr.clear(self.keys.key(*parts))

        await self.store.run(body, idempotency_key=os.urandom(16))


async def mounted(store: Store, keyring: Keyring) -> None:
    """Write what changes of the vault rest on."""
    await plant(store, TenantKeys(NUMBER), keyring, LOGINS)
