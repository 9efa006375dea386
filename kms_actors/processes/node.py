"""A node's life: ordered start, serving, stop in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog

from kms_actors.actors.node.link import LocalNode
from kms_actors.actors.node.namespaces import check_namespace
from kms_actors.actors.node.service import NodeService
from kms_actors.config import Configuration
from kms_actors.observe.families import Sum
from kms_actors.observe.metrics import (
    Collect,
    Metrics,
)
from kms_actors.processes.accounts import stays_root
from kms_actors.processes.announcing import AnnouncingStore
from kms_actors.processes.certificates import METRICS, Secured
from kms_actors.processes.facts import Alone, Facts
from kms_actors.processes.hardening import (
    give_back_large_blocks,
    keep_files_private,
    keep_memory_private,
    may_be_swapped,
    open_as_many_files_as_allowed,
)
from kms_actors.processes.launch import Workers
from kms_actors.processes.membership import begin_heartbeat
from kms_actors.processes.metrics_port import MetricsServer
from kms_actors.processes.resources import metrics_token
from kms_actors.processes.serving import authenticator, http_server, node_service
from kms_actors.processes.sockets import Bound, close_all, entries, listening, open_all
from kms_actors.processes.supervisor import Supervisor
from kms_actors.runtime.coalesced import Coalesced
from kms_actors.store import schema
from kms_actors.store.api import Store
from kms_actors.store.opening import open_store

_log = structlog.get_logger("kms_actors")

Ready = Callable[[NodeService], Awaitable[None]]


async def serve(
    configuration: Configuration,
    workers: Workers | None = None,
    ready: Ready | None = None,
    bound: Sequence[Bound] | None = None,
) -> None:
    """Run a node until SIGTERM or SIGINT: with `workers` as their supervisor, else in this process.

    `ready` is awaited once it serves, and wants it in one process. That listens by itself, unless it is given what is
    `bound` already.
    """
    keep_memory_private()
    keep_files_private()
    if may_be_swapped():
        _log.warning("memory can be swapped, and keys with it: turn swap off, or forbid it to this service")
    if ready is None and stays_root(configuration):  # one for development is anybody's, and holds nothing of worth
        _log.warning("this node is root, and stays so: a setting, user, names whom it becomes")
    give_back_large_blocks()
    open_as_many_files_as_allowed()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        if workers is None:
            service, renew = await stack.enter_async_context(serving_alone(configuration, bound))
            loop.add_signal_handler(signal.SIGHUP, renew)
            if ready is not None:
                await ready(service)
        else:
            renew = await stack.enter_async_context(supervising(configuration, workers))
            loop.add_signal_handler(signal.SIGHUP, renew)
        await stopping.wait()
        _log.info("stopping: requests under way may end", seconds=configuration.stop_seconds)
    _log.info("stopped")


@contextlib.asynccontextmanager
async def serving_alone(
    configuration: Configuration, given: Sequence[Bound] | None = None
) -> AsyncIterator[tuple[NodeService, Callable[[], None]]]:
    """Run a node in this process; leave in reverse order, also when a later start fails.

    Beside its service, it gives what reads certificates, and opens the files of audit devices, anew.
    """
    async with contextlib.AsyncExitStack() as stack:
        metrics, facts = Metrics(), Facts()
        secured = Secured(configuration)

        async def collect() -> Sum:
            total = Sum()
            total.add("1", metrics.families())
            return total

        await _show_metrics(stack, configuration, collect, secured)
        store = metrics.metered(await _prepared_store(stack, configuration))
        _log_authenticator(configuration)
        node = LocalNode(configuration, store)
        fellows = Alone(facts, collect)
        service = await stack.enter_async_context(node_service(configuration, store, metrics, node, fellows))
        _log_master_keyring_provider(configuration)
        bound = given if given is not None else await asyncio.to_thread(open_all, configuration)
        stack.callback(close_all, configuration, bound)
        server = await stack.enter_async_context(http_server(configuration, service, metrics))
        facts.in_flight = server.in_flight
        server.serve(entries(configuration, bound, secured.contexts))
        await begin_heartbeat(stack, configuration, store, lambda: service.node_sealed)
        _log_serving(configuration, secured, workers=1)
        reopening = Coalesced(service.audit.reopen, asyncio.get_running_loop().create_task)

        def renew() -> None:
            secured.read_anew()
            reopening.run()

        yield service, renew


@contextlib.asynccontextmanager
async def supervising(configuration: Configuration, workers: Workers) -> AsyncIterator[Callable[[], None]]:
    """Run a node whose requests are served by `workers`; leave in reverse order.

    It gives what reads certificates anew, and replaces the workers.
    """
    async with contextlib.AsyncExitStack() as stack:
        metrics = Metrics()
        stack.callback(close_all, configuration, workers.listeners)
        secured = Secured(configuration)  # a certificate that cannot be used is found here and now
        supervisor = Supervisor(configuration, workers.listeners, workers.lane, metrics, secured.materials)
        stack.push_async_callback(supervisor.stop)
        await supervisor.adopt(workers.processes)
        await _show_metrics(stack, configuration, supervisor.metrics, secured)
        store = await _prepared_store(stack, configuration)
        stack.push_async_callback(supervisor.stop)  # before the store is closed
        _log_authenticator(configuration)
        node = LocalNode(configuration, AnnouncingStore(metrics.metered(store), supervisor.announce))
        _log_master_keyring_provider(configuration)
        await supervisor.start(node)
        await begin_heartbeat(stack, configuration, store, lambda: supervisor.node_sealed)
        _log_serving(configuration, secured, len(workers.processes))

        def renew() -> None:
            secured.read_anew()
            supervisor.renew_certificates(secured.materials)
            supervisor.restart()

        yield renew


async def _show_metrics(
    stack: contextlib.AsyncExitStack, configuration: Configuration, collect: Collect, secured: Secured
) -> None:
    settings, tls = configuration.metrics, secured.contexts.get(METRICS)
    server = MetricsServer(collect, metrics_token(configuration), tls)
    stack.push_async_callback(server.stop)
    with listening(settings.host, settings.port, table=METRICS):
        await server.start(settings.host, settings.port)
    _log.info("metrics", url=f"{'http' if tls is None else 'https'}://{settings.host}:{settings.port}/metrics")


async def _prepared_store(stack: contextlib.AsyncExitStack, configuration: Configuration) -> Store:
    store = await open_store(configuration.cluster)
    stack.push_async_callback(store.close)
    _log.info("schemas are being initialised", backend=configuration.cluster.backend)
    await schema.initialise(store)
    await check_namespace(store, configuration.master_keyring_provider)
    _log.info("schemas initialised", format=schema.FORMAT)
    return store


def _log_authenticator(configuration: Configuration) -> None:
    _log.info(
        "authenticator",
        name=configuration.authenticator.name,
        provider=configuration.authenticator.provider.name,
        root_public_keys=list(authenticator(configuration).root_public_keys),
    )
    if configuration.authenticator.provider.accept_first_signatures:
        _log.warning("tokens with first signatures are accepted: replace them, then end accept_first_signatures")


def _log_master_keyring_provider(configuration: Configuration) -> None:
    master = configuration.master_keyring_provider
    _log.info("master keyring provider", name=master.name, namespace=master.namespace, node_name=master.node_name)


def _log_serving(configuration: Configuration, secured: Secured, workers: int) -> None:
    for _, listener in configuration.keyed_listeners:
        if listener.unix is None:
            _log.info("listening", host=listener.host, port=listener.port)
        else:
            _log.info("listening", unix=listener.unix)
    secured.log()
    _log.info("workers", count=workers)
