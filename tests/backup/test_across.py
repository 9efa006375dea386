"""A backup of one engine is restored into another, and gives the same vault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.engines import ENGINES, Place
from tests.support.backups import backup, fill, restore, restored, vault_entries


@pytest.fixture(params=[("sqlite", "foundationdb"), ("foundationdb", "sqlite")], ids="-to-".join)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> list[Place]:
    """Return an empty database of each of two engines."""
    for name in request.param:
        missing = ENGINES[name].absent()
        if missing is not None:
            pytest.skip(missing)
    return [Place(name, ENGINES[name].locate(tmp_path)) for name in request.param]


async def test_a_vault_moves_from_one_engine_to_another(places: list[Place]) -> None:
    here, there = [await ENGINES[place.engine].open(place.location) for place in places]
    try:
        await fill(here, ("vault_a", 3), ("vault_b", 300))
        await restore(there, await backup(here, "all"))
        for number in (3, 300):
            assert await vault_entries(there, number) == restored(await vault_entries(here, number))
    finally:
        await here.close()
        await there.close()
