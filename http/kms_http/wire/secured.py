"""TLS of one connection, between its socket and what is read under it.

asyncio and uvloop bring their own. Before it, somebody had to look at the first byte; it wakes a task for each
handshake, and reads into 256 KiB that the system gives and takes back each time. This one stands between a transport
and a `Connection`: a protocol to the one, a transport to the other. See decision 69.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from kms_http.wire.tls import RECORD, Wraps

#: Seconds from the beginning of a connection to the end of its handshake.
HANDSHAKE_SECONDS: Final = 10.0
#: Seconds to go on reading from who speaks plain HTTP, so that he gets to see the answer.
_TOLD_SECONDS: Final = 1.0
#: Bytes that are made ready to be sent at a time.
_PIECE: Final = 1 << 18

_HANDSHAKE_RECORD: Final = b"\x16"  # RFC 8446, section 5.1
_NOT_TLS: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: 48\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
)


class Secured(asyncio.Transport, asyncio.Protocol):
    """One connection under TLS. What it carries is made once the handshake is done.

    `settled` is called once: then, or when the connection ends before.
    """

    __slots__ = (
        "_carried",
        "_closing",
        "_incoming",
        "_loop",
        "_make",
        "_outgoing",
        "_raw",
        "_settled",
        "_timer",
        "_tls",
        "_wraps",
    )

    _raw: asyncio.Transport

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wraps: Wraps,
        make: Callable[[], asyncio.Protocol],
        settled: Callable[[Secured], None],
    ) -> None:
        self._loop = loop
        self._wraps = wraps
        self._make = make
        self._settled: Callable[[Secured], None] | None = settled
        self._tls: Any = None  # an `ssl.SSLObject`, or the like of it, from the first byte
        self._carried: asyncio.Protocol | None = None  # what reads and writes under TLS, after the handshake
        self._closing = False  # nothing more is read or written

    # What the socket's transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = transport  # type: ignore[assignment]  # uvloop's is none by inheritance
        self._timer = self._loop.call_later(HANDSHAKE_SECONDS, self.abort)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._carried is None:
            self._shake_hands(data)
        else:
            self._incoming.write(data)
            self._read(self._carried)

    def eof_received(self) -> None:
        """End the connection with its client's half: TLS has no end of one half that the other outlives."""
        self._end_with_client()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of all that leads back here."""
        self._closing = True
        self._timer.cancel()
        carried, self._carried, self._tls = self._carried, None, None
        if carried is not None:
            carried.connection_lost(exc)
        self._settle()

    def pause_writing(self) -> None:
        if self._carried is not None:
            self._carried.pause_writing()

    def resume_writing(self) -> None:
        if self._carried is not None:
            self._carried.resume_writing()

    # What the connection wants.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes. Nothing is sent once the connection has been closed."""
        if not self._closing:
            self._encrypt(data)
            self._flush()

    def write_last(self, data: bytes) -> None:
        """Send bytes and, with them, that no more follows; `close` is still to come. Nothing is read any more.

        One write and not two: each costs more than what is in it, and wakes the client.
        """
        if not self._closing:
            self._encrypt(data)
            self._tell_end()

    def close(self) -> None:
        """Tell the client that no more follows, and end the connection once all is sent."""
        if not self._closing:
            self._tell_end()
        self._raw.close()

    def abort(self) -> None:
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing or self._raw.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another one hear of what comes from now on."""
        self._carried = cast(asyncio.Protocol, protocol)

    def pause_reading(self) -> None:
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._wraps
        if name == "ssl_object":
            return self._tls
        return self._raw.get_extra_info(name, default)

    # TLS.

    def _shake_hands(self, data: bytes) -> None:
        if self._tls is None:
            if data[:1] != _HANDSHAKE_RECORD:
                self._tell_of_tls()
                return
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = self._wraps.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError:
            self._fail()
            return
        self._flush()
        self._carried = carried = self._make()
        carried.connection_made(self)
        self._timer.cancel()
        self._settle()
        if self._incoming.pending or self._tls.pending():
            self._read(carried)

    def _read(self, carried: asyncio.Protocol) -> None:
        """Hand on what has come, all records of it in one piece."""
        tls, incoming = self._tls, self._incoming
        ended = failed = False
        pieces = []
        try:
            while True:
                data = tls.read(RECORD)
                if not data:
                    ended = True
                    break
                pieces.append(data)
                if not incoming.pending and not tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            failed = True
        if self._outgoing.pending:
            self._flush()
        if pieces:
            carried.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if failed:
            self._fail()
        elif ended:
            self._end_with_client()

    def _encrypt(self, data: bytes | bytearray | memoryview) -> None:
        written = self._tls.write(data)
        if written < len(data):
            left = memoryview(data)[written:]
            while left:
                left = left[self._tls.write(left) :]
                if self._outgoing.pending > _PIECE:
                    self._flush()

    def _tell_end(self) -> None:
        self._closing = True
        with contextlib.suppress(ssl.SSLError):  # its word that it has heard so is not waited for
            self._tls.unwrap()
        self._flush()

    def _end_with_client(self) -> None:
        if self._closing:
            return
        if self._carried is None:
            self._closing = True
            self._raw.close()
        else:
            self._carried.eof_received()
            self.close()

    def _fail(self) -> None:
        """End a connection that is no TLS any more, with what there is to say of it."""
        if not self._closing:
            self._closing = True
            self._flush()
            self._raw.close()

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._raw.write(data)

    def _settle(self) -> None:
        settled, self._settled = self._settled, None
        if settled is not None:
            settled(self)

    def _tell_of_tls(self) -> None:
        """Answer in plain HTTP, and read over what else is sent: a reset would undo the answer."""
        self._closing = True
        self._raw.write(_NOT_TLS)
        self._raw.write_eof()
        self._timer.cancel()
        self._timer = self._loop.call_later(_TOLD_SECONDS, self._raw.abort)
