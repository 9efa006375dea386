"""What a load brings is never kept past a change that was heard of since it began, whatever comes when.

The kind: a cache that is filled from the store by a task, and emptied by messages. A check in the task is too early:
the change may be in the mailbox by then, before the event that fills the cache. All caches of a tenant are one class,
which compares in the turn of that event.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.loading import LoadEnded, LoadingCache
from kms_actors.cache import ByteCache
from kms_actors.errors import AuthenticationFailed, NotFound
from kms_actors.messages import AuthenticateToken, RevokeToken
from kms_actors.store import schema
from kms_actors.store.api import Store
from tests.store.conftest import open_store, place, store
from tests.support.drawn_store import DrawnStore
from tests.support.vaults import configuration, filled

__all__ = ["open_store", "place", "store"]

VAULT = "vault_a"


class Context:
    """The part of a tenant's context that a cache needs; `mailbox` holds its events until their turns."""

    def __init__(self) -> None:
        self.mailbox: deque[Any] = deque()
        self.notify = self.mailbox.append
        self.spawn_apart = asyncio.ensure_future


class Cached:
    """Versions of a few keys in a store, and a cache of them."""

    def __init__(self) -> None:
        self.context = Context()
        self.stored: dict[str, int] = {}
        self.heard: dict[str, int] = {}
        kept: ByteCache[str, int] = ByteCache(1 << 20, lambda *_: 1)
        self.cache = LoadingCache(kept, cast("TenantContext", self.context), LoadEnded)

    def change(self, key: str) -> None:
        """Change a key elsewhere; the actor hears of it in a turn to come."""
        self.stored[key] = self.stored.get(key, 0) + 1
        self.context.mailbox.append((key, self.stored[key]))

    def load(self, key: str, pause: Callable[[], Awaitable[None]]) -> asyncio.Task[Any]:
        async def read() -> int | None:
            await pause()
            found = self.stored.get(key)
            await pause()
            return found

        return self.cache.load(key, read).task

    def turn(self) -> None:
        """Handle one message."""
        message = self.context.mailbox.popleft()
        if isinstance(message, LoadEnded):
            self.cache.loaded(message)
        else:
            key, version = message
            self.cache.changed(key)
            self.heard[key] = version

    def check(self) -> None:
        """See that nothing that is kept is older than what was heard."""
        for key in self.stored:
            assert (self.cache.get(key) or self.heard.get(key, 0)) >= self.heard.get(key, 0), key


@pytest.mark.parametrize("seed", range(40))
async def test_nothing_older_than_what_was_heard_is_kept(seed: int) -> None:
    """Drawn: when loads read and end, when changes are made, and when the mailbox gets its turns."""
    drawn, cached, kept = random.Random(seed), Cached(), 0

    async def pause() -> None:
        for _ in range(drawn.randrange(4)):
            await asyncio.sleep(0)

    tasks: list[asyncio.Task[Any]] = []
    for _ in range(300):
        key = drawn.choice("ab")
        match drawn.randrange(4):
            case 0:
                cached.change(key)
            case 1 if cached.cache.get(key) is None:
                tasks.append(cached.load(key, pause))
            case _ if cached.context.mailbox:
                cached.turn()
        cached.check()
        kept += cached.cache.get(key) is not None
        await pause()
    await asyncio.gather(*tasks)
    while cached.context.mailbox:
        cached.turn()
        cached.check()
    assert kept, "a cache that keeps nothing is right, and useless"


async def test_a_change_in_the_mailbox_before_the_end_of_the_load_wins() -> None:
    """Drawn: the load has read and ended, and the change that was heard meanwhile waits before it in the mailbox."""
    cached = Cached()
    cached.stored["a"] = 1
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    load = cached.load("a", wait)
    await asyncio.sleep(0)
    cached.change("a")
    cached.stored["a"] = 1  # what the load reads, or read: from before the change
    gate.set()
    await load
    change, end = cached.context.mailbox
    assert isinstance(end, LoadEnded)
    assert change == ("a", 2)
    cached.turn()
    cached.turn()
    assert cached.cache.get("a") is None


async def test_those_who_wait_share_a_load_and_its_error() -> None:
    cached, reads = Cached(), 0

    async def read() -> int | None:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        raise NotFound

    load = cached.cache.load("a", read)
    assert cached.cache.load("a", read) is load
    given_up = asyncio.ensure_future(cached.cache.wait(load))
    await asyncio.sleep(0)
    given_up.cancel()
    for outcome in await asyncio.gather(*(cached.cache.wait(load) for _ in range(3)), return_exceptions=True):
        assert isinstance(outcome, NotFound)
    cached.turn()
    assert reads == 1
    assert cached.cache.load("a", read) is not load


@pytest_asyncio.fixture(params=range(8))
async def nodes(
    request: pytest.FixtureRequest, open_store: Callable[[], Awaitable[Store]], tmp_path: Path
) -> AsyncIterator[list[NodeService]]:
    settings = configuration(tmp_path, lease_seconds=10)
    async with AsyncExitStack() as stack:
        services = []
        for number in range(2):
            opened = await open_store()
            await schema.initialise(opened)
            services.append(NodeService(settings, DrawnStore(opened, seed=2 * request.param + number)))
            await services[-1].start()
            stack.push_async_callback(services[-1].stop)
        yield services


async def test_a_token_that_is_loaded_while_its_revocation_arrives_is_not_served_after_it(
    nodes: list[NodeService],
) -> None:
    """Drawn: node 2 loads the token over and over while node 1 revokes it, and hears of that at some moment."""
    vault = await filled(nodes[0], VAULT)
    here, there = [await node.tenant(VAULT) for node in nodes]
    principal = await here.ask(AuthenticateToken(vault.root_token))
    revoked = False

    async def use() -> None:
        for _ in range(60):
            try:
                await there.ask(AuthenticateToken(vault.root_token))
            except AuthenticationFailed:
                assert revoked
                return
            await asyncio.sleep(0)

    using = [asyncio.create_task(use()) for _ in range(4)]
    await asyncio.sleep(0.002)
    revoked = True
    await here.ask(RevokeToken(principal, vault.root_token))
    await nodes[1].catch_up()
    for _ in range(3):
        with pytest.raises(AuthenticationFailed):
            await there.ask(AuthenticateToken(vault.root_token))
        await asyncio.sleep(0.01)
    await asyncio.gather(*using)
