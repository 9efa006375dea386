"""Nodes say that they are there, and versions when they first ran: on both stores, whoever writes it.

Nothing rests on it, so what cannot be read is left out, and a node that has gone is forgotten by itself.
"""

from __future__ import annotations

import asyncio

import pytest

from kms_actors.actors.cluster import members
from kms_actors.actors.cluster.members import Heartbeat, list_members, list_vaults, list_versions, member_of
from kms_actors.insight.records import GONE_SECONDS
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction
from tests.store.conftest import open_store, place, store

__all__ = ["open_store", "place", "store"]


async def test_a_node_is_listed_while_it_runs_and_says_whether_it_is_sealed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "BEAT_SECONDS", 0.01)
    sealed = True
    beat = Heartbeat(store, "kms", member_of("n1", "http://h:1"), lambda: sealed)
    await beat.start()
    async with asyncio.timeout(10):
        while not (found := await list_members(store, "kms", member_of("", "").heard)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert [(each.name, each.address, each.sealed) for each in found] == [("n1", "http://h:1", True)]
        sealed = False
        while (await list_members(store, "kms", found[0].heard))[0].sealed:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await list_members(store, "other", found[0].heard) == []
    await beat.stop()
    assert await list_members(store, "kms", found[0].heard) == []


async def test_a_node_that_has_gone_is_forgotten(store: Store) -> None:
    about = member_of("n1", "http://h:1")
    await store.run(Heartbeat(store, "kms", about, lambda: True)._say)
    (found,) = await list_members(store, "kms", about.heard + 1)
    assert await list_members(store, "kms", found.heard + GONE_SECONDS - 1) == [found]
    assert await list_members(store, "kms", found.heard + GONE_SECONDS) == []


async def test_versions_are_noted_once_and_told_in_order(store: Store) -> None:
    for version, now in (("1.14.2+kms.0.2.0", 20.0), ("1.14.2+kms.0.1.0", 10.0), ("1.14.2+kms.0.2.0", 30.0)):
        await members.note_version(store, "kms", version, now)
    told = [(each.version, each.installed, each.previous) for each in await list_versions(store, "kms")]
    assert told == [("1.14.2+kms.0.1.0", 10.0, None), ("1.14.2+kms.0.2.0", 20.0, "1.14.2+kms.0.1.0")]


async def test_what_cannot_be_read_is_left_out(store: Store) -> None:
    async def damage(tr: Transaction) -> None:
        tr.set(keyspace.member("kms", "n2"), b"{")
        tr.set(keyspace.version("kms", "x"), b'{"format":9}')

    await store.run(damage)
    assert await list_members(store, "kms", 0.0) == []
    assert await list_versions(store, "kms") == []


async def test_vaults_are_listed_in_pages(store: Store) -> None:
    async def make(tr: Transaction) -> None:
        for number, name in enumerate(("a", "b", "c"), 1):
            tr.set(keyspace.vault(name), number.to_bytes(8, "little"))

    await store.run(make)
    assert await list_vaults(store, "", 2) == [("a", 1), ("b", 2)]
    assert await list_vaults(store, "b", 2) == [("c", 3)]
    assert await members.find_vault(store, "b") == 2
    assert await members.find_vault(store, "d") is None
