"""A node as the HTTP edge sees it: the way to the node actor, and the directory of tenants while it is unsealed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from kms_actors import clock as clocks
from kms_actors.actors.audit.opening import Audit
from kms_actors.actors.audit.outlets import Outlets
from kms_actors.actors.audit.trail import Trail
from kms_actors.actors.cluster.changes import AUDIT, CLUSTER, CORS, KEYRING, Change
from kms_actors.actors.cluster.feed import ChangeFeed
from kms_actors.actors.cluster.timekeeping import Timekeeper, trusted
from kms_actors.actors.node.actor import (
    RenewMaster,
    RevokeOperator,
    Unsealed,
)
from kms_actors.actors.node.auditing import NodeAudit
from kms_actors.actors.node.cors import CorsSettings
from kms_actors.actors.node.directory import (
    TenantDirectory,
    TenantHandle,
)
from kms_actors.actors.node.garbage import Garbage
from kms_actors.actors.node.insight import Fellows, Insight
from kms_actors.actors.node.link import (
    LocalNode,
    NodeLink,
)
from kms_actors.actors.node.records import NodeRecords
from kms_actors.actors.node.schedule_sweep import ScheduleSweep
from kms_actors.actors.node.seal_standing import seal_status
from kms_actors.actors.node.services import (
    ObserveUses,
    Services,
    unobserved,
)
from kms_actors.actors.node.tenancy import Export, Tenancy, not_exported
from kms_actors.actors.tenant.limits import NearLimits
from kms_actors.actors.tenant.reporting import is_reported, reported
from kms_actors.actors.tenant.revocations import Revocations, end_of, time_of_ends
from kms_actors.actors.tenant.token_records import UNWRAPPED
from kms_actors.actors.tenant.unmounting import Unmounts
from kms_actors.actors.tenant.unsealing import (
    ClusterUnsealing,
    NodeUnsealing,
    Unsealing,
)
from kms_actors.auth.principal import Principal, Right
from kms_actors.auth.scope import why_refused
from kms_actors.auth.service_token import TokenProof, proof_digest
from kms_actors.ceremony.messages import RotateKeyringIfDue
from kms_actors.config import Configuration
from kms_actors.cubbyhole.records import Taken
from kms_actors.errors import KmsError, Sealed, Unavailable
from kms_actors.fetch import Fetcher
from kms_actors.insight.cors import Cors
from kms_actors.keyring import stored
from kms_actors.messages import (
    Message,
    ReadSealStatus,
    RevokeToken,
    SealStatus,
)
from kms_actors.runtime import Threads, Turns
from kms_actors.store import keyspace
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.messages import OfTenant, OfTenants

#: Revocations of operators that are let go of at one look.
_MOST_ENDED: Final = 1000


class NodeService:
    """Owns the actors of one process. Make it with `start`, end it with `stop`.

    `node` leads to the node actor; without it, that is in this process too. `clock` gives nanoseconds since 1970,
    `elapsed` measures the lease. `observe_uses` is told what Transit keys were used for, `export` reads backups.
    `fellows` are all processes of the node.
    """

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        node: NodeLink | None = None,
        clock: Callable[[], int] = time.time_ns,
        observe_uses: ObserveUses = unobserved,
        *,
        elapsed: clocks.Clock = clocks.elapsed,
        export: Export = not_exported,
        fellows: Fellows | None = None,
    ) -> None:
        self._configuration = configuration
        self._store = store
        self._node = node or LocalNode(configuration, store)
        self._records = NodeRecords(store, self.namespace)
        self._cors = CorsSettings(store, self.namespace)
        self._insight = Insight(
            configuration,
            store,
            sealed=lambda: self.node_sealed,
            revoked=lambda ids: not self._revoked.ids.isdisjoint(ids),
            fellows=fellows,
            cors=self._cors,
        )
        self._threads, self.turns = Threads(), Turns()
        self._fetcher = Fetcher(configuration.tenants.login_urls)
        self._clock = clock
        settle = 0.0 if configuration.cluster.backend == "sqlite" else configuration.tenants.lease_seconds
        outlets = Outlets(configuration.audit, configuration.master_keyring_provider.node_name)
        #: The open audit devices of this process.
        self.audit = Audit(outlets, self.turns, clock, settle_seconds=settle)
        self._node_audit = NodeAudit(store, self.namespace, self.audit)
        self._observe_uses = observe_uses
        #: Which keys should not encrypt much more.
        self.near_limits = NearLimits()
        #: Requests that quotas refused: the vaults' own, and those that the cluster's operator has given them.
        self.refused: Final = {"vault": 0, "operator": 0}
        #: What is removed of mounts that are gone.
        self.unmounts = Unmounts()
        self._directory: TenantDirectory | None = None
        self._tenancy: Tenancy | None = None
        self._export = export
        self._sweep: ScheduleSweep | None = None
        self._unsealed_status: SealStatus | None = None
        self._revoked = Revocations()
        self._unsealing: Unsealing = NodeUnsealing()
        self._garbage = Garbage()
        self._timekeeper = Timekeeper(store, clock, elapsed)
        self._feed = ChangeFeed(store, self._deliver, configuration.tenants.lease_seconds, elapsed)

    async def start(self) -> None:
        """Begin to hear of changes, and reach the node actor."""
        await self._feed.start()
        try:
            await self._read_revoked(None)
            await self._node.start(self._seal_changed)
        except BaseException:
            await self._feed.stop()  # before the store is closed, which it would tell as an outage
            raise

    async def stop(self) -> None:
        """End the actors; requests under way have ended before."""
        await self._close_directory(*self._detach())
        await self._node.stop()
        await self._feed.stop()
        await self.audit.stop()
        self._threads.close()
        self._fetcher.close()

    @property
    def namespace(self) -> str:
        return self._configuration.master_keyring_provider.namespace

    @property
    def node_sealed(self) -> bool:
        return self._directory is None

    @property
    def audited(self) -> bool:
        """False where the node has no audit devices of its own, for sure."""
        return self._node_audit.audited

    async def trail(self) -> Trail | None:
        """Return the audit devices of the node, which record all vaults' requests; None where there are none."""
        self._require_fresh()
        return await self._node_audit.trail()

    @property
    def active_tenants(self) -> int:
        return 0 if self._directory is None else len(self._directory)

    @property
    def tenant_bytes(self) -> int:
        """About how much memory the awake tenants take."""
        return 0 if self._directory is None else self._directory.bytes

    @property
    def waiting(self) -> int:
        """Messages accepted by tenants and not yet answered."""
        return 0 if self._directory is None else self._directory.depths()

    @property
    def feed(self) -> ChangeFeed:
        """What reads the change log."""
        return self._feed

    @property
    def timekeeper(self) -> Timekeeper:
        """What compares this clock with the cluster's time."""
        return self._timekeeper

    @property
    def lease_age(self) -> float:
        """Seconds since the change log was last known to be read to its end."""
        return self._feed.age

    async def ask_node(self, message: Message) -> Any:
        """Send a command or query to the node actor."""
        if self._unsealed_status is not None and isinstance(message, ReadSealStatus):
            return self._unsealed_status
        if isinstance(message, RevokeToken):
            return await self._revoke(message.principal)
        if isinstance(message, OfTenants):
            return await self._ask_tenancy(message)
        own = self._node_audit.ask if self._node_audit.handles(message) else self._insight.handlers.get(type(message))
        if is_reported(message, sealed=self._unsealed_status is None):
            change = asyncio.ensure_future((own or self._node.ask)(message))
            return await asyncio.shield(reported(self.namespace, message, change))
        if own is not None:
            return await asyncio.ensure_future(own(message))  # in a task: requests begin outside of one
        return await self._node.ask(message)

    async def _ask_tenancy(self, message: OfTenants) -> Any:
        self._require_fresh()
        if self._tenancy is None:
            raise Sealed
        # In a task: requests begin outside of one, and a transaction of several reads at once needs it.
        done = asyncio.ensure_future(self._tenancy.handle(message))
        if not isinstance(message, OfTenant) or not is_reported(message, sealed=False):
            return await done
        return await asyncio.shield(reported(message.vault_id, message, done))

    async def _revoke(self, principal: Principal) -> None:
        revocation_id, ends = principal.revocation_ids[-1], end_of(principal.expires_at)
        await self._node.ask(RevokeOperator(revocation_id, ends))
        self._revoked.add(revocation_id, ends)

    def node_revoked(self, revocation_ids: tuple[str, ...]) -> bool:
        """Tell whether a cluster operator's token is revoked; raises Unavailable past the lease."""
        self._require_fresh()
        return not self._revoked.ids.isdisjoint(revocation_ids)

    def awake(self, vault_id: str) -> TenantHandle | None:
        """Return a tenant if it is awake; raises Unavailable past the lease, as all that leads to a tenant."""
        self._require_fresh()
        return None if self._directory is None else self._directory.awake(vault_id)

    async def tenant(self, vault_id: str) -> TenantHandle:
        """Return a tenant, awake; raises Sealed while the node is."""
        self._require_fresh()
        if self._directory is None:
            raise Sealed
        return await self._directory.tenant(vault_id)

    @property
    def cors(self) -> Cors | None:
        """Which pages may send requests; None: none is told that it may see an answer."""
        return self._cors.current

    @property
    def console_headers(self) -> Sequence[tuple[bytes, bytes]]:
        """What answers of the console say beside their own headers."""
        return self._cors.console.pairs

    @property
    def default_vault(self) -> str:
        """Whose logins are meant where none is named; empty: nobody's."""
        return self._configuration.tenants.default_vault

    async def named_tenant(self, vault_id: str) -> TenantHandle | None:
        """Return a tenant, awake, that nobody has proved to know of; None where there is none. Nobody wakes that."""
        awake = self.awake(vault_id)
        if awake is not None:
            return awake
        key = keyspace.vault(vault_id)
        if why_refused(Right.POLICY, vault_id, self.namespace) is not None:
            return None
        if await self._store.run(lambda tr: tr.get(key)) is None:
            return None
        return await self.tenant(vault_id)

    async def tenant_by_token(self, number: int, digest: bytes) -> tuple[TenantHandle, TokenProof | None] | None:
        """Return the tenant that a service token of this proof is of, or None; raises Sealed while the node is."""
        self._require_fresh()
        if self._directory is None:
            raise Sealed
        return await self._directory.tenant_by_token(number, digest)

    async def taken(self, number: int, token: str) -> Taken | None:
        """Return what is known of a wrapping token that was used, of the tenant with this integer."""
        key = TenantKeys(number).key(UNWRAPPED, proof_digest(token))
        raw = await self._store.run(lambda tr: tr.get(key))
        return None if raw is None else stored.decode(raw, Taken, "record of a used wrapping token")

    async def tenant_by_batch_token(self, number: int, token: str) -> TenantHandle | None:
        """Return the tenant that has signed a batch token, or None; raises Sealed while the node is."""
        self._require_fresh()
        if self._directory is None:
            raise Sealed
        return await self._directory.tenant_by_batch_token(number, token)

    async def catch_up(self) -> None:
        """Return once every change committed before this call has its effect here."""
        await self._feed.catch_up()

    def _require_fresh(self) -> None:
        """Raise Unavailable where memory may be older than the lease allows, revoked tokens of operators included."""
        if not self._feed.fresh:
            raise Unavailable("the store was not heard within the lease")

    def _seal_changed(self, unsealed: Unsealed | None) -> Awaitable[None] | None:
        if unsealed is None:
            self._unsealed_status = None
            self._cors.sealed()
            self._node_audit.sealed()
            self._unsealing.forget()
            return asyncio.ensure_future(self._close_directory(*self._detach()))
        self._unsealed_status = seal_status(self._configuration.master_keyring_provider, unsealed.seal, sealed=False)
        if self._directory is not None:  # the keyring was rotated, or its shares are others
            self._unsealing.adopt(unsealed.keyring)
            return asyncio.ensure_future(self._cors.unsealed(unsealed.keyring))
        settings = self._configuration.tenants
        for_all = settings.unseal_scope == "cluster"
        self._unsealing = unsealing = (
            ClusterUnsealing(unsealed.keyring, self.namespace) if for_all else NodeUnsealing()
        )
        services = Services(
            self._store,
            unsealing,
            self._threads,
            self.turns,
            settings,
            fresh=lambda: self._feed.fresh,
            clock=self._clock,
            timely=lambda: self._timekeeper.good,
            usage_seconds=self._configuration.transit.usage_flush_seconds,
            observe_uses=self._observe_uses,
            near_limits=self.near_limits,
            unmounts=self.unmounts,
            let_go=self._garbage.collect_soon,
            cache=self._configuration.cache,
            service=self._configuration.authenticator.provider.service,
            fetcher=self._fetcher,
            workers=self._configuration.worker_count,
            refused=self._note_refused,
            audit=self.audit,
        )
        self._node_audit.unsealed(unsealed.keyring)
        self._directory = TenantDirectory(services)
        self._tenancy = Tenancy(
            self._store,
            unsealing,
            settings,
            namespace=self.namespace,
            clock=self._clock,
            export=self._export,
        )
        self._sweep = ScheduleSweep(services, self._directory, self._timekeeper, self._look_after_cluster)
        return asyncio.ensure_future(self._cors.unsealed(unsealed.keyring))

    def _note_refused(self, given: bool) -> None:
        self.refused["operator" if given else "vault"] += 1

    def _deliver(self, change: Change | None) -> asyncio.Future[None] | None:
        if change is not None and change.vault_id == CLUSTER and change.area == KEYRING:
            return asyncio.ensure_future(self._renew_master())
        if change is not None and change.area == CORS:
            return asyncio.ensure_future(self._cors.reload())
        if change is None or (change.vault_id == CLUSTER and change.area == AUDIT):
            self._node_audit.changed()
        if change is not None and change.vault_id == CLUSTER:
            if change.area == AUDIT:
                return None
            self._revoked.add(change.name, change.ends)
            now = self._time_of_ends()
            if now is not None:
                self._revoked.let_go(now)
            return None
        applied = None if self._directory is None else self._directory.deliver(change)
        return applied if change is not None else asyncio.ensure_future(self._read_revoked(applied))

    async def _renew_master(self) -> None:
        if self._directory is not None:
            with contextlib.suppress(KmsError):  # the sweep does so, too, and a record of a newer version does
                await self._node.ask(RenewMaster())

    async def _look_after_cluster(self) -> None:
        """Have the master keyring rotated when it is time, and revocations removed that are needed no more."""
        await self.ask_node(RotateKeyringIfDue())
        await self._renew_master()
        now = self._time_of_ends()
        if now is not None and self._revoked.let_go(now, _MOST_ENDED):
            await self._records.sweep_revoked(now)

    async def _read_revoked(self, before: asyncio.Future[None] | None) -> None:
        """Read all revocations of the cluster anew, for some may have gone by unheard."""
        if before is not None:
            await before
        await self._renew_master()
        await self._cors.reload()
        # Beside what was heard since the reading began.
        self._revoked.take(await self._records.revoked(), self._time_of_ends())

    def _time_of_ends(self) -> float | None:
        return time_of_ends(trusted(self._clock, lambda: self._timekeeper.good))

    def _detach(self) -> tuple[TenantDirectory | None, ScheduleSweep | None]:
        """Let nobody get to the tenants any more, nor anything that is under way use their keys."""
        directory, self._directory = self._directory, None
        self._tenancy = None
        sweep, self._sweep = self._sweep, None
        if directory is not None:
            directory.end_tenures()
        return directory, sweep

    async def _close_directory(self, directory: TenantDirectory | None, sweep: ScheduleSweep | None) -> None:
        if sweep is not None:
            await sweep.close()
        if directory is not None:
            await directory.close()
            directory = sweep = None
            self._garbage.collect()
