"""A node of several processes, seen from outside: its workers' pids, and connections to a worker of one's choice."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.api import Answer, Api
from tests.support.node import PATIENCE, Node, sqlite_table
from tests.support.tokens import Issuer

#: What a client sees of a worker that dies before it answers.
UNANSWERED = (ConnectionError, http.client.HTTPException, TimeoutError)


def new_node(directory: Path, issuer: Issuer, workers: int = 2, further: str = "", *, forked: bool = True) -> Node:
    """Return a node with so many workers on an embedded store, not started."""
    return Node(
        directory,
        sqlite_table(directory),
        *issuer.keys.public,
        further=further,
        settings=f"workers = {workers}\nstop_seconds = 10",
        forked=forked,
    )


def workers(node: Node) -> list[int]:
    """Return the pids of all workers, also of those that drain."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text(encoding="ascii").split()
    return [int(pid) for pid in children if alive(int(pid))]


def alive(pid: int) -> bool:
    """Tell whether a process runs: a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def wait_until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


@contextlib.contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Let processes stand still meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


#: All there are, to be closed after a test.
connections: list[Connection] = []


class Connection:
    """One connection that is kept, with one token."""

    def __init__(self, node: Node, token: str | None) -> None:
        self._token = token
        self._http = http.client.HTTPConnection("127.0.0.1", node.port, timeout=PATIENCE)
        connections.append(self)
        self.last = False  # the server said that it closes the connection

    @classmethod
    def to(cls, node: Node, pid: int, token: str | None) -> Connection:
        """Return a connection that this worker has: all others stand still until it is made."""
        connection = cls(node, token)
        with stopped(*(other for other in workers(node) if other != pid)):
            assert connection.get("sys/health").status in {200, 501, 503}
        return connection

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def put(self, path: str, body: Any = None) -> Answer:
        return self.call("PUT", path, body)

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {} if self._token is None else {"X-Vault-Token": self._token}
        self._http.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
        response = self._http.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        self.last = named.get("connection") == "close"
        return Answer(response.status, named, response.read())

    def close(self) -> None:
        self._http.close()


class Load:
    """Clients that send one request after the other over kept connections, and count; they try nothing twice."""

    def __init__(self, node: Node, token: str, path: str, clients: int = 6) -> None:
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self._node = node
        self._token = token
        self._path = path
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> int:
        return self.statuses.total()

    def wait_for_more(self, answers: int = 50) -> None:
        """Wait until so many more requests are answered."""
        wanted = self.answered + answers
        wait_until(lambda: self.answered >= wanted)

    def _run(self) -> None:
        connection: Connection | None = None
        while not self._end.is_set():
            connection = connection or Connection(self._node, self._token)
            try:
                status = connection.get(self._path).status
            except UNANSWERED:
                with self._lock:
                    self.unanswered += 1
                connection = None
                continue
            with self._lock:
                self.statuses[status] += 1
            if connection.last:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


def metrics(node: Node) -> dict[str, float]:
    """Return what the metrics port shows, by name with labels."""
    with urllib.request.urlopen(f"{node.metrics_address}/metrics", timeout=PATIENCE) as response:
        lines = response.read().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def answered(node: Node, route: str) -> float:
    """Return how many requests of a route the node has answered, by its own count."""
    return sum(
        value for name, value in metrics(node).items() if name.startswith("kms_requests_total{") and route in name
    )


def operator(node: Node, issuer: Issuer) -> Api:
    """Return the cluster operator."""
    return Api(node.address, issuer.cluster_operator())
