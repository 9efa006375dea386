"""What serves tenants over HTTP, in a node's only process as in each of its workers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from kms_actors.actors.cluster.timekeeping import Standing
from kms_actors.actors.node.insight import Fellows
from kms_actors.actors.node.link import NodeLink
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant.reporting import changes_counted
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.backup.paging import export_page
from kms_actors.config import Configuration, bytes_of
from kms_actors.observe.key_metrics import KeyOperations
from kms_actors.observe.metrics import Metrics
from kms_actors.processes.memory import FreeMemory
from kms_actors.store.api import Store
from kms_http.server import HttpServer
from kms_http.wire.limits import Limits


@contextlib.asynccontextmanager
async def node_service(
    configuration: Configuration, store: Store, metrics: Metrics, node: NodeLink, fellows: Fellows
) -> AsyncIterator[NodeService]:
    """Run the actors of this process."""
    uses = KeyOperations(metrics.registry, configuration.metrics.key_series)
    service = NodeService(configuration, store, node, observe_uses=uses.count, export=export_page, fellows=fellows)
    await service.start()
    metrics.gauge("kms_node_sealed", "1 while the node is sealed", lambda: float(service.node_sealed), "max")
    metrics.gauge("kms_active_tenants", "Tenants awake on this node", lambda: float(service.active_tenants))
    metrics.gauge("kms_tenant_bytes", "Memory of awake tenants", lambda: float(service.tenant_bytes))
    metrics.gauge("kms_lease_age_seconds", "Age of the last word from the store", lambda: service.lease_age, "max")
    metrics.gauge("kms_mailbox_depth", "Messages waiting in tenants' mailboxes", lambda: float(service.waiting))
    metrics.gauge(
        "kms_clock_offset_seconds",
        "This node's clock less the cluster's time, at the last look",
        lambda: service.timekeeper.offset,
        "max",
    )
    metrics.gauge(
        "kms_clock_distrusted",
        "1 while this node's clock is so far off that nothing is rotated by it",
        lambda: float(service.timekeeper.standing in {Standing.AHEAD, Standing.BEHIND}),
        "max",
    )
    metrics.gauge(
        "kms_transit_keys_near_limit",
        "Transit keys whose latest version has encrypted half of what one key should, or more",
        lambda: float(service.near_limits.keys),
        "max",
    )
    metrics.gauge(
        "kms_keyrings_near_limit",
        "Vaults whose keyring has sealed half of what one key should, or more",
        lambda: float(service.near_limits.keyrings),
        "max",
    )
    metrics.gauge(
        "kms_mounts_being_removed",
        "Mounts that are gone, whose records this node removes",
        lambda: float(service.unmounts.mounts),
    )
    metrics.counter(
        "kms_unmounted_records", "Records of mounts that are gone, removed", lambda: service.unmounts.records
    )
    metrics.counters(
        "kms_changes",
        "Changes of seals, keys, mounts, policies and vaults, by event as logged, and outcome",
        ("event", "outcome"),
        changes_counted,
    )
    metrics.counter(
        "kms_change_log_skipped", "Lines of the change log that were not understood", lambda: service.feed.skipped
    )
    metrics.counter(
        "kms_change_log_renewals", "How often everything was taken as changed", lambda: service.feed.renewals
    )
    metrics.counter(
        "kms_change_log_restarts", "How often a task of the change log began again", lambda: service.feed.restarts
    )
    metrics.counter(
        "kms_quota_refused", "Requests refused by quotas of their vaults", lambda: service.refused["vault"]
    )
    metrics.counter(
        "kms_given_quota_refused",
        "Requests refused by quotas that the cluster's operator has given vaults",
        lambda: service.refused["operator"],
    )
    audit = service.audit
    metrics.gauge("kms_audit_devices", "Audit devices open", lambda: float(audit.devices))
    metrics.counter("kms_audit_lines", "Lines that audit devices have written", lambda: audit.counts.lines)
    metrics.counter("kms_audit_failures", "Lines that an audit device did not take", lambda: audit.counts.failures)
    try:
        yield service
    finally:
        await service.stop()


@contextlib.asynccontextmanager
async def http_server(
    configuration: Configuration, service: NodeService, metrics: Metrics
) -> AsyncIterator[HttpServer]:
    """Give the server of `service`, not started; in the end it stops, and requests under way may end."""
    tokens = authenticator(configuration)
    memory = FreeMemory(tokens.forget_idle, configuration.tenants.idle_seconds)
    metrics.gauge("kms_token_cache_bytes", "Memory of verified tokens", lambda: float(tokens.cached_bytes))
    limits = configuration.limits
    server = HttpServer(
        service,
        tokens,
        metrics.observe_request,
        limits=Limits(
            limits.connections,
            bytes_of(limits.pending_bytes),
            bytes_of(limits.body_bytes),
            limits.connections_per_address,
            bytes_of(limits.pending_bytes_per_address),
            limits.wait_seconds,
            bytes_of(limits.body_rate),
        ),
        slices=service.turns,
    )
    metrics.gauge("kms_http_connections", "Connections of clients", lambda: float(server.open_connections))
    metrics.gauge("kms_http_waiting", "Requests that wait for their turn", lambda: float(server.waiting))
    metrics.counters("kms_http_refused", "Clients sent away before anything was done", ("reason",), server.refused)
    metrics.gauge("kms_http_body_bytes", "Bytes of request bodies in memory", lambda: float(server.body_bytes))
    memory.start()
    try:
        yield server
    finally:
        await server.stop(configuration.stop_seconds)
        await memory.stop()


def authenticator(configuration: Configuration) -> BiscuitAuthenticator:
    """Return what verifies the tokens of the configured issuers."""
    settings = configuration.authenticator
    return BiscuitAuthenticator(
        settings.provider.keys,
        settings.provider.service,
        configuration.master_keyring_provider.namespace,
        cache_size=settings.cache_size,
        cache_bytes=bytes_of(configuration.cache.tokens),
        accept_first_signatures=settings.provider.accept_first_signatures,
    )
