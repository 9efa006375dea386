"""A plain file: lines are appended, and are the system's once a write is done.

All processes of a node write to the same file. Each write is one call to the system with whole lines, at the end of
the file wherever that is, so lines of two processes do not mix.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Final

from kms_actors.actors.audit.sinks.promptness import Promptness
from kms_actors.audit.sink import SinkFailed
from kms_actors.system_errors import in_words

#: A link is not followed: the folder is the node's own, and nothing in it is one.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FileSink:
    """Writes on the loop what is prompt there, else in a thread: a disk may hold up whoever writes to it."""

    def __init__(self, path: Path, mode: int | None, pool: Executor, most: int | None = None) -> None:
        """`mode` is that of the file, None: as it is; `most` bytes may be in it."""
        self._path = path
        self._mode = mode
        self._pool = pool
        self._most = most
        self._file: int | None = None
        self._begun = False  # once it was open: then its folder is there, or was removed by somebody
        self._torn = False  # a line was written in part
        self._promptness = Promptness()

    async def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink`."""
        await self._run(self._append, b"".join(lines))

    def write_at_once(self, lines: Sequence[bytes]) -> bool:
        """See `WritesAtOnce`."""
        file = self._file
        if file is None or not self._promptness.allows(lines):
            return False
        try:
            state = os.fstat(file)
            if not state.st_nlink:
                return False  # `write` makes it anew
            self._append_to(file, state.st_size, b"".join(lines))
        except OSError as error:
            raise SinkFailed(in_words(error)) from None
        return True

    async def reopen(self) -> None:
        """See `Sink`."""
        await self._run(self._reopen, b"")

    async def close(self) -> None:
        """See `Sink`."""
        self._shut()

    async def _run(self, work: object, data: bytes) -> None:
        assert callable(work)
        await asyncio.get_running_loop().run_in_executor(self._pool, work, data)

    def _append(self, data: bytes) -> None:
        try:
            file = self._opened()
            self._append_to(file, os.fstat(file).st_size, data)
        except OSError as error:
            raise SinkFailed(in_words(error)) from None

    def _append_to(self, file: int, size: int, data: bytes) -> None:
        if self._most is not None and size + len(data) > self._most:
            raise SinkFailed("the file is as large as it may be (setting audit.vault_file_bytes): rotate it")
        rest = memoryview(b"\n" + data if self._torn else data)
        begun = self._promptness.begin()
        while rest:
            written = os.write(file, rest)
            self._torn = written < len(rest)
            rest = rest[written:]
        self._promptness.end(begun)

    def _opened(self) -> int:
        """Return the file, open; one that was removed, or never was, is made."""
        file = self._file
        if file is not None and os.fstat(file).st_nlink:
            return file
        self._shut()
        if not self._begun:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self._path, _FLAGS, 0o600 if self._mode is None else self._mode)
        try:
            if self._mode is not None:
                os.fchmod(file, self._mode)
            self._promptness.opened(self._path, file)
        except OSError:
            os.close(file)
            raise
        self._file, self._begun, self._torn = file, True, False
        return file

    def _reopen(self, _: bytes) -> None:
        self._shut()
        try:
            self._opened()
        except OSError as error:
            raise SinkFailed(in_words(error)) from None

    def _shut(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
