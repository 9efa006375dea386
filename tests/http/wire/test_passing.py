"""Connections that another process has passed on, as they come out of its socket."""

from __future__ import annotations

import asyncio
import socket

import msgspec
from structlog.testing import capture_logs

from kms_http.wire import passing
from kms_http.wire.passing import Passed, PassedOn


async def test_one_that_comes_without_its_descriptor_is_told_and_the_next_is_taken() -> None:
    """The system gives none where this process has as many as it may, and closes the connection."""
    sending, receiving = passing.pair()
    taken: asyncio.Queue[socket.socket] = asyncio.Queue()
    passed_on = PassedOn(receiving, lambda connection, _: taken.put_nowait(connection))
    passed = Passed(0, "192.0.2.1", 1, None, b"POST ")
    with capture_logs() as logs:
        sending.send(msgspec.msgpack.encode(passed))
        one, other = socket.socketpair()
        with one, other:
            assert passing.PassingOn(sending).pass_on(other.fileno(), passed)
        passed_on._receive()
    assert logs == [{"event": "cannot take a connection", "log_level": "warning", "error": "no descriptor is left"}]
    taken.get_nowait().close()
    passed_on.stop()
    sending.close()
