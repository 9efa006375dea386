"""A private FoundationDB for tests: one fdbserver on a free loopback port, with files in a directory of its own."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import fdb

from tests.support.node import free_port

API_VERSION: Final = 730
#: Where packages and makers put servers, beside PATH.
SERVER_DIRECTORIES: Final = "/usr/sbin:/usr/local/sbin"
DEADLINE: Final = 60.0

ABSENT: Final = (
    "FoundationDB is absent (no {}): its tests do not run. Install the foundationdb-server and foundationdb-clients "
    "packages, version 7.3, or name an fdbserver in KMS_TEST_FDBSERVER (fdbcli beside it or in PATH)"
)


class FdbCluster:
    """A database of one process. `start` it; it may be stopped, continued, killed and started again."""

    def __init__(self, directory: Path) -> None:
        self.cluster_file = directory / "fdb.cluster"
        assert absent() is None, absent()
        self._server, self._cli = programs()
        self._directory = directory
        self._address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._harmed = False
        self.cluster_file.write_text(f"kms:tests@{self._address}")

    def start(self) -> None:
        """Start the server on its files, and make the database if there is none."""
        new = not (self._directory / "data").exists()
        command = [
            *(self._server, "--cluster-file", str(self.cluster_file), "--public-address", self._address),
            *("--datadir", str(self._directory / "data"), "--logdir", str(self._directory)),
            *("--memory", "2GiB", "--cache-memory", "200MiB"),
            "--knob_disable_posix_kernel_aio=1",  # containers' file systems may have none
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if new:
            self._ask("configure new single ssd")
        self.wait_until_available()

    def wait_until_available(self) -> None:
        """Return once the database answers."""
        deadline = time.monotonic() + DEADLINE
        while "available" not in self._ask("status minimal").replace("unavailable", ""):
            assert time.monotonic() < deadline, "the FoundationDB under test does not become available"
            time.sleep(0.05)

    @property
    def harmed(self) -> bool:
        """Whether the server was killed, or stood still, at any time."""
        return self._harmed

    def clear(self) -> None:
        """Remove all data."""
        fdb.api_version(API_VERSION)
        fdb.open(str(self.cluster_file)).clear_range(b"", b"\xff")

    def pause(self) -> None:
        """Let the server stand still, as a host that hangs."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the server go on."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """End the server at once, as a crash would. Idempotent."""
        self._harmed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _send(self, number: int) -> None:
        self._harmed = True
        assert self._process is not None
        self._process.send_signal(number)

    def _ask(self, command: str) -> str:
        arguments = [self._cli, "-C", str(self.cluster_file), "--timeout", "20", "--exec", command]
        home = {**os.environ, "HOME": str(self._directory)}  # where it keeps its history
        return subprocess.run(
            arguments, capture_output=True, text=True, timeout=DEADLINE, check=False, env=home
        ).stdout


def absent() -> str | None:
    """Return what is missing here for a FoundationDB and how to get it, or None."""
    missing = [name for name, path in zip(("fdbserver", "fdbcli"), programs(), strict=True) if not path]
    try:
        ctypes.CDLL("libfdb_c.so")
    except OSError:
        missing.append("libfdb_c.so")
    return ABSENT.format(", ".join(missing)) if missing else None


@functools.cache
def shared_cluster() -> FdbCluster:
    """Return the one that all tests share, started once; they clear it and leave it running."""
    return _started()


#: Empty clusters that nobody has, and that were never harmed: to start one takes seconds.
_idle: Final[list[FdbCluster]] = []


@contextmanager
def lent_cluster() -> Iterator[FdbCluster]:
    """Lend an empty cluster for a while. One that was killed or stood still meanwhile is not lent again."""
    cluster = _idle.pop() if _idle else _started()
    try:
        yield cluster
        if not cluster.harmed:
            cluster.clear()
            _idle.append(cluster)
    finally:
        if cluster not in _idle:
            cluster.kill()


def _started() -> FdbCluster:
    """Start a cluster that ends with this process."""
    directory = Path(tempfile.mkdtemp(prefix="kms-fdb-"))
    cluster = FdbCluster(directory)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(cluster.kill)
    cluster.start()
    return cluster


def programs() -> tuple[str, str]:
    """Return fdbserver and fdbcli, empty where they are not found."""
    server = os.environ.get("KMS_TEST_FDBSERVER") or _find("fdbserver", SERVER_DIRECTORIES)
    return server, _find("fdbcli", str(Path(server).parent))


def _find(program: str, directories: str) -> str:
    return shutil.which(program, path=f"{directories}:{os.environ.get('PATH', '')}") or ""
