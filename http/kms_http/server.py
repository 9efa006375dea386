"""The HTTP server: sockets, and the start and the end of connections."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from kms_actors.insight.messages import RequestUnderWay
from kms_actors.runtime import Turns
from kms_http.api import missing
from kms_http.api.routes import (
    CATALOGUE,
    ENGINES,
    SYSTEM,
)
from kms_http.backend import (
    Authenticator,
    Backend,
    Observe,
)
from kms_http.console.pages import Console
from kms_http.handler import Handler
from kms_http.routing import Router
from kms_http.wire.acceptor import Acceptor
from kms_http.wire.connection import Connection
from kms_http.wire.entry import Entry
from kms_http.wire.forwarded import ForwardedConnection
from kms_http.wire.hub import Hub
from kms_http.wire.limits import HEAD_SECONDS, Limits
from kms_http.wire.listening import listen
from kms_http.wire.passing import Passed, Staying
from kms_http.wire.refusals import Refusals
from kms_http.wire.request import Request
from kms_http.wire.response import Response
from kms_http.wire.shares import Share
from kms_http.wire.tls import Wraps

#: Seconds an idle connection is kept, and the longest a client may take to send its headers.
KEEPALIVE_SECONDS: Final = 75
#: Seconds to go on reading what nobody wants, so that the client gets to see the answer.
LINGER_SECONDS: Final = 5

_POLL_SECONDS: Final = 0.02


class HttpServer:
    """Serves the API of a node over HTTP, from `start` to `stop`."""

    def __init__(
        self,
        backend: Backend,
        authenticator: Authenticator,
        observe: Observe,
        engines: Mapping[str, Router] = ENGINES,
        limits: Limits = Limits(),  # noqa: B008  # immutable
        *,
        slices: Turns | None = None,
    ) -> None:
        """Make one. `slices`: the turns of long requests that the backend cuts, which those of requests are among."""
        self._handler = Handler(
            backend,
            authenticator,
            observe,
            system=SYSTEM,
            engines=engines,
            absent=missing,
            catalogue=CATALOGUE,
            console=Console(),
        )
        self._limits = limits
        self._slices = slices or Turns()
        self._hub: Hub | None = None
        self._acceptor: Acceptor | None = None
        self._refusals: Final = Refusals()

    async def start(self, host: str, port: int, tls: Wraps | None = None) -> None:
        """Listen on every address of `host`; port 0 takes a free one. Raises OSError when the address is taken."""
        self.serve([Entry(await asyncio.to_thread(listen, host, port), tls)])

    def serve(self, entries: Sequence[Entry], *, alone: bool = True, passing: Staying | None = None) -> None:
        """Serve on sockets that listen already; other processes may, too, unless `alone`.

        Connections with large bodies go to another process by `passing`.
        """
        hub = self._begin(entries, alone=alone)
        if passing is not None:
            hub.passing = passing

    def serve_passed(self, entries: Sequence[Entry], passed: socket.socket) -> None:
        """Serve what other processes pass on by this socket: a request of each, then its client makes another.

        `entries` are theirs, in their order, without sockets.
        """
        self._begin(entries, alone=False, passed=passed).answer = self._answer_last

    def _begin(self, entries: Sequence[Entry], *, alone: bool, passed: socket.socket | None = None) -> Hub:
        self._hub = hub = Hub(
            self._handler,
            self._limits,
            keepalive_seconds=KEEPALIVE_SECONDS,
            linger_seconds=LINGER_SECONDS,
            head_seconds=HEAD_SECONDS,
            refusals=self._refusals,
            slices=self._slices,
            account_of=self._handler.accounts.of,
        )

        def connection(
            entry: Entry, peer: str, passed: Passed | None, share: Share, made: Callable[[], None]
        ) -> Connection:
            if entry.forwarding is None:
                new = Connection(hub, share, peer, made)
            else:
                new = ForwardedConnection(hub, share, peer, made, entry.forwarding)
            new.listener = entry.number
            new.console = entry.console
            if passed is not None:
                new.begin_with(passed)
            return new

        self._acceptor = Acceptor(entries, connection, hub, alone=alone, passed=passed)
        self._acceptor.start()
        return hub

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._acceptor is not None
        return self._acceptor.port

    @property
    def open_connections(self) -> int:
        """Connections there are."""
        return len(self._hub.connections) if self._hub is not None else 0

    def in_flight(self) -> list[RequestUnderWay]:
        """Return the requests that are worked on."""
        return self._handler.in_flight()

    @property
    def refused(self) -> Mapping[tuple[str, ...], int]:
        """How often clients were sent away before anything was done for them, by reason."""
        return self._refusals.counts

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._hub.admission.waiting if self._hub is not None else 0

    @property
    def body_bytes(self) -> int:
        """Bytes of request bodies in memory, as counted against their limit."""
        return self._hub.bodies.held if self._hub is not None else 0

    async def drain(self) -> None:
        """Take no new connection, tell each client with its next answer to make another, wait until all have gone.

        No request is lost: a connection is closed after an answer that says so, or when it was idle for as long as
        any idle connection is kept.
        """
        if self._hub is None or self._acceptor is None:
            return
        self._acceptor.stop()
        self._hub.ending = True
        self._hub.answer = self._answer_last
        while self._hub is not None and (self._hub.connections or self._acceptor.connecting):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)

    async def _answer_last(self, request: Request) -> Response:
        response = await self._handler(request)
        if not request.followed:
            response.end_connection()
        return response

    async def stop(self, grace: float) -> None:
        """Stop listening, let requests end for up to `grace` seconds, close all connections."""
        if self._hub is None or self._acceptor is None:
            return
        self._acceptor.stop()
        hub, end = self._hub, time.monotonic() + grace
        hub.ending = True
        # An event would have to be kept up by every request; this is once, at the end of the process.
        while _close_idle(hub.connections) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
        for connection in list(hub.connections):
            connection.abort()
        self._acceptor.give_up()
        await asyncio.sleep(_POLL_SECONDS if hub.connections else 0)  # they end in turns of the loop to come
        self._hub = self._acceptor = None


def _close_idle(connections: Iterable[Connection]) -> bool:
    """Close connections without a request; tell whether any has one."""
    busy = False
    for connection in list(connections):
        if connection.busy:
            busy = True
        else:
            connection.close()
    return busy
