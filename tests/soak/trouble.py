"""What befalls a node in a long run, one after the other, and which requests may fail for it.

Whatever is not excused here may not fail: a vault is unharmed by the seal or the full disk of another, and nobody
notices that a log is moved away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tests.processes.workers import workers
from tests.soak.vaults import Vault
from tests.support.api import Api, unseal
from tests.support.fdb_cluster import FdbCluster
from tests.support.node import Node, wait_until

#: Seconds that a vault is sealed, a disk is full, a database stands still or is gone.
_LASTS: Final = 5.0
#: Seconds after which nothing may fail for it any more: connections have ended, the database has recovered.
_OVER: Final = 3.0
_RECOVERED: Final = 20.0
_CHUNK: Final = 1 << 16


class _Window(NamedTuple):
    vault: str  # "": all
    began: float
    ended: float  # inf while it lasts
    kind: str


class Trouble:
    """All that befalls `node`. `full` is a vault whose audit device writes to the small file system at `small`."""

    def __init__(
        self, node: Node, database: FdbCluster | None, sealable: Sequence[Vault], full: Vault | None, small: Path
    ) -> None:
        self._node = node
        self._database = database
        self._sealable = sealable
        self._full = full
        self._small = small
        self._windows: list[_Window] = []
        self._open: list[_Window] = []
        self._turn = 0
        self.lasting = 0  # the worker that is never killed: its memory is what tells; 0: there is none yet
        self.counts: Counter[str] = Counter()

    def excused(self, vault: Vault, began: float) -> bool:
        """Tell whether a request to a vault, from `began` until now, may have failed."""
        now = time.monotonic()
        return any(
            each.vault in {"", vault.id} and each.began <= now and each.ended >= began
            for each in (*self._open, *self._windows[-8:])
        )

    async def keep_one(self) -> None:
        """Let one worker be from now on. A rotation restarts all, so there is none any more."""
        log, ended = "workers restarted", self.counts[self.rotate.__name__]
        await asyncio.to_thread(wait_until, lambda: self._node.log.count(log) >= ended, "the workers were restarted")
        self.lasting = workers(self._node)[0]

    def last(self, vault: Vault) -> str:
        """Tell what has befallen a vault last, and how long ago that was over."""
        found = [each for each in self._windows if each.vault in {"", vault.id}]
        return f"{time.monotonic() - found[-1].ended:.1f} s after {found[-1].kind}" if found else "before all trouble"

    async def next(self) -> None:
        """Have the next thing happen, and be over."""
        kinds: list[Callable[[], Awaitable[None]]] = [self.kill_worker, self.seal]
        if not self.lasting:
            kinds.append(self.rotate)
        if self._full is not None:
            kinds.append(self.fill_disk)
        if self._database is not None:
            kinds += [self.pause_store, self.kill_store]
        kind = kinds[self._turn % len(kinds)]
        self._turn += 1
        await kind()
        name: str = kind.__name__
        self.counts[name] += 1

    async def kill_worker(self) -> None:
        """Kill the newest worker; another takes its place."""
        async with self._excusing("", _OVER, "the kill of a worker"):
            before = self._node.log.count("worker serves")
            newest = [pid for pid in workers(self._node) if pid != self.lasting][-1]
            os.kill(newest, signal.SIGKILL)
            await asyncio.to_thread(
                wait_until, lambda: self._node.log.count("worker serves") > before, "another worker serves"
            )

    async def seal(self) -> None:
        """Seal a vault, and unseal it again."""
        vault = self._sealable[self._turn % len(self._sealable)]
        operator = Api(self._node.address, vault.operator)
        async with self._excusing(vault.id, _OVER, "a seal"):
            answer = await asyncio.to_thread(operator.put, "sys/seal")
            assert answer.status == 204, (answer.status, answer.body)
            await asyncio.sleep(_LASTS)
            await asyncio.to_thread(unseal, operator, vault.shares)

    async def rotate(self) -> None:
        """Move all audit logs away, as a log's rotation does, and then remove them: workers restart one by one."""
        moved = []
        for path in await asyncio.to_thread(lambda: list((self._node.directory / "audit").rglob("*.log"))):
            aside = path.with_suffix(".old")
            with contextlib.suppress(FileNotFoundError):
                path.rename(aside)
                moved.append(aside)
        os.kill(self._node.pid, signal.SIGHUP)
        await asyncio.sleep(_LASTS)
        for path in moved:
            path.unlink(missing_ok=True)

    async def fill_disk(self) -> None:
        """Leave no room where one vault's audit device writes, and then make some."""
        assert self._full is not None
        async with self._excusing(self._full.id, _OVER, "a full disk"):
            filler = self._small / "filler"
            await asyncio.to_thread(_fill, filler)
            await asyncio.sleep(_LASTS)
            filler.unlink()

    async def pause_store(self) -> None:
        """Let the database stand still."""
        assert self._database is not None
        async with self._excusing("", _RECOVERED, "a database that stood still"):
            self._database.pause()
            await asyncio.sleep(_LASTS)
            self._database.resume()

    async def kill_store(self) -> None:
        """End the database at once, and start it again."""
        assert self._database is not None
        async with self._excusing("", _RECOVERED, "a database that was killed"):
            self._database.kill()
            await asyncio.sleep(_LASTS)
            await asyncio.to_thread(self._database.start)

    @contextlib.asynccontextmanager
    async def _excusing(self, vault: str, after: float, kind: str) -> AsyncIterator[None]:
        window = _Window(vault, time.monotonic(), float("inf"), kind)
        self._open.append(window)
        try:
            yield
        finally:
            self._open.remove(window)
            self._windows.append(window._replace(ended=time.monotonic() + after))


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(_CHUNK)):
            pass
