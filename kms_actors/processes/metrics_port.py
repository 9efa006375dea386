"""The port on which the metrics of a node are read."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from kms_actors.observe.metrics import Collect, exposition
from kms_http.wire.secured import Secured
from kms_http.wire.tls import Wraps

#: Connections to the port, handshakes among them: past them the oldest is closed. Who reads metrics needs one.
MOST_CONNECTIONS: Final = 64


class MetricsServer:
    """Serves `/metrics`, and nothing else; to who sends `token`, where that is not empty, under TLS by `wraps`."""

    def __init__(self, collect: Collect, token: str = "", wraps: Wraps | None = None) -> None:
        self._collect = collect
        self._expected = f"Bearer {token}".encode() if token else b""
        self._few = _Few(self._answer, wraps)
        self._runner = web.ServerRunner(self._few)

    async def start(self, host: str, port: int) -> None:
        """Listen; raises OSError when the address is taken."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def stop(self) -> None:
        self._few.end_handshakes()
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if self._expected and not hmac.compare_digest(given, self._expected):
            return web.Response(status=401, text="a token is needed\n", headers={"WWW-Authenticate": "Bearer"})
        if request.path != "/metrics" or request.method not in {"GET", "HEAD"}:
            return web.Response(status=404, text="not found\n")
        body = exposition(await self._collect())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Few(web.Server):
    """Bounds what nobody in particular may hold: aiohttp has neither a bound of its own nor a time for a head.

    TLS is that of listeners, which bounds the time of a handshake, and can be counted while it is one.
    """

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], wraps: Wraps | None
    ) -> None:
        super().__init__(handler)
        self._wraps = wraps
        self._open: dict[object, asyncio.Transport] = {}

    def __call__(self) -> asyncio.Protocol:  # type: ignore[override]  # what is between is a protocol, too
        if self._wraps is None:
            return super().__call__()
        return _Counted(asyncio.get_running_loop(), self._wraps, super().__call__, self._begin, self._settle)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._open.pop(transport, None)  # its handshake
        self._hold(handler, transport)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self._open.pop(handler, None)
        super().connection_lost(handler, exc)

    def end_handshakes(self) -> None:
        """End those that are under way."""
        for connecting in [each for each in self._open if isinstance(each, Secured)]:
            connecting.abort()

    def _hold(self, which: object, transport: asyncio.Transport) -> None:
        self._open[which] = transport
        if len(self._open) > MOST_CONNECTIONS:
            self._open.pop(next(iter(self._open))).abort()

    def _begin(self, secured: Secured) -> None:
        self._hold(secured, secured)

    def _settle(self, secured: Secured) -> None:
        self._open.pop(secured, None)


class _Counted(Secured):
    """One that is told of once it has begun, and so can be ended."""

    __slots__ = ("_begun",)

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wraps: Wraps,
        make: Callable[[], asyncio.Protocol],
        begun: Callable[[Secured], None],
        settled: Callable[[Secured], None],
    ) -> None:
        super().__init__(loop, wraps, make, settled)
        self._begun = begun

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._begun(self)
