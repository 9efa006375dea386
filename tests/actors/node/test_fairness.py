"""One vault's long work keeps no other vault waiting.

The kind: two threads served all vaults, first come, first served, so twelve RSA keys of one made every other vault's
keys wait for all of them, even keys that are made of random bytes.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.errors import Overloaded
from kms_actors.mounts import Mount
from kms_actors.runtime.threads import LONG
from kms_actors.transit import messages as m
from kms_actors.transit.policy import KeyOptions
from kms_actors.transit.schemes.rsa import Rsa
from tests.actors.node_service import OTHER, started, unseal_node, unseal_tenant

TYPES = ["aes256-gcm96", "chacha20-poly1305", "hmac", "ed25519", "ecdsa-p521"]


def transit(tenant: TenantHandle) -> Mount:
    return next(mount for mount in tenant.mounts if mount.type == "transit")


def create(tenant: TenantHandle, name: str, type_name: str) -> asyncio.Task[Any]:
    return asyncio.create_task(tenant.ask(m.CreateKey(transit(tenant), name, KeyOptions(type_name))))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let the keys of RSA take until it is set."""
    gate, generate = threading.Event(), Rsa.generate

    def slow(self: Rsa) -> Any:
        gate.wait(20)
        return generate(Rsa(2048, sign_us=0, verify_us=0))

    monkeypatch.setattr(Rsa, "generate", slow)
    return gate


async def test_keys_of_rsa_keep_no_other_keys_waiting(tmp_path: Path, gate: threading.Event) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        one, _ = await unseal_tenant(service)
        other, _ = await unseal_tenant(service, OTHER)
        slow = [create(one, f"rsa-{number}", "rsa-4096") for number in range(12)]
        await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            for tenant in (other, one):  # the vault's own other keys neither
                for type_name in TYPES:
                    await create(tenant, f"other-{type_name}", type_name)
        assert not any(task.done() for task in slow)
        others = create(other, "rsa", "rsa-4096")
        gate.set()
        async with asyncio.timeout(60):
            await others
            await asyncio.gather(*slow)


async def test_who_asks_for_too_many_is_told_to_try_again_and_nobody_else(
    tmp_path: Path, gate: threading.Event
) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        one, _ = await unseal_tenant(service)
        other, _ = await unseal_tenant(service, OTHER)
        tasks = [create(one, f"rsa-{number}", "rsa-2048") for number in range(LONG.waiting + 5)]
        others = create(other, "rsa", "rsa-2048")
        async with asyncio.timeout(10):
            done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        refused = {type(task.exception()) for task in done}
        assert refused == {Overloaded}
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        gate.set()
        async with asyncio.timeout(60):
            await others


async def test_keys_of_callers_who_left_are_not_made(
    tmp_path: Path, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[None] = []
    slow = Rsa.generate

    def counted(self: Rsa) -> Any:
        made.append(None)
        return slow(self)

    monkeypatch.setattr(Rsa, "generate", counted)
    async with started(tmp_path) as service:
        await unseal_node(service)
        one, _ = await unseal_tenant(service)
        tasks = [create(one, f"rsa-{number}", "rsa-2048") for number in range(8)]
        while not made:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.01)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.wait(tasks[1:])
        gate.set()
        async with asyncio.timeout(60):
            await tasks[0]
            await create(one, "last", "rsa-2048")
        assert len(made) == 2
        names = await one.ask(m.ListKeys(transit(one)))
        assert names == ["last", "rsa-0"]
