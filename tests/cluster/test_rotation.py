"""Two nodes of two workers each find keys that were due before they started, and rotate each of them once."""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kms_actors.config import Cluster
from kms_actors.store.opening import open_store
from kms_actors.transit import messages as m
from kms_actors.transit.policy import KeyOptions
from tests.support.api import Api
from tests.support.databases import Database, engines, open_database
from tests.support.node import Node, wait_until
from tests.support.tokens import Issuer
from tests.support.vaults import filled, node, transit_mount

HOUR = 3600 * 10**9
NAMES = [f"k{number}" for number in range(12)]


@pytest.fixture(params=engines())
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with open_database(request.param, tmp_path) as database:
        yield database


async def prepare(database: Database, directory: Path) -> str:
    """Leave a vault whose keys were due an hour ago; return its root token."""
    store = await open_store(msgspec.convert(tomllib.loads(database.table), Cluster))
    try:
        async with node(store, directory, lambda: time.time_ns() - 2 * HOUR) as service:
            vault = await filled(service, "vault_a")
            tenant = await service.tenant("vault_a")
            for name in NAMES:
                await tenant.ask(m.CreateKey(transit_mount(tenant), name, KeyOptions(auto_rotate_period=HOUR)))
    finally:
        await store.close()
    return vault.root_token


@pytest.fixture
def nodes(database: Database, tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    issuer = Issuer()
    directories = [tmp_path / f"n{number}" for number in range(2)]
    for directory in directories:
        directory.mkdir()
    first, second = (
        Node(
            directory,
            database.table,
            *issuer.keys.public,
            provider_name="static",
            provider=f'key_file = "{tmp_path / "master.key"}"',
            settings="workers = 2",
            further="\n[tenants]\nrotation_check_seconds = 0.2\n",
            forked=True,
        )
        for directory in directories
    )
    yield first, second
    for started in (first, second):
        if started._process is not None:
            started.stop()


def test_each_key_gets_one_version_without_being_used(
    database: Database, nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    token = asyncio.run(prepare(database, tmp_path))
    for started in nodes:
        started.start()
    callers = [Api(started.address, token) for started in nodes]

    def versions() -> set[int]:
        return {api.get(f"transit/keys/{name}").data["latest_version"] for name in NAMES for api in callers}

    wait_until(lambda: versions() == {2}, "the keys are rotated")
    time.sleep(0.5)  # two more looks
    assert versions() == {2}
