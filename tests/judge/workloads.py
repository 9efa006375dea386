"""Clients of three nodes whose calls are recorded: secrets, seals, tokens that are revoked, tokens of so many uses.

Every call goes to a node drawn anew. An answer that does not say what became of a call (none, or 5xx) leaves it
unknown; an answer that a model has no word for fails the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import ClientConnectorError

from tests.judge.history import History
from tests.support.api import Api, initialise
from tests.support.callers import UNANSWERED, Callers, Reply
from tests.support.node_cluster import SIZE, NodeCluster
from tests.support.tenant import Tenant
from tests.support.tokens import new_vault_id

#: Clients of one object at a time, and calls of it before they go on to the next.
TOGETHER: Final = 4
SECRET_CALLS: Final = 100
TOKEN_CALLS: Final = 60
USES: Final = 20

_POLICY: Final = 'path "secret/data/*" { capabilities = ["create", "update", "read"] }'


class Stopped(Exception):
    """A client was told to stop before its call was sent."""


class Unexpected(AssertionError):
    """An answer that no model has a word for."""


class Recorder:
    """Runs clients until `enough` calls are noted, or they are told to stop."""

    def __init__(self, cluster: NodeCluster, tenant: Tenant, callers: Callers, enough: int, seed: int) -> None:
        self.history = History()
        self.stopping = False
        self._cluster, self._tenant = cluster, tenant
        self._user = callers
        self._root = callers.with_token(tenant.root.token or "")
        self._enough = enough
        self._random = random.Random(seed)
        self._numbers = itertools.count()

    @property
    def goes_on(self) -> bool:
        return not self.stopping and len(self.history.lines) < self._enough

    async def prepare(self) -> None:
        """Write the policy that tokens have."""
        reply = await self._root.post(0, "sys/policies/acl/writer", {"policy": _POLICY})
        assert reply.status in (200, 204), reply

    async def run(self, share: int = 1) -> None:
        """Run all kinds of clients, `share` groups of each of the smaller ones."""
        async with asyncio.TaskGroup() as group:
            for _ in range(6 * share):
                group.create_task(self._groups(self._secret))
            for _ in range(2 * share):
                group.create_task(self._groups(self._revoked))
                group.create_task(self._groups(self._counted))
            group.create_task(self._sealed())

    async def _groups(self, work: Callable[[int], Any]) -> None:
        with contextlib.suppress(Stopped):
            while self.goes_on:
                await work(next(self._numbers))

    async def _ask(self, callers: Callers, path: str, body: Any, method: str = "POST") -> Reply | None:
        """Return an answer that says what became of a call, else None.

        Asks again where it certainly became nothing: nobody listens, or the node is sealed, as it is at its start.
        """
        while True:
            try:
                reply = await callers.call(self._random.randrange(SIZE), method, path, body)
            except ClientConnectorError:
                pass
            except UNANSWERED:
                return None
            else:
                if not (reply.status == 503 and "Vault is sealed" in str(reply.json)):
                    return reply if reply.status < 500 else None
            if self.stopping:
                raise Stopped
            await asyncio.sleep(0.02)

    # A secret: reads, writes, and writes that rest on a version.

    async def _secret(self, number: int) -> None:
        name, seen = f"kv/{number}", [0]
        left = itertools.count(SECRET_CALLS, -1)

        async def client(who: int) -> None:
            while next(left) > 0 and self.goes_on:
                drawn = self._random.random()
                if drawn < 0.4:
                    await self._read(name, who, seen)
                else:
                    rests = None if drawn < 0.6 else max(0, seen[0] - self._random.choice((0, 0, 0, 1)))
                    await self._write(name, who, rests, seen)

        await asyncio.gather(*(client(number * TOGETHER + each) for each in range(TOGETHER)))

    async def _read(self, name: str, who: int, seen: list[int]) -> None:
        began = time.monotonic_ns()
        reply = await self._ask(self._user, f"secret/data/{name}", None, "GET")
        if reply is None:
            return
        if reply.status == 404:
            self.history.add(name, who, "get", began, version=0, value="")
            return
        data = reply.data
        self.history.add(name, who, "get", began, version=data["metadata"]["version"], value=data["data"]["v"])
        seen[0] = max(seen[0], data["metadata"]["version"])

    async def _write(self, name: str, who: int, cas: int | None, seen: list[int]) -> None:
        value = str(next(self._numbers))
        told = {"value": value, "cas": cas}
        body = {"data": {"v": value}, "options": {} if cas is None else {"cas": cas}}
        began = time.monotonic_ns()
        reply = await self._ask(self._user, f"secret/data/{name}", body)
        if reply is None:
            self.history.add_unknown(name, who, "put", began, **told)
        elif reply.status == 400 and cas is not None and "check-and-set" in str(reply.json):
            self.history.add(name, who, "put", began, refused=True, **told)
        elif reply.status == 200:
            self.history.add(name, who, "put", began, version=reply.data["version"], **told)
            seen[0] = max(seen[0], reply.data["version"])
        else:
            raise Unexpected(reply)

    # A token that is revoked while it is used.

    async def _revoked(self, number: int) -> None:
        name = f"gate/token-{number}"
        token = await self._make_token({})
        if token is None:
            return
        holder = self._user.with_token(token)
        left = itertools.count(TOKEN_CALLS, -1)
        at = self._random.randrange(5, TOKEN_CALLS - 5)

        async def client(who: int) -> None:
            while (turn := next(left)) > 0 and self.goes_on:
                began = time.monotonic_ns()
                if turn == at:
                    reply = await self._ask(self._root, "auth/token/revoke", {"token": token})
                    note = self.history.add_unknown if reply is None else self.history.add
                    note(name, who, "close", began)
                else:
                    await self._change(name, who, holder, began)

        await asyncio.gather(*(client(number * TOGETHER + each) for each in range(TOGETHER)))

    async def _change(self, name: str, who: int, holder: Callers, began: int) -> None:
        reply = await self._ask(holder, f"secret/data/{name}", {"data": {}})
        if reply is None:
            return
        if reply.status not in (200, 403):
            raise Unexpected(reply)
        self.history.add(name, who, "change", began, refused=reply.status == 403)

    # A token of so many uses, by changes: each that was counted is made.

    async def _counted(self, number: int) -> None:
        name = f"uses/{number}"
        began = time.monotonic_ns()
        token = await self._make_token({"num_uses": USES})
        if token is None:
            return
        self.history.add(name, number * TOGETHER, "make", began, uses=USES)
        holder = self._user.with_token(token)
        left = itertools.count(2 * USES, -1)

        async def client(who: int) -> None:
            while next(left) > 0 and self.goes_on:
                began = time.monotonic_ns()
                reply = await self._ask(holder, f"secret/data/uses-{number}-{who}", {"data": {}})
                if reply is None:
                    self.history.add_unknown(name, who, "use", began)
                elif reply.status in (200, 403):
                    self.history.add(name, who, "use", began, refused=reply.status == 403)
                else:
                    raise Unexpected(reply)

        await asyncio.gather(*(client(number * TOGETHER + each) for each in range(TOGETHER)))

    async def _make_token(self, further: dict[str, Any]) -> str | None:
        body = {"policies": ["writer"], "no_parent": True, **further}
        reply = await self._ask(self._root, "auth/token/create", body)
        if reply is None:
            await asyncio.sleep(0.1)
            return None
        assert reply.status == 200, reply
        return str(reply.json["auth"]["client_token"])

    # A vault that is sealed and unsealed while it is written to.

    async def _ask_once(self, callers: Callers, path: str, body: Any) -> Reply | None:
        """As `_ask`, of a vault that may be sealed."""
        try:
            reply = await callers.call(self._random.randrange(SIZE), "POST", path, body)
        except UNANSWERED:
            return None
        return reply if reply.status < 500 else None

    async def _sealed(self) -> None:
        vault_id, issuer = new_vault_id(), self._cluster.issuer
        operator = issuer.tenant_operator(vault_id)
        first = Api(self._cluster.nodes[0].address, operator)
        share = (await asyncio.to_thread(initialise, first, 1, 1))["keys_base64"][0]
        operators, users = self._user.with_token(operator), self._user.with_token(issuer.tenant(vault_id))
        # It is a new object each time that it was open: the fewer calls are judged together, the sooner it is done.
        for number in itertools.count():
            if not self.goes_on:
                return
            if not await self._surely(operators, "sys/unseal", {"key": share}):
                continue
            await self._seal_once(f"gate/seal-{number}", operators, users, share)

    async def _surely(self, operators: Callers, path: str, body: Any) -> bool:
        """Ask until it is known to be done; False once clients are told to stop."""
        while self.goes_on:
            if await self._ask_once(operators, path, body) is not None:
                return True
            await asyncio.sleep(0.1)
        return False

    async def _seal_once(self, name: str, operators: Callers, users: Callers, share: str) -> None:
        ended = False

        async def writer(who: int) -> None:
            while not ended and self.goes_on:
                began = time.monotonic_ns()
                reply = await self._ask_once(users, f"secret/data/{name}", {"data": {}})
                if reply is not None and reply.status == 200:  # a node may hear of an unsealing later, so no refusals
                    self.history.add(name, who, "change", began)
                else:
                    await asyncio.sleep(0.01)

        async def operator(who: int) -> None:
            nonlocal ended
            try:
                for op, path, body in (
                    ("close", "sys/seal", {}),
                    ("open", "sys/unseal", {"key": share}),
                    ("close", "sys/seal", {}),
                ):
                    await asyncio.sleep(self._random.uniform(0.05, 0.4))
                    began = time.monotonic_ns()
                    reply = await self._ask_once(operators, path, body)
                    note = self.history.add_unknown if reply is None else self.history.add
                    note(name, who, op, began)
                await asyncio.sleep(0.1)
            finally:
                ended = True

        await asyncio.gather(operator(0), *(writer(each) for each in range(1, TOGETHER)))
