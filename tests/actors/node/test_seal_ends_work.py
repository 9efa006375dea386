"""What is under way when a vault is sealed, or the lease ends, gives no answer; nor does it go on.

The kind: keys used by a task that began while they might be used. Each slice of a batch asks again, so does whatever
comes back from a thread or the store, and so does the end before its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.clock import elapsed
from kms_actors.errors import KmsError, Sealed, Unavailable
from kms_actors.kv.messages import ReadSecret
from kms_actors.messages import Grants, Message, Seal
from kms_actors.runtime.threads import Lane
from kms_actors.store import schema
from kms_actors.store.api import Store
from kms_actors.transit import messages as m
from kms_actors.transit.items import DecryptItem, EncryptItem, SignItem
from kms_actors.transit.policy import KeyOptions
from kms_actors.transit.signature import DEFAULT
from tests.store.conftest import open_store, place, store
from tests.support.vaults import configuration, filled, transit_mount

__all__ = ["open_store", "place", "store"]

VAULT = "vault_a"
MANY = 4000  # items, of which a slice has some hundred


class Nodes:
    """Two nodes on one store. What the second computes in slices, and in threads, waits at a gate."""

    def __init__(self, services: list[NodeService]) -> None:
        self.services = services
        self.ahead = 0.0
        self.slices = 0
        self.under_way = asyncio.Event()
        self.gate = asyncio.Event()
        self.here: TenantHandle
        self.there: TenantHandle

    async def hold(self) -> None:
        """Let the first slice be done, and the others wait."""
        self.slices += 1
        if self.slices > 1:
            self.under_way.set()
            await self.gate.wait()


@pytest_asyncio.fixture
async def nodes(
    open_store: Callable[[], Awaitable[Store]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        nodes = Nodes([])
        for clock in (elapsed, lambda: elapsed() + nodes.ahead):
            opened = await open_store()
            await schema.initialise(opened)
            service = NodeService(configuration(tmp_path, lease_seconds=10), opened, elapsed=clock)
            await service.start()
            stack.push_async_callback(service.stop)
            nodes.services.append(service)
        await filled(nodes.services[0], VAULT)
        nodes.here, nodes.there = [await service.tenant(VAULT) for service in nodes.services]
        directory = nodes.services[1]._directory
        assert directory is not None
        turns, run = directory._services.turns, Lane.run

        async def turn(_: str) -> None:
            await nodes.hold()

        async def held(lane: Lane, *arguments: Any) -> Any:
            await nodes.hold()
            return await run(lane, *arguments)

        monkeypatch.setattr(turns, "turn", turn)
        monkeypatch.setattr(Lane, "run", held)
        yield nodes
        nodes.gate.set()


async def decryption(nodes: Nodes) -> Message:
    """Return a batch that is cut into slices on the loop."""
    mount = transit_mount(nodes.there)
    made = await nodes.there.ask(m.Encrypt(mount, "orders", (EncryptItem(b"x"),), Grants(), False, "", False))
    return m.Decrypt(mount, "orders", tuple(DecryptItem(made[0][0]) for _ in range(MANY)))


async def signature(nodes: Nodes) -> Message:
    """Return a batch of which each item is signed in a thread."""
    mount = transit_mount(nodes.here)
    nodes.gate.set()
    await nodes.here.ask(m.CreateKey(mount, "signing", KeyOptions("rsa-2048")))
    nodes.gate.clear()
    nodes.slices = 0
    nodes.under_way.clear()
    return m.Sign(mount, "signing", tuple(SignItem(b"x") for _ in range(40)), DEFAULT, 0)


Begin = Callable[[Nodes], Awaitable[Message]]


async def refusal(asked: asyncio.Task[Any]) -> KmsError:
    """Return what the work under way is answered with."""
    await asyncio.wait([asked], timeout=5)
    assert asked.done(), "it goes on"
    error = asked.exception()
    assert isinstance(error, KmsError), "it was answered"
    return error


@pytest.mark.parametrize("begin", [decryption, signature])
async def test_a_seal_elsewhere_ends_what_is_under_way(nodes: Nodes, begin: Begin) -> None:
    """Drawn: the first slice is done, another node seals the vault, this one hears of it, the second has its turn."""
    asked = asyncio.create_task(nodes.there.ask(await begin(nodes)))
    await nodes.under_way.wait()
    await nodes.here.ask(Seal())
    await nodes.services[1].catch_up()
    done = nodes.slices
    nodes.gate.set()
    assert isinstance(await refusal(asked), Sealed)
    assert nodes.slices == done, "it went on"


@pytest.mark.parametrize("begin", [decryption, signature])
async def test_the_end_of_the_lease_ends_what_is_under_way(nodes: Nodes, begin: Begin) -> None:
    """Drawn: the first slice is done, and the machine is suspended for longer than the lease."""
    asked = asyncio.create_task(nodes.there.ask(await begin(nodes)))
    await nodes.under_way.wait()
    await nodes.services[1].feed.stop()  # it would read the log anew at once
    nodes.ahead = 60.0
    nodes.gate.set()
    assert isinstance(await refusal(asked), Unavailable)


@pytest.mark.parametrize("begin", [decryption, signature])
async def test_a_seal_of_the_node_ends_what_is_under_way(nodes: Nodes, begin: Begin) -> None:
    asked = asyncio.create_task(nodes.there.ask(await begin(nodes)))
    await nodes.under_way.wait()
    sealing = asyncio.create_task(nodes.services[1].ask_node(Seal()))
    await asyncio.sleep(0)
    nodes.gate.set()
    assert isinstance(await refusal(asked), Sealed | Unavailable)
    async with asyncio.timeout(5):
        await sealing


async def test_a_secret_that_was_read_does_not_leave_after_a_seal(nodes: Nodes) -> None:
    """Drawn: the secret is read and opened, the seal is heard, and then the answer would leave."""
    directory = nodes.services[1]._directory
    assert directory is not None
    inner = directory._services.store
    read, sealed = asyncio.Event(), asyncio.Event()
    run = inner.run

    async def late(body: Any, **options: Any) -> Any:
        found = await run(body, **options)
        if type(found).__name__ == "SecretVersion":
            read.set()
            await sealed.wait()
        return found

    inner.run = late  # type: ignore[method-assign]
    asked = asyncio.create_task(nodes.there.ask(ReadSecret(1, "app/one")))
    await read.wait()
    await nodes.here.ask(Seal())
    await nodes.services[1].catch_up()
    sealed.set()
    assert isinstance(await refusal(asked), Sealed)
