"""A cluster's recovery shares that are replaced, and its master keyring that is rotated, while nodes come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tests.simulation.node import Answer, SimulatedNode
from tests.simulation.workloads.base import Clients


class Recoveries(Clients):
    """At every moment one set of recovery shares unseals a node that was sealed, with the provider; and no other."""

    async def prepare(self) -> None:
        wanted = {"secret_shares": 3, "secret_threshold": 2}
        made = await self._ask("POST", "sys/rotate/recovery/init", wanted)
        self.require(made.good and made.data["complete"], "the first recovery keys are made at once", made)
        self._shares: list[str] = made.data["keys_base64"]
        self._others: list[str] = []  # those instead, where nobody was told
        self._old: list[str] = []  # that were certainly replaced

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._rekeyer(), self._rotator()]

    async def _ask(self, method: str, path: str, body: Any = None, at: SimulatedNode | None = None) -> Answer:
        return await self.world.ask(method, path, self.world.cluster_operator, body, at=at)

    async def _rekeyer(self) -> None:
        while True:
            await self.rest(6)
            await self._ask("DELETE", "sys/rekey-recovery-key/init")
            wanted = {"secret_shares": 3, "secret_threshold": 2, "require_verification": True}
            begun = await self._ask("PUT", "sys/rekey-recovery-key/init", wanted)
            if begun.good:
                await self._replace(begun.body["nonce"])

    async def _replace(self, nonce: str) -> None:
        made = None
        for share in self._shares[:2]:
            made = await self._ask("PUT", "sys/rekey-recovery-key/update", {"key": share, "nonce": nonce})
            if not made.good:
                return
        if made is None or not made.body.get("complete"):
            return
        new, nonce = made.body["keys_base64"], made.body["verification_nonce"]
        for number, share in enumerate(new[:2]):
            if number:
                self._others = new  # from here on it may be these
            done = await self._ask("PUT", "sys/rekey-recovery-key/verify", {"key": share, "nonce": nonce})
            if done.good and done.body.get("complete"):
                self._old, self._shares, self._others = self._shares, new, []
            elif not done.good:
                if not done.unknown:
                    self._others = []
                return

    async def _rotator(self) -> None:
        while True:
            await self.rest(10)
            await self._ask("PUT", "sys/rotate")

    async def judge(self) -> None:
        for node in self.world.nodes:
            await self.world.expect("PUT", "sys/seal", self.world.cluster_operator, at=node)
            if self._old:
                opened = await self._opened(node, self._old)
                self.require(not opened, "recovery shares that were replaced allow nothing", node.name)
            self.require(
                await self._opened(node, self._shares) or await self._opened(node, self._others),
                "a quorum of recovery shares unseals a node",
                node.name,
            )
        node = self.chance.choice(self.world.nodes)
        node.kill()
        await node.start()
        await self.world.settled()
        status = await self._ask("GET", "sys/seal-status", at=node)
        self.require(status.good and not status.body["sealed"], "a node that starts unseals itself", node.name)
        await asyncio.sleep(self.world.lease)

    async def _opened(self, node: SimulatedNode, shares: list[str]) -> bool:
        """Give a set of shares to a sealed node; tell whether they have unsealed it."""
        if not shares:
            return False
        for _ in range(20):
            await self._ask("PUT", "sys/unseal", {"reset": True}, node)
            answers = [await self._ask("PUT", "sys/unseal", {"key": share}, node) for share in shares[:2]]
            if not any(answer.unknown for answer in answers):
                return bool(answers[-1].good and not answers[-1].body["sealed"])
            await asyncio.sleep(1)
        return False
