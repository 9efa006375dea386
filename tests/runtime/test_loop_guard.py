"""The guard of the root conftest: it fails a test on a blocking call, and lets honest ones pass."""

import asyncio
import os
import queue
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import pykka
import pytest


class Guard(Protocol):
    caught: list[str]


BLOCKING: dict[str, Callable[[], Any]] = {
    "time.sleep": lambda: time.sleep(0.001),
    "Event.wait": lambda: threading.Event().wait(0.001),
    "Future.result": lambda: Future[int]().result(0.001),
    "ThreadingFuture.get": lambda: pykka.ThreadingFuture[int]().get(timeout=0.001),
    "Queue.get": lambda: queue.Queue[int]().get(timeout=0.001),
    "socket.connect": lambda: socket.create_connection(("127.0.0.1", 9), 0.001),
}


@pytest.mark.parametrize("name", BLOCKING)
async def test_a_blocking_call_on_the_loop_is_caught(name: str, loop_guard: Guard) -> None:
    with pytest.raises(AssertionError, match="on the event loop"):
        BLOCKING[name]()
    assert loop_guard.caught
    loop_guard.caught.clear()


async def test_the_same_calls_pass_in_a_thread() -> None:
    for name in ("time.sleep", "Event.wait"):
        await asyncio.to_thread(BLOCKING[name])


async def test_what_does_not_block_passes(tmp_path: Path) -> None:
    done: Future[int] = Future()
    done.set_result(1)
    assert done.result() == 1
    with sqlite3.connect(tmp_path / "db") as database:
        assert database.execute("select 1").fetchone() == (1,)
    database.close()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


def test_a_test_that_blocks_or_keeps_the_loop_fails(tmp_path: Path) -> None:
    conftest = Path(__file__).parents[1] / "conftest.py"
    (tmp_path / "conftest.py").write_text(conftest.read_text())
    (tmp_path / "test_it.py").write_text(
        "import time\n"
        "async def test_fine(): pass\n"
        "async def test_swallows():\n"
        "    try: time.sleep(0)\n"
        "    except BaseException: pass\n"
        "async def test_computes():\n"
        "    end = time.thread_time() + 1.1\n"
        "    while time.thread_time() < end: pass\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", tmp_path],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(conftest.parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "3 passed, 2 errors" in run.stdout
    assert "ERROR test_it.py::test_swallows" in run.stdout
    assert "ERROR test_it.py::test_computes" in run.stdout
