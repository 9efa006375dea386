"""One connection: from bytes to requests, and back to answers. HTTP/1.1 over asyncio's own protocols, no more.

One request is worked on at a time. Its answer is begun where its bytes were read, and most answers end there, too;
one that has to wait goes on in a task. What comes behind it stays as it came, and reading pauses, so a connection
holds no more than one request and one read of the socket. See decisions 15 and 24.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, cast

import structlog

from kms_http.wire import errors, head, response, streaming
from kms_http.wire.admission import UNCOUNTED as UNCOUNTED_TASKS
from kms_http.wire.begun import go_on
from kms_http.wire.errors import HttpError
from kms_http.wire.hub import Hub
from kms_http.wire.inbound import Inbound
from kms_http.wire.limits import MAX_HEAD, UNCOUNTED
from kms_http.wire.receiving import Receiving
from kms_http.wire.request import Request
from kms_http.wire.response import Response
from kms_http.wire.secured import Secured
from kms_http.wire.shares import Share

_END: Final = b"\r\n\r\n"
#: Seconds from the end of what a client sends until it is asked for, and from then on.
PROBE_SECONDS: Final = 2.0
_PROCESSING: Final = b"HTTP/1.1 102 Processing\r\n\r\n"

_log = structlog.get_logger(__name__)


class Connection(Receiving):
    """One connection. Shows nothing of what was sent, neither in answers to what is no HTTP nor in logs."""

    __slots__ = (
        "_heads",
        "_made",
        "_streaming",
        "_unsent",
        "console",
        "write_paused",
    )

    def __init__(self, hub: Hub, share: Share, peer: str, made: Callable[[], None]) -> None:
        super().__init__(hub, share, peer)
        self._made: Callable[[], None] | None = made  # called once the connection is
        self._heads = head.Heads()
        self._unsent: bool | None = None  # an answer is not yet taken; whether it is the last one
        self.write_paused = False
        self._streaming = False  # a body without an end goes out
        self.console = False  # the listener serves it

    @property
    def behind(self) -> bool:
        """True while another request waits behind the one that is worked on."""
        return self._inbound is None and _END in self._buffer

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        address = transport.get_extra_info("peername")
        if isinstance(address, tuple) and address[0] == self.remote:  # else it is the port of a proxy
            self.remote_port = int(address[1])
        self._tls = transport.get_extra_info("sslcontext") is not None
        self._hub.connections.add(self)
        self._share.hold()
        self._share.connections.add(self)
        if self._made is not None:
            self._made()
            self._made = None
        self._be_idle()
        if self._buffer:
            self._hub.loop.call_soon(self._continue)

    def data_received(self, data: bytes) -> None:
        if self._request is None and self._inbound is None and not self._ending:
            if not self._buffer:
                self._advance(data)
            elif not (self._slow_until and head.goes_on(self._buffer, data)):
                self._advance(self._buffer + data)
            elif not self._put_by(self._buffer + data):
                self._refuse(errors.too_busy())
        elif self._inbound is not None and self._inbound.flows:
            self._feed(data)
        elif not self._ending:
            self._put_by(self._buffer + data)

    def eof_received(self) -> bool:
        """Go on until all that was sent is answered; a connection under TLS ends with either half."""
        self._eof = True
        if self._request is None:
            if self._buffer and not self._ending and self._inbound is None:
                self._advance(self._buffer)
            else:
                self.close()
        elif self._inbound is not None and self._inbound.flows:
            self._inbound.fail(errors.broken_off())
        elif self._task is not None:
            self._set_timer(PROBE_SECONDS, self._probe)
        return not self._tls

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what was sent, and of what leads back here: nothing waits for a collection of cycles.

        An answer under way is given up: what only computes for it ends at its next slice.
        """
        self.lost = True
        self._heads.forget()
        if self._task is not None:
            self._task.cancel()
            self._task.add_done_callback(self._end_unbegun)
        self._hub.connections.discard(self)
        self._share.connections.discard(self)
        self._stop_timer()
        self._put_by(b"")
        if self._inbound is not None:
            self._inbound.fail(errors.broken_off())
            if self._request is None:
                self._inbound = None
        if self._unsent is not None:
            self._unsent = None
            self._end_request()
        self._share.let_go()

    def _end_unbegun(self, task: asyncio.Task[None]) -> None:
        """Let go of a request whose task was given up before its first step, and so could not do that itself."""
        if task.cancelled():
            self._go_no_further()
            self._end_request()

    def _probe(self) -> None:
        """Find out whether a client that sends no more waits for its answer, or has gone: the end looks the same.

        An interim answer, which means nothing, is refused by the system of one that has gone.
        """
        self._timer = None
        if self._task is None or self._request is None or self._unsent is not None or self._streaming:
            return
        if self._request.minor:
            self._transport.write(_PROCESSING)
        self._set_timer(PROBE_SECONDS, self._probe)

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        last, self._unsent = self._unsent, None
        if last is not None:
            self._stop_timer()
            self._finish(last)

    # From bytes to a request.

    def _advance(self, data: bytes) -> None:
        """Begin the first request in `data`, or wait for the rest of it. Empty lines before it are read over."""
        if data[:1] in (b"\r", b"\n"):
            data = data.lstrip(b"\r\n")
        end = data.find(_END, 0, MAX_HEAD + len(_END))
        if end < 0:
            self._await_head(data)
            return
        try:
            understood = self._heads.parse(data[:end])
        except HttpError as error:
            self._refuse(error)
            return
        rest = data[end + len(_END) :]
        length = understood.length
        if not length:
            self._begin(Request(self, understood, b""), rest)
        elif 0 < length <= len(rest):
            if length > UNCOUNTED and not self._count(length):
                self._refuse(errors.too_busy())
                return
            self._begin(Request(self, understood, rest[:length]), rest[length:])
        elif not (self._hub.passing.wants(understood) and self._give_away(data)):
            self._begin_with_body_to_come(Request(self, understood, None), understood, rest)

    def _await_head(self, data: bytes) -> None:
        if len(data) > MAX_HEAD:
            self._refuse(HttpError(431, "request line or header is too large", close=True))
        elif data and (self._eof or not head.begins(data)):
            self._refuse(head.malformed())
        elif not self._put_by(data):
            self._refuse(errors.too_busy())
        elif self._eof:
            self.close()
        else:
            if data:
                self._expect_head()
            self._resume_reading()

    def _begin(self, request: Request, rest: bytes) -> None:
        """Answer `request`, which is whole, now or when it has its turn."""
        self._request = request
        if rest or self._buffer:
            self._put_by(rest)
        if self._read_paused and not rest:
            self._resume_reading()
        outbox = self._hub.outbox
        if outbox.free:
            outbox.free -= 1
            self.take_up(request)
        else:
            self._hub.admission.take(self, request)

    def take_up(self, request: Request) -> None:
        """Begin to answer `request`."""
        answer: Any = self._hub.answer(request)
        if request.body is None:
            self._task = self._hub.loop.create_task(self._answer_later(request, answer))
            return
        try:
            awaited = answer.send(None)
        except StopIteration as done:
            self._hub.outbox.put(self, request, done.value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # panics of native libraries are no Exceptions
            self._give_up(error)
        else:
            self._task = self._hub.loop.create_task(self._answer_later(request, go_on(answer, awaited)))
            self._go_on_with(request)  # at once: those of one pass that go on are begun before the first one's task

    def _begin_with_body_to_come(self, request: Request, understood: head.Head, rest: bytes) -> None:
        """Answer `request`, whose body is read only once somebody asks for it."""
        self._request = request
        self._inbound = Inbound(understood.length, self._count, expects=understood.expects and not rest)
        self._put_by(rest)
        self._pause_reading()
        self._hub.admission.take(self, request)

    # From an answer to bytes.

    async def _answer_later(self, request: Request, answer: Coroutine[Any, Any, Response]) -> None:
        try:
            made = await answer
        except (KeyboardInterrupt, SystemExit):
            raise
        except asyncio.CancelledError as error:
            own = asyncio.current_task()
            if own is None or own.cancelling():
                self._give_up(error)
            else:  # not of this request, but of what it has waited for: its client is there, and is told
                _log.warning("request given up by what it waited for")
                self._hub.outbox.put(self, request, errors.respond(errors.given_up()))
        except BaseException as error:  # noqa: BLE001  # as above
            self._give_up(error)
        else:
            self._hub.outbox.put(self, request, made)
        finally:
            self._go_no_further()

    def works_on(self, request: Request) -> None:
        """Count a request that goes on in a task, and has come whole meanwhile. Raises HttpError 503: too many do."""
        if self._hub.admission.has_too_many(request):
            raise errors.overloaded()
        self._go_on_with(request)

    def _go_on_with(self, request: Request) -> None:
        admission = self._hub.admission
        admission.going_on += 1
        self._goes_on = True
        if admission.going_on > UNCOUNTED_TASKS:
            self.counted_in = admission.count(request)

    def send(self, request: Request, answer: Response) -> None:
        """Write an answer, and be ready for the next request."""
        if self.lost or self._transport.is_closing():
            self._end_request()
            if not self.lost:  # TLS that its client has ended: what was written before may never be taken
                self._set_timer(response.WRITE_SECONDS, self._transport.abort)
            return
        if answer.stream is not None:
            self._task = self._hub.loop.create_task(self._stream(request, answer, answer.stream))
            return
        last = answer.last or not request.keep_alive or (self._inbound is not None and self._inbound.expects)
        try:
            encoded = answer.encode(request.method, request.minor, last=last)
            if last and self._tls and self._inbound is None and not self._buffer:  # nothing is to be read over
                cast(Secured, self._transport).write_last(encoded)
            else:
                self._transport.write(encoded)
        except Exception as error:  # noqa: BLE001  # other connections' answers wait behind this one
            self._give_up(error)
            return
        if self.write_paused:
            self._unsent = last
            self._set_timer(response.WRITE_SECONDS, self._give_up_on_reader)
        else:
            self._finish(last)

    async def _stream(self, request: Request, answer: Response, pieces: AsyncIterator[bytes]) -> None:
        self._streaming = True
        try:
            await streaming.send(self, answer, pieces, request.minor)
        except Exception as error:  # noqa: BLE001  # what has begun cannot become an error's answer
            self._give_up(error)
        else:
            self._finish(True)

    def _give_up_on_reader(self) -> None:
        self._hub.refusals.add("slow reader")
        self.abort()

    def _finish(self, last: bool) -> None:
        """Be ready for the next request, or end the connection, once an answer has been taken."""
        self._end_request()
        if last or self._overfull:
            self._end(errors.too_busy() if self._overfull and not last else None)
        elif self._inbound is not None:
            self._read_over()
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._buffer:
            self._hub.loop.call_soon(self._continue)
        elif self._eof:
            self.close()
        self._be_idle()

    def _refuse(self, error: HttpError) -> None:
        """Answer what is no request, or is none that may be made from there, and end the connection."""
        self._end_request()
        self._transport.write(errors.respond(error).encode("", 1, last=True))
        self._end(None, unread=True)

    def _end_slowness(self) -> None:
        self._hub.refusals.add("slow head")
        self._refuse(HttpError(408, "request header was not received in time", close=True))

    def _end(self, error: HttpError | None, *, unread: bool = False) -> None:
        """End the connection. What the client still sends is read for a moment: a reset would undo the answer."""
        if error is not None:
            self._transport.write(errors.respond(error).encode("", 1, last=True))
        unread = unread or self._inbound is not None or bool(self._buffer)
        self._ending, self._inbound = True, None
        self._put_by(b"")
        if not unread or self._eof:
            self.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._set_timer(self._hub.linger_seconds, self.close)
        self._resume_reading()

    def _give_up(self, error: BaseException) -> None:
        """End the connection. Texts and tracebacks may hold what a client sent: the kind alone is logged."""
        if not isinstance(error, asyncio.CancelledError):
            _log.warning("connection failed", error=type(error).__name__)
        error.__traceback__ = None
        self._end_request()
        self.close()
