"""The syncs of one file: one is under way at most, and all that waits for the next shares it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from errno import EBADF
from typing import Final

from kms_actors.actors.audit.appending import AppendFile, Uncertain
from kms_actors.actors.audit.sinks.disk import Disk
from kms_actors.audit.sink import Synced
from kms_actors.system_errors import in_words


class Group:
    """Those of one open file; `failed` is called where nobody knows any more what is on the disk."""

    def __init__(self, file: AppendFile, disk: Disk, failed: Callable[[AppendFile], None]) -> None:
        self._file: Final = file
        self._disk = disk
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._under_way: Synced | None = None
        self._next: Synced | None = None

    def sync(self) -> Synced:
        """Return what is done once all that was written until now is on the disk."""
        if self._next is None:
            self._next = self._loop.create_future()
            if self._under_way is None:
                self._loop.call_soon(self._begin)  # what is written in this turn of the loop comes along
        return self._next

    async def ended(self) -> None:
        """Return once all that waits is synced, or has failed: the file must not be closed before."""
        while (waited := self._next or self._under_way) is not None:
            await asyncio.wait([waited])

    def _begin(self) -> None:
        if self._next is None or self._under_way is not None:
            return
        self._under_way, self._next = self._next, None
        if self._file.closed:
            self._done(OSError(EBADF, "the file was closed"))
        else:
            self._disk.sync(self._file, self._done)

    def _done(self, error: OSError | None) -> None:
        done, self._under_way = self._under_way, None
        assert done is not None
        if not done.done():
            done.set_result(None if error is None else Uncertain(in_words(error)))
        if error is not None:
            self._failed(self._file)
        if self._next is not None:
            self._loop.call_soon(self._begin)
