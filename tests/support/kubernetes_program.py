"""`kms-cli kubernetes serve` beside a node, with a token that is narrowed to the keys it uses."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from kms_actors.cli.client import main
from tests.support.node import PATIENCE, wait_until
from tests.support.programs import of_module

PROGRAM = str(Path(sys.executable).with_name("kms-cli"))
_MODULE = Path(__file__).parents[1] / "conformance/kubernetes"


class KubernetesProgram:
    """One program and its socket. `start` it, then `stop` or `kill` it, and start it again."""

    def __init__(self, path: Path, address: str, token: Path, **keys: str) -> None:
        """`keys` are `key`, `signing_key`, or both: names of Transit keys."""
        self.path = path
        self.told = b""  # what it wrote until it was ended
        options = [word for name, key in keys.items() for word in (f"--{name.replace('_', '-')}", key)]
        self._words = [
            *(PROGRAM, "kubernetes", "serve", "--socket", str(path)),
            *("--address", address, "--token-file", str(token), *options),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it serves."""
        process = self._process = subprocess.Popen(self._words, stderr=subprocess.PIPE)
        wait_until(lambda: listens(self.path) or process.poll() is not None, "it serves")
        if process.poll() is not None:
            self.told, self._process = process.communicate()[1], None
            raise AssertionError(self.told)

    def stop(self, choose: Callable[[list[int]], int] | None = None) -> None:
        """End it as a service manager does, or by the one of its threads that is chosen. It ends well."""
        code = self._end(signal.SIGTERM, choose)
        assert code == 0, self.told

    def kill(self) -> None:
        """End it at once: its socket stays behind."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """End it if it still runs."""
        if self._process is not None:
            self.stop()

    def _end(self, number: signal.Signals, choose: Callable[[list[int]], int] | None = None) -> int:
        assert self._process is not None
        if choose is None:
            self._process.send_signal(number)
        else:
            pid = self._process.pid
            threads = [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()]
            assert ctypes.CDLL(None).tgkill(pid, choose(threads), number) == 0
        self.told += self._process.communicate(timeout=PATIENCE)[1]
        code, self._process = self._process.returncode, None
        return code


def kubernetes_clients() -> Path:
    """Return the program of Kubernetes' own clients; skip the test where it is neither here nor can be built."""
    absent = "Kubernetes' clients are not here: install Go 1.26 or later and let the tests build them"
    return of_module(_MODULE, "KMS_TEST_KUBERNETES_CLIENT", absent)


def narrowed(token: str, path: Path, keys: list[str]) -> None:
    """Write a biscuit to `path` that may use these Transit keys alone, made of one that may do more."""
    words = ["biscuit", "attenuate", "-", "--operation=read", "--operation=update"]
    done = CliRunner().invoke(main, [*words, *(f"--path=transit/+/{name}" for name in keys)], input=token)
    assert done.exit_code == 0, done.output
    path.write_text(done.stdout)


def listens(path: Path) -> bool:
    """Tell whether a socket takes connections: it has its name a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
