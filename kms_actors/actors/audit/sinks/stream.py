"""A connection to a collector, over TCP or a socket of this machine: a line is written once the system has it.

What a collector that dies had not read is lost: nothing of the protocol tells. So a connection that its other end has
closed is made anew before anything is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from kms_actors.audit.sink import SinkFailed
from kms_actors.system_errors import in_words


class StreamSink:
    """Connects at the first write, and again where that is needed: once a write."""

    def __init__(self, address: str, seconds: float, *, local: bool = False) -> None:
        """`address` is host:port, or a path if `local`; a write may take `seconds`, connecting included."""
        self._address = address
        self._seconds = seconds
        self._local = local
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def write(self, lines: Sequence[bytes]) -> None:
        """See `Sink`."""
        data = b"".join(lines)
        try:
            async with asyncio.timeout(self._seconds):
                fresh = self._gone()
                try:
                    await self._send(data)
                except OSError:
                    self._drop()
                    if fresh:
                        raise
                    await self._send(data)
        except TimeoutError:
            self._drop()
            raise SinkFailed(f"the collector takes longer than {self._seconds:g} seconds") from None
        except OSError as error:
            self._drop()
            raise SinkFailed(in_words(error)) from None

    async def reopen(self) -> None:
        """See `Sink`."""
        self._drop()

    async def close(self) -> None:
        """See `Sink`."""
        self._drop()

    def _gone(self) -> bool:
        """Drop a connection that has ended; tell whether there is none."""
        if self._streams is not None and (self._streams[0].at_eof() or self._streams[1].is_closing()):
            self._drop()
        return self._streams is None

    async def _send(self, data: bytes) -> None:
        if self._streams is None:
            self._streams = await self._connect()
            self._streams[1].transport.set_write_buffer_limits(0)
        reader, writer = self._streams
        writer.write(data)
        await writer.drain()
        if reader.at_eof():
            raise ConnectionResetError

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._local:
            return await asyncio.open_unix_connection(self._address)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port))

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            with suppress(Exception):  # of a connection that failed, closing may fail too
                streams[1].transport.abort()
