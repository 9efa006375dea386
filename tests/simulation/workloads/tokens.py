"""Tokens that are made, used, spent and revoked, on whatever nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from tests.simulation.node import Answer
from tests.simulation.workloads.base import Clients

_USES: Final = 4
#: Seconds after which nothing comes of a request that was not answered.
_LATE: Final = 30.0
#: A text that one token has after the other: first one that may write, then one that may not.
CHOSEN: Final = "a-text-of-ones-own-0123456789"
POLICY: Final = 'path "secret/data/t/*" { capabilities = ["create", "update", "read"] }'


class Tokens(Clients):
    """A revoked token changes nothing from that moment on, and is heard of nowhere once the lease is over."""

    async def prepare(self) -> None:
        self._number = 0
        self._revoked: dict[str, float] = {}  # by token: since when it is certain
        await self.world.expect("POST", "sys/policies/acl/tokens", self.world.root, {"policy": POLICY})
        await asyncio.sleep(self.world.lease)

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._lives(), self._lives(), self._chooses(), self._spends(), self._wraps()]

    async def _make(self, by: str, **fields: Any) -> str | None:
        body = {"policies": ["tokens"], "ttl": "1h", "no_default_policy": False} | fields
        answer = await self.world.ask("POST", "auth/token/create", by, body)
        self.changed(answer)
        if not answer.good:
            return None
        token: str = answer.body["auth"]["client_token"]
        return token

    async def _lives(self) -> None:
        while True:
            await self.pause(3)
            parent = await self._make(self.world.root)
            if parent is None:
                continue
            child = await self._make(parent) if self.chance.random() < 0.5 else None
            tokens = [token for token in (parent, child) if token is not None]
            users = [asyncio.ensure_future(self._use(token)) for token in tokens for _ in range(2)]
            await self.pause()
            answer = await self.world.ask("POST", "auth/token/revoke", self.world.root, {"token": parent})
            self.changed(answer)
            if answer.good:
                self._revoked |= dict.fromkeys(tokens, answer.got)
            await asyncio.gather(*users)
            for token in tokens:
                self._revoked.pop(token, None)

    async def _chooses(self) -> None:
        while True:
            await self.pause()
            while not await self._free():
                await self.pause()
            self._revoked.pop(CHOSEN, None)
            if await self._make(self.world.root, id=CHOSEN) is None:
                await asyncio.sleep(_LATE)  # it may yet be made
                continue
            users = [asyncio.ensure_future(self._use(CHOSEN)) for _ in range(8)]
            await self.pause()
            if await self._free():
                await self._make(self.world.root, id=CHOSEN, policies=["default"])
            await asyncio.gather(*users)

    async def _free(self) -> bool:
        """Revoke whatever token has the chosen text; tell whether that is certain."""
        answer = await self.world.ask("POST", "auth/token/revoke", self.world.root, {"token": CHOSEN})
        self.changed(answer)
        if answer.good:
            self._revoked[CHOSEN] = answer.got
        return answer.good

    async def _use(self, token: str) -> None:
        """Read and write, for a while behind the token's end."""
        for _ in range(self.chance.randint(3, 8)):
            self._number += 1
            path, write = f"secret/data/t/{self.chance.choice('ab')}", self.chance.random() < 0.6
            if write:
                answer = await self.world.ask("POST", path, token, {"data": {"n": self._number}})
                self.changed(answer)
            else:
                answer = await self.world.ask("GET", path, token)
                self.seen(answer)
            self._judge_use(token, answer, write)
            await self.pause()

    def _judge_use(self, token: str, answer: Answer, write: bool) -> None:
        ended = self._revoked.get(token)
        if ended is None or not answer.good:
            return
        if write:
            self.require(answer.sent < ended, "a revoked token changes nothing", answer, ended)
        heard = ended + self.world.lease
        self.require(answer.sent < heard, "a revoked token is refused once it was heard of", answer, heard)

    async def _spends(self) -> None:
        while True:
            await self.pause(3)
            token = await self._make(self.world.root, num_uses=_USES)
            if token is None:
                continue
            answers = await asyncio.gather(
                *(self.world.ask("GET", "auth/token/lookup-self", token) for _ in range(_USES + 4))
            )
            spent = sum(answer.good for answer in answers)
            self.require(spent <= _USES, "a token is used no more often than it may be", spent, answers)

    async def _wraps(self) -> None:
        while True:
            await self.pause(3)
            answer = await self.world.ask("GET", "secret/data/r/a", self.world.user, X_Vault_Wrap_TTL="60")
            if not answer.good:
                continue
            token = answer.body["wrap_info"]["token"]
            answers = await asyncio.gather(
                *(self.world.ask("POST", "sys/wrapping/unwrap", token, at=node) for node in self.world.nodes)
            )
            given = sum(answer.good for answer in answers)
            self.require(given <= 1, "a wrapped answer is given once", answers)

    async def judge(self) -> None:
        body = {"policies": ["tokens"], "ttl": "1h"}
        made = await self.world.expect("POST", "auth/token/create", self.world.root, body)
        token = made.body["auth"]["client_token"]
        for node in self.world.nodes:
            answer = await self.world.ask("POST", "secret/data/t/c", token, {"data": {}}, at=node)
            self.require(answer.good, "a token that was made is good on every node", answer)
