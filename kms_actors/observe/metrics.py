"""Prometheus metrics of a process, and the port on which those of a node are read."""

from __future__ import annotations

import hmac
import ssl
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from kms_actors.errors import StoreError
from kms_actors.observe.families import (
    Across,
    Family,
    Sum,
    families,
)
from kms_actors.observe.histograms import (
    Counted,
    Counts,
    Latencies,
)
from kms_actors.store.api import Body, Priority, Store, T

_BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """All metrics of one process. Labels are routes and codes, never what a caller sent; see `KeyOperations`, too."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counts("kms_requests", "Requests by route and status", ("route", "code"), self.registry)
        self._latency = Latencies(
            "kms_request_seconds", "Time to answer by route", ("route",), _BOUNDS, self.registry
        )
        self._store = Latencies("kms_store_seconds", "Time of store transactions", (), _BOUNDS, self.registry)
        self._store_errors = Counts(
            "kms_store_errors", "Store transactions that failed, by error", ("error",), self.registry
        )
        self._gauges: dict[str, Across] = {}

    def observe_request(self, route: str, code: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.add((route, code))
        self._latency.add((route,), seconds)

    def gauge(self, name: str, text: str, value: Callable[[], float], across: Across = "sum") -> None:
        """Expose `value()` at each scrape; `across` says what the node's value is when it has several processes."""
        Gauge(name, text, registry=self.registry).set_function(value)
        self._gauges[name] = across

    def counter(self, name: str, text: str, value: Callable[[], int]) -> None:
        """Expose what another counts since the start of the process; `_total` is added to `name`."""
        Counted(name, text, value, self.registry)

    def families(self) -> list[Family]:
        """Return all metrics as they are now."""
        return families(self.registry, self._gauges)

    def metered(self, store: Store) -> Store:
        """Return `store` with its transactions timed."""
        return _MeteredStore(store, self._store, self._store_errors)


class _MeteredStore:
    def __init__(self, store: Store, seconds: Latencies, errors: Counts) -> None:
        self._inner = store
        self._seconds = seconds
        self._errors = errors
        self.watch = store.watch
        self.close = store.close

    async def run(
        self, body: Body[T], *, idempotency_key: bytes | None = None, priority: Priority = Priority.REQUEST
    ) -> T:
        started = time.perf_counter()
        try:
            return await self._inner.run(body, idempotency_key=idempotency_key, priority=priority)
        except StoreError as error:
            self._errors.add((type(error).__name__,))
            raise
        finally:
            self._seconds.add((), time.perf_counter() - started)


#: Returns the metrics of a node, all its processes together.
Collect = Callable[[], Awaitable[Sum]]


class MetricsServer:
    """Serves `/metrics`, and nothing else; to who sends `token`, where that is not empty."""

    def __init__(self, collect: Collect, token: str = "") -> None:
        self._collect = collect
        self._expected = f"Bearer {token}".encode() if token else b""
        self._runner = web.ServerRunner(web.Server(self._answer))

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None = None) -> None:
        """Listen; raises OSError when the address is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=ssl_context).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if self._expected and not hmac.compare_digest(given, self._expected):
            return web.Response(status=401, text="a token is needed\n", headers={"WWW-Authenticate": "Bearer"})
        if request.path != "/metrics" or request.method not in {"GET", "HEAD"}:
            return web.Response(status=404, text="not found\n")
        registry = CollectorRegistry()
        registry.register(await self._collect())
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
