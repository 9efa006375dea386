"""What is due is decided by a time that nodes agree on, and what a wrong clock wrote heals.

The kind: one machine's clock taken for the truth. It is compared with the cluster's time before it may decide, and
what is written with it has bounds that any other clock can check.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kms_actors.actors.cluster import schedule
from kms_actors.actors.cluster.schedule import encode_time
from kms_actors.actors.cluster.timekeeping import BOUND, PATIENCE, STEP, TIME, Kept, Standing, Timekeeper, kept_after
from kms_actors.actors.node.service import NodeService
from kms_actors.keyring import stored
from kms_actors.keyring.seal import SealConfig, UnsealProgress, add_share
from kms_actors.store import keyspace
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit import messages as m
from kms_actors.transit.policy import KeyOptions
from tests.actors.node.test_schedule_sweep import Clock, assert_clean, cluster, index, latest, rotating, sweep
from tests.store.access import get, put
from tests.store.conftest import open_store, place, store
from tests.support.vaults import filled, node, transit_mount

__all__ = ["open_store", "place", "store"]

OpenStore = Callable[[], Awaitable[Store]]
HOUR = 3600 * 10**9
DAY = 24 * HOUR
YEAR = 365 * DAY
NOW = 1_800_000_000 * 10**9


class Wall:
    """A clock that is off by so much."""

    def __init__(self, off: int = 0) -> None:
        self.time = NOW
        self.off = off

    def __call__(self) -> int:
        return self.time + self.off


def pass_minute(*walls: Wall) -> None:
    for wall in walls:
        wall.time += 60 * 10**9


async def kept(store: Store) -> int:
    return stored.decode(await get(store, TIME) or b"", Kept, "time").time


async def test_clocks_that_agree_are_good_and_move_the_time_on(store: Store) -> None:
    walls = [Wall(), Wall(BOUND // 2), Wall(-BOUND // 4)]
    keepers = [Timekeeper(store, wall) for wall in walls]
    assert [keeper.standing for keeper in keepers] == [Standing.UNKNOWN] * 3
    for _ in range(30):
        assert [await keeper.look() for keeper in keepers] == [True] * 3
        pass_minute(*walls)
    assert await kept(store) == walls[1]() - 60 * 10**9


@pytest.mark.parametrize("off", [YEAR, 2 * HOUR, -2 * HOUR, -YEAR])
async def test_a_clock_that_is_far_off_decides_nothing_while_another_is_there(store: Store, off: int) -> None:
    right, wrong = Wall(), Wall(off)
    keepers = [Timekeeper(store, right), Timekeeper(store, wrong)]
    for _ in range(50):
        assert await keepers[0].look()
        assert not await keepers[1].look()
        pass_minute(right, wrong)
    assert abs(await kept(store) - right()) <= BOUND
    assert keepers[1].standing is (Standing.AHEAD if off > 0 else Standing.BEHIND)
    assert abs(keepers[1].offset - off / 1e9) <= 60
    wrong.off = 0
    assert await keepers[1].look()


@pytest.mark.parametrize("off", [YEAR, -YEAR])
async def test_a_clock_that_is_alone_and_wrong_for_a_few_looks_decides_nothing(store: Store, off: int) -> None:
    wall = Wall()
    keeper = Timekeeper(store, wall)
    assert await keeper.look()
    wall.off = off
    for _ in range(PATIENCE + 3):
        pass_minute(wall)
        assert not await keeper.look()
    wall.off = 0
    for _ in range(PATIENCE + 3):
        pass_minute(wall)
        await keeper.look()
    assert keeper.good
    assert abs(await kept(store) - wall()) <= BOUND


@pytest.mark.parametrize("slept", [2 * HOUR, 3 * DAY, YEAR, 50 * YEAR])
async def test_a_cluster_that_stood_still_is_at_work_again_soon(store: Store, slept: int) -> None:
    walls = [Wall(), Wall()]
    assert await Timekeeper(store, walls[0]).look()
    for wall in walls:
        wall.time += slept
    keepers = [Timekeeper(store, wall) for wall in walls]
    looks = 0
    while not all([await keeper.look() for keeper in keepers]):
        pass_minute(*walls)
        looks += 1
        assert looks < 40


@pytest.mark.parametrize("seed", range(30))
async def test_right_clocks_are_never_kept_from_work_for_long_by_a_wrong_one(seed: int) -> None:
    """Whatever the order of looks, a right clock that is there all the time stays good."""
    draw = random.Random(seed)
    now, record = NOW, Kept(NOW, 1)
    seen: dict[str, int] = {}
    offsets = {"right": 0, "wrong": draw.choice([YEAR, -YEAR, 3 * HOUR, -3 * HOUR])}
    alone = dict.fromkeys(offsets, 0)
    for _ in range(200):
        for name in draw.sample(sorted(offsets), 2):
            alone[name] = alone[name] + 1 if seen.get(name) == record.looks else 0
            record = kept_after(record, now + offsets[name], alone[name])
            seen[name] = record.looks
        now += 60 * 10**9
        assert abs(record.time - now) <= BOUND + 120 * 10**9


def test_a_step_is_bounded_and_grows() -> None:
    record = Kept(NOW, 1)
    steps = []
    for alone in range(PATIENCE + 4):
        after = kept_after(record, NOW + 50 * YEAR, alone)
        steps.append(after.time - record.time)
        record = after
    assert steps == [0] * PATIENCE + [STEP, 2 * STEP, 4 * STEP, 8 * STEP]


async def test_a_damaged_record_is_made_anew(store: Store) -> None:
    await put(store, (TIME, b"?"))
    assert await Timekeeper(store, Wall()).look()
    assert await kept(store) == NOW


# Schedules.


async def test_a_year_ahead_for_one_sweep_rotates_nothing(
    open_store: OpenStore, store: Store, tmp_path: Path
) -> None:
    clock = Clock()
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        assert service._sweep is not None
        await rotating(service, "vault_a", "k", "l")
        assert await service._sweep._look()
        clock.ahead = YEAR
        assert not await service._sweep._look()
        await use(service)
        clock.ahead = 0
        assert await service._sweep._look()
        assert await latest(service) == 1
        await assert_clean(store, tmp_path)


async def use(service: NodeService) -> None:
    """Use the key, and let what that started come to its end."""
    tenant = await service.tenant("vault_a")
    for _ in range(2):  # it is loaded, and used from memory
        await tenant.ask(m.MakeHmac(transit_mount(tenant), "k", [], "sha2-256"))
    await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("standing", "ahead", "version"),
    [
        (Standing.UNKNOWN, 0, 1),
        (Standing.AHEAD, 0, 1),
        (Standing.BEHIND, 0, 1),
        (Standing.GOOD, 3 * HOUR, 1),  # set since the last look
        (Standing.GOOD, 0, 2),
    ],
)
async def test_a_use_rotates_a_key_that_is_due_only_by_a_good_clock(
    store: Store, tmp_path: Path, standing: Standing, ahead: int, version: int
) -> None:
    clock = Clock()
    async with node(store, tmp_path, clock) as service:
        await rotating(service)
        clock.ahead = 3 * HOUR
        assert service._sweep is not None
        await put(store, (TIME, stored.encode(Kept(clock(), 1))))
        assert await service._sweep._look()
        assert await latest(service) == 1
        service.timekeeper.standing = standing
        clock.ahead += ahead
        await use(service)
        assert await latest(service) == version


async def test_a_due_time_in_the_far_future_heals(open_store: OpenStore, store: Store, tmp_path: Path) -> None:
    """A key that was made by a clock a year ahead gets its next version a period after that was noticed."""
    clock = Clock()
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        clock.ahead = YEAR
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        await tenant.ask(m.CreateKey(transit_mount(tenant), "k", KeyOptions(auto_rotate_period=2 * HOUR)))
        await sweep(service)
        ((far, _),) = await index(store)
        assert far > clock.__class__()() + YEAR - DAY
    clock.ahead = 0
    async with cluster(open_store, tmp_path, clock, 1) as (service,):
        assert await sweep(service) == 0
        ((near, _),) = await index(store)
        assert abs(near - (clock() + 2 * HOUR)) < HOUR / 2
        await assert_clean(store, tmp_path)
        clock.ahead = HOUR
        assert await sweep(service) == 0
        clock.ahead = 2 * HOUR + HOUR // 2
        assert await sweep(service) == 1
        assert await latest(service) == 2
        await assert_clean(store, tmp_path)
        clock.ahead = 5 * HOUR
        assert await sweep(service) == 1


async def test_a_vault_is_looked_at_within_thirty_days_however_late_its_keys_are(
    store: Store, tmp_path: Path
) -> None:
    clock = Clock()
    async with node(store, tmp_path, clock) as service:
        await rotating(service, hours=24 * 400)
        await sweep(service)
        ((entry, _),) = await index(store)
        assert abs(entry - (clock() + schedule.AHEAD)) < HOUR
        clock.ahead = schedule.AHEAD + HOUR
        assert await sweep(service) == 0
        ((again, _),) = await index(store)
        assert abs(again - (clock() + schedule.AHEAD)) < HOUR
        clock.ahead = 401 * DAY
        assert await sweep(service) == 1
        await assert_clean(store, tmp_path)


async def test_an_entry_further_ahead_than_any_may_be_is_looked_at(store: Store, tmp_path: Path) -> None:
    clock = Clock()
    async with node(store, tmp_path, clock) as service:
        await rotating(service)
        await sweep(service)
        ((right, _),) = await index(store)
        wrong = clock() + 3 * YEAR
        await put(store, (keyspace.due(wrong, 1), b""), (TenantKeys(1).key("due"), encode_time(wrong)))
        await sweep(service)
        assert (right, 1) in await index(store)
        assert (wrong, 1) not in await index(store)


# What else ends by a clock.


def test_an_unseal_attempt_that_a_clock_far_ahead_began_is_over() -> None:
    config = SealConfig(3, 2, "00" * 16, 0.0)
    begun = add_share(None, b"\1" + b"x" * 32, config, 1_000_000.0, "n", lifetime=600)
    assert begun.lives(1_000_000.0)
    assert begun.lives(1_000_000.0 - 30), "clocks of nodes differ a little"
    assert begun.lives(1_000_599.0)
    assert not begun.lives(1_000_600.0)
    assert not begun.lives(1_000_000.0 - 601)
    anew: UnsealProgress = add_share(begun, b"\2" + b"y" * 32, config, 900_000.0, "m", lifetime=600)
    assert (anew.nonce, len(anew.parts)) == ("m", 1)
