"""What proofs cost: `python -m tests.bench.audit_log`, lines a second and CPU a line of one process.

Lines of audit alone, without what makes them: given their places in a log; written to a file by a device, in both
modes, by callers that each wait for their line; and verified. A plain file is beside them.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kms_actors.actors.audit.proven_file import ProvenFile, Settings
from kms_actors.audit.log import lines
from kms_actors.audit.log.lines import MOST_UNSIGNED
from kms_actors.audit.log.notes import Signer
from kms_actors.audit.log.verification import verify
from kms_actors.audit.log.writing import Log, new_id
from tests.support.audit_book import SCOPE, MemoryBook

#: Appends lines, and is done when they are as durable as it says.
Write = Callable[[list[bytes]], Awaitable[None]]


@click.command()
@click.option("--lines", "count", default=50_000, show_default=True)
@click.option("--bytes", "size", default=900, show_default=True, help="Of each line.")
@click.option("--callers", default=64, show_default=True, help="Who wait for their lines at once.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where files are written.")
def main(*, count: int, size: int, callers: int, folder: Path | None) -> None:
    """Measure it."""
    line = b'{"time":"2026-01-01T00:00:00.000000000Z","data":"' + bytes(size).replace(b"\0", b"a")[:-52] + b'"}\n'
    _show("places in a log", count, *_measured(lambda: _place(line, count)))
    with tempfile.TemporaryDirectory(dir=folder) as made:
        uvloop.run(_write(Path(made), line, count, callers))


def _place(line: bytes, count: int) -> None:
    log = Log(new_id(), Signer(f"{SCOPE}/0", Ed25519PrivateKey.generate()))
    for _ in range(count):
        if log.unsigned >= MOST_UNSIGNED:
            log.checkpoint(lines.INTERVAL, "2026-01-01T00:00:00Z")
        log.add(line)


async def _write(folder: Path, line: bytes, count: int, callers: int) -> None:
    book = MemoryBook()
    with ThreadPoolExecutor(2) as pool:
        plain = os.open(folder / "plain", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

        async def append(written: list[bytes]) -> None:
            await asyncio.get_running_loop().run_in_executor(pool, os.write, plain, b"".join(written))

        await _called("plain file", append, line, count, callers)
        os.close(plain)
        for mode in ("lagged", "strict"):
            file = ProvenFile(Settings(folder / mode, 0o600, "node", strict=mode == "strict"), book, pool)
            await _called(mode, file.write, line, count, callers)
            await file.close()
    content = (folder / "strict").read_bytes().splitlines(keepends=True)
    told = [anchor.told for anchor in book.kept.values() if anchor.file.endswith("strict")]

    def check() -> None:
        assert not verify(lambda: [("strict", content)], book.trust, told).findings

    _show("verified", len(content), *_measured(check))


async def _called(name: str, write: Write, line: bytes, count: int, callers: int) -> None:
    """Have callers write one line after the other, gathered as a device gathers them."""
    waiting: list[tuple[bytes, asyncio.Future[None]]] = []
    wake = asyncio.Event()
    loop = asyncio.get_running_loop()
    sizes = []

    async def gather() -> None:
        while True:
            await wake.wait()
            wake.clear()
            taken, waiting[:] = waiting[:], []
            sizes.append(len(taken))
            await write([each for each, _ in taken])
            for _, done in taken:
                done.set_result(None)
            if waiting:
                wake.set()

    async def call() -> None:
        for _ in range(count // callers):
            done: asyncio.Future[None] = loop.create_future()
            waiting.append((line, done))
            wake.set()
            await done

    gathering = loop.create_task(gather())
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(call() for _ in range(callers)))
    _show(name, sum(sizes), time.perf_counter() - began, time.process_time() - cpu, sum(sizes) / len(sizes))
    gathering.cancel()


def _measured(work: Callable[[], None]) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def _show(name: str, count: int, seconds: float, cpu: float, together: float | None = None) -> None:
    gathered = "" if together is None else f"   {together:5.1f} lines a write"
    print(f"{name:16} {count / seconds:10,.0f} lines/s   {cpu / count * 1e6:6.1f} us of CPU a line{gathered}")


if __name__ == "__main__":
    main()
