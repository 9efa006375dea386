"""The listening sockets of a node, bound once and shared by its workers."""

from __future__ import annotations

import asyncio
import socket

from kms_http.server import BACKLOG


async def listen(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of `host`; raises OSError when one is taken."""
    infos = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(infos):
            listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
            listeners.append(listener)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners
