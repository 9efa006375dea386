"""Passes of the loop: what is read in one is begun there, and what is answered by its end leaves together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kms_http.wire.request import Request
from kms_http.wire.response import Response

if TYPE_CHECKING:
    from kms_http.wire.connection import Connection

_Answer = tuple["Connection", Request, Response]

#: Answers that wait for each other at most.
_TOGETHER: Final = 16
#: Requests of a pass that nobody looks at, where nobody waits.
FREE: Final = 3


class Outbox:
    """Answers that were ready when their requests were read, until all that the loop found to read has been read.

    Written one after the other they wake a client once; each on its own would wake it each time, and that costs more
    than anything else in a small request. Those that are held until something is written share one write of it, too.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._answers: list[_Answer] = []
        self._held: dict[asyncio.Future[bool], list[_Answer]] = {}  # by what each waits for
        self._due = False
        #: Requests that may be begun until the end of this pass of the loop before somebody looks how long it takes;
        #: and at the beginning of a pass.
        self.free = self.frees = FREE
        self._watched = False
        self.passed: Callable[[], None] = lambda: None  # called at the end of a pass that is watched

    def put(self, connection: Connection, request: Request, response: Response) -> None:
        """Have an answer sent soon."""
        self._answers.append((connection, request, response))
        if len(self._answers) >= _TOGETHER:
            self.write()
        elif not self._due:
            self._due = True
            self.loop.call_soon(self._come)

    def come(self) -> None:
        """Be here once all that the loop has found to read has been read."""
        if not self._due:
            self._due = True
            self.loop.call_soon(self._come)

    def watch(self) -> None:
        """Have the end of this pass noticed."""
        self._watched = True
        self.come()

    def _come(self) -> None:
        self._due = False
        self.write()
        if self._watched:
            self._watched = False
            self.passed()
        self.free = self.frees

    def write(self) -> None:
        """Send the answers that wait."""
        answers, self._answers = self._answers, []
        self._leave(answers)

    def _leave(self, answers: list[_Answer]) -> None:
        """Send answers, but for those that are held; these leave together once what they wait for is done."""
        for answer in answers:
            connection, request, response = answer
            held = response.held
            if held is None:
                connection.send(request, response)
            elif (waiting := held.waits_for()) is None:
                connection.send(request, held.leave())
            elif waiting in self._held:
                self._held[waiting].append(answer)
            else:
                self._held[waiting] = [answer]
                waiting.add_done_callback(self._release)

    def _release(self, done: asyncio.Future[bool]) -> None:
        self._leave(self._held.pop(done))
