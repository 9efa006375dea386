"""A loop in virtual time that is asked for more than it can do: reading, work and refusals take time, nothing else.

A pass is as asyncio's and libuv's are: what was called for runs, then all sockets that have something are read.
Clients send on connections, one request at a time each; one that is not read from keeps what was sent.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

from kms_actors.actors.tenant.work import CROWDED_PARTS
from kms_actors.runtime import Turns
from kms_http.wire.admission import UNCOUNTED, Admission
from kms_http.wire.passes import Outbox
from kms_http.wire.refusals import Refusals

#: Seconds: a pass, a request read, one refused.
PASS: Final = 20e-6
READ: Final = 20e-6
REFUSE: Final = 25e-6


@dataclass
class Job:
    """A request: of whom, what it takes of the loop, and of a thread after that; when it was sent and answered."""

    account: str
    loop: float
    thread: float = 0.0
    sent: float = 0.0
    answered: float = 0.0
    refused: bool = False
    done: Callable[[], None] = field(default=lambda: None, repr=False)
    method: str = "POST"
    slices: int = 0  # on the loop, after that
    slice: float = 0.0  # what each of them takes

    @property
    def target(self) -> str:
        return f"/v1/transit/{'sign' if self.thread else 'encrypt'}/key"

    @property
    def took(self) -> float:
        return self.answered - self.sent


class Client:
    """A connection, from both ends."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.lost = False
        self.resting = False
        self.unread: Job | None = None
        self.asking = False
        self.busy = False
        self.counted_in: Any = None

    def take_up(self, request: Any) -> None:
        machine, job = self._machine, cast(Job, request)
        self.busy = True
        machine.now += job.loop
        if job.thread:
            machine.admission.going_on += 1
            if machine.admission.going_on > UNCOUNTED:
                self.counted_in = machine.admission.count(request)
            machine.threads.append((self, job))
            machine.run_threads()
        elif job.slices:
            machine.admission.going_on += 1
            if machine.admission.going_on > UNCOUNTED:
                self.counted_in = machine.admission.count(request)
            machine.turns.call(job.account, partial(self._work, job, job.slices * job.slice), cast(Any, machine))
        else:
            self.answer(job)

    def _work(self, job: Job, left: float) -> None:
        """Do a slice of a job, or a third of one where others ask."""
        machine = self._machine
        some = min(left, job.slice / CROWDED_PARTS if machine.turns.crowded else job.slice)
        machine.now += some
        if left - some > 1e-9:
            machine.turns.call(job.account, partial(self._work, job, left - some), cast(Any, machine))
            return
        machine.admission.going_on -= 1
        if self.counted_in is not None:
            machine.admission.discount(*self.counted_in)
            self.counted_in = None
        self.answer(job)

    def send(self, request: Any, _: Any) -> None:
        self._machine.now += REFUSE
        request.refused = True
        self.answer(request)

    def answer(self, job: Job) -> None:
        self._machine.outbox.come()
        job.answered = self._machine.now
        self.asking = self.busy = False
        self._machine.answered.append(job)
        job.done()

    def rest(self) -> bool:
        self.resting = True
        return True

    def wake(self) -> None:
        self.resting = False
        if self.unread is not None:
            self._machine.readable.append(self)

    def give_back(self) -> None:
        raise AssertionError


class Machine:
    """The loop, its threads, and the admission under test."""

    def __init__(self, bound: float = 0.1, threads: int = 2) -> None:
        self.now = 1.0
        self.answered: list[Job] = []
        self.readable: deque[Client] = deque()
        self.threads: deque[tuple[Client, Job]] = deque()
        self._free = threads
        self._ready: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.longest_pass = 0.0
        self.outbox = Outbox(cast(Any, self))
        self.turns = Turns()
        self.admission = Admission(
            lambda request: cast(Any, request).account,
            Refusals(lambda: self.now),
            self.outbox,
            slices=self.turns,
            bound=bound,
            clock=lambda: self.now,
            cpu=lambda: self.now,
        )

    # What the admission calls of a loop.

    def call_soon(self, then: Callable[[], None]) -> None:
        self._ready.append(then)

    def call_later(self, seconds: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), then))

    # What clients and threads do.

    def ask(self, client: Client, job: Job) -> None:
        """Send a request, now."""
        job.sent, client.asking, client.unread = self.now, True, job
        if not client.resting:
            self.readable.append(client)

    def run_threads(self) -> None:
        while self._free and self.threads:
            self._free -= 1
            client, job = self.threads.popleft()
            self.call_later(job.thread, partial(self._thread_ends, client, job))

    def _thread_ends(self, client: Client, job: Job) -> None:
        self._free += 1
        client.answer(job)
        self.admission.going_on -= 1
        if client.counted_in is not None:
            self.admission.discount(*client.counted_in)
            client.counted_in = None
        self.run_threads()

    def run(self, until: float) -> None:
        """Go on until then."""
        while self.now < until:
            began = self.now
            while self._timers and self._timers[0][0] <= self.now:
                heapq.heappop(self._timers)[2]()
            for _ in range(len(self._ready)):
                self._ready.popleft()()
            for _ in range(len(self.readable)):
                self._read(self.readable.popleft())
            self.longest_pass = max(self.longest_pass, self.now - began)
            self.now += PASS
            if not self._ready and not self.readable:
                self.now = max(self.now, min(until, self._timers[0][0]) if self._timers else until)

    def _read(self, client: Client) -> None:
        job, client.unread = client.unread, None
        if job is None or client.resting:
            client.unread = job
            return
        self.now += READ
        if self.outbox.free:
            self.outbox.free -= 1
            client.take_up(job)
        else:
            self.admission.take(cast(Any, client), cast(Any, job))

    # Load.

    def flood(self, rate: float, seconds: float, make: Callable[[], Job], connections: int = 512) -> None:
        """Send at a constant rate, whether or not earlier ones were answered, while a connection is free."""
        free = [Client(self) for _ in range(connections)]  # the last one used is the next, as clients keep them
        end = self.now + seconds

        def tick() -> None:
            if free:
                client, job = free.pop(), make()
                job.done = lambda: free.append(client)
                self.ask(client, job)
            if self.now < end:
                due[0] += 1 / rate
                self.call_later(due[0] - self.now, tick)

        due = [self.now]
        tick()

    def keep_asking(self, connections: int, make: Callable[[], Job]) -> None:
        """Send a request on each connection, and the next one as soon as it is answered."""

        def again(client: Client) -> None:
            job = make()
            job.done = lambda: self.call_later(50e-6, lambda: again(client))
            self.ask(client, job)

        for _ in range(connections):
            again(Client(self))

    def ask_now_and_then(self, interval: float, make: Callable[[], Job]) -> list[Job]:
        """Send a request on one connection each interval, if the last one is answered; return the list of them."""
        client, jobs = Client(self), []

        def tick() -> None:
            if not client.asking:
                jobs.append(make())
                self.ask(client, jobs[-1])
            self.call_later(interval, tick)

        tick()
        return jobs


def percentile(jobs: Iterable[Job], share: float) -> float:
    """Return what that share of them took at most, in seconds."""
    ordered = sorted(job.took for job in jobs)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
