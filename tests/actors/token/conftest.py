"""A vault's tokens without its actor, on both stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store
from tests.actors.token_tenant import Tenant, mounted
from tests.store.engines import ENGINES, Place, parameters


@pytest.fixture(params=parameters())
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, ENGINES[request.param].locate(tmp_path))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    opened = await ENGINES[place.engine].open(place.location)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def keyring(store: Store) -> Keyring:
    keyring = Keyring.generate(0.0)
    await mounted(store, keyring)
    return keyring


@pytest.fixture
def tenant(store: Store, keyring: Keyring) -> Tenant:
    return Tenant(store, keyring)
