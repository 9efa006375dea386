"""A node's life: ordered start, serving, stop in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import structlog

from kms_actors.actors.service import NodeService
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.config import Cluster, Configuration
from kms_actors.errors import StoreUnavailable
from kms_actors.metrics import Metrics, MetricsServer
from kms_actors.store import schema
from kms_actors.store.api import Store
from kms_actors.store.sqlite import SqliteStore
from kms_http.server import HttpServer

_log = structlog.get_logger("kms_actors")

Ready = Callable[[NodeService], Awaitable[None]]


async def serve(configuration: Configuration, ready: Ready | None = None) -> None:
    """Run a node until SIGTERM or SIGINT; `ready` is awaited once it serves."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(configuration) as service:
        if ready is not None:
            await ready(service)
        await stopping.wait()
        _log.info("stopping: requests under way may end", seconds=configuration.stop_seconds)
    _log.info("stopped")


@contextlib.asynccontextmanager
async def running(configuration: Configuration) -> AsyncIterator[NodeService]:
    """Start everything in order; leave in reverse order, also when a later start fails."""
    async with contextlib.AsyncExitStack() as stack:
        metrics = Metrics()
        metrics_server = MetricsServer(metrics)
        stack.push_async_callback(metrics_server.stop)
        await metrics_server.start(configuration.metrics.host, configuration.metrics.port)
        _log.info("metrics", url=f"http://{configuration.metrics.host}:{configuration.metrics.port}/metrics")

        store = metrics.metered(await open_store(configuration.cluster))
        stack.push_async_callback(store.close)
        _log.info("schemas are being initialised", backend=configuration.cluster.backend)
        await schema.initialise(store)
        _log.info("schemas initialised", format=schema.FORMAT)

        provider = configuration.authenticator.provider
        authenticator = BiscuitAuthenticator(
            provider.keys,
            provider.service,
            configuration.master_keyring_provider.namespace,
            cache_size=configuration.authenticator.cache_size,
        )
        _log.info(
            "authenticator",
            name=configuration.authenticator.name,
            provider=provider.name,
            root_public_keys=[f"ed25519/{root}" for root, _ in provider.keys],
        )

        service = NodeService(configuration, store)
        await service.start()
        stack.push_async_callback(service.stop)
        master = configuration.master_keyring_provider
        _log.info("master keyring provider", name=master.name, namespace=master.namespace, node_name=master.node_name)
        metrics.gauge("kms_node_sealed", "1 while the node is sealed", lambda: float(service.node_sealed))
        metrics.gauge("kms_active_tenants", "Tenants awake on this node", lambda: float(service.active_tenants))
        metrics.gauge("kms_lease_age_seconds", "Age of the last word from the store", lambda: service.lease_age)
        metrics.gauge("kms_mailbox_depth", "Messages waiting in tenants' mailboxes", lambda: float(service.waiting))

        server = HttpServer(service, authenticator, metrics.observe_request)
        stack.push_async_callback(server.stop, configuration.stop_seconds)
        await server.start(configuration.host, configuration.port, ssl_context=_tls(configuration))
        _log.info("listening", host=configuration.host, port=configuration.port)
        _log.info("tls", enabled=configuration.tls is not None)
        _log.info("workers", count=configuration.workers)
        yield service


async def open_store(cluster: Cluster) -> Store:
    """Open the store that the configuration names; StoreUnavailable says why not, in one line."""
    if cluster.backend == "sqlite":
        return await SqliteStore.open(Path(cluster.path))
    raise StoreUnavailable(
        'the FoundationDB store is not part of this version: set `backend = "sqlite"` and `path` in `[cluster]`'
    )


def _tls(configuration: Configuration) -> ssl.SSLContext | None:
    if configuration.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(configuration.tls.certificate_file, configuration.tls.private_key_file)
    return context
