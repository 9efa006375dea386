"""A vault's shares that are replaced, and its keyring that is rotated, while others work in it and seal it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.simulation.node import Answer
from tests.simulation.workloads.base import Clients


class Rekeys(Clients):
    """At every moment one set of shares opens the vault: the old one until the new one was verified, then that."""

    async def prepare(self) -> None:
        self._rotations = 0
        self._least = 1  # version of the keyring that is certain
        await asyncio.sleep(0)

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._rekeyer(), self._rotator()]

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        answer = await self.world.ask(method, path, self.world.operator, body)
        self.changed(answer)
        return answer

    async def _rekeyer(self) -> None:
        while True:
            await self.rest(8)
            await self._ask("DELETE", "sys/rekey/init")
            wanted = {"secret_shares": 3, "secret_threshold": 2, "require_verification": True}
            begun = await self._ask("PUT", "sys/rekey/init", wanted)
            if begun.good:
                await self._replace(begun.body["nonce"])

    async def _replace(self, nonce: str) -> None:
        made = None
        for share in self.world.shares[:2]:
            made = await self._ask("PUT", "sys/rekey/update", {"key": share, "nonce": nonce})
            if not made.good:
                if made.status == 400 and self.world.other_shares:  # it is those, then
                    self.world.shares, self.world.other_shares = self.world.other_shares, self.world.shares
                return
        if made is None or not made.body.get("complete"):
            return
        self.world.other_shares = []
        new, nonce = made.body["keys_base64"], made.body["verification_nonce"]
        for number, share in enumerate(new[:2]):
            if number:
                self.world.other_shares = new  # from here on it may be these
            done = await self._ask("PUT", "sys/rekey/verify", {"key": share, "nonce": nonce})
            if done.good and done.body.get("complete"):
                self.world.shares, self.world.other_shares = new, []
            elif not done.good:
                if not done.unknown:
                    self.world.other_shares = []
                return

    async def _rotator(self) -> None:
        while True:
            await self.rest(10)
            self._rotations += 1
            answer = await self._ask("PUT", "sys/rotate")
            if answer.good:
                self._least += 1

    async def judge(self) -> None:
        answer = await self.world.expect("GET", "sys/key-status", self.world.operator)
        term = answer.body["term"]
        self.require(self._least <= term <= 1 + self._rotations, "each rotation is done once", term, self._least)
        sealed = await self.world.expect("PUT", "sys/seal", self.world.operator)
        self.require(sealed.good, "a vault can be sealed", sealed)
        await self.world.unseal()
        await asyncio.sleep(self.world.lease)  # until all nodes have heard of it
