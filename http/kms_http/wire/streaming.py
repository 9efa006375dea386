"""Bodies without an end: written piece by piece, the last answer of their connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from kms_http.wire import response
from kms_http.wire.response import Response

if TYPE_CHECKING:
    from kms_http.wire.connection import Connection

#: Seconds between two looks at a client that takes nothing.
_PAUSE_SECONDS: Final = 0.05


async def send(connection: Connection, answer: Response, pieces: AsyncIterator[bytes], minor: int) -> None:
    """Write pieces until they end, the client has gone or takes nothing, or the server ends."""
    connection.write(answer.encode_head(minor))
    async for piece in pieces:
        if connection.leaving or not await _can_write(connection):
            break
        if piece:
            connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if minor else piece)
    if minor:
        connection.write(b"0\r\n\r\n")


async def _can_write(connection: Connection) -> bool:
    """Wait for a client that takes nothing, for as long as it may take for an answer; tell whether it does."""
    loop = asyncio.get_running_loop()
    end = loop.time() + response.WRITE_SECONDS
    while connection.write_paused and loop.time() < end:  # noqa: ASYNC110  # once in a while, of few
        await asyncio.sleep(_PAUSE_SECONDS)
    return not connection.write_paused
