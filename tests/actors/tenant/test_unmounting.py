"""What an unmounted mount has left: gone at once for everybody, removed over a while, by whoever is there.

`KMS_FAULT_RECORDS` says how many records the mounts have.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from kms_actors.actors.cluster.schedule import UNMOUNTING
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.node.tenant_actor import TenantActor
from kms_actors.actors.tenant import unmounting
from kms_actors.actors.tenant.unmounting import CLAIM, EndMounts, Unmounting
from kms_actors.check.orphans import find_orphans
from kms_actors.check.walk import check
from kms_actors.errors import AuthenticationFailed, NoMount, NotFound
from kms_actors.keyring.record import header
from kms_actors.kv.messages import ListSecrets, ReadSecret, WriteSecret
from kms_actors.login.userpass import LoginUser, WriteUser
from kms_actors.messages import AuthenticateToken, DisableMount, EnableMount, Seal
from kms_actors.store.api import Priority, Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit import messages as transit
from kms_actors.transit.policy import KeyOptions
from tests.store.access import get_all, put
from tests.store.conftest import open_store, place, store
from tests.support.vaults import Vault, filled, node

__all__ = ["open_store", "place", "store"]

RECORDS: Final = int(os.environ.get("KMS_FAULT_RECORDS", "3000"))
KEYS: Final = TenantKeys(1)
#: Nanoseconds after which nobody holds any claim, on the mount or on the sweep.
LATER: Final = CLAIM + 120 * 10**9
#: Transactions of a node that lives shortly.
STEPS: Final = 40
#: Records that are written in one transaction.
TOGETHER: Final = 2000


#: What a sealed record looks like from outside.
_SEALED: Final = header(1) + bytes(100)


class Clock:
    """The time, set forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead


class World:
    """Nodes on one store, each of which can be left for good."""

    def __init__(self, open_store: Callable[[], Awaitable[Store]], bare: Store, directory: Path) -> None:
        self._open_store = open_store
        self._directory = directory
        self.bare = bare
        self.clock = Clock()
        self.vault = Vault("vault_a", (), "")

    async def start(self, stack: AsyncExitStack) -> NodeService:
        return await stack.enter_async_context(node(await self._open_store(), self._directory, self.clock))

    async def fill(self, number: int, area: str = "kv", name: str = "data") -> None:
        """Write records below a mount as secrets have them; nobody will open them."""
        for start in range(0, RECORDS, TOGETHER):
            some = range(start, min(start + TOGETHER, RECORDS))
            await put(self.bare, *((KEYS.key(area, number, name, f"s{each:09}", 1), _SEALED) for each in some))

    async def below(self, *parts: Any) -> list[bytes]:
        begin, end = KEYS.span(*parts)
        return await self.bare.run(lambda tr: tr.get_keys(begin, end, limit=10 * RECORDS))

    async def leaving(self) -> list[bytes]:
        return await self.below(UNMOUNTING)

    async def assert_clean(self) -> None:
        report = await check(self.bare, None, lambda *_: None)
        assert list(report.findings) == []
        assert [orphans async for orphans in find_orphans(self.bare)] == []


