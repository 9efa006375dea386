"""Takes the header of a proxy off a connection, and not one byte more: what follows is TLS, or HTTP."""

from __future__ import annotations

import asyncio
import socket

from kms_http.wire import proxy_protocol
from kms_http.wire.proxy_protocol import NoHeader


async def read(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> str | None:
    """Return the client's address; None where the proxy speaks for itself.

    Raises:
        NoHeader: something else was sent.
        ConnectionError: the connection has ended.

    """
    beginning = await _exactly(loop, connection, proxy_protocol.BEGINNING)
    if beginning == proxy_protocol.SIGNATURE:
        fixed = await _exactly(loop, connection, proxy_protocol.FIXED)
        rest = await _exactly(loop, connection, proxy_protocol.rest_of(fixed))
        return proxy_protocol.of_rest(fixed, rest)
    if not beginning.startswith(b"PROXY "):
        raise NoHeader
    line = beginning
    while not line.endswith(b"\n") and len(line) < proxy_protocol.MAX_LINE:
        line += await _exactly(loop, connection, 1)
    return proxy_protocol.of_line(line)


async def _exactly(loop: asyncio.AbstractEventLoop, connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await loop.sock_recv(connection, size - len(data))
        if not piece:
            raise ConnectionResetError
        data += piece
    return data
