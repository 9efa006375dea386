"""What a connection holds of the request that it works on: its body on the way in, and what it is counted in."""

from __future__ import annotations

from functools import partial
from typing import Final

from kms_http.wire import errors
from kms_http.wire.admission import Item
from kms_http.wire.fairness import Account, Pace
from kms_http.wire.hub import Hub
from kms_http.wire.inbound import Inbound, body_seconds, too_slow
from kms_http.wire.line import Line
from kms_http.wire.shares import Share

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Receiving(Line):
    """The part of a connection that waits: for a body, for a turn, for its next request."""

    __slots__ = ("_goes_on", "_inbound", "counted_in")

    def __init__(self, hub: Hub, share: Share, peer: str) -> None:
        super().__init__(hub, share, peer)
        self._inbound: Inbound | None = None  # the request's body, or what is left of the last one's
        self._goes_on = False  # its request is one of those that go on in tasks
        self.counted_in: tuple[Account[Item], Pace] | None = None  # where a request that goes on is counted

    async def receive_body(self, most: int) -> bytes:
        """Return the body that is still to come, of `most` bytes. Raises HttpError: 400, 413, 503."""
        inbound = self._inbound
        assert inbound is not None
        if inbound.expects:
            inbound.expects = False
            if not self.lost:
                self._transport.write(_CONTINUE)
        whole = inbound.open(most)
        data = self._buffer
        self._put_by(b"")
        self._feed(data)
        if not inbound.complete:
            if self._eof or self.lost:
                inbound.fail(errors.broken_off())
            self._resume_reading()
            self._expect_body(inbound, self._hub.loop.time())
        try:
            return await whole
        finally:
            self._stop_timer()
            inbound.shut()

    def _feed(self, data: bytes) -> None:
        """Take bytes of a body: for who waits for it, or to read over what nobody wants."""
        inbound = self._inbound
        assert inbound is not None
        rest = inbound.feed(data)
        if rest is None:  # no framing, or past a limit
            if self._request is None:
                self.close()
            return
        if inbound.complete:
            self._inbound = None
            self._put_by(rest)
            if self._request is None:
                self._stop_timer()
                self._go_on()

    def _expect_body(self, inbound: Inbound, began: float) -> None:
        """Have a body fail that comes more slowly than it may."""
        left = began + body_seconds(inbound.size, self._hub.body_rate) - self._hub.loop.time()
        if left > 0:
            self._set_timer(left, partial(self._expect_body, inbound, began))
        else:
            self._timer = None
            self._hub.refusals.add("slow body")
            inbound.fail(too_slow())

    def _read_over(self) -> None:
        """Read a body nobody wants for a moment, so that the client comes to read the answer."""
        inbound = self._inbound
        assert inbound is not None
        inbound.discard()
        self._set_timer(self._hub.linger_seconds, self.close)
        data = self._buffer
        self._put_by(b"")
        self._feed(data)
        if self._eof and self._inbound is not None:
            self.close()
        else:
            self._resume_reading()

    def rest(self) -> bool:
        """Read nothing until `wake`; tell whether that is of use: the connection waits for its next request."""
        if self.lost or self._ending or self.busy or self._inbound is not None:
            return False
        self._resting = True
        self._pause_reading()
        return True

    def wake(self) -> None:
        """Read on."""
        self._resting = False
        if not (self.lost or self._ending or self.busy):
            self._resume_reading()
            self._continue()

    def write(self, data: bytes) -> None:
        """Write some of a body without an end."""
        self._transport.write(data)

    @property
    def leaving(self) -> bool:
        """True once bodies without an end are to end."""
        return self._hub.ending

    def give_back(self) -> None:
        """Let go of a request that nobody waits for any more."""
        self._end_request()

    def _go_no_further(self) -> None:
        """Count the request no more that went on, if there was one."""
        if self._goes_on:
            self._goes_on = False
            self._hub.admission.going_on -= 1
            if self.counted_in is not None:
                account, pace = self.counted_in
                self.counted_in = None
                self._hub.admission.discount(account, pace)

    def _end_request(self) -> None:
        self._request = self._task = None
        if self._counted:
            self._hub.bodies.take(-self._counted)
            self._counted = 0
        if self.lost:
            self._inbound = None

    def _continue(self) -> None:
        if self._request is None and self._buffer and not (self._ending or self.lost or self._resting):
            self._advance(self._buffer)

    def _advance(self, data: bytes) -> None:
        """Begin the first request in `data`, or wait for the rest of it."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Be ready for the next request."""
        raise NotImplementedError
