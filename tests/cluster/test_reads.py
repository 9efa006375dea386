"""What one node has answered, every other node shows: not a single read is stale."""

from __future__ import annotations

import random
import time
from collections import defaultdict

from tests.support.callers import Callers, spread
from tests.support.node_cluster import SIZE
from tests.support.report import Report

CLIENTS = 12
#: Secrets of each client, which it alone writes.
SECRETS = 6


async def test_a_write_is_read_on_every_other_node_at_once(users: Callers, count: int, report: Report) -> None:
    chance = random.Random(1)
    versions: dict[str, int] = defaultdict(int)

    async def pair(client: int, turn: int) -> None:
        path = f"secret/data/client-{client}/{chance.randrange(SECRETS)}"
        writer, reader = chance.sample(range(SIZE), 2)
        if versions[path] and chance.random() < 0.1:
            assert (await users.call(writer, "DELETE", path)).status == 204
            assert (await users.get(reader, path)).status == 404
            return
        versions[path] += 1
        written = await users.post(writer, path, {"data": {"turn": turn}})
        assert written.data["version"] == versions[path]
        found = (await users.get(reader, path)).data
        assert (found["data"], found["metadata"]["version"]) == ({"turn": turn}, versions[path]), "a stale read"

    started = time.monotonic()
    await spread(count, CLIENTS, pair)
    report(f"{count} pairs of a write and a read on another node, none stale, {time.monotonic() - started:.1f} s")


async def test_a_new_secret_is_listed_on_every_other_node_at_once(users: Callers, count: int) -> None:
    chance = random.Random(2)

    async def pair(client: int, turn: int) -> None:
        writer, reader = chance.sample(range(SIZE), 2)
        assert (await users.post(writer, f"secret/data/list-{client}/{turn}", {"data": {}})).status == 200
        listed = await users.get(reader, f"secret/metadata/list-{client}?list=true")
        assert str(turn) in listed.data["keys"]

    await spread(count // 10, CLIENTS, pair)
