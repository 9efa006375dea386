"""Starts worker processes as new programs: those that replace others, and run what is installed then."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from kms_actors.processes.lane import Lane, Part
from kms_actors.processes.sockets import Bound


class WorkerProcess(Protocol):
    """A process that this one has started."""

    @property
    def pid(self) -> int: ...

    def wait(self) -> int:
        """Return the exit code once it has ended; may be called from several threads."""

    def kill(self) -> None:
        """End it at once, if it has not ended."""


class Launched(NamedTuple):
    """A new process, and the supervisor's end of the socket pair to it."""

    process: WorkerProcess
    end: socket.socket


class Workers(NamedTuple):
    """The workers that a node starts with, and the sockets they share."""

    listeners: list[Bound]
    lane: Lane
    processes: list[Launched]


def launch(listeners: Sequence[Bound], part: Part) -> Launched:
    """Start a worker on `listeners`: a new program, no fork of this one, that is told nothing by its arguments."""
    own, other = socket.socketpair()
    with other:
        places = [f"{bound.listener}:{bound.socket.fileno()}" for bound in listeners]
        descriptors = [other.fileno(), part.end.fileno(), *(bound.socket.fileno() for bound in listeners)]
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", "kms_actors.processes.worker", str(other.fileno()), part.argument, *places],
            stdin=subprocess.DEVNULL,
            pass_fds=descriptors,
        )
    return Launched(process, own)
