"""The first workers of a node: forks of a process that has loaded everything and done nothing yet.

Modules are loaded once for all of them, and lie in memory once while nobody writes to them (`loading` keeps
collections from doing so). It is safe only here, before there is a thread, an event loop, a store's client or a
secret; so workers that replace others are started by `launch`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import NoReturn

from kms_actors.config import Configuration
from kms_actors.processes import worker
from kms_actors.processes.accounts import drop_privileges
from kms_actors.processes.lane import Lane, Part, open_lane
from kms_actors.processes.launch import Launched, Workers
from kms_actors.processes.sockets import Bound, open_all


class Fork:
    """A forked process, as far as `subprocess.Popen` would be used for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None
        self._waiting = threading.Lock()

    def wait(self) -> int:
        """Return the exit code once the process has ended: of a signal, its negative number."""
        with self._waiting:
            if self._code is None:
                self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._code

    def kill(self) -> None:
        """End it at once, if it has not."""
        if self._code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def fork_all(configuration: Configuration) -> Workers:
    """Listen, become who is to run the node, and fork all workers; raises SettingError when an address is taken.

    In a worker it does not return.
    """
    listeners, lane = open_all(configuration), open_lane()
    drop_privileges(configuration)
    if threading.active_count() > 1:
        raise RuntimeError("a process with threads is not forked")
    processes: list[Launched] = []
    for _ in range(configuration.worker_count):
        processes.append(_fork(listeners, lane, [launched.end for launched in processes]))
    return Workers(listeners, lane, processes)


def _fork(listeners: Sequence[Bound], lane: Lane, others: Iterable[socket.socket]) -> Launched:
    own, end = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        # With an end of the supervisor open here, a worker would not notice that the supervisor is gone.
        for inherited in (own, lane.receiving, *others):
            inherited.close()
        _work(end, listeners, Part(lane.sending, takes=False))
    end.close()
    return Launched(Fork(pid), own)


def _work(end: socket.socket, listeners: Sequence[Bound], part: Part) -> NoReturn:
    code = 1
    try:
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - its descriptor is wanted
            os.dup2(nothing.fileno(), sys.stdin.fileno())
        code = worker.work(end, listeners, part)
    finally:
        sys.stderr.flush()
        os._exit(code)  # what is on the supervisor's stack is not this process's to end
