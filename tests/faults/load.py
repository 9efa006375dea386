"""Clients that write through all nodes, note in a ledger what they are told, and go on whatever happens."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from typing import Final

from tests.faults.ledger import Ledger, digest
from tests.support.api import b64
from tests.support.callers import UNANSWERED, Callers, Reply
from tests.support.node_cluster import SIZE

CLIENTS: Final = 8
#: Writes sent to one secret: fewer than the versions a secret keeps.
WRITES: Final = 8
#: Characters of a value; the longest are stored in parts.
LENGTHS: Final = [20, 20, 500, 500, 5000, 150_000]
#: Ciphertexts in one request.
BATCH: Final = 100
KEY: Final = "transit/keys/orders"
#: Seconds for progress, on a busy machine, and after the longest outage.
DEADLINE: Final = 60.0


class Load:
    """Begins with `start`; ends with `stop`."""

    def __init__(self, callers: Callers, ledger: Ledger) -> None:
        self._callers = callers
        self._ledger = ledger
        self._chance = random.Random(0)
        self._stopping = False
        self._clients: list[asyncio.Task[None]] = []
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0

    async def start(self) -> None:
        assert (await self._callers.post(0, KEY)).status == 200
        self._clients = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]

    async def goes_on(self, more: int) -> None:
        """Return once so many more requests are acknowledged."""
        goal = self._ledger.acknowledged + more
        async with asyncio.timeout(DEADLINE):
            while self._ledger.acknowledged < goal:
                await asyncio.sleep(0.02)
                for client in self._clients:
                    if client.done():
                        client.result()

    async def stop(self) -> None:
        """Let the requests under way end."""
        self._stopping = True
        await asyncio.gather(*self._clients)

    async def compare(self) -> int:
        """Compare the ledger with what the nodes show; return how many secrets that are."""
        paths = self._ledger.paths()
        stored = dict(zip(paths, [await self._versions(path) for path in paths], strict=True))
        latest = (await self._callers.get(0, KEY)).data["latest_version"]
        self._ledger.compare(stored, latest)
        await self._decrypt_all()
        return len(paths)

    async def _client(self, number: int) -> None:
        turn = 0
        while not self._stopping:
            started = time.monotonic()
            if self._chance.random() < 0.7:
                served = await self._write(f"secret/data/client-{number}/{turn // WRITES}")
                turn += 1
            elif self._chance.random() < 0.95:
                served = await self._encrypt()
            else:
                served = await self._rotate()
            self.slowest = max(self.slowest, time.monotonic() - started)
            if not served:
                await asyncio.sleep(0.05)

    async def _write(self, path: str) -> bool:
        value = os.urandom(self._chance.choice(LENGTHS) // 2).hex()
        self._ledger.sent(path, value)
        reply = await self._post(path, {"data": {"value": value}})
        if reply is not None:
            self._ledger.written(path, reply.data["version"], value)
        return reply is not None

    async def _encrypt(self) -> bool:
        plaintext = b64(os.urandom(20))
        reply = await self._post("transit/encrypt/orders", {"plaintext": plaintext})
        if reply is not None:
            self._ledger.encrypted(reply.data["ciphertext"], plaintext)
        return reply is not None

    async def _rotate(self) -> bool:
        reply = await self._post(f"{KEY}/rotate")
        if reply is not None:
            self._ledger.rotated(reply.data["latest_version"])
        return reply is not None

    async def _post(self, path: str, body: object = None) -> Reply | None:
        """Return an answer of success, or None where nobody knows whether it was done."""
        try:
            reply = await self._callers.post(self._chance.randrange(SIZE), path, body)
        except UNANSWERED as error:
            self.outcomes[type(error).__name__] += 1
            return None
        self.outcomes[str(reply.status)] += 1
        assert reply.status in (200, 503), reply
        return reply if reply.status == 200 else None

    async def _versions(self, path: str) -> dict[int, str]:
        """Return digests by version, as some node shows them."""
        node = self._chance.randrange(SIZE)
        metadata = await self._callers.get(node, path.replace("/data/", "/metadata/"))
        if metadata.status == 404:
            return {}
        versions = [int(version) for version in metadata.data["versions"]]
        found = await asyncio.gather(*(self._callers.get(node, f"{path}?version={version}") for version in versions))
        return {v: digest(reply.data["data"]["value"]) for v, reply in zip(versions, found, strict=True)}

    async def _decrypt_all(self) -> None:
        texts = self._ledger.ciphertexts()
        for begin in range(0, len(texts), BATCH):
            batch = texts[begin : begin + BATCH]
            items = [{"ciphertext": ciphertext} for ciphertext, _ in batch]
            reply = await self._callers.post(begin % SIZE, "transit/decrypt/orders", {"batch_input": items})
            assert [item["plaintext"] for item in reply.data["batch_results"]] == [plain for _, plain in batch]
