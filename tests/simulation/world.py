"""A cluster in a simulation: nodes, the database, a vault, its people, and what all of them did."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import deque
from pathlib import Path
from typing import Any, Final

from kms_actors.store import schema
from tests.simulation.moments import Spans
from tests.simulation.native import OUTSIDE, SimulatedStore, Sky
from tests.simulation.node import VAULT, Answer, Sent, SimulatedNode, configuration, send
from tests.support.tokens import Issuer

NODES: Final = ("n1", "n2", "n3")
#: Lines of what happened that are kept.
_LAST: Final = 5000
#: Virtual seconds until a cluster that was mended has to serve.
_PATIENCE: Final = 60.0


class Broken(AssertionError):
    """A promise was broken; the text says which."""


class World:
    """Made by `begin`. `chance` is for workloads, apart from the generator of the weather."""

    def __init__(self, directory: Path, sky: Sky, chance: random.Random) -> None:
        self.sky = sky
        self.chance = chance
        self.issuer = Issuer()
        self.cluster_operator = self.issuer.cluster_operator()
        self.operator = self.issuer.tenant_operator(VAULT)
        self.user = self.issuer.tenant(VAULT)
        self.root = ""
        self.shares: list[str] = []
        self.other_shares: list[str] = []  # those instead, where nobody was told of a rekey
        #: What a request begun so long after an answer must know of it, on any node.
        self.lease = chance.choice((2.0, 4.0, 8.0))
        keys = self.issuer.keys.public
        self.nodes = [SimulatedNode(name, configuration(directory, name, keys, self.lease), sky) for name in NODES]
        #: Of the world outside of all nodes.
        self.store = SimulatedStore(sky)
        self.operations = 0
        self.day = asyncio.Event()  # while it is not, clients rest
        self.day.set()
        self.sealed = Spans()  # between which the vault certainly was
        self.faults: dict[str, int] = {}
        self.last: deque[str] = deque(maxlen=_LAST)  # of what happened
        self._trace = hashlib.sha256()

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.sky.loop.now

    @property
    def digest(self) -> str:
        """What two runs of one seed have in common: all that happened, and when."""
        return self._trace.hexdigest()

    def note(self, *what: object) -> None:
        """Add something to what happened."""
        line = f"{self.now:.9f} {' '.join(map(str, what))}"
        self._trace.update(line.encode())
        self.last.append(line)

    def fault(self, what: str, *where: object) -> None:
        """Count a fault that was made to happen."""
        self.faults[what] = self.faults.get(what, 0) + 1
        self.note("fault", what, *where)

    async def begin(self) -> None:
        """Start the nodes, and make the vault, in good weather."""
        await schema.initialise(self.store)
        for node in self.nodes:
            await node.start()
        await self.settled()
        made = await self.expect("PUT", "sys/init", self.operator, {"secret_shares": 3, "secret_threshold": 2})
        self.root, self.shares = made.body["root_token"], made.body["keys_base64"]
        await self.unseal()
        await asyncio.sleep(self.lease)

    async def unseal(self) -> None:
        """Give the vault's shares until it is open; where there are two sets, one of them opens it.

        Which one did is not told: it may have been open, or somebody else opens it, too.
        """
        for _ in range(20):
            for shares in filter(None, (self.shares, self.other_shares)):
                await self.ask("PUT", "sys/unseal", self.operator, {"reset": True})
                for share in shares[:2]:
                    answer = await self.ask("PUT", "sys/unseal", self.operator, {"key": share})
                    if answer.good and not answer.body["sealed"]:
                        return
            await asyncio.sleep(1)
        raise Broken("no shares open the vault")

    async def settled(self) -> None:
        """Return once all nodes serve, and have heard of everything."""
        patience = self.now + _PATIENCE
        while not all(node.serves and node.service is not None and node.service.feed.fresh for node in self.nodes):
            if self.now > patience:
                raise Broken("a healthy cluster does not come to serve")
            await asyncio.sleep(0.5)
        await asyncio.sleep(self.lease)

    async def ask(self, method: str, path: str, token: str, body: Any = None, **more: Any) -> Answer:
        """Send a request to a drawn node, or to `at`."""
        node = more.pop("at", None) or self.chance.choice(self.nodes)
        answer = await send(node, self.sky, Sent(method, path, token, body, more))
        self.operations += 1
        self.note(f"({answer.sent:.6f})", method, path, node.name, answer.status)
        return answer

    async def expect(self, method: str, path: str, token: str, body: Any = None, **more: Any) -> Answer:
        """Ask until it is done, as somebody does who knows that it can be asked twice."""
        for _ in range(60):
            answer = await self.ask(method, path, token, body, **more)
            if answer.good:
                return answer
            if not answer.unknown and answer.status != 400:
                break
            await asyncio.sleep(1)
        raise Broken(f"{method} {path} is never done: {answer.status} {answer.body}")

    async def end(self) -> None:
        """Kill all nodes."""
        for node in self.nodes:
            node.kill()


def outside(work: Any) -> asyncio.Task[Any]:
    """Run something in no process."""
    return asyncio.get_running_loop().create_task(work, context=OUTSIDE.copy())
