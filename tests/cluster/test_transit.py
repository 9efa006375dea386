"""Keys changed on one node and used on the others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.cluster.elsewhere import everywhere, show, status, until
from tests.support.callers import Callers, percentile
from tests.support.node_cluster import SIZE
from tests.support.report import Report

KEY = "transit/keys/orders"
PLAINTEXT = "aGVsbG8="


async def encrypt(users: Callers, node: int) -> Any:
    return (await users.post(node, "transit/encrypt/orders", {"plaintext": PLAINTEXT})).data


def decrypting(users: Callers, ciphertext: str) -> Any:
    return lambda node: users.post(node, "transit/decrypt/orders", {"ciphertext": ciphertext})


async def make_key(users: Callers) -> None:
    """Make a key and have every node keep it in memory."""
    assert (await users.post(0, KEY)).status == 200
    for node in range(SIZE):
        for _ in range(3):
            assert (await encrypt(users, node))["key_version"] == 1


async def test_a_key_made_on_one_node_is_used_on_all_at_once(users: Callers) -> None:
    for turn in range(10):
        assert (await users.post(turn % SIZE, f"transit/keys/fresh-{turn}")).status == 200
        for node in range(SIZE):
            assert (await users.post(node, f"transit/encrypt/fresh-{turn}", {"plaintext": PLAINTEXT})).status == 200


async def test_a_key_rotated_on_one_node_decrypts_on_all(users: Callers, report: Report) -> None:
    await make_key(users)
    first = (await encrypt(users, 0))["ciphertext"]
    seconds = []
    for turn in range(10):
        node = turn % SIZE
        assert (await users.post(node, f"{KEY}/rotate")).status == 200
        made = await encrypt(users, node)
        assert made["key_version"] == turn + 2, "the node that rotated uses an older version"
        seconds += await everywhere(decrypting(users, made["ciphertext"]), status(200))
        assert all([(await decrypting(users, first)(n)).data["plaintext"] == PLAINTEXT for n in range(SIZE)])
    report(f"ciphertext of a new version decrypted on all nodes after at most {show([max(seconds)])}")


async def test_rotations_on_all_nodes_at_once_are_all_counted(users: Callers) -> None:
    await make_key(users)
    answers = await asyncio.gather(*(users.post(turn % SIZE, f"{KEY}/rotate") for turn in range(4 * SIZE)))
    assert sorted(answer.data["latest_version"] for answer in answers) == list(range(2, 4 * SIZE + 2))
    for node in range(SIZE):
        assert (await users.get(node, KEY)).data["latest_version"] == 4 * SIZE + 1


async def test_a_version_retired_on_one_node_is_refused_on_all(users: Callers, report: Report) -> None:
    await make_key(users)
    old = (await encrypt(users, 2))["ciphertext"]
    assert (await users.post(1, f"{KEY}/rotate")).status == 200
    assert (await users.post(1, f"{KEY}/config", {"min_decryption_version": 2})).status == 200
    assert (await decrypting(users, old)(1)).status == 400, "the node that answered still decrypts"
    seconds = await everywhere(decrypting(users, old), status(400))
    report(f"retired version refused on all after {show(seconds)}")


async def test_a_key_deleted_on_one_node_is_gone_on_all(users: Callers, report: Report) -> None:
    await make_key(users)
    ciphertext = (await encrypt(users, 0))["ciphertext"]
    assert (await users.post(2, f"{KEY}/config", {"deletion_allowed": True})).status == 200
    assert (await users.call(2, "DELETE", KEY)).status == 204
    seconds = await everywhere(decrypting(users, ciphertext), status(400))
    report(f"deleted key refused on all after {show(seconds)}")


async def test_how_soon_a_change_shows_on_another_node(users: Callers, count: int, report: Report) -> None:
    """The probe retires a version on one node, or allows it again, until another node decrypts by that."""
    await make_key(users)
    old = (await encrypt(users, 0))["ciphertext"]
    assert (await users.post(0, f"{KEY}/rotate")).status == 200
    after_answer, after_request = [], []
    for turn in range(max(50, count // 10)):
        allowed = turn % 2
        changed, other = turn % SIZE, (turn + 1) % SIZE
        await asyncio.sleep(0.01)
        sent = time.monotonic()
        assert (await users.post(changed, f"{KEY}/config", {"min_decryption_version": 2 - allowed})).status == 200
        after_answer.append(await until(other, decrypting(users, old), status(200 if allowed else 400)))
        after_request.append(time.monotonic() - sent)
    for name, seconds in (("answer", after_answer), ("request", after_request)):
        p50, p99 = (1000 * percentile(seconds, share) for share in (0.5, 0.99))
        report(f"{len(seconds)} changes shown elsewhere after their {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
