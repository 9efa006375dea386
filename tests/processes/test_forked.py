"""A node that tests fork, where its start is not what they test, is what the program makes of it otherwise."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.processes.workers import operator, workers
from tests.support import nursery
from tests.support.api import initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer

pytestmark = pytest.mark.skipif(not nursery.AVAILABLE, reason="this system does not tell of the end of a process")

_SIGNALS: Final = ("SigBlk", "SigIgn", "SigCgt")

Start = Callable[[bool], Node]


@pytest.fixture
def start(tmp_path: Path, issuer: Issuer) -> Iterator[Start]:
    """Start a node of two workers: forked, or by the program."""
    with ExitStack() as stack:

        def started(forked: bool) -> Node:
            directory = tmp_path / str(forked) / "node"
            directory.mkdir(parents=True)
            node = Node.for_issuer(directory, sqlite_table, issuer, forked=forked)
            node.settings = "workers = 2"
            node.start()
            stack.callback(node.close)
            return node

        yield started


def looks(pid: int) -> dict[str, Any]:
    """Return what a process is like, as the system tells it."""
    place = Path(f"/proc/{pid}")
    status = (place / "status").read_text(encoding="ascii")
    open_files = {path.name: path.readlink() for path in (place / "fd").iterdir()}
    return {
        **dict(re.findall(rf"^({'|'.join(_SIGNALS)}|Umask):\s*(\S+)", status, re.MULTILINE)),
        "directory": (place / "cwd").readlink().name,
        "standard": [open_files[number].name for number in "012"],
        "descriptors": sorted(re.sub(r"\d+", "", path.name) for path in open_files.values()),
        "limits": (place / "limits").read_text(encoding="ascii"),
        "leads": (os.getsid(pid) == pid, os.getpgid(pid) == pid),
    }


def told(node: Node) -> list[str]:
    """Return what it told, in order."""
    return [re.sub(r"\s+\w+=.*", "", line.split("] ", 1)[1]) for line in node.log.splitlines()]


def test_it_is_as_the_program_and_so_are_its_workers(start: Start, issuer: Issuer) -> None:
    program, forked = start(False), start(True)
    assert looks(forked.pid) == looks(program.pid)
    assert [looks(pid) for pid in workers(forked)] == [looks(pid) for pid in workers(program)]
    for node in (program, forked):
        api = operator(node, issuer)
        unseal(api, initialise(api, 1, 1)["keys_base64"])
        assert node.stop() == 0
    assert told(forked) == told(program)
    assert len(told(forked)) > 8


def test_how_it_ended_is_told_once_it_has(start: Start) -> None:
    node = start(True)
    process = node._process
    assert process is not None
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    os.kill(node.pid, signal.SIGKILL)
    assert process.wait(10) == process.returncode == -signal.SIGKILL


def test_nodes_in_a_row_are_of_different_processes(start: Start) -> None:
    """Which hash texts differently: what rests on the order of a set is found."""
    node = start(True)
    parents = {_parent(node)}
    node.kill()
    node.start()
    parents.add(_parent(node))
    assert len(parents) == 2
    assert os.getpid() not in parents


def _parent(node: Node) -> int:
    return int(Path(f"/proc/{node.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
