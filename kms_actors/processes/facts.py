"""What one process of a node knows that others are asked for, too: its log, its levels, its requests under way.

A question goes to all processes of the node, by way of the supervisor; with one process it is answered at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from kms_actors.errors import Unavailable
from kms_actors.insight.messages import LevelSet, LinesWanted, RequestUnderWay
from kms_actors.observe.families import Sum
from kms_actors.observe.levels import Levels, levels
from kms_actors.observe.metrics import Collect
from kms_actors.observe.recent import Line, Recent, recent
from kms_actors.processes import frames
from kms_actors.processes.frames import FrameError, Gather, Gathered, Samples
from kms_actors.processes.link import Link

#: Questions, by name: what is sent along, and what each process answers.
QUESTIONS: Final[Mapping[str, tuple[Any, Any]]] = {
    "levels": (None, dict[str, str]),
    "set-level": (LevelSet, bool),
    "in-flight": (None, list[RequestUnderWay]),
    "lines": (LinesWanted, list[Line]),
}


def answered(facts: Facts, question: str, argument: msgspec.Raw) -> msgspec.Raw:
    """Return the answer to a question as it travels; raises FrameError for one that is none."""
    kinds = QUESTIONS.get(question)
    if kinds is None:
        raise FrameError("no such question")
    try:
        asked = msgspec.msgpack.decode(argument, type=kinds[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FrameError("a damaged question") from None
    return msgspec.Raw(msgspec.msgpack.encode(facts.answer(question, asked)))


def nothing() -> list[RequestUnderWay]:
    """Return no request: a process that serves none."""
    return []


class Facts:
    """Of this process; `in_flight` is set once there is a server."""

    def __init__(self, log_levels: Levels = levels, lines: Recent = recent) -> None:
        self.in_flight: Callable[[], list[RequestUnderWay]] = nothing
        self._answers: Mapping[str, Callable[[Any], Any]] = {
            "levels": lambda _: log_levels.shown(),
            "set-level": lambda wanted: log_levels.set(wanted.level, wanted.name),
            "in-flight": lambda _: self.in_flight(),
            "lines": lambda wanted: lines.between(wanted.since, wanted.until, wanted.level),
        }

    def answer(self, question: str, argument: Any) -> Any:
        """Answer one of `QUESTIONS`."""
        return self._answers[question](argument)


class Alone:
    """A node of one process. See `Fellows`."""

    def __init__(self, facts: Facts, collect: Collect) -> None:
        self._facts = facts
        self.metrics = collect

    async def gather(self, question: str, argument: Any = None) -> list[Any]:
        """See `Fellows.gather`."""
        return [self._facts.answer(question, argument)]


class Linked:
    """A worker, which asks the others by way of the supervisor. See `Fellows`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def gather(self, question: str, argument: Any = None) -> list[Any]:
        """See `Fellows.gather`; raises Unavailable when the supervisor is gone."""
        reply = await self._link.request(Gather, question, msgspec.Raw(msgspec.msgpack.encode(argument)))
        if not isinstance(reply, Gathered):
            raise Unavailable("the supervisor did not understand")
        kind = QUESTIONS[question][1]
        return [msgspec.msgpack.decode(answer, type=kind) for answer in reply.answers]

    async def metrics(self) -> Sum:
        """See `Fellows.metrics`."""
        reply = await self._link.request(frames.Collect)
        if not isinstance(reply, Samples):
            raise Unavailable("the supervisor did not understand")
        total = Sum()
        total.add("", reply.families)
        return total
