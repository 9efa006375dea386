"""What a connection holds of its transport: what was read and not yet used, its pauses, its timer, its end.

What it keeps is counted for all connections of a process together, see `hub`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from kms_http.wire import relay, response
from kms_http.wire.hub import Hub
from kms_http.wire.passing import Passed
from kms_http.wire.request import Request
from kms_http.wire.secured import Secured
from kms_http.wire.shares import Share


class Line(asyncio.Protocol):
    """The part of a connection that knows nothing of HTTP."""

    __slots__ = (
        "_buffer",
        "_counted",
        "_ending",
        "_eof",
        "_held",
        "_hub",
        "_overfull",
        "_read_paused",
        "_relayed",
        "_request",
        "_resting",
        "_share",
        "_shown",
        "_slow_until",
        "_task",
        "_timer",
        "_tls",
        "_transport",
        "idle_since",
        "listener",
        "lost",
        "remote",
        "remote_port",
    )

    _transport: asyncio.Transport

    def __init__(self, hub: Hub, share: Share, peer: str) -> None:
        self._hub = hub
        self._share = share  # of the address that it comes from
        self._buffer = b""  # read, and not yet of use
        self._held = 0  # bytes of it that the hub has counted
        self._request: Request | None = None  # being worked on, until its answer is written
        self._counted = 0  # bytes of its body that the hub has counted
        self._task: asyncio.Task[None] | None = None  # of an answer that has to wait; the loop holds tasks weakly
        self._timer: asyncio.TimerHandle | None = None  # for the one thing that is waited for
        self._read_paused = False
        self._ending = False  # what comes is of no interest
        self._overfull = False
        self._resting = False  # nothing is read for a moment
        self._slow_until = 0.0  # when the head whose beginning is kept must be whole; 0: there is none
        self._eof = False  # the client sends no more
        self._tls = False
        self._shown: tuple[bytes, ...] | None = None  # certificates, as another process had them
        self._relayed = False  # what comes, and what goes, is another process's
        self.idle_since = 0.0
        self.lost = False
        self.listener = 0  # its number
        self.remote = peer
        self.remote_port = 0

    @property
    def busy(self) -> bool:
        """True while a request is worked on, here or in another process."""
        return self._request is not None or self._relayed

    def close(self) -> None:
        """End the connection once what was written is out, or the client has had long enough to take it."""
        self._ending = True
        self._transport.close()
        if not self.lost:
            self._set_timer(response.WRITE_SECONDS, self._transport.abort)

    def abort(self) -> None:
        """End the connection and its request at once."""
        self._ending = True
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    @property
    def certificates(self) -> tuple[bytes, ...] | None:
        """What the client has shown, DER, its own first, and proved to have the key of; None without TLS."""
        if not self._tls or self.lost:
            return self._shown
        found: tuple[bytes, ...] = getattr(self._transport.get_extra_info("ssl_object"), "client_certificates", ())
        return found

    def begin_with(self, passed: Passed) -> None:
        """Take what another process has read of it, before it is made. Raises OSError where that is too much."""
        self.remote_port, self._shown = passed.port, passed.certificates
        if not self._put_by(passed.read):
            raise ConnectionAbortedError

    def _give_away(self, read: bytes) -> bool:
        """Let another process answer, where so much was read and not used; False where the connection stays.

        So does one whose last answer is not yet out.
        """
        if self._eof or self._transport.get_write_buffer_size():
            return False
        self._pause_reading()
        passed = Passed(self.listener, self.remote, self.remote_port, self.certificates, read)
        if not (self._relay(passed) if self._tls else self._pass_on(passed)):
            self._resume_reading()
            return False
        return True

    def _pass_on(self, passed: Passed) -> bool:
        if not self._hub.passing.pass_on(self._transport.get_extra_info("socket").fileno(), passed):
            return False
        self.abort()  # this hold on it alone: the other process has its own
        return True

    def _relay(self, passed: Passed) -> bool:
        """Stay between the client and the other process, which cannot have what TLS knows of the connection."""
        try:
            end, others = relay.pair()
        except OSError:  # no descriptor is left
            return False
        with others:
            if not self._hub.passing.pass_on(others.fileno(), passed):
                end.close()
                return False
        client = cast(Secured, self._transport)
        kept = relay.Kept(client, self.close, self.connection_lost, self._hub.linger_seconds)
        between = relay.Relay(kept, end)
        client.set_protocol(between)
        self._relayed = True
        self._put_by(b"")
        self._task = self._hub.loop.create_task(between.begin())
        return True

    def _be_idle(self) -> None:
        self.idle_since = self._hub.loop.time()
        if self._timer is None:
            self._timer = self._hub.loop.call_later(self._hub.keepalive_seconds, self._end_idleness)

    def _end_idleness(self) -> None:
        """Close a connection without a request for long; the timer is set anew only when it was too early."""
        self._timer = None
        if self._slow_until and not self.busy:
            self._end_slowness()
            return
        left = self.idle_since + self._hub.keepalive_seconds - self._hub.loop.time()
        if self.busy or left > 0:
            seconds = self._hub.keepalive_seconds if self.busy else left
            self._timer = self._hub.loop.call_later(seconds, self._end_idleness)
        else:
            self.close()

    def _expect_head(self) -> None:
        """Give the client until then for the rest of a head that has begun."""
        if not self._slow_until:
            self._slow_until = self._hub.loop.time() + self._hub.head_seconds
            self._set_timer(self._hub.head_seconds, self._end_idleness)

    def _end_slowness(self) -> None:
        """End a connection whose client was too slow; what it is told is another's to say."""
        self.close()

    def _set_timer(self, seconds: float, then: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = self._hub.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count(self, size: int) -> bool:
        """Count bytes of the request's body; False where all bodies together would be too many."""
        if not self._hub.bodies.take(size):
            self._hub.refusals.add("bodies")
            return False
        self._counted += size
        return True

    def _put_by(self, data: bytes) -> bool:
        """Keep `data` for later, in place of what was kept; False, and nothing kept, where it is too much."""
        more = len(data) - self._held
        if not self._share.pending.take(more):
            return self._let_go("pending of an address")
        if not self._hub.pending.take(more):
            self._share.pending.take(-more)
            return self._let_go("pending")
        self._buffer, self._held = data, len(data)
        if self._request is not None:
            self._slow_until = 0.0
            if data:
                self._pause_reading()
        return True

    def _let_go(self, reason: str) -> bool:
        self._hub.refusals.add(reason)
        self._hub.pending.take(-self._held)
        self._share.pending.take(-self._held)
        self._buffer, self._held, self._overfull = b"", 0, True
        return False

    def _pause_reading(self) -> None:
        if not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not self.lost:
            self._read_paused = False
            self._transport.resume_reading()
