"""What a process asks of the system, tried in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kms_actors.processes.hardening import may_be_swapped
from tests.support.memory import family
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer

_PROGRAM = """
import resource
from kms_actors.processes.hardening import open_as_many_files_as_allowed

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
open_as_many_files_as_allowed()
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


_PRIVATE = """
import ctypes, os, resource
from kms_actors.processes.hardening import keep_files_private, keep_memory_private

keep_memory_private()
keep_files_private()
prctl = ctypes.CDLL(None).prctl
print(resource.getrlimit(resource.RLIMIT_CORE), prctl(3, 0, 0, 0, 0), prctl(39, 0, 0, 0, 0), oct(os.umask(0)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: dumps and tracing, which are Linux's own")
def test_memory_and_files_are_kept_private() -> None:
    done = subprocess.run([sys.executable, "-c", _PRIVATE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "(0, 0) 0 1 0o77\n"  # no core, not dumpable (so not traceable), no new privileges


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="NOT TESTED: what nodes are, as /proc tells")
def test_every_process_of_a_node_is_kept_so(tmp_path: Path) -> None:
    node = Node.for_issuer(tmp_path, sqlite_table, Issuer())
    node.settings = "workers = 2"
    before = os.umask(0)
    try:
        node.start()
        processes = family(node.pid)
        assert len(processes) >= 3
        for pid in processes:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            assert "\nUmask:\t0077\n" in status
            assert "\nNoNewPrivs:\t1\n" in status
            limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
            assert limits.split("Max core file size")[1].split()[:2] == ["0", "0"]
        made = [path for path in tmp_path.iterdir() if path.name.startswith("kms.sqlite")]
        assert made
        assert not [path for path in made if path.stat().st_mode & 0o077]
    finally:
        os.umask(before)
        node.close()


@pytest.mark.parametrize(
    ("swaps", "limits", "expected"),
    [
        ("Filename Type\n", {}, False),
        ("Filename Type\n/dev/sda2 partition\n", {}, True),
        ("Filename Type\n/dev/sda2 partition\n", {"system.slice/kms.service": "max\n"}, True),
        ("Filename Type\n/dev/sda2 partition\n", {"system.slice/kms.service": "0\n"}, False),
        ("Filename Type\n/dev/sda2 partition\n", {"system.slice": "0\n"}, False),
        (None, {}, False),
    ],
)
def test_it_is_known_whether_memory_can_be_swapped(
    tmp_path: Path, swaps: str | None, limits: dict[str, str], expected: bool
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/kms.service\n")
    if swaps is not None:
        (tmp_path / "proc/swaps").write_text(swaps)
    for group, limit in limits.items():
        folder = tmp_path / "sys/fs/cgroup" / group
        folder.mkdir(parents=True)
        (folder / "memory.swap.max").write_text(limit)
    assert may_be_swapped(tmp_path) is expected


def test_a_process_may_open_as_many_files_as_the_system_allows() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"
