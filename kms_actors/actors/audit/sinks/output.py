"""The process's standard output, for who collects that.

All processes of a node have the same one. To a file or a terminal each write is whole; to a pipe only what is short
(`PIPE_BUF`), so there they take turns by a lock of the pipe itself. Of a socket, lines of 32 kB and more can mix.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from typing import Final

from kms_actors.audit.sink import SinkFailed
from kms_actors.system_errors import in_words

_STDOUT: Final = 1


class OutputSink:
    """Writes in a thread: a pipe that nobody reads holds up whoever writes to it."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool

    async def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink`."""
        await asyncio.get_running_loop().run_in_executor(self._pool, _write, b"".join(lines))

    async def reopen(self) -> None:
        """See `Sink`."""

    async def close(self) -> None:
        """See `Sink`."""


def _write(data: bytes) -> None:
    rest = memoryview(data)
    try:
        with _alone():
            while rest:
                rest = rest[os.write(_STDOUT, rest) :]
    except OSError as error:
        raise SinkFailed(f"standard output: {in_words(error)}") from None


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes of this node from writing, if it is a pipe; waits in this thread."""
    if not stat.S_ISFIFO(os.fstat(_STDOUT).st_mode):
        yield
        return
    # Opened anew: what a process has inherited is locked for all that have.
    pipe = os.open(f"/proc/self/fd/{_STDOUT}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(pipe, fcntl.LOCK_EX)
        yield
    finally:
        os.close(pipe)
