"""The supervisor: owns the node actor, keeps the workers alive, and has them all know the same of the node's seal.

Each worker has a slot. A worker that dies is replaced at once, one that dies again and again after a while. The node
actor's answer to an unseal or a seal waits until every worker acts accordingly, or is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from prometheus_client import Counter

from kms_actors.actors.node.actor import Unsealed
from kms_actors.actors.node.link import NodeLink
from kms_actors.config import Configuration
from kms_actors.errors import KmsError, Unavailable
from kms_actors.observe.families import Sum
from kms_actors.observe.metrics import Metrics
from kms_actors.processes.bulk import BulkLane
from kms_actors.processes.certificates import Material, of_keys
from kms_actors.processes.child import Child
from kms_actors.processes.facts import Facts, answered
from kms_actors.processes.frames import (
    Announce,
    Answer,
    Ask,
    CatchUp,
    Certificates,
    Collect,
    Done,
    Frame,
    Gather,
    Gathered,
    Idle,
    NodeState,
    Question,
    ReadMetrics,
    ReopenAudit,
    Samples,
    Told,
    asked,
    refusal,
)
from kms_actors.processes.lane import Lane, Part
from kms_actors.processes.launch import Launched, launch
from kms_actors.processes.remote import state_fields
from kms_actors.processes.sockets import Bound, close_all
from kms_actors.system_errors import in_words

#: Seconds a worker has to act upon an unseal or a seal; then it is killed and replaced.
_ACT_SECONDS: Final = 5.0
#: Seconds a worker has to tell its metrics; then those it told last are shown.
_METRICS_SECONDS: Final = 1.0
#: Seconds a worker has to tell what another was asked for; then it is told without.
_TELL_SECONDS: Final = 2.0
#: Seconds from its birth in which a worker has to serve.
_BIRTH_SECONDS: Final = 60.0
#: A worker that lived shorter than this died early; each early death in a row doubles the wait, up to the longest.
_EARLY_SECONDS: Final = 10.0
_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 5.0

_log = structlog.get_logger("kms_actors")


class WorkerFailed(KmsError):
    """A worker ended before it served; its own log says why."""


class Supervisor:
    """Keeps workers alive on `listeners`, which stay open here from worker to worker."""

    def __init__(
        self,
        configuration: Configuration,
        listeners: Sequence[Bound],
        lane: Lane,
        metrics: Metrics,
        materials: Mapping[str, Material],
    ) -> None:
        self._configuration = configuration
        self._listeners = listeners
        self._lane = lane
        self._bulk = BulkLane(lane, self._spawn_bulk, self._renew)
        self._materials = dict(materials)
        self._metrics = metrics
        self._facts = Facts()
        self._node: NodeLink
        self._state: Unsealed | None = None
        self._children: set[Child] = set()  # all that live
        self._current: dict[int, Child] = {}  # by slot
        self._early_deaths: dict[int, int] = {}
        self._retired = Sum()
        self._answering: set[asyncio.Task[None]] = set()
        self._renewing: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._rolling = False
        self._ready = False
        self._restarts = Counter(
            "kms_worker_restarts", "Workers that died and were replaced", registry=metrics.registry
        )
        metrics.gauge("kms_workers", "Workers that serve", lambda: float(sum(map(self._counts, self._children))))

    async def adopt(self, processes: Iterable[Launched]) -> None:
        """Take over the first workers; they load their modules and wait until `start`."""
        for slot, launched in enumerate(processes, 1):
            self._current[slot] = await self._adopt(slot, launched)

    async def start(self, node: NodeLink) -> None:
        """Start the node actor, and return once every worker serves; raises WorkerFailed when one cannot."""
        self._node = node
        await node.start(self._tell)
        self._ready = True
        for child in self._current.values():
            self._prepare(child)
        for child in self._current.values():
            await self._serving(child)
        self._bulk.start()

    @property
    def node_sealed(self) -> bool:
        """True before initialisation too."""
        return self._state is None

    async def stop(self) -> None:
        """Accept no more, let requests under way end, end the workers, then the node actor. Idempotent."""
        if self._stopping:
            return
        self._stopping = True
        close_all(self._configuration, self._listeners)
        self._bulk.stop()
        for task in self._renewing:
            task.cancel()
        await asyncio.gather(*(child.stop(self._configuration.stop_seconds) for child in list(self._children)))
        if self._ready:
            await self._node.stop()

    def restart(self) -> None:
        """Replace every worker by a new one, without losing a request. While that is under way, nothing more.

        All that serve until then, and those that drain, open the files of audit devices anew.
        """
        for child in self._children:
            child.link.send(ReopenAudit())
        if not self._rolling and not self._stopping:
            self._rolling = True
            self._renew(self._roll())

    def renew_certificates(self, materials: Mapping[str, Material]) -> None:
        """Have all workers, those to come too, wrap new connections by what `materials` hold."""
        self._materials = dict(materials)
        for child in self._children:
            child.link.send(Certificates(of_keys(self._materials, self._configuration.keyed_prefixes)))

    async def announce(self, origin: Child | None = None) -> None:
        """Return once all workers but `origin` know of every commit before this call, or serve none from memory."""
        await asyncio.gather(
            *(self._catch_up(child) for child in list(self._children) if child.active and child is not origin)
        )

    async def metrics(self) -> Sum:
        """Return the metrics of the node, all its processes together."""
        await asyncio.gather(*(self._read_metrics(child) for child in list(self._children) if child.active))
        total = self._retired.copy()
        total.add("supervisor", self._metrics.families())
        for child in self._children:
            if self._is_current(child):
                total.add(str(child.slot), child.families)
            else:
                total.retire(child.families)
        return total

    # The life of workers.

    async def _spawn(self, slot: int) -> Child:
        return await self._adopt(slot, launch(self._listeners, Part(self._lane.sending, takes=False)))

    async def _spawn_bulk(self) -> Child:
        slot = self._configuration.worker_count + 1
        child = await self._adopt(slot, launch((), Part(self._lane.receiving, takes=True)))
        await self._serving(child)
        return child

    def _is_current(self, child: Child) -> bool:
        return self._current.get(child.slot) is child or self._bulk.child is child

    def _counts(self, child: Child) -> bool:
        """Tell whether it is one of those that are there all the time, and serves."""
        return child.active and child.slot <= self._configuration.worker_count

    async def _adopt(self, slot: int, launched: Launched) -> Child:
        child = await Child.adopt(slot, launched, self._receive)
        self._children.add(child)
        child.ended.add_done_callback(lambda ended: self._ended(child, ended.result()))
        if self._ready:
            self._prepare(child)
        return child

    def _prepare(self, child: Child) -> None:
        child.configure(self._configuration, of_keys(self._materials, self._configuration.keyed_prefixes))
        child.link.request(NodeState, *state_fields(self._state))

    async def _serving(self, child: Child) -> None:
        try:
            async with asyncio.timeout(_BIRTH_SECONDS):
                await asyncio.wait([child.serving])  # done, or cancelled when the process ends
        except TimeoutError:
            await child.kill()
        if not child.active:
            raise WorkerFailed("a worker ended before it served; see its own line above")

    def _ended(self, child: Child, code: int) -> None:
        self._children.discard(child)
        self._retired.retire(child.families)
        self._bulk.ended(child, code)
        if self._stopping or not self._ready or self._current.get(child.slot) is not child:
            return
        early = time.monotonic() - child.born < _EARLY_SECONDS
        deaths = self._early_deaths[child.slot] = self._early_deaths.get(child.slot, 0) + 1 if early else 0
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (deaths - 2)) if deaths > 1 else 0.0
        _log.error("worker ended", worker=child.slot, pid=child.pid, code=code, replaced_in=wait)
        self._restarts.inc()
        self._renew(self._replace(child, wait))

    async def _replace(self, dead: Child, wait: float) -> None:
        child = None
        while child is None:
            await asyncio.sleep(wait)
            if self._current[dead.slot] is not dead:
                return  # a restart was faster
            try:
                child = await self._spawn(dead.slot)
            except OSError as error:
                wait = _LONGEST_WAIT
                _log.error("worker cannot be started", worker=dead.slot, reason=in_words(error), tried_again_in=wait)
        if self._current[dead.slot] is not dead:
            await child.drain()  # a restart was faster meanwhile
            return
        self._current[dead.slot] = child
        await asyncio.wait([child.serving])
        if child.active:
            _log.info("worker serves", worker=child.slot, pid=child.pid)

    async def _roll(self) -> None:
        """Restart slot by slot: the new worker serves before the old one drains."""
        try:
            _log.info("restarting the workers one by one")
            for child in [child for child in self._children if child.draining]:  # since a restart before
                self._renew(child.stop(self._configuration.stop_seconds))
            for slot in sorted(self._current):
                new = await self._spawn(slot)
                await self._serving(new)
                old, self._current[slot] = self._current[slot], new
                self._renew(old.drain())
            self._bulk.renew()
            _log.info("workers restarted", count=len(self._current))
        except (KmsError, OSError) as error:
            _log.error("workers cannot be restarted; those that serve go on", reason=str(error))
        finally:
            self._rolling = False

    # The conversation with workers.

    def _receive(self, child: Child, frame: Frame) -> None:
        if isinstance(frame, Ask):
            message = asked(frame)
            _keep(self._answering, self._answer(child, frame.number, self._node.ask(message)))
        elif isinstance(frame, Announce):
            _keep(self._answering, self._announced(child, frame.number))
        elif isinstance(frame, Gather):
            _keep(self._answering, self._gather(child, frame))
        elif isinstance(frame, Idle):
            self._bulk.renew()
        elif isinstance(frame, Collect):
            _keep(self._answering, self._collect(child, frame.number))

    async def _answer(self, child: Child, number: int, answering: Awaitable[Any]) -> None:
        try:
            answer = await answering
        except Exception as error:  # noqa: BLE001  # of whatever kind, the worker's caller waits for it
            if not isinstance(error, KmsError):
                _log.error("node actor failed", error=type(error).__name__)
            child.link.send(refusal(number, error))
        else:
            child.link.send(Answer(number, msgspec.Raw(msgspec.msgpack.encode(answer))))

    async def _gather(self, child: Child, frame: Gather) -> None:
        """Answer with what this process and all workers tell; those that are gone or too slow are left out."""
        told = await asyncio.gather(*(self._question(each, frame) for each in list(self._children) if each.active))
        own = answered(self._facts, frame.question, frame.argument)
        child.link.send(Gathered(frame.number, [own, *(answer for answer in told if answer is not None)]))

    async def _question(self, child: Child, frame: Gather) -> msgspec.Raw | None:
        with contextlib.suppress(TimeoutError, Unavailable):
            told = await child.ask(Question, frame.question, frame.argument, seconds=_TELL_SECONDS)
            if isinstance(told, Told):
                return told.answer
        return None

    async def _collect(self, child: Child, number: int) -> None:
        child.link.send(Samples(number, (await self.metrics()).families()))

    async def _announced(self, child: Child, number: int) -> None:
        await self.announce(child)
        child.link.send(Done(number))

    def _tell(self, unsealed: Unsealed | None) -> Awaitable[None]:
        """Send the new state to all workers now; what is returned ends once all act upon it or are gone."""
        self._state = unsealed
        if unsealed is None:
            gc.collect()  # what cycles still hold of the keyring
        told = [self._told(child, child.link.request(NodeState, *state_fields(unsealed))) for child in self._children]
        return _all(told)

    async def _told(self, child: Child, reply: asyncio.Future[Any]) -> None:
        if not child.active:
            return  # it hears this before the order to serve
        try:
            async with asyncio.timeout(_ACT_SECONDS):
                await reply
        except (TimeoutError, Unavailable):
            _log.error("worker is gone or too slow", worker=child.slot, pid=child.pid)
            await child.kill()

    async def _catch_up(self, child: Child) -> None:
        # Else it is gone, or past its lease, or has read the change log to its end on its own.
        with contextlib.suppress(TimeoutError, Unavailable):
            await child.ask(CatchUp, seconds=self._configuration.tenants.lease_seconds)

    async def _read_metrics(self, child: Child) -> None:
        with contextlib.suppress(TimeoutError, Unavailable):
            child.hear_samples(await child.ask(ReadMetrics, seconds=_METRICS_SECONDS))

    def _renew(self, work: Coroutine[Any, Any, None]) -> None:
        _keep(self._renewing, work)


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Run `work` in a task that `tasks` holds until it ends; the loop itself holds tasks weakly."""
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _all(told: Sequence[Coroutine[Any, Any, None]]) -> None:
    await asyncio.gather(*told)
