"""A gate before a server on loopback: shut, nobody gets there, as in an outage."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

#: Seconds after which a connection without a word is given up.
_SECONDS = 30.0


class Gate:
    """Forwards connections to `address`, a URL. It is open at first; `close` it in the end."""

    def __init__(self, address: str) -> None:
        target = urlsplit(address)
        assert target.hostname is not None
        assert target.port is not None
        self._target = target.hostname, target.port
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="gate", daemon=True).start()

    def shut(self) -> None:
        """End each connection from now on as soon as it comes."""
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if not self._open.is_set():
                connection.close()
                continue
            threading.Thread(target=self._forward, args=(connection,), daemon=True).start()

    def _forward(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, socket.create_connection(self._target, _SECONDS) as server:
            connection.settimeout(_SECONDS)
            back = threading.Thread(target=_pass, args=(server, connection), daemon=True)
            back.start()
            _pass(connection, server)
            back.join(_SECONDS)


def _pass(source: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def gate(address: str) -> Iterator[Gate]:
    """Yield a gate before a server; it is closed in the end."""
    made = Gate(address)
    try:
        yield made
    finally:
        made.close()
