"""Processes that have loaded everything a node needs, and fork nodes: to load it takes most of a start.

A node that is forked here is a process like any other: of a session of its own, with its own environment, working
directory and log, ended by the same signals. Only the interpreter and the modules are there before. What begins with
the program itself (`kms-layer` as users run it, its first fork, its memory) is tested with the program.

There are several nurseries, which take turns: nodes that work together, and a node before and after it was killed,
hash texts differently, as they do in use.

This file is also the program, run without the package: `python -P nursery.py DESCRIPTOR`.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

#: Whether this system has what it takes.
AVAILABLE: Final = hasattr(os, "pidfd_open")

_COUNT: Final = 3
#: Bytes of an order, at most.
_MOST: Final = 1 << 18
#: Seconds from one look at a process to the next.
_FIRST_WAIT: Final = 0.001
_LONGEST_WAIT: Final = 0.02


class Forked:
    """A forked process, as far as `subprocess.Popen` would be used for it."""

    def __init__(self, words: Sequence[str], told: socket.socket) -> None:
        self.returncode: int | None = None
        self._words = list(words)
        self._told = told  # the process itself tells its pid, the nursery its exit code: a message each
        self._looking = threading.Lock()
        self.pid = self._heard(told.recv(64))
        told.setblocking(False)

    def poll(self) -> int | None:
        """Return the exit code if it has ended: of a signal, its negative number."""
        with self._looking:
            if self.returncode is None:
                try:
                    self.returncode = self._heard(self._told.recv(64))
                except BlockingIOError:
                    return None
                self._told.close()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended; raises subprocess.TimeoutExpired after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _FIRST_WAIT
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self._words, timeout or 0.0)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_WAIT)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _heard(self, message: bytes) -> int:
        assert message, "the nursery has ended, and nobody knows how its nodes do"
        return int(message)


class _Nursery:
    """One process that forks; it ends with this one."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._ordering = threading.Lock()

    def fork(self, words: Sequence[str], directory: Path, log: int) -> Forked:
        order = json.dumps({"words": list(words), "directory": str(directory), "environment": dict(os.environ)})
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other, self._ordering:
            if self._control is None:
                self._control = self._started()
            socket.send_fds(self._control, [order.encode()], [log, other.fileno()])
        return Forked(words, own)

    def _started(self) -> socket.socket:
        own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(other.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
                start_new_session=True,
            )
        atexit.register(process.wait, 30)
        atexit.register(own.close)  # before that: whom nobody can order any more ends
        return own


_nurseries: Final = itertools.cycle([_Nursery() for _ in range(_COUNT)])


def fork_node(words: Sequence[str], directory: Path, log: int) -> Forked:
    """Run `kms-layer` (`words` begin with its path) in `directory`, writing to the descriptor `log`."""
    return next(_nurseries).fork(words, directory, log)


# The program.


class _Order(NamedTuple):
    """What a child is to run, and how."""

    words: list[str]
    directory: str
    environment: dict[str, str]


def _fork_until_told(control: socket.socket) -> _Order | None:
    """Fork a child for each order. It returns its order in that child, and None here when nobody orders any more."""
    waiting: dict[int, tuple[int, socket.socket]] = {}  # by the descriptor of the process: pid, whom to tell
    with selectors.PollSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd in waiting:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    pid, asking = waiting.pop(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    with asking:
                        _tell(asking, code)
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, _MOST, 2)
                if not message:
                    for left, _ in waiting.values():  # the tests were ended amid one
                        _kill(left)
                    return None
                log, asked = descriptors
                asking, order = socket.socket(fileno=asked), _Order(**json.loads(message))
                pid = os.fork()
                if pid == 0:
                    for descriptor, (_, other) in waiting.items():
                        os.close(descriptor)
                        other.close()
                    control.close()
                    with asking:
                        _become(order, log)
                        _tell(asking, os.getpid())
                    return order
                os.close(log)
                descriptor = os.pidfd_open(pid)
                waiting[descriptor] = pid, asking
                selector.register(descriptor, selectors.EVENT_READ)


def _tell(asking: socket.socket, number: int) -> None:
    try:
        asking.send(str(number).encode())
    except OSError:  # who asked is gone
        return


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # it ends just now
        return


def _become(order: _Order, log: int) -> None:
    """Have this process be as one that was started with an order."""
    os.setsid()
    os.chdir(order.directory)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, place)
    os.close(nothing)
    os.close(log)
    os.environ.clear()
    os.environ.update(order.environment)


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    from kms_actors.cli import layer  # noqa: PLC0415 - the nursery's own, not of those who import this file
    from kms_actors.processes.loading import modules_kept  # noqa: PLC0415

    with modules_kept():
        import kms_actors.processes.forking  # noqa: PLC0415
        import kms_actors.processes.node  # noqa: F401, PLC0415
    order = _fork_until_told(control)
    if order is not None:
        sys.argv = order.words
        layer.main()  # as the console script of the package does


if __name__ == "__main__":
    _main()
