"""Mounts that come and go while others write below them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.simulation.moments import Latest, Spans
from tests.simulation.workloads.base import Clients


class Mounts(Clients):
    """Nothing is written below a mount that is gone, and nothing of it is seen below the next one of its path."""

    async def prepare(self) -> None:
        self._gone = Spans()
        self._number = 0
        self._written: dict[int, float] = {}  # by value: when the answer came
        self._disabled = Latest()  # numbers are microseconds at which a disabling began that was answered

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._mounter(), self._writer(), self._writer(), self._reader()]

    async def _mounter(self) -> None:
        while True:
            self._gone.end(self.world.now)
            answer = await self.world.ask(
                "POST", "sys/mounts/shelf", self.world.root, {"type": "kv", "options": {"version": "2"}}
            )
            self.changed(answer)
            if answer.unknown:
                self._gone.doubt(answer.got)
            await self.pause(4)
            answer = await self.world.ask("DELETE", "sys/mounts/shelf", self.world.root)
            self.changed(answer)
            if answer.good:
                self._disabled.add(answer.got, int(answer.sent * 1e6))
                self._gone.begin(answer.got)
            await self.pause(4)

    async def _writer(self) -> None:
        while True:
            self._number += 1
            number = self._number
            answer = await self.world.ask("POST", "shelf/data/x", self.world.user, {"data": {"number": number}})
            self.changed(answer)
            if answer.good:
                self._written[number] = answer.got
                gone = self._gone.covers(answer.sent, answer.got)
                self.require(not gone, "nothing is written below a mount that is gone", answer)
            await self.pause(0.3)

    async def _reader(self) -> None:
        while True:
            answer = await self.world.ask("GET", "shelf/data/x", self.world.user)
            self.seen(answer)
            if answer.good:
                gone = self._gone.covers(answer.sent, answer.got, self.world.lease)
                self.require(not gone, "nothing is read below a mount that is gone", answer)
                written = self._written.get(answer.data["data"]["number"], float("inf"))
                disabled = self._disabled.before(answer.sent - self.world.lease) / 1e6
                self.require(disabled <= written, "what was below a mount that is gone is gone", answer, disabled)
            await self.pause()

    async def judge(self) -> None:
        await asyncio.sleep(0)
