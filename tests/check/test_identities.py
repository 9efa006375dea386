"""Identities as a node leaves them are clean; what does not fit together is found, whichever side is damaged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest

from kms_actors.actors.identity.places import IdentityKeys
from kms_actors.check.findings import Kind
from kms_actors.check.keys import Master, tenant_keyring
from kms_actors.check.walk import check
from kms_actors.identity.records import Membership, Pointer
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import clear, get, put
from tests.support.identities import Identities, identities
from tests.support.vaults import filled, master_of, node, opened

KEYS = TenantKeys(1)
NOBODY = UUID("11111111-1111-4111-8111-111111111111")


class World(NamedTuple):
    store: Store
    master: Master
    keyring: Keyring
    made: Identities

    async def findings(self, *, with_keys: bool) -> set[tuple[Kind, bytes]]:
        report = await check(self.store, self.master if with_keys else None, lambda *_: None)
        return {(finding.kind, finding.key) for finding in report.findings}

    async def seal(self, key: bytes, record: Membership | Pointer) -> None:
        await put(self.store, (key, self.keyring.seal(key, stored.encode(record))))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            await filled(service, "vault_a")
            made = await identities(await service.tenant("vault_a"))
        master = await master_of(store, tmp_path)
        found = await store.run(lambda tr: tenant_keyring(tr, KEYS, master))
        assert found.keyring is not None
        yield World(store, master, found.keyring, made)


@pytest.mark.parametrize("with_keys", [False, True])
async def test_what_a_node_leaves_is_clean(world: World, with_keys: bool) -> None:
    assert await world.findings(with_keys=with_keys) == set()


async def test_memberships_are_compared_from_both_sides_without_keys(world: World) -> None:
    made = world.made
    for kind, other, one, member in (
        ("member", "member-of", made.red, made.ann),
        ("subgroup", "subgroup-of", made.staff, made.red),
    ):
        here, there = (
            KEYS.key("identity", kind, UUID(one), UUID(member)),
            KEYS.key("identity", other, UUID(member), UUID(one)),
        )
        for gone, left in ((here, there), (there, here)):
            value = await get(world.store, gone)
            assert value is not None
            await clear(world.store, gone)
            assert await world.findings(with_keys=False) == {(Kind.ORPHAN, left)}
            await put(world.store, (gone, value))


async def test_a_membership_of_what_is_gone_is_found_unless_it_is_being_removed(world: World) -> None:
    group = UUID(world.made.external)
    keys = [KEYS.key("identity", "member", group, NOBODY), KEYS.key("identity", "member-of", NOBODY, group)]
    for key in keys:
        await world.seal(key, Membership())
    assert await world.findings(with_keys=True) == {(Kind.ORPHAN, key) for key in keys}
    for key in keys:
        await clear(world.store, key)
    red = UUID(world.made.red)
    await clear(world.store, KEYS.key("identity", "group", red))
    found = await world.findings(with_keys=False)
    assert (Kind.ORPHAN, KEYS.key("identity", "count", red)) in found
    assert (Kind.ORPHAN, KEYS.key("identity", "member", red, UUID(world.made.bob))) in found
    await put(world.store, (KEYS.key("identity", "duty", red), b"\x01" + bytes(40)))
    found = await world.findings(with_keys=False)
    assert not any(b"member" in key for _, key in found)


async def test_indices_are_compared_with_what_they_lead_to(world: World) -> None:
    made, keys = world.made, IdentityKeys(KEYS, world.keyring)
    for key in (
        keys.by_name("entity-name", "ann"),
        keys.by_name("group-name", "red"),
        keys.by_id("alias", made.alias),
        keys.by_id("group-alias", made.group_alias),
        keys.by_id("merged", made.merged),
    ):
        value = await get(world.store, key)
        assert value is not None
        await clear(world.store, key)
        assert await world.findings(with_keys=False) == set()
        assert await world.findings(with_keys=True) == {(Kind.MISSING, key)}
        await put(world.store, (key, value))
    wrong = keys.by_name("entity-name", "ann")
    await world.seal(wrong, Pointer(made.bob, name="ann"))
    assert await world.findings(with_keys=True) == {(Kind.CONTRADICTION, wrong), (Kind.ORPHAN, wrong)}
    await world.seal(wrong, Pointer(made.ann, name="ann"))
    await world.seal(keys.by_name("entity-name", "nobody"), Pointer(str(NOBODY), name="nobody"))
    assert await world.findings(with_keys=True) == {(Kind.ORPHAN, keys.by_name("entity-name", "nobody"))}
