"""The process's standard output, for who collects that."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
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
        while rest:
            rest = rest[os.write(_STDOUT, rest) :]
    except OSError as error:
        raise SinkFailed(f"standard output: {in_words(error)}") from None
