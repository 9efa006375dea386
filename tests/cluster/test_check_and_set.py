"""One secret written from all nodes at once: no update is lost, and nobody is kept out."""

from __future__ import annotations

import asyncio
import random
import time

from tests.support.callers import Callers
from tests.support.node_cluster import SIZE
from tests.support.report import Report

CLIENTS = 12
COUNTERS = 4
MISMATCH = "check-and-set parameter did not match the current version"


async def test_no_update_is_lost(users: Callers, count: int, report: Report) -> None:
    chance = random.Random(3)
    won: list[tuple[int, int]] = []  # counter and the version that was acknowledged
    lost = 0

    async def increment(counter: int) -> bool:
        path = f"secret/data/counter-{counter}"
        found = await users.get(chance.randrange(SIZE), path)
        version, value = 0, 0
        if found.status != 404:
            version, value = found.data["metadata"]["version"], found.data["data"]["value"]
        body = {"data": {"value": value + 1}, "options": {"cas": version}}
        answer = await users.post(chance.randrange(SIZE), path, body)
        if answer.status == 400:
            assert answer.json == {"errors": [MISMATCH]}
            return False
        won.append((counter, answer.data["version"]))
        return True

    async def client(number: int) -> None:
        nonlocal lost
        for _ in range(number, count, CLIENTS):
            while not await increment(chance.randrange(COUNTERS)):
                lost += 1

    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))
    seconds = time.monotonic() - started
    values = []
    for counter in range(COUNTERS):
        found = (await users.get(0, f"secret/data/counter-{counter}")).data
        assert found["data"]["value"] == found["metadata"]["version"]
        values.append(found["data"]["value"])
    assert sum(values) == len(won) == count
    assert len(set(won)) == count, "two writers were told the same version"
    report(f"{count} increments by check-and-set, none lost, {lost} refused and tried again, {seconds:.1f} s")


async def test_of_many_writers_of_one_version_one_wins(users: Callers) -> None:
    for turn in range(10):
        path = f"secret/data/race-{turn}"
        answers = await asyncio.gather(
            *(users.post(n % SIZE, path, {"data": {"n": n}, "options": {"cas": 0}}) for n in range(CLIENTS))
        )
        winners = [n for n, answer in enumerate(answers) if answer.status == 200]
        assert len(winners) == 1
        assert all(answer.json == {"errors": [MISMATCH]} for answer in answers if answer.status != 200)
        assert (await users.get(turn % SIZE, path)).data["data"] == {"n": winners[0]}


async def test_who_writes_one_secret_from_all_nodes_is_not_refused(
    users: Callers, count: int, report: Report
) -> None:
    """Each node has its own turn, however often the others write: none loses until it gives up."""
    longest = [0.0] * SIZE
    versions: list[int] = []

    async def client(number: int) -> None:
        node = number % SIZE
        for write in range(number, count, CLIENTS):
            started = time.monotonic()
            answer = await users.post(node, "secret/data/hot", {"data": {"write": write}})
            longest[node] = max(longest[node], time.monotonic() - started)
            assert answer.status == 200
            versions.append(answer.data["version"])

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))
    assert sorted(versions) == list(range(1, count + 1))
    waits = ", ".join(f"{wait:.2f}" for wait in longest)
    report(f"{count} writes of one secret by {SIZE} nodes, none refused; the longest took {waits} s by node")