@pytest_asyncio.fixture
async def world(open_store: Callable[[], Awaitable[Store]], store: Store, tmp_path: Path) -> AsyncIterator[World]:
    yield World(open_store, store, tmp_path)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a mount take many transactions."""
    monkeypatch.setattr(unmounting, "MOST", 20)


async def sweep(service: NodeService) -> None:
    assert service._sweep is not None
    await service._sweep.sweep()


async def mounted(tenant: TenantHandle, path: str, kind: str = "kv-v2") -> int:
    await tenant.ask(EnableMount(path, kind, "", {}))
    mount = tenant.mounts.get(path)
    assert mount is not None
    return mount.number


async def until(holds: Callable[[], Awaitable[bool]], patience: float = 60.0) -> None:
    deadline = time.monotonic() + max(patience, RECORDS / 1000)
    while not await holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def removed(world: World) -> bool:
    return not await world.leaving()


async def idle(service: NodeService) -> bool:
    return not service.unmounts.mounts


async def test_a_large_mount_is_gone_at_once_and_its_records_go_by_and_by(world: World) -> None:
    async with AsyncExitStack() as stack:
        service = await world.start(stack)
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        number = await mounted(tenant, "big/")
        await tenant.ask(WriteSecret(number, "known", b'{"a":1}'))
        await world.fill(number)
        with capture_logs() as logs:
            began = time.perf_counter()
            await tenant.ask(DisableMount("big/"))
            answered = time.perf_counter() - began
            assert tenant.mounts.get("big/") is None
            assert await world.leaving(), "there is more than one page"
            await world.assert_clean()
            await until(lambda: idle(service))
        print(f"unmounting of {RECORDS} records: answered in {answered:.3f} s, {time.perf_counter() - began:.1f} s")
        assert await world.below("kv", number) == []
        assert service.unmounts.records >= RECORDS
        assert service.unmounts.mounts == 0
        (line,) = [each for each in logs if each["event"] == "mount removed"]
        assert (line["vault"], line["mount"]) == ("vault_a", "big/")
        assert line["removed"] == service.unmounts.records
        await world.assert_clean()


async def test_a_new_mount_at_the_path_sees_nothing_of_the_old(world: World, small_pages: None) -> None:
    async with AsyncExitStack() as stack:
        service = await world.start(stack)
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        old = await mounted(tenant, "big/")
        await tenant.ask(WriteSecret(old, "known", b'{"a":1}'))
        await world.fill(old)
        await tenant.ask(DisableMount("big/"))
        new = await mounted(tenant, "big/")
        assert await world.leaving()
        with pytest.raises(NotFound):
            await tenant.ask(ReadSecret(new, "known"))
        with pytest.raises(NotFound):
            await tenant.ask(ListSecrets(new, ""))
        with pytest.raises(NoMount):
            await tenant.ask(WriteSecret(old, "late", b"{}"))
        await tenant.ask(WriteSecret(new, "known", b'{"b":2}'))
        await until(lambda: removed(world))
        assert (await tenant.ask(ReadSecret(new, "known"))).data == b'{"b":2}'
        await world.assert_clean()


@pytest.fixture
def short_lives(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, int]:
    """Have each worker do a few steps, and then stand still until its node ends; return how many each has done."""
    steps: dict[str, int] = {}
    whole = unmounting.Unmounter._step

    async def step(self: unmounting.Unmounter, number: int, size: int, priority: Priority) -> unmounting.Step:
        if steps.get(self._worker, 0) == STEPS:
            await asyncio.Event().wait()
        steps[self._worker] = steps.get(self._worker, 0) + 1
        return await whole(self, number, size, priority)

    monkeypatch.setattr(unmounting.Unmounter, "_step", step)
    monkeypatch.setattr(TenantActor, "stop_timeout", 0.1)  # nobody waits for those that stand still
    return steps


async def stands_still(steps: Mapping[str, int], workers: int, world: World | None = None) -> bool:
    if world is not None and not await world.leaving():
        return True
    return len(steps) == workers and min(steps.values()) == STEPS


async def test_another_node_goes_on_where_one_was_killed(
    world: World, small_pages: None, short_lives: Mapping[str, int]
) -> None:
    """What a node has removed is removed, and no more is done twice than the last page."""
    async with AsyncExitStack() as stack:
        first = await world.start(stack)
        vault = await filled(first, "vault_a")
        tenant = await first.tenant("vault_a")
        number = await mounted(tenant, "big/")
        await world.fill(number)
        await tenant.ask(DisableMount("big/"))
        await until(lambda: stands_still(short_lives, 1))
    counts = [len(await world.below("kv", number))]
    while await world.leaving():
        world.clock.ahead += LATER
        async with AsyncExitStack() as stack:
            service = await world.start(stack)
            await vault.unsealed(service)
            await sweep(service)
            await until(lambda: stands_still(short_lives, 1 + len(counts), world))
        counts.append(len(await world.below("kv", number)))
        await world.assert_clean()
    assert counts == sorted(counts, reverse=True)
    assert len(counts) == len(short_lives) > 2
    assert counts[-1] == 0


async def test_one_node_removes_and_others_leave_it_alone(
    world: World, small_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        first, second = await world.start(stack), await world.start(stack)
        vault = await filled(first, "vault_a")
        tenant, other = await first.tenant("vault_a"), await vault.unsealed(second)
        number = await mounted(tenant, "big/")
        await world.fill(number)
        monkeypatch.setattr(unmounting.Unmounter, "_go_on", lambda *_: None)  # it was killed behind its first page
        await tenant.ask(DisableMount("big/"))
        left = len(await world.below("kv", number))
        assert await other.ask(EndMounts()) == 0
        world.clock.ahead += LATER
        assert await other.ask(EndMounts()) == 1
        monkeypatch.undo()
        assert await other.ask(EndMounts()) == 1
        await until(lambda: idle(second))
        assert second.unmounts.records == left


async def test_a_seal_ends_it_and_an_unsealing_has_it_go_on(world: World, small_pages: None) -> None:
    async with AsyncExitStack() as stack:
        service = await world.start(stack)
        vault = await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        number = await mounted(tenant, "big/")
        await world.fill(number)
        await tenant.ask(DisableMount("big/"))
        await tenant.ask(Seal())
        await sweep(service)
        left = len(await world.below("kv", number))
        assert left
        await vault.unsealed(service)
        world.clock.ahead += LATER
        await sweep(service)
        await until(lambda: removed(world))
        await world.assert_clean()


async def test_keys_that_rotate_by_themselves_go_too_and_nobody_rotates_them(world: World, small_pages: None) -> None:
    async with AsyncExitStack() as stack:
        service = await world.start(stack)
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        number = await mounted(tenant, "keys/", "transit")
        mount = tenant.mounts.numbered(number)
        assert mount is not None
        for name in range(60):
            options = KeyOptions(auto_rotate_period=3600 * 10**9)
            await tenant.ask(transit.CreateKey(mount, f"k{name}", options))
        assert len(await world.below("due", number)) == 60
        world.clock.ahead += 2 * 3600 * 10**9
        with capture_logs() as logs:
            await tenant.ask(DisableMount("keys/"))
            await sweep(service)
            await until(lambda: removed(world))
            await sweep(service)
        assert not [line for line in logs if line["log_level"] != "info"]
        assert await world.below("due", number) == await world.below("transit", number) == []
        await world.assert_clean()


async def test_people_and_their_tokens_go_with_a_mount_of_logins(world: World, small_pages: None) -> None:
    async with AsyncExitStack() as stack:
        service = await world.start(stack)
        await filled(service, "vault_a")
        tenant = await service.tenant("vault_a")
        number = await mounted(tenant, "auth/in/", "userpass")
        await tenant.ask(WriteUser(number, "bob", {}, "x"))
        tokens = [
            (await tenant.ask(LoginUser(number, "auth/in/login/bob", "127.0.0.1", "bob", "x"))).issued
            for _ in range(12)
        ]
        await world.fill(number, "userpass", "user")
        await tenant.ask(DisableMount("auth/in/"))
        assert await world.leaving()
        for issued in tokens:
            with pytest.raises(AuthenticationFailed):
                await tenant.ask(AuthenticateToken(issued.token, False))
        await until(lambda: removed(world))
        for _ in range(3):
            await sweep(service)
        kept = {KEYS.parts(key)[0] for key, _ in await get_all(world.bare) if key.startswith(KEYS.prefix)}
        assert not kept & {"userpass", "lease", "lease-revoking", "token-end"}
        assert len(await world.below("token")) == 1, "root's"


def test_a_claim_that_lasts_longer_than_any_is_nobodys() -> None:
    held = Unmounting("x/", "kv", 0.0, worker="one", until=CLAIM)
    assert held.left_to("one", 0)
    assert not held.left_to("two", 0)
    assert held.left_to("two", CLAIM)
    assert held.left_to("two", -1), "a clock that was set back"
