"""One connection: from bytes to requests, and back to answers.

aiohttp's handler has a task for each connection, wakes it for each request, and makes another task for each answer.
A request that is whole when it arrives needs neither: its answer is begun where its bytes were read, and most answers
end there, too. One that has to wait goes on in a task of its own. All else is left to aiohttp: bodies that are still
to come, requests behind one another, what is malformed, upgrades. See decision 15.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

import structlog
from aiohttp import hdrs
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web import BaseRequest, RequestHandler, StreamResponse

from kms_http.wire import errors
from kms_http.wire.errors import HttpError
from kms_http.wire.response import Response

_LIST: Final = b"LIST /"
_LINK: Final = b"LINK /"
_UNKNOWN_LENGTH: Final = 1 << 62  # of a chunked body: only its end shows where the next request begins

#: Answers that wait for each other at most.
_TOGETHER: Final = 16

Answer = Callable[[BaseRequest], Coroutine[Any, Any, Response]]

_log = structlog.get_logger(__name__)


class Request(BaseRequest):
    """A request, with no more than what is asked of it here."""

    # The base class's constructor makes what is not used here.
    def __init__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        payload_writer: AbstractStreamWriter | None = None,
        task: asyncio.Task[None] | None = None,
    ) -> None:
        self._message = message
        self._payload = payload
        self._protocol = protocol
        self._payload_writer = payload_writer  # type: ignore[assignment]  # none while nothing is streamed
        self._task = task  # type: ignore[assignment]  # aiohttp's own takes none, too
        self._headers = message.headers
        self._method = message.method
        self._version = message.version
        self._transport_peername = protocol.peername
        self._cache = {}


class Outbox:
    """Answers that were ready when their requests were read, until all that the loop found to read has been read.

    Written one after the other they wake a client once; each on its own would wake it each time, and that costs more
    than anything else in a small request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answers: list[tuple[Connection, Request, Response]] = []

    def put(self, connection: Connection, request: Request, response: Response) -> None:
        """Have an answer sent soon."""
        self._answers.append((connection, request, response))
        if len(self._answers) == 1:
            self._loop.call_soon(self._send)
        elif len(self._answers) == _TOGETHER:
            self._send()

    def _send(self) -> None:
        answers, self._answers = self._answers, []
        for connection, request, response in answers:
            connection.send(request, response)


