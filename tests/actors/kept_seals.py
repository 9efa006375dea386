"""Nodes over one store, whose master key providers in memory keep; these may be away, and rotate their keys."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from kms_actors import config
from kms_actors.actors.node import unattended
from kms_actors.actors.node.service import NodeService
from kms_actors.errors import SealRefused, SealUnavailable
from kms_actors.messages import Initialization, Initialize, ReadSealStatus, SealStatus, Unseal
from kms_actors.seals import opening
from kms_actors.seals.provider import Provider, Wrapped
from kms_actors.secret import SecretBytes
from kms_actors.store import schema
from kms_actors.store.api import Store
from tests.actors.node_service import configuration, unseal_tenant
from tests.store.engines import ENGINES, parameters


class Keeper:
    """A provider in memory, whose key has versions, and which may be away."""

    def __init__(self, kind: str) -> None:
        self.type = kind
        self.version = 1
        self.away = False
        self.refuses = False
        self.forgets = False  # what it wraps
        self.waiting: asyncio.Event | None = None
        self.asked = 0
        self._kept: dict[bytes, bytes] = {}

    async def check(self) -> None: ...

    async def wrap(self, key: SecretBytes) -> Wrapped:
        await self._answer()
        blob = os.urandom(16)
        if not self.forgets:
            self._kept[blob] = bytes(bytearray(key.reveal()))  # a copy: the other is overwritten
        return Wrapped(f"{self.type}:v{self.version}", blob)

    async def unwrap(self, wrapped: Wrapped) -> SecretBytes:
        await self._answer()
        if wrapped.blob not in self._kept:
            raise SealRefused("this key may not decrypt")
        return SecretBytes(bytes(bytearray(self._kept[wrapped.blob])))

    async def close(self) -> None: ...

    async def _answer(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.waiting is not None:
            await self.waiting.wait()
        if self.refuses:
            raise SealRefused("no")
        if self.away:
            raise SealUnavailable("away")


class Hosts:
    """Nodes over one store, each with a configuration of its own, and the providers that all of them reach."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keepers = {kind: Keeper(kind) for kind in ("transit", "pkcs11")}
        self._stack = contextlib.AsyncExitStack()

    async def start(self, name: str, migrate_from: str | None = None, **more: Any) -> NodeService:
        """Start a node whose master key `name` keeps."""
        settings = configuration()
        kept = msgspec.structs.replace(
            settings.master_keyring_provider, name=cast(Any, name), migrate_from=cast(Any, migrate_from), **more
        )
        service = NodeService(msgspec.structs.replace(settings, master_keyring_provider=kept), self.store)
        await service.start()
        self._stack.push_async_callback(service.stop)
        return service

    async def stop_all(self) -> None:
        await self._stack.aclose()
        self._stack = contextlib.AsyncExitStack()


@pytest.fixture(params=parameters())
async def hosts(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Hosts]:
    engine = ENGINES[request.param]
    store = await engine.open(await asyncio.to_thread(engine.locate, tmp_path))
    await schema.initialise(store)
    made = Hosts(store)
    real = opening.providers_of

    def providers_of(settings: config.MasterKeyringProvider) -> dict[str, Provider]:
        kept = {kind: cast(Provider, made.keepers[kind]) for kind in settings.types if kind in made.keepers}
        if "static" not in settings.types:
            return kept
        return kept | real(msgspec.structs.replace(settings, name="static", migrate_from=None))

    monkeypatch.setattr("kms_actors.actors.node.link.providers_of", providers_of)
    monkeypatch.setattr(unattended, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(unattended, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(unattended, "LONGEST_WAIT", 0.02)
    yield made
    await made.stop_all()
    await store.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def status(service: NodeService) -> SealStatus:
    found: SealStatus = await service.ask_node(ReadSealStatus())
    return found


async def give(service: NodeService, shares: tuple[bytes, ...], *, migrate: bool = False) -> SealStatus:
    for share in shares:
        found: SealStatus = await service.ask_node(Unseal(share, migrate=migrate))
    return found


async def initialised(hosts: Hosts, name: str = "transit", shares: int = 3, threshold: int = 2) -> Initialization:
    """Make a cluster, with a vault in it; all nodes are stopped then."""
    service = await hosts.start(name)
    message = Initialize(recovery_shares=shares, recovery_threshold=threshold)
    made: Initialization = await service.ask_node(Initialize(shares, threshold) if name == "shamir" else message)
    if name == "shamir":
        await give(service, made.shares[:threshold])
    await unseal_tenant(service)
    await hosts.stop_all()
    return made
