"""Cubbyholes and wrapped answers as a node leaves them are clean; what does not fit together is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kms_actors.actors.tenant.token_records import UNWRAPPED
from kms_actors.check.findings import Kind
from kms_actors.check.keys import Master
from kms_actors.check.walk import check
from kms_actors.cubbyhole.messages import Unwrap, WrapAnswer
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import clear, get, put
from tests.support.vaults import filled, master_of, node, opened
from tests.support.wrapped import Kept, keep

KEYS = TenantKeys(1)


class World(NamedTuple):
    store: Store
    master: Master
    kept: Kept

    async def findings(self, *, with_keys: bool = True) -> set[tuple[Kind, bytes]]:
        report = await check(self.store, self.master if with_keys else None, lambda *_: None)
        return {(finding.kind, finding.key) for finding in report.findings}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            vault = await filled(service, "vault_a")
            tenant = await service.tenant("vault_a")
            used = await tenant.ask(WrapAnswer(b"{}", 200, 60, "p"))
            await tenant.ask(Unwrap(used.token))
            kept = await keep(tenant, vault.root_token)
        master = await master_of(store, tmp_path)
        yield World(store, master, kept)


@pytest.mark.parametrize("with_keys", [False, True])
async def test_what_a_node_leaves_is_clean(world: World, with_keys: bool) -> None:
    assert await world.findings(with_keys=with_keys) == set()


async def test_what_is_kept_without_its_token_is_found(world: World) -> None:
    accessor = world.kept.wrapped.accessor
    await clear(world.store, KEYS.key("accessor", accessor))
    assert (Kind.ORPHAN, KEYS.key("cubbyhole", accessor)) in await world.findings()


@pytest.mark.parametrize("half", ["info", "answer"])
async def test_half_of_a_wrapped_answer_is_found(world: World, half: str) -> None:
    gone = KEYS.key("cubbyhole", world.kept.wrapped.accessor, half)
    await clear(world.store, gone)
    assert await world.findings() == {(Kind.MISSING, gone)}


async def test_entries_that_nobody_counts_are_found(world: World) -> None:
    gone = KEYS.key("cubbyhole", world.kept.accessor)
    await clear(world.store, gone)
    assert await world.findings() == {(Kind.MISSING, gone)}


async def test_an_answer_moved_to_another_token_does_not_open(world: World) -> None:
    answer = KEYS.key("cubbyhole", world.kept.wrapped.accessor, "answer")
    moved = KEYS.key("cubbyhole", world.kept.accessor, "answer")
    value = await get(world.store, answer)
    assert value is not None
    await put(world.store, (moved, value))
    assert (Kind.DOES_NOT_OPEN, moved) in await world.findings()


async def test_a_damaged_memory_of_a_used_token_is_found(world: World) -> None:
    ((key, _),) = await world.store.run(lambda tr: tr.get_range(*KEYS.span(UNWRAPPED)))
    await put(world.store, (key, b"{}"))
    assert await world.findings() == {(Kind.FORMAT, key)}