class Connection(RequestHandler):
    """One connection. Answers malformed HTTP in JSON, logs no contents, and knows LIST."""

    __slots__ = ("_last_body", "_last_length", "_later", "_outbox", "_within_headers")

    def __init__(self, outbox: Outbox, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outbox = outbox
        self._last_body: StreamReader = EMPTY_PAYLOAD
        self._last_length = 0
        self._later: asyncio.Task[None] | None = None  # an answer that had to wait; the loop holds tasks weakly
        self._within_headers = False

    @property
    def busy(self) -> bool:
        """True while a request is worked on or waits for it."""
        return self._request_in_progress or bool(self._messages)

    @property
    def behind(self) -> bool:
        """True while another request waits behind the one that is worked on."""
        return bool(self._messages)

    def answer_by(self, handler: Answer) -> None:
        """Have all requests to come answered by `handler`."""
        self._request_handler = handler

    def data_received(self, data: bytes) -> None:
        """Take bytes off the wire.

        The parser refuses methods it does not know, LIST among them. A request that begins with it is given the
        name of a method of the same length, which Vault does not have.
        """
        begin = self._to_come()
        if not self._within_headers and data.startswith(_LIST, begin):
            data = data[:begin] + _LINK + data[begin + len(_LIST) :]
        count = self._request_count
        # Without its waiter, aiohttp's task does not hear of a request.
        waiter, self._waiter = self._waiter, None
        try:
            super().data_received(data)
        finally:
            self._waiter = waiter
        if self._request_count != count:
            self._remember(*self._messages[-1])
        elif len(data) > begin:
            self._within_headers = True
        if waiter is not None and self._messages and not self._request_in_progress and not waiter.done():
            self._take_up(waiter)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take note of the end, and let go of what leads back here: nothing waits for a collection of cycles."""
        super().connection_lost(exc)
        self._last_body = EMPTY_PAYLOAD

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Resume after a pause. Streams call this after every read, and feeding the parser nothing is not free."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _remember(self, message: Any, body: StreamReader) -> None:
        self._last_body = body
        self._within_headers = False
        if not body.is_eof():
            self._last_length = int(message.headers.get(hdrs.CONTENT_LENGTH, _UNKNOWN_LENGTH))

    def _to_come(self) -> int:
        """Return how many bytes of the last body are still to come: there the next request begins."""
        return 0 if self._last_body.is_eof() else self._last_length - self._last_body.total_bytes

    # Requests that arrive whole.

    def _take_up(self, waiter: asyncio.Future[None]) -> None:
        """Answer the request that has arrived; leave it to aiohttp's task if that is not the common case."""
        message, body = self._messages[0]
        if not isinstance(message, RawRequestMessage) or not body.is_eof() or self._upgraded or self._buffer_paused:
            waiter.set_result(None)
            return
        del self._messages[0]
        assert self._parser is not None
        assert self._request_handler is not None
        self._parser.message_consumed()
        self._request_in_progress = True
        request = Request(message, body, self)
        answer: Any = self._request_handler(request)
        try:
            awaited = answer.send(None)
        except StopIteration as done:
            self._outbox.put(self, request, done.value)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # panics of native libraries are no Exceptions
            self._give_up(error)
        else:
            self._later = self._loop.create_task(self._answer_later(request, answer, awaited))

    async def _answer_later(self, request: Request, answer: Coroutine[Any, Any, Response], awaited: Any) -> None:
        try:
            response = await _rest(answer, awaited)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # as above
            self._give_up(error)
        else:
            self._outbox.put(self, request, response)

    def send(self, request: Request, response: Response) -> None:
        """Write an answer, and be ready for the next request."""
        try:
            response.write_to(request)
        except ConnectionError:  # the client has gone
            self._end_request()
        except Exception as error:  # noqa: BLE001  # other connections' answers wait behind this one
            self._give_up(error)
        else:
            self._sent(request, response)

    def _sent(self, request: Request, response: Response) -> None:
        if self._paused:
            self._later = self._loop.create_task(self._drain(request, response))
        else:
            self._finish(response)

    async def _drain(self, request: Request, response: Response) -> None:
        try:
            await response.be_taken(request)
        except ConnectionError:
            self._end_request()
        else:
            self._finish(response)

    def _finish(self, response: Response) -> None:
        """Be ready for the next request, or close the connection; as aiohttp's task does."""
        self._end_request()
        if self._close or self._force_close or not response.keep_alive:
            self.force_close()
            return
        self._next_keepalive_close_time = time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(time, self._process_keepalive)
        if self._messages and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end_request(self) -> None:
        self._request_in_progress = False
        self._later = None
        if self._handler_waiter is not None and not self._handler_waiter.done():
            self._handler_waiter.set_result(None)

    def _give_up(self, error: BaseException) -> None:
        self.log_exception(exc_info=error)
        self._end_request()
        self.force_close()

    def _process_keepalive(self) -> None:
        """Close an idle connection; to aiohttp it is idle while its own task has nothing to do."""
        self._keepalive_handle = None
        if not self._request_in_progress:
            super()._process_keepalive()

    # What is wrong before there is a request.

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> StreamResponse:
        """Answer what the parser could not read; the connection ends with it."""
        if isinstance(exc, BadHttpMethod):
            error = HttpError(405, close=True)
        elif isinstance(exc, LineTooLong):
            error = HttpError(431, "request line or header is too large", close=True)
        else:
            error = HttpError(400, "malformed HTTP request", close=True)
        return errors.respond(error)

    def log_exception(self, *args: Any, exc_info: BaseException | None = None, **_: Any) -> None:
        """Log the kind of a failure; texts and tracebacks may hold what a client sent."""
        _log.warning("connection failed", error=type(exc_info).__name__)


@types.coroutine
def _rest(answer: Coroutine[Any, Any, Response], awaited: Any) -> Generator[Any, None, Response]:
    """Go on with a coroutine that was begun outside of the task, where it stopped to wait for `awaited`."""
    yield awaited
    return (yield from answer.__await__())
