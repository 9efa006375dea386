"""A worker: HTTP, the tenants, a store handle and a change feed of its own; the node actor is in the supervisor.

Forked when the node starts, later started as `python -m kms_actors.processes.worker LINK LANE LISTENER:SOCKET…`: the
inherited file descriptors of its end of the link, of its end of the lane to the bulk worker (`lane.Part`), and of the
listening sockets, the latter behind the numbers of their listeners. Everything else it is told over the link. It ends
when the supervisor does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import structlog
import uvloop

from kms_actors.actors.node.service import NodeService
from kms_actors.config import Configuration
from kms_actors.errors import KmsError, Unavailable
from kms_actors.observe import log
from kms_actors.observe.metrics import Metrics
from kms_actors.processes.announcing import AnnouncingStore
from kms_actors.processes.bulk import wait_until_idle, yield_to_others
from kms_actors.processes.certificates import Material, contexts, renew
from kms_actors.processes.facts import Facts, Linked, answered
from kms_actors.processes.frames import (
    FROM_SUPERVISOR,
    Announce,
    CatchUp,
    Certificates,
    Done,
    Drain,
    Frame,
    Idle,
    NodeState,
    Prepared,
    Question,
    ReadMetrics,
    ReopenAudit,
    Samples,
    Serve,
    Serving,
    Start,
    Stop,
    Told,
)
from kms_actors.processes.hardening import (
    give_back_large_blocks,
    keep_files_private,
    keep_memory_private,
    open_as_many_files_as_allowed,
)
from kms_actors.processes.lane import Part
from kms_actors.processes.link import Link
from kms_actors.processes.loading import keep_modules
from kms_actors.processes.remote import RemoteNode
from kms_actors.processes.serving import http_server, node_service
from kms_actors.processes.sockets import Bound, entries
from kms_actors.store.opening import open_store
from kms_actors.system_errors import in_words
from kms_http.server import HttpServer
from kms_http.wire.passing import PassingOn
from kms_http.wire.tls import ReloadableContext

#: Seconds until the end, whatever is under way, when the supervisor is gone.
_ORPHAN_SECONDS: Final = 1.0


class Worker:
    """One worker's part in the conversation."""

    def __init__(self, listeners: Sequence[Bound], part: Part) -> None:
        self._listeners = listeners
        self._part = part
        self._contexts: dict[str, ReloadableContext] = {}
        self._materials: dict[str, Material] = {}  # newer ones than it is started with
        self._metrics = Metrics()
        self._facts = Facts()
        self._orders: asyncio.Queue[Frame] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._link = Link(FROM_SUPERVISOR, self._receive)
        self._node = RemoteNode(self._link)
        self._service: NodeService | None = None

    async def run(self, end: socket.socket) -> None:
        """Work until told to end, or until the supervisor is gone."""
        self._link.ended.add_done_callback(self._end_soon)
        await self._link.connect(end)
        started = await self._orders.get()
        if isinstance(started, Start):
            log.configure(started.configuration.log)
            self._configuration = started.configuration
            self._contexts = contexts(started.configuration, self._materials or started.materials)
            last = await self._serve(started.configuration)
            self._link.send(Samples(last, self._metrics.families()))
        self._link.close()
        await self._link.ended

    async def _serve(self, configuration: Configuration) -> int:
        """Serve until told to end; return the number of that request."""
        async with contextlib.AsyncExitStack() as stack:
            opened = await open_store(configuration.cluster)
            stack.push_async_callback(opened.close)
            store = AnnouncingStore(self._metrics.metered(opened), self._announce)
            self._service = service = await stack.enter_async_context(
                node_service(configuration, store, self._metrics, self._node, Linked(self._link))
            )
            server = await stack.enter_async_context(http_server(configuration, service, self._metrics))
            self._facts.in_flight = server.in_flight
            self._link.send(Prepared())
            order = await self._orders.get()
            if isinstance(order, Serve):
                await service.catch_up()  # what was committed while this worker was not yet told of it
                self._begin(server, configuration)
                self._link.send(Serving())
                order = await self._orders.get()
            if isinstance(order, Drain):
                order = await self._drain(server, order)
        assert isinstance(order, Drain | Stop)
        return order.number

    def _begin(self, server: HttpServer, configuration: Configuration) -> None:
        served = entries(configuration, self._listeners, self._contexts)
        if self._part.takes:
            server.serve_passed(served, self._part.end)
            self._spawn(self._tell_when_idle(server, configuration.limits.bulk_idle_seconds))
        else:
            passing = PassingOn(self._part.end) if configuration.limits.bulk_worker else None
            server.serve(served, alone=False, passing=passing)

    async def _tell_when_idle(self, server: HttpServer, seconds: float) -> None:
        await wait_until_idle(lambda: server.open_connections, seconds)
        self._link.send(Idle())

    async def _drain(self, server: HttpServer, order: Drain) -> Frame:
        """Return the order that was carried out last: a Stop ends the draining."""
        draining = asyncio.ensure_future(server.drain())
        stopping = asyncio.ensure_future(self._orders.get())
        await asyncio.wait({draining, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return stopping.result()
        stopping.cancel()
        return order

    def _receive(self, frame: Frame) -> None:
        match frame:
            case NodeState():
                self._node.hear(frame)
            case Certificates():
                self._renew_certificates(frame)
            case CatchUp():
                self._spawn(self._catch_up(frame))
            case ReadMetrics():
                self._link.send(Samples(frame.number, self._metrics.families()))
            case Question():
                self._link.send(Told(frame.number, answered(self._facts, frame.question, frame.argument)))
            case ReopenAudit():
                self._spawn(self._reopen_audit())
            case _:
                self._orders.put_nowait(frame)

    def _renew_certificates(self, frame: Certificates) -> None:
        if self._contexts:
            renew(self._configuration, self._contexts, frame.materials)
        else:  # both came before the first was looked at, as where a new program loads its modules
            self._materials = frame.materials

    async def _catch_up(self, frame: CatchUp) -> None:
        # Without the store there is no reply: the supervisor waits until the lease is over, when nothing is served.
        assert self._service is not None  # it is asked of those that serve
        with contextlib.suppress(KmsError):
            await self._service.catch_up()
            self._link.send(Done(frame.number))

    async def _reopen_audit(self) -> None:
        if self._service is not None:
            await self._service.audit.reopen()

    async def _announce(self) -> None:
        with contextlib.suppress(Unavailable):  # without a supervisor, all workers end
            await self._link.request(Announce)

    def _end_soon(self, _: object) -> None:
        """Stop; and end by the default action of SIGALRM, so that nothing can hold it up."""
        self._orders.put_nowait(Stop(0))
        signal.setitimer(signal.ITIMER_REAL, _ORPHAN_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def main(arguments: list[str]) -> int:
    """Run a worker in a process of its own; return its exit code."""
    keep_modules()
    end, lane, *places = arguments
    listeners = [
        Bound(int(number), socket.socket(fileno=int(descriptor)))
        for number, _, descriptor in (place.partition(":") for place in places)
    ]
    return work(socket.socket(fileno=int(end)), listeners, Part.named(lane))


def work(end: socket.socket, listeners: Sequence[Bound], part: Part) -> int:
    """Run a worker at its end of the link; return the exit code."""
    if part.takes:
        yield_to_others()
    # A terminal or a service manager signals the whole group; the supervisor alone decides what that means.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    keep_memory_private()
    keep_files_private()
    give_back_large_blocks()
    open_as_many_files_as_allowed()

    async def run() -> None:
        await Worker(listeners, part).run(end)

    try:
        uvloop.run(run())
    except (KmsError, OSError) as error:
        reason = in_words(error) if isinstance(error, OSError) else str(error)
        structlog.get_logger("kms_actors").error("cannot run", reason=reason)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
