"""The logins of a tenant on one node, without its actor: two stand for two nodes on one store."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Sequence
from typing import Any, Final

from kms_actors.actors.cluster.changes import Change
from kms_actors.actors.identity.controller import IdentityController
from kms_actors.actors.login.controllers import LOGIN_CONTROLLERS, MakeController
from kms_actors.actors.node.heard import events_of
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.token.controller import TokenController
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.fetch import Fetcher
from kms_actors.keyring.keyring import Keyring
from kms_actors.login.messages import LoggedIn
from kms_actors.messages import AuthenticateToken, Event, Message
from kms_actors.mounts import LockoutConfig, Mount, MountConfig
from kms_actors.policy.acl import compile_acl
from kms_actors.policy.messages import ResolveAcl
from kms_actors.runtime import Threads
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.token.messages import RenewToken
from kms_actors.token.spec import Issued
from tests.actors.grounds import plant, tenant_store
from tests.store.access import put

SECOND: Final = 10**9
T0: Final = 1_700_000_000
KEYS: Final = TenantKeys(9)
USERPASS: Final = Mount("auth/userpass/", "userpass", 4, "u4", "auth_userpass_1111")
APPROLE: Final = Mount("auth/approle/", "approle", 5, "u5", "auth_approle_2222")
STRICT: Final = Mount(
    "auth/strict/",
    "userpass",
    6,
    "u6",
    "auth_userpass_3333",
    config=MountConfig(3600, 7200, user_lockout_config=LockoutConfig(threshold=2, duration=60, counter_reset=30)),
)
JWT: Final = Mount("auth/jwt/", "jwt", 7, "u7", "auth_jwt_4444")
OIDC: Final = Mount("auth/oidc/", "oidc", 8, "u8", "auth_oidc_5555")
KUBERNETES: Final = Mount("auth/kubernetes/", "kubernetes", 12, "u12", "auth_kubernetes_6666")
CERT: Final = Mount("auth/cert/", "cert", 13, "u13", "auth_cert_7777")
MOUNTS: Final = (USERPASS, APPROLE, STRICT, JWT, OIDC, KUBERNETES, CERT)
CLIENT: Final = "10.1.2.3"


class Tenant:
    """The controllers that logins need, on a store, with a clock that tests set."""

    def __init__(self, store: Store, keyring: Keyring, login_urls: Sequence[str] = ()) -> None:
        self.store = store
        self.keyring = keyring
        self.now = float(T0)
        self.timely = True
        self.recorded: list[tuple[str, str]] = []
        self.context = TenantContext(
            vault_id="vault",
            store=tenant_store(store, KEYS, keyring, *MOUNTS),
            keys=KEYS,
            keyring=keyring,
            clock=lambda: int(self.now * SECOND),
            timely=lambda: self.timely,
            spawn=asyncio.ensure_future,
            spawn_apart=asyncio.ensure_future,
            ask=self.ask,
            notify=self._notify,
            record=lambda _, area, name, ends=0: self.recorded.append((area, name)),
            threads=Threads().of("vault_1"),
            fetch=Fetcher(login_urls).of("vault"),
        )
        self.handlers: dict[type[Message], Any] = {
            **IdentityController(self.context).handlers(),
            **TokenController(self.context, lambda *_: None, self.ask_now).handlers(),
            **{kind: handler for make in set(LOGIN_CONTROLLERS.values()) for kind, handler in self._made(make)},
        }

    def _made(self, make: MakeController) -> Iterable[tuple[type[Message], Any]]:
        return make(self, self.context).handlers().items()

    def ask_now(self, message: Message) -> Any:
        """Ask in the turn under way; policies give nothing here."""
        return compile_acl(()) if isinstance(message, ResolveAcl) else self.handlers[type(message)](message)

    on_receive = ask_now

    async def ask(self, message: Message) -> Any:
        answer = self.ask_now(message)
        return await answer if inspect.isawaitable(answer) else answer

    def _notify(self, event: Event) -> None:
        handler = self.handlers.get(type(event))
        if handler is not None:
            handler(event)

    def hear(self, other: Tenant) -> None:
        """Hear of what another node has told of since it was heard last, as by the change log."""
        told, other.recorded = other.recorded, []
        for area, name in told:
            for event in events_of(Change("vault", area, name, 0.0)):
                self._notify(event)

    async def bearer(self, done: LoggedIn) -> ServicePrincipal:
        """Return who bears the token that a login gave."""
        found: ServicePrincipal = await self.ask(AuthenticateToken(done.issued.token))
        return found

    async def renew(self, done: LoggedIn) -> Issued:
        """Let the token that a login gave live longer."""
        renewed: Issued = await self.ask(RenewToken(done.issued.token))
        return renewed

    async def places(self, *above: Any) -> list[tuple[Any, ...]]:
        """Return the keys of all records below (area, …), without the tenant's prefix."""
        begin = KEYS.key(*above)

        async def body(tr: Transaction) -> list[tuple[Any, ...]]:
            return [KEYS.parts(key) for key, _ in await tr.get_range(begin, after(begin))]

        return await self.store.run(body)

    async def snapshot(self) -> dict[bytes, bytes]:
        """Return all records of the vault."""

        async def body(tr: Transaction) -> dict[bytes, bytes]:
            return dict(await tr.get_range(KEYS.prefix, after(KEYS.prefix)))

        return await self.store.run(body)

    async def restore(self, records: dict[bytes, bytes]) -> None:
        """Write records as they were."""
        await put(self.store, *records.items())


async def planted(store: Store) -> Keyring:
    """Write what changes of the tenant rest on; return its keyring."""
    keyring = Keyring.generate(0.0)
    await plant(store, KEYS, keyring, *MOUNTS)
    return keyring
