"""What holds for every test: an environment of its own, a guard of event loops, and a short account of skips.

The environment is set before any test module is imported (see `tests.support.environment`).

The guard: what stops an event loop fails the test. On a thread whose loop runs it refuses calls that would block, and
finds callbacks that keep the loop too long (not on uvloop, whose callbacks cannot be timed). Their time is CPU time,
since other processes of a busy machine must not fail a test; a wait that no refused call explains gets a generous
bound. SQLite is not refused: its point reads are short.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import queue
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pykka
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples

from kms_actors.observe import bounded
from tests.support.environment import environment_of_tests
from tests.support.scheduling import end_unit, scheduler
from tests.support.skips import skips_by_cause

#: Seconds one callback may compute, and may take in all.
MOST_CPU: Final = 1.0
MOST_WAIT: Final = 3.0


def pytest_configure(config: pytest.Config) -> None:
    """Give tests, and all that they start or import, an environment and a home of their own."""
    users, home = dict(os.environ), tempfile.mkdtemp(prefix="kms-tests-home-")
    _replace_environment(environment_of_tests(users, Path(home)))
    config.add_cleanup(lambda: _replace_environment(users))
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of what a shell runs behind; programs would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # What an example takes depends on what else the machine does; the rest is as Hypothesis has it, here and in CI.
    examples.register_profile("kms", examples(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
    examples.load_profile("kms")


def pytest_collection_finish() -> None:
    """Have no collection of garbage look at ten thousand tests again: it takes long, amid whatever is timed."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out files, and folders whose files share what is dear, where files are dealt out."""
    return scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End with a folder what its files share, where tests are dealt out."""
    if hasattr(item.config, "workerinput"):
        end_unit(item, nextitem)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was skipped by its causes, of which there are few, instead of by test."""
    lines = skips_by_cause(str(report.longrepr[2]) for report in terminalreporter.getreports("skipped"))
    if lines:
        terminalreporter.section("skipped, and how to have it run (each one: -rs)")
        for line in lines:
            terminalreporter.write_line(line)


def _replace_environment(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


class BlockingCall(AssertionError):
    """The event loop was, or would have been, held up."""


def _queue_blocks(box: queue.Queue[Any], block: bool = True, timeout: float | None = None) -> bool:
    return block and timeout != 0 and box.empty()


def _socket_blocks(connection: socket.socket, *_: Any) -> bool:
    return connection.gettimeout() != 0


#: Owner, name, and whether a call with these arguments would block.
BLOCKING: Final[list[tuple[Any, str, Callable[..., bool]]]] = [
    (time, "sleep", lambda _: True),
    (threading.Event, "wait", lambda event, *_, **__: not event.is_set()),
    (concurrent.futures.Future, "result", lambda future, *_, **__: not future.done()),
    (concurrent.futures.Future, "exception", lambda future, *_, **__: not future.done()),
    (pykka.ThreadingFuture, "get", lambda future, **_: future._result is None),
    (queue.Queue, "get", _queue_blocks),
    *((socket.socket, name, _socket_blocks) for name in ("accept", "connect", "recv", "recv_into", "sendall")),
    (socket, "getaddrinfo", lambda *_, **__: True),
]


class LoopGuard:
    """What was caught, in words."""

    def __init__(self) -> None:
        self.caught: list[str] = []

    def refuse(self, owner: Any, name: str, blocks: Callable[..., bool]) -> Callable[..., Any]:
        original = getattr(owner, name)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            on_loop = asyncio._get_running_loop() is not None
            # A starting thread is awaited for a moment: executors do so.
            starts_thread = sys._getframe(1).f_code is threading.Thread.start.__code__
            if on_loop and not starts_thread and blocks(*args, **kwargs):
                self.caught.append(f"{owner.__name__}.{name} on the event loop")
                raise BlockingCall(self.caught[-1])
            return original(*args, **kwargs)

        return guarded

    def time(self, run: Callable[[asyncio.Handle], None]) -> Callable[[asyncio.Handle], None]:
        def timed(handle: asyncio.Handle) -> None:
            cpu, wall = time.thread_time(), time.monotonic()
            run(handle)
            cpu, wall = time.thread_time() - cpu, time.monotonic() - wall
            if cpu > MOST_CPU or wall > MOST_WAIT:
                self.caught.append(f"{handle!r} held the event loop: {cpu:.2f} s of CPU in {wall:.2f} s")

        return timed


@pytest.fixture(autouse=True)
def loop_guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopGuard]:
    """Guard a test; one that provokes the guard on purpose clears `caught`."""
    guard = LoopGuard()
    for owner, name, blocks in BLOCKING:
        monkeypatch.setattr(owner, name, guard.refuse(owner, name, blocks))
    monkeypatch.setattr(asyncio.Handle, "_run", guard.time(asyncio.Handle._run))
    yield guard
    assert guard.caught == []


@pytest.fixture(autouse=True)
def _unbounded_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all lines written: tests follow each other faster than callers."""
    monkeypatch.setattr(bounded, "MOST", 1_000_000)
