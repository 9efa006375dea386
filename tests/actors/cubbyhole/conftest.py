"""Cubbyholes and wrapped answers of a vault without its actor, on both stores; two tenants stand for two nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.cubbyhole.controller import CubbyholeController
from kms_actors.actors.cubbyhole.wrapping import WrappingController
from kms_actors.cubbyhole.messages import WrapAnswer, Wrapped
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store
from kms_actors.token.spec import Issued
from tests.actors.token_tenant import Tenant, mounted
from tests.store.engines import ENGINES, Place, parameters


class Holder(Tenant):
    """A tenant whose tokens keep something."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        super().__init__(store, keyring)
        for controller in (CubbyholeController(self.context), WrappingController(self.context)):
            self.handlers = {**self.handlers, **controller.handlers()}

    async def wrap(self, answer: bytes = b'{"data":1}', **given: Any) -> Wrapped:
        """Have an answer wrapped."""
        sent: dict[str, Any] = {"status": 200, "ttl": 60, "path": "secret/data/x"} | given
        wrapped: Wrapped = await self.ask(WrapAnswer(answer, **sent))
        return wrapped

    async def of(
        self, token: Issued, kind: Callable[..., Any], path: str, *further: Any, counted: bool = False
    ) -> Any:
        """Ask something of a token's cubbyhole."""
        return await self.ask(kind(token.accessor, path, token.token if counted else "", *further))


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
def here(store: Store, keyring: Keyring) -> Holder:
    return Holder(store, keyring)


@pytest.fixture
def there(store: Store, keyring: Keyring) -> Holder:
    return Holder(store, keyring)
