"""What becomes of an exception in an actor: an answer, the failure of one request, or the end of that one actor.

A turn that fails may have left the actor's state half changed: the actor ends, and such ends are counted. A child
task works over values only, so its failure says nothing of the state, however often a caller repeats what caused it:
only those who wait for it are told.
"""

from __future__ import annotations

from collections import deque
from traceback import walk_tb

import pykka
import structlog

from kms_actors.errors import KmsError, Unavailable

_log = structlog.get_logger("kms_actors.runtime")


class ActorFailed(KmsError):
    """The actor met an unexpected error and stopped; whether the message took effect is unknown."""

    def __init__(self) -> None:
        super().__init__("internal error")


class RequestFailed(KmsError):
    """The work for one request met an unexpected error; its outcome is unknown, the actor and all others go on."""

    def __init__(self) -> None:
        super().__init__("internal error")


#: Errors that are answers; anything else fails the actor.
EXPECTED = (KmsError, pykka.ActorDeadError)


def answer_to(error: BaseException, unexpected: type[KmsError] = ActorFailed) -> KmsError:
    """Return what the asker is told of `error`: its own text only if it is a `KmsError`."""
    if isinstance(error, KmsError):
        # Without the actor's frames: their locals may hold keys, and they would form a reference cycle.
        return error.with_traceback(None)
    if isinstance(error, pykka.ActorDeadError):
        # Not passed on: to our asker it would mean that our actor never looked at the message.
        return Unavailable("a needed actor has stopped")
    return unexpected()


def log_failure(actor: str, error: BaseException, what: str = "actor failed") -> None:
    """Log the type of `error` and where it was raised; never its text, which may hold values."""
    where = [f"{frame.f_code.co_filename}:{line}" for frame, line in walk_tb(error.__traceback__)]
    _log.error(what, actor=actor, error=_name(error), traceback=where)


def log_unheard(actor: str, error: BaseException) -> None:
    """Log the type of an expected error that answers no ask."""
    _log.warning("unheard error in actor", actor=actor, error=_name(error))


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


class FailureWindow:
    """Failures of one actor over its rebuilds: `limit` within `seconds` make it rest for `rest` seconds.

    Times are seconds of one monotonic clock, given by the caller.
    """

    def __init__(self, limit: int, seconds: float, rest: float | None = None) -> None:
        self._seconds = seconds
        self._rest = seconds if rest is None else rest
        self._failures: deque[float] = deque(maxlen=limit)
        self._rests_until = float("-inf")

    def record(self, now: float) -> None:
        """Count a failure at `now`."""
        self._failures.append(now)
        if len(self._failures) == self._failures.maxlen and now - self._failures[0] <= self._seconds:
            self._rests_until = now + self._rest
            self._failures.clear()

    def faulted(self, now: float) -> bool:
        """Tell whether it rests at `now`."""
        return now < self._rests_until
