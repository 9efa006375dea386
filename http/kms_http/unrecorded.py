"""Answers that audit devices may not have yet, and what takes their place where these fail."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog

from kms_actors.errors import NotRecorded
from kms_http.exchange import Exchange
from kms_http.recording import Recording
from kms_http.wire import errors
from kms_http.wire.response import Response

#: Told of a request, its answer, and when it had begun.
Leaves = Callable[[Exchange, Response, float], None]

_log: Final = structlog.get_logger(__name__)


class Unrecorded:
    """An answer that leaves once its entries are written; if they cannot be, another one does. See `Held`."""

    __slots__ = ("_exchange", "_leaves", "_recording", "_response", "_started", "waits_for")

    def __init__(
        self, recording: Recording, exchange: Exchange, response: Response, leaves: Leaves, started: float
    ) -> None:
        """`leaves` is called when the answer does, whichever it is."""
        self._recording, self._exchange, self._response = recording, exchange, response
        self._leaves, self._started = leaves, started
        self.waits_for = recording.waits_for

    def leave(self) -> Response:
        """See `Held`."""
        if not self._recording.good:
            self._response.replace(failed(self._exchange, NotRecorded.of(self._exchange.request_id)))
        self._leaves(self._exchange, self._response, self._started)
        # What leads back here goes: nothing waits for a collection of cycles.
        self._response.held = self._exchange.recording = None
        return self._response


def failed(exchange: Exchange, error: Exception) -> Response:
    """Return the answer to a request that has failed so."""
    response = errors.respond(error)
    if response.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        # The type alone: texts and tracebacks of what nobody foresaw may hold values.
        kind = type(error).__name__
        _log.error("request failed", request_id=exchange.request_id, route=exchange.label, error=kind)
    return response
