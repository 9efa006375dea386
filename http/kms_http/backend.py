"""What the HTTP edge needs from below: a node and its tenants, seen through two small protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from kms_actors.audit.facts import Answered, Entered
from kms_actors.audit.receipts import Ticket
from kms_actors.auth.principal import Principal
from kms_actors.auth.service_token import TokenProof
from kms_actors.cubbyhole.records import Taken
from kms_actors.insight.cors import Cors
from kms_actors.messages import Message
from kms_actors.mounts import MountTable
from kms_actors.quota.limiter import Limiter
from kms_actors.tenancy.records import Erasure

#: Told of every request once it is answered: route label, status, seconds.
Observe = Callable[[str, int, float], None]


class Trail(Protocol):
    """Open audit devices. Where any takes an entry, one of the outcomes must be true."""

    @property
    def revision(self) -> int:
        """Counts changes of the devices."""

    async def prepare(self, entered: Entered, answered: Answered | None = None) -> None:
        """Mask what is `large`, before its entry is made."""

    def hasten(self) -> None:
        """Have what waits written now, if that can be done without a wait."""

    def now(self) -> int:
        """Return the time that entries tell, in nanoseconds since 1970."""

    def request(self, entered: Entered, error: str = "") -> Sequence[asyncio.Future[bool]]:
        """Have the entry of a request written."""

    def answer(
        self, entered: Entered, answered: Answered, receipts: list[Ticket] | None = None
    ) -> Sequence[asyncio.Future[bool]]:
        """Have the entry of an answer written; with `receipts`, add a ticket of each device to them."""


class Tenant(Protocol):
    """One tenant on this node. `sealed` and `mounts` are snapshots, read without asking."""

    @property
    def sealed(self) -> bool:
        """True before initialisation too."""

    @property
    def mounts(self) -> MountTable: ...

    @property
    def vault_id(self) -> str: ...

    @property
    def erasure(self) -> Erasure | None:
        """What is known of its deletion; None where it stays."""

    @property
    def limiter(self) -> Limiter | None:
        """What decides how often may be asked; None: nothing does."""

    async def ask(self, message: Message) -> Any: ...

    @property
    def trail(self) -> Trail | None:
        """Its open audit devices; None where it never had any."""

    def revoked(self, revocation_ids: tuple[str, ...]) -> bool: ...

    def seen(self, biscuit: str, now: float) -> bool:
        """Tell whether a biscuit of this revocation id is noted for the month of now (seconds since 1970)."""


class Backend(Protocol):
    """The node."""

    @property
    def node_sealed(self) -> bool:
        """True before initialisation too."""

    @property
    def namespace(self) -> str:
        """The cluster's resource: what an operator's token names."""

    @property
    def cors(self) -> Cors | None:
        """Which pages may send requests; None: no page is spoken of."""

    @property
    def console_headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Names and values that answers of the console have beside their own."""

    @property
    def audited(self) -> bool:
        """False where the node has no audit devices of its own, for sure."""

    async def trail(self) -> Trail | None:
        """Return the node's audit devices, which record requests of all vaults and of none."""

    @property
    def default_vault(self) -> str:
        """Whose logins are meant where none is named; empty: nobody's."""

    async def named_tenant(self, vault_id: str) -> Tenant | None:
        """Activate a tenant that nobody has proved to know of; None where there is none.

        Raises Sealed when the node is sealed.
        """

    def node_revoked(self, revocation_ids: tuple[str, ...]) -> bool:
        """Tell whether an operator's token is revoked."""

    async def ask_node(self, message: Message) -> Any: ...

    def awake(self, vault_id: str) -> Tenant | None:
        """Return a tenant that is active already."""

    async def tenant(self, vault_id: str) -> Tenant:
        """Activate a tenant; raises Sealed when the node is sealed."""

    async def taken(self, number: int, token: str) -> Taken | None:
        """Return what is known of a wrapping token that was used, of the tenant with this integer."""

    async def tenant_by_token(self, number: int, digest: bytes) -> tuple[Tenant, TokenProof | None] | None:
        """Find the tenant that a service token is of, and its proof; None for a token that proves nothing.

        `digest` is what its proof is stored under.

        A tenant of an older program has no proof. Raises Sealed when the node is sealed, whatever the token.
        """

    async def tenant_by_batch_token(self, number: int, token: str) -> Tenant | None:
        """Find the tenant that has signed a batch token; None for a token that proves nothing.

        Raises Sealed when the node is sealed, whatever the token.
        """


class Authenticator(Protocol):
    """Verifies long tokens."""

    def authenticate(self, token: str, now: float) -> Principal:
        """Return who bears `token`; raises AuthenticationFailed. `now` is in seconds since 1970."""
