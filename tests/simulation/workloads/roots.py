"""Root tokens that quorums of a vault's shares make, given to any node, while others replace shares and seal it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from kms_actors.actors.tenant.standing import COUNT
from kms_actors.ceremony.root import decode_token
from kms_actors.store.api import Reads
from kms_actors.store.keyspace import TenantKeys
from tests.simulation.node import Answer
from tests.simulation.workloads.base import Clients

_NUMBER = 1  # the vault's integer: it is the first


class Roots(Clients):
    """An attempt makes one token, which is good at once, everywhere, and is one of those that are counted."""

    async def prepare(self) -> None:
        await asyncio.sleep(0)

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._maker(), self._maker()]

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        answer = await self.world.ask(method, path, self.world.operator, body)
        self.changed(answer)
        return answer

    async def _maker(self) -> None:
        while True:
            await self.rest(6)
            begun = await self._ask("PUT", "sys/generate-root/attempt", {})
            if begun.good:
                await self._make(begun.body["nonce"], begun.body["otp"])
            elif begun.status == 400 and self.chance.random() < 0.3:  # somebody's, who may have been killed
                await self._ask("DELETE", "sys/generate-root/attempt")

    async def _make(self, nonce: str, otp: str) -> None:
        shares = self.world.shares
        for share in shares[:2]:
            made = await self._ask("PUT", "sys/generate-root/update", {"key": share, "nonce": nonce})
            if not made.good:
                return
        if not made.body["complete"]:
            return
        further = await self._ask("PUT", "sys/generate-root/update", {"key": shares[2], "nonce": nonce})
        self.require(not further.good, "an attempt makes one token", further)
        token = decode_token(made.body["encoded_token"], otp)
        found = await self.world.ask("GET", "auth/token/lookup-self", token)
        good = found.good and found.data["policies"] == ["root"]
        self.require(good or found.unknown, "a root token that was handed out is good", found)
        await self.world.ask("PUT", "auth/token/revoke-self", token)

    async def judge(self) -> None:
        keys = TenantKeys(_NUMBER)

        async def look(tr: Reads) -> tuple[int, int]:
            counted = await tr.get(keys.key(COUNT, "tokens", 0))
            return int.from_bytes(counted or b"", "little"), len(await tr.get_range(*keys.span("token")))

        counted, there = await self.world.store.run(look)
        self.require(counted == there, "tokens are counted", counted, there)
