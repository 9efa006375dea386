"""A request with a key, where the server has closed a connection, and where nothing comes back."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from kms_actors.cli.kubernetes import transit
from kms_actors.cli.kubernetes.transit import TransitKey, Unreachable
from kms_actors.secret import SecretBytes

_ANSWER = json.dumps({"data": {"type": "aes256-gcm96", "latest_version": 1, "keys": {"1": 1}}}).encode()
_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_ANSWER),
    _ANSWER,
)


class Server:
    """Takes one connection after another; answers one request of each and closes it, or takes it and stays silent."""

    def __init__(self) -> None:
        self.silent = False
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for each in self._held:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.silent:
                self._held.append(connection)
                continue
            with connection:
                connection.recv(65_536)
                connection.sendall(_WHOLE)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def key(server: Server) -> Iterator[TransitKey]:
    key = TransitKey(server.address, lambda: SecretBytes(b"token"), "transit", "seal")
    yield key
    key.close()


def test_a_connection_that_the_server_has_closed_is_made_anew(server: Server, key: TransitKey) -> None:
    for _ in range(3):
        assert key.read().latest == 1
    assert server.connections == 3


def test_a_server_that_says_nothing_is_asked_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(transit, "SECONDS", 0.5)
    server.silent = True
    with pytest.raises(Unreachable, match="none in time"):
        request.getfixturevalue("key").read()
    assert server.connections == 1
