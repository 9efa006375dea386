"""What one may cost others: readings, transactions, time, threads and the log, whatever is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from kms_actors.actors.cluster import trimming
from kms_actors.actors.cluster.changes import LOG, TOKEN, Change, record
from kms_actors.request_context import REQUEST_SECONDS
from kms_actors.store.api import Transaction
from kms_actors.store.foundationdb.attempts import SETTLE_SECONDS
from tests.simulation.node import VAULT, Answer, SimulatedNode
from tests.simulation.workloads.base import Clients
from tests.simulation.world import World

#: Another vault on the same nodes.
_BESIDE: Final = "vault_beside"
#: Seconds for which lines of the log are kept, so that a run sees them go; and until they have, in quiet.
_KEPT: Final = 20.0
_UNTIL_GONE: Final = _KEPT + 3 * trimming.EVERY
#: Lines of a flood, and of those that are left of everything else.
_LINES: Final = 3000
_FEW: Final = 500
#: Names in a folder, and entries that a transaction may read at most.
_NAMES: Final = 5000
_PAGE: Final = 2000
#: Biscuits that are revoked one after the other.
_REVOKED: Final = 20
#: Writes of one secret that come at once, whose head has so many bytes.
_WRITES: Final = 60
_HEAD: Final = 30_000
#: Passwords that one vault has hashed while another one wants one.
_PASSWORDS: Final = 8
#: Virtual seconds that a request may take at a node that moves.
_LONGEST: Final = REQUEST_SECONDS + SETTLE_SECONDS + 1.0


class Bounds(Clients):
    """Most of it is looked at in good weather, where it is exact: what is bad is what the vault's own users ask."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        vars(trimming)["KEPT"] = _KEPT

    async def prepare(self) -> None:
        await self._revocations()
        await self._writes_of_one_secret()
        await self._a_long_list()
        await self._threads()

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._storms(), *(self._asker(number) for number in range(3))]

    async def judge(self) -> None:
        """Have the log flooded, while the cluster has no room for upkeep, and while it has."""
        for page in range(_LINES // 1000):

            async def write(tr: Transaction, page: int = page) -> None:
                for number in range(1000):
                    record(tr, Change("vault_elsewhere", TOKEN, f"{page}-{number}", 0.0))

            await self.world.store.run(write)
        self.world.sky.full = True
        await asyncio.sleep(_UNTIL_GONE)
        answer = await self._write("full")
        self.world.sky.full = False
        self.require(answer.good, "upkeep alone waits where the cluster is full", answer)
        left = self._lines()
        self.require(left >= _LINES, "upkeep waits where the cluster is full", left)
        await asyncio.sleep(_UNTIL_GONE)
        left = self._lines()
        self.require(left < _FEW, "the log does not grow without end", left)

    def _lines(self) -> int:
        return sum(key.startswith(LOG) for key in self.world.sky.database.latest())

    async def _revocations(self) -> None:
        before = self.world.sky.readings
        for _ in range(_REVOKED):
            token = self.world.issuer.tenant(VAULT)
            await self.world.expect("POST", "auth/token/revoke-self", token)
            await asyncio.sleep(self.world.lease / 4)
        readings = self.world.sky.readings - before
        self.require(readings < _REVOKED, "a revocation is heard without a reading of its vault", readings)

    async def _writes_of_one_secret(self) -> None:
        await self._write("large")
        custom = {f"k{number}": "x" * 500 for number in range(_HEAD // 500)}
        await self.world.expect(
            "POST", "secret/metadata/bounds/large", self.world.user, {"custom_metadata": custom, "max_versions": 100}
        )
        node = self.chance.choice(self.world.nodes)
        answers = await asyncio.gather(*(self._write("large", at=node) for _ in range(_WRITES)))
        refused = [answer for answer in answers if not (answer.good or answer.unknown)]
        self.require(not refused, "a small write is not refused for those beside it", refused[:1])

    async def _a_long_list(self) -> None:
        await self._write("long/first")
        element = b"\x02bounds/long/first\0"
        latest = self.world.sky.database.latest()
        (first,) = (key for key, value in latest.items() if key.endswith(element) and not value)
        folder = first.removesuffix(b"first\0")

        async def fill(tr: Transaction) -> None:
            for number in range(_NAMES):
                tr.set(folder + b"n%05d\0" % number, b"")

        async def empty(tr: Transaction) -> None:
            tr.clear_range(folder + b"n", folder + b"o")

        await self.world.store.run(fill)
        self.world.sky.largest = 0
        answer = await self.world.expect("LIST", "secret/metadata/bounds/long", self.world.user)
        largest = self.world.sky.largest
        await self.world.store.run(empty)
        names = answer.data["keys"]
        self.require(len(names) == _NAMES + 1 and names == sorted(names), "a list has every name once", len(names))
        self.require(largest <= _PAGE, "a transaction reads no more however long a list is", largest)

    async def _threads(self) -> None:
        operators = {VAULT: self.world.operator, _BESIDE: self.world.issuer.tenant_operator(_BESIDE)}
        made = await self.world.expect(
            "PUT", "sys/init", operators[_BESIDE], {"secret_shares": 1, "secret_threshold": 1}
        )
        share = made.body["keys"][0]
        await self.world.expect("PUT", "sys/unseal", operators[_BESIDE], {"key": share})
        for operator in operators.values():
            await self.world.expect("POST", "sys/auth/people", operator, {"type": "userpass"})
        await asyncio.sleep(self.world.lease)  # until all nodes have heard of it
        node = self.chance.choice(self.world.nodes)
        for operator in operators.values():
            await self._user(operator, "first", node)
        many = [asyncio.ensure_future(self._user(operators[VAULT], f"u{n}", node)) for n in range(_PASSWORDS)]
        await asyncio.sleep(0.002)
        one = await self._user(operators[_BESIDE], "u", node)
        done = sum(answer.got < one.got for answer in await asyncio.gather(*many))
        self.require(one.good, "a password is set in good weather", one)
        self.require(done <= _PASSWORDS // 2, "nobody waits for all that another vault has computed", done)

    async def _user(self, operator: str, name: str, node: SimulatedNode) -> Answer:
        return await self.world.ask("POST", f"auth/people/users/{name}", operator, {"password": "password"}, at=node)

    async def _storms(self) -> None:
        """For a while no outcome of a commit is told, or nothing at all: each try takes all of its time."""
        while True:
            await self.rest(6)
            weather, kind = self.world.sky.weather, self.chance.choice(("unknown", "lost"))
            before = getattr(weather, kind)
            setattr(weather, kind, 1.0)
            try:
                await asyncio.sleep(self.chance.uniform(7, 12))
            finally:
                setattr(weather, kind, before)

    async def _asker(self, number: int) -> None:
        while True:
            node = self.chance.choice(self.world.nodes)
            process = node.process
            stood = process.stood
            answer = await self._write(f"asked/{number}", at=node)
            self.changed(answer)
            moved = not (process.still or process.dead) and process.stood == stood
            took = answer.got - answer.sent
            self.require(not moved or took <= _LONGEST, "a request ends in its time", took, answer)
            await self.pause()

    async def _write(self, path: str, **more: Any) -> Answer:
        return await self.world.ask("POST", f"secret/data/bounds/{path}", self.world.user, {"data": {"a": 1}}, **more)
