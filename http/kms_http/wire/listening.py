"""Listening sockets."""

from __future__ import annotations

import socket
from typing import Final

BACKLOG: Final = 1024


def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`; raises OSError when one is taken. Resolves names, which may wait."""
    infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(infos):
            listeners.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners
