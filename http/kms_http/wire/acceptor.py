"""Takes connections from the sockets of listeners, which several processes may share.

Where they do, a few at a time, and then none for a moment, which is the others' chance: asyncio and libuv take all
that wait, and so one process would get every connection of a burst. A busy process turns its loop less often, so it
takes fewer. A proxy that may say whom it speaks for does so before all else, TLS too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import structlog

from kms_actors.observe.bounded import BoundedLog
from kms_http.wire import errors, proxy_header
from kms_http.wire.entry import Entry, named
from kms_http.wire.hub import Hub
from kms_http.wire.passing import Passed, PassedOn
from kms_http.wire.proxy_protocol import NoHeader
from kms_http.wire.secured import Secured
from kms_http.wire.shares import Share

#: Connections taken at a time, and seconds to leave the rest to the others.
_AT_A_TIME: Final = 2
_ALONE_AT_A_TIME: Final = 64
_YIELD_SECONDS: Final = 0.001
#: Seconds to leave the socket alone when the process has no room for another connection.
_PAUSE_SECONDS: Final = 0.1
_HEADER_SECONDS: Final = 10.0  # for a header of the PROXY protocol

_log = structlog.get_logger(__name__)
_bounded: Final = BoundedLog(__name__)


#: Makes the protocol of an accepted connection, with what was read of it. It calls what comes last once it is made.
MakeProtocol = Callable[[Entry, str, Passed | None, Share, Callable[[], None]], asyncio.Protocol]


class Acceptor:
    """Accepts from `start` to `stop`; `stop` closes this process's copies of the sockets."""

    def __init__(
        self,
        entries: Sequence[Entry],
        protocol: MakeProtocol,
        hub: Hub,
        *,
        alone: bool,
        passed: socket.socket | None = None,
    ) -> None:
        self._passed = None if passed is None else PassedOn(passed, self._take)
        self._entries = list(entries)
        self._listeners = {listener for entry in entries for listener in entry.sockets}
        self._protocol = protocol
        self._hub = hub
        self._alone = alone
        self._connecting: set[asyncio.Task[None] | Secured] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def connecting(self) -> bool:
        """True while an accepted connection is not yet one: a TLS handshake is under way."""
        return bool(self._connecting)

    @property
    def port(self) -> int:
        """The port of the first socket that has one."""
        names = (listener.getsockname() for entry in self._entries for listener in entry.sockets)
        return next(int(name[1]) for name in names if isinstance(name, tuple))

    def start(self) -> None:
        """Begin; the sockets listen already."""
        for entry in self._entries:
            for listener in entry.sockets:
                listener.setblocking(False)
                self._watch(entry, listener)
        if self._passed is not None:
            self._passed.start()

    def stop(self) -> None:
        """Accept no more. Connections that wait are left to the other processes. Idempotent."""
        for listener in self._listeners:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        self._listeners.clear()
        if self._passed is not None:
            self._passed.stop()

    def give_up(self) -> None:
        """End handshakes that are under way."""
        for connecting in list(self._connecting):
            if isinstance(connecting, Secured):
                connecting.abort()

    def _watch(self, entry: Entry, listener: socket.socket) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener.fileno(), self._accept, entry, listener)

    def _leave_alone(self, entry: Entry, listener: socket.socket, seconds: float) -> None:
        self._loop.remove_reader(listener.fileno())
        self._loop.call_later(seconds, self._watch, entry, listener)

    def _accept(self, entry: Entry, listener: socket.socket) -> None:
        try:
            for _ in range(_ALONE_AT_A_TIME if self._alone else _AT_A_TIME):
                connection, name = listener.accept()
                self._start(entry, connection, str(name[0]) if isinstance(name, tuple) else "")
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # no more, another process was faster, or the client has gone
        except OSError as error:
            _log.warning("cannot accept", error=type(error).__name__)
            self._leave_alone(entry, listener, _PAUSE_SECONDS)
            return
        if not self._alone:
            self._leave_alone(entry, listener, _YIELD_SECONDS)

    def _start(self, entry: Entry, connection: socket.socket, peer: str) -> None:
        connection.setblocking(False)
        share = self._hold(entry, connection, peer)
        if share is not None:
            self._begin(self._connect(entry, connection, peer, share))

    def _take(self, connection: socket.socket, passed: Passed) -> None:
        """Go on with a connection that another process has accepted, and read the beginning of."""
        entry = self._entries[passed.entry]
        share = self._hold(entry, connection, passed.peer)
        if share is not None:
            self._begin(self._connect_passed(entry, connection, passed, share))

    def _hold(self, entry: Entry, connection: socket.socket, peer: str) -> Share | None:
        """Return the share of an address that has room for one more, which is counted; else turn it away."""
        share = self._hub.shares.hold(peer, many=entry.speaks_for_others(peer))
        if share.has_room() and self._hub.has_room(len(self._connecting)):
            return share
        self._turn_away(entry, connection, share)
        share.let_go()
        return None

    def _begin(self, connecting: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(connecting)
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _turn_away(self, entry: Entry, connection: socket.socket, share: Share) -> None:
        self._hub.refusals.add("connections of an address" if share.overfull else "connections")
        with contextlib.closing(connection), contextlib.suppress(OSError):
            if entry.tls is None:
                connection.send(errors.respond(errors.too_busy()).encode("", 1, last=True))

    async def _connect(self, entry: Entry, connection: socket.socket, peer: str, share: Share) -> None:
        """Make a connection of what was accepted; what is counted in `share`, or in its client's, is given back."""
        own = asyncio.current_task()
        assert own is not None
        try:
            if entry.proxies:
                client = await self._client(entry, connection, peer)
                if client != peer:
                    share.let_go()
                    peer, share = client, self._hub.shares.hold(client, many=entry.speaks_for_others(client))
                    if not share.has_room():
                        self._turn_away(entry, connection, share)
                        return
            await self._loop.connect_accepted_socket(
                lambda: self._outermost(entry, peer, share, lambda: self._connecting.discard(own)), connection
            )
        except (OSError, TimeoutError):  # a header that does not come, or gone
            connection.close()
        except NoHeader:
            connection.close()
            _bounded.warning(
                "a proxy sends no PROXY header, or is none", "proxy" + peer, address=peer or "unix socket"
            )
        finally:
            share.let_go()

    def _outermost(self, entry: Entry, peer: str, share: Share, made: Callable[[], None]) -> asyncio.Protocol:
        """Return what reads from the socket: a connection, or its TLS."""
        if entry.tls is None:
            return self._protocol(entry, peer, None, share, made)
        made()
        share.hold()

        def settled(secured: Secured) -> None:
            self._connecting.discard(secured)
            share.let_go()

        secured = Secured(self._loop, entry.tls, lambda: self._protocol(entry, peer, None, share, _nothing), settled)
        self._connecting.add(secured)
        return secured

    async def _connect_passed(self, entry: Entry, connection: socket.socket, passed: Passed, share: Share) -> None:
        own = asyncio.current_task()
        assert own is not None
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(entry, passed.peer, passed, share, lambda: self._connecting.discard(own)),
                connection,
            )
        except OSError:
            connection.close()
        finally:
            share.let_go()

    async def _client(self, entry: Entry, connection: socket.socket, peer: str) -> str:
        """Return whom a proxy speaks for. Raises NoHeader, ConnectionError, TimeoutError."""
        if not named(entry.proxies, peer):
            if entry.proxies_alone:
                raise ConnectionRefusedError
            return peer
        async with asyncio.timeout(_HEADER_SECONDS):
            client = await proxy_header.read(self._loop, connection)
        return peer if client is None else client


def _nothing() -> None:
    """Do nothing."""
