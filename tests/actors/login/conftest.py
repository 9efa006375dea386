"""A vault's logins on two nodes, on both stores, with passwords that are hashed fast."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from kms_actors.login import passwords
from kms_actors.store.api import Store
from tests.actors.login_tenant import Tenant, planted
from tests.store.engines import ENGINES, Place, parameters


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
