"""A Kubernetes API server and its etcd, on loopback: the real ones, of the module `conformance/apiserver`."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.support.node import PATIENCE, free_port
from tests.support.programs import of_module

_MODULE: Final = Path(__file__).parents[1] / "conformance/apiserver"
#: Seconds that a build may take, and a start, on a slow and busy machine.
_BUILD_SECONDS: Final = 60 * 60
START_SECONDS: Final = 180.0
ISSUER: Final = "https://kubernetes.default.svc"
_ADMIN: Final = "the-token-of-who-may-do-all"

_SEALED_RESOURCES: Final = """\
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - kms:
          apiVersion: v2
          name: clever-kms
          endpoint: unix://{socket}
          timeout: 3s
      - identity: {{}}
"""


def api_server_program() -> Path:
    """Return the program that is both; skip the test where nobody asked for it, or it cannot be built."""
    asked = os.environ.get("KMS_TEST_KUBERNETES") or os.environ.get("KMS_TEST_KUBERNETES_APISERVER")
    if not asked:
        pytest.skip("a Kubernetes API server takes long to build: make test-kubernetes")
    absent = "a Kubernetes API server is not here: install Go 1.26 or later and let the tests build it"
    return of_module(_MODULE, "KMS_TEST_KUBERNETES_APISERVER", absent, seconds=_BUILD_SECONDS)


class Reply(NamedTuple):
    """Status, and what the body says: of JSON, else text."""

    status: int
    body: Any


@dataclass
class _Process:
    """One of the program's halves; what it writes is kept in a file."""

    words: list[str]
    log_path: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None


class Etcd:
    """Keeps the objects; `raw` shows what is on its disk."""

    def __init__(self, program: Path, directory: Path) -> None:
        directory.mkdir()
        self.address = f"http://127.0.0.1:{free_port()}"
        peers = f"http://127.0.0.1:{free_port()}"
        settings = {
            "name": "one",
            "data-dir": str(directory / "data"),
            "listen-client-urls": self.address,
            "advertise-client-urls": self.address,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"one={peers}",
            "unsafe-no-fsync": True,
        }
        file = directory / "etcd.json"  # which is YAML, too
        file.write_text(json.dumps(settings))
        self._process = _Process([str(program), "etcd", str(file)], directory / "etcd.log")
        self.close = self._process.end

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process.start()
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                self.raw("nothing")
            except OSError:
                assert self._process.runs, self._process.log
                assert time.monotonic() < until, self._process.log
                time.sleep(0.1)
            else:
                return

    def raw(self, key: str) -> bytes:
        """Return the bytes that stand at a key; none, if there is none."""
        body = json.dumps({"key": base64.b64encode(key.encode()).decode()}).encode()
        request = urllib.request.Request(f"{self.address}/v3/kv/range", body)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer).get("kvs", [{"value": ""}])
        return base64.b64decode(found[0]["value"])


@dataclass
class ApiServer:
    """The API server, told of one socket or two. `start` it, then `stop` or `kill` it, and start it again."""

    program: Path
    directory: Path
    etcd: Etcd
    sealing: Path  # sockets
    signing: Path
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.directory.mkdir()
        certificates, sealed = self.directory / "certificates", self.directory / "encryption.yaml"
        sealed.write_text(_SEALED_RESOURCES.format(socket=self.sealing))
        users = self.directory / "users.csv"
        users.write_text(f"{_ADMIN},admin,1,system:masters\n")
        self.authority = certificates / "apiserver.crt"
        options = {
            "etcd-servers": self.etcd.address,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": self.port,
            "cert-dir": certificates,
            "endpoint-reconciler-type": "none",
            "service-cluster-ip-range": "10.0.0.0/24",
            "authorization-mode": "RBAC",
            "token-auth-file": users,
            "encryption-provider-config": sealed,
            "service-account-issuer": ISSUER,
            "service-account-signing-endpoint": self.signing,
        }
        words = [str(self.program), "kube-apiserver", *(f"--{name}={value}" for name, value in options.items())]
        self._process = _Process(words, self.directory / "apiserver.log")

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._process.log

    def start(self) -> None:
        """Start, and wait until it is ready."""
        self.begin()
        self.wait_for(self.is_ready)

    def begin(self) -> None:
        """Start, and do not wait."""
        self._process.start()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Return once `holds()` is true, which it must be within START_SECONDS, while this runs."""
        until = time.monotonic() + START_SECONDS
        while not holds():
            assert self._process.runs, self.log[-5000:]
            assert time.monotonic() < until, self.log[-5000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """End it as a service manager does, once its requests are done."""
        self._process.end(signal.SIGTERM)

    def kill(self) -> None:
        self._process.end()

    def restart(self) -> None:
        self.kill()
        self.start()

    def is_ready(self) -> bool:
        """Tell whether it says that it is ready."""
        return self.gives("/readyz")

    def gives(self, path: str) -> bool:
        """Tell whether it answers at all, and to this with 200."""
        try:
            return self.call("GET", path).status == 200
        except OSError:
            return False

    def call(self, method: str, path: str, body: Any = None, token: str = _ADMIN) -> Reply:
        """Return the answer to one request. Raises OSError where there is none."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data, headers, method=method)
        context = ssl.create_default_context(cafile=str(self.authority))
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return Reply(answer.status, _read(answer.read()))
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Reply(refusal.code, _read(refusal.read()))

    def done(self, method: str, path: str, body: Any = None, token: str = _ADMIN) -> Any:
        """Return the body of an answer, which must be one of success."""
        status, answer = self.call(method, path, body, token)
        assert 200 <= status < 300, (status, answer)
        return answer


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
