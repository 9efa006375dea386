"""A vault's logins on two nodes, on both stores; passwords are hashed fast, and a provider of identities is there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from kms_actors.login import passwords
from kms_actors.store.api import Store
from tests.actors.login_tenant import Tenant, planted
from tests.store.engines import ENGINES, Place, parameters
from tests.support.identity_provider import IdentityProvider, identity_provider


@pytest.fixture(params=parameters())
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, ENGINES[request.param].locate(tmp_path))


@pytest_asyncio.fixture
async def nodes(place: Place) -> AsyncIterator[tuple[Tenant, Tenant]]:
    """Two nodes that have the vault on one store."""
    stores: list[Store] = [await ENGINES[place.engine].open(place.location) for _ in range(2)]
    keyring = await planted(stores[0])
    yield Tenant(stores[0], keyring), Tenant(stores[1], keyring)
    for store in stores:
        await store.close()


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        yield running


@pytest_asyncio.fixture
async def clients(place: Place, provider: IdentityProvider) -> AsyncIterator[tuple[Tenant, Tenant]]:
    """As `nodes`, with clocks that are right now, and which may fetch from the provider."""
    stores: list[Store] = [await ENGINES[place.engine].open(place.location) for _ in range(2)]
    keyring = await planted(stores[0])
    one, other = (Tenant(store, keyring, [provider.address]) for store in stores)
    one.now = other.now = time.time()
    yield one, other
    for store in stores:
        await store.close()


@pytest.fixture
def tenant(nodes: tuple[Tenant, Tenant]) -> Tenant:
    return nodes[0]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hash with the least parameters; return what was hashed to compare it."""
    monkeypatch.setattr(passwords, "_PASSES", 1)
    monkeypatch.setattr(passwords, "_MEMORY", 8192)
    monkeypatch.setattr(passwords, "NOBODY", passwords.hashed("nobody knows"))
    seen: list[str] = []
    real = passwords.matches

    def counted(stored: str, password: str) -> bool:
        seen.append(password)
        return real(stored, password)

    monkeypatch.setattr(passwords, "matches", counted)
    return seen
