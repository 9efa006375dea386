"""A real node: `kms-layer` as a process of its own, on loopback ports and a store of its own."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import nursery
from tests.support.tokens import NAMESPACE, Issuer

#: Returns the `[cluster]` table of a new, empty store; the directory is the node's own.
StoreTable = Callable[[Path], str]

#: Seconds a node may take to start or to stop, on a slow and busy machine.
PATIENCE = 30.0

#: The last line of a start.
_STARTED = re.compile(rb"workers +count=")

_CONFIGURATION = """\
{port}
{settings}

[cluster]
{cluster}

[root_tenant_keyring_provider]
name = "shamir"

[master_keyring_provider]
name = "{provider_name}"
namespace = "{namespace}"
node_name = "kms-c1-n1"
{provider}

[authenticator]
name = "biscuit"
[authenticator.provider]
name = "iam"
keys = [["{root}", "{service}"]]
service = "toto"
{issuers}

[metrics]
port = {metrics_port}
"""


def sqlite_table(directory: Path) -> str:
    """Return the table of the embedded store in `directory`."""
    return f'backend = "sqlite"\npath = "{directory / "kms.sqlite"}"'


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Return once `holds()` is true, which it must be within PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)


#: Ports that the system gives nobody by itself: a connection could have one before it is listened on. Processes of
#: one run of tests (`gw0`, `gw1`, …) draw from parts of them, and none draws one again.
_PROCESSES = 8
_PORTS = range(
    10_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES, 32_000, _PROCESSES
)
_drawn: set[int] = set()


def free_port() -> int:
    """Return a loopback port nobody listens on."""
    while True:
        port = secrets.choice(_PORTS)
        if port in _drawn and len(_drawn) < len(_PORTS):
            continue
        _drawn.add(port)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


@dataclass
class Node:
    """One node; `start` it, then `stop` or `kill` it, and start it again on the same store."""

    directory: Path
    cluster: str
    root_public_key: str
    service_public_key: str
    provider_name: str = "shamir"
    provider: str = ""  # further lines of [master_keyring_provider]
    further: str = ""  # further tables
    issuers: str = ""  # further lines of [authenticator.provider]
    settings: str = ""  # further lines above all tables
    listed: bool = False  # `further` has [[listeners]]
    program: tuple[str, ...] = ()  # what runs instead of this environment's `kms-layer`
    forked: bool = False  # of a process that has loaded everything, instead of the program: a tenth of a start
    patience: float = PATIENCE  # seconds that it may take to start
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | nursery.Forked | None = None

    @classmethod
    def for_issuer(
        cls,
        directory: Path,
        store_table: StoreTable,
        issuer: Issuer,
        *,
        provider: str = "",
        further: str = "",
        forked: bool = False,
    ) -> Node:
        """Return a node that accepts the tokens of `issuer`."""
        table = store_table(directory)
        return cls(directory, table, *issuer.keys.public, provider=provider, further=further, forked=forked)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def metrics_address(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}"

    @property
    def log(self) -> str:
        """What the node wrote since it was first started."""
        return self._log_path.read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it serves."""
        configuration = self.directory / "node.toml"
        configuration.write_text(self._configuration() + self.further, encoding="utf-8")
        already_written = self._log_path.stat().st_size if self._log_path.exists() else 0
        words = [*(self.program or (_console_script("kms-layer"),)), "--configuration", str(configuration)]
        with self._log_path.open("ab") as log:
            if self.forked and nursery.AVAILABLE:
                self._process = nursery.fork_node(words, self.directory, log.fileno())
            else:
                self._process = subprocess.Popen(
                    words,
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        deadline = time.monotonic() + self.patience
        while _STARTED.search(self._log_path.read_bytes(), already_written) is None:
            assert self._process.poll() is None, f"the node ended with {self._process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"the node did not start:\n{self.log}"
            time.sleep(0.02)

    def terminate(self) -> None:
        """Ask it to stop, and do not wait."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Return the exit code once it has ended."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def stop(self) -> int:
        """Stop gracefully; return the exit code."""
        self.terminate()
        return self.wait()

    def kill(self) -> None:
        """End it, and all its processes, at once, as a power cut would."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        _wait_for_group(self._process.pid)

    def pause(self) -> None:
        """Let all its processes stand still, as on a host that hangs."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def _log_path(self) -> Path:
        return self.directory / "node.log"

    def _configuration(self) -> str:
        return _CONFIGURATION.format(
            port="" if self.listed else f"port = {self.port}",
            settings=self.settings,
            cluster=self.cluster,
            namespace=NAMESPACE,
            provider_name=self.provider_name,
            provider=self.provider,
            issuers=self.issuers,
            root=self.root_public_key,
            service=self.service_public_key,
            metrics_port=self.metrics_port,
        )


def _wait_for_group(leader: int) -> None:
    """Return once all processes of a group have ended: each holds listeners and files until its last thread has.

    Those of a leader that is gone are nobody's children here, and a node that starts at once would meet them.
    """
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(place.name)) != leader:
                continue
            process = os.pidfd_open(int(place.name))
            try:
                ending = select.poll()
                ending.register(process, select.POLLIN)
                assert ending.poll(PATIENCE * 1000), "a process that was killed does not end"
            finally:
                os.close(process)


#: Starts another node on an empty store of its own; it ends with the test.
NewNode = Callable[..., Node]


def _console_script(name: str) -> str:
    """Return the path of a console script of this environment, as users run it."""
    script = Path(sys.executable).with_name(name)
    assert script.exists(), f"{script} is missing: install the project (`make env`)"
    return str(script)


def run_kms_cli(*arguments: str, directory: Path) -> str:
    """Return what `kms-cli` prints; it must succeed."""
    done = subprocess.run(
        [_console_script("kms-cli"), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
