"""Writers of one secret that share a transaction: none suffers for another, and all are answered.

The kind: a bound that counts what callers send, not what is written for them. Each command writes the secret's head
anew, with all its versions, so sixty small ones may be too much for a transaction in which each alone is not. What is
written is counted where it is written, and what cannot share a transaction goes alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kms_actors import request_context
from kms_actors.clock import elapsed
from kms_actors.errors import DeadlinePassed, Sealed, TransactionTooLarge
from kms_actors.kv import messages as kv
from kms_actors.kv.settings import Settings
from kms_actors.messages import Seal, Unseal
from kms_actors.request_context import RequestContext
from kms_actors.store import writes
from tests.actors.kv_tenant import MOUNT, Tenant, opened
from tests.actors.node_service import VAULT, started, unseal_node, unseal_tenant

VERSIONS = 60


async def grown(tenant: Tenant, versions: int = 1500) -> None:
    """Give a secret so many versions that its head has some 100 kB."""
    await tenant.ask(kv.WriteConfig(MOUNT, Settings(max_versions=10_000)))
    for _ in range(versions):
        await tenant.put("s")


async def test_small_writes_of_a_secret_with_a_large_head_all_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn: sixty commands wait for one secret; together their heads are larger than a transaction may be."""
    async with opened(tmp_path) as tenant:
        await grown(tenant, 300)
        head = len((await tenant.stored())[tenant.keys.key("kv", MOUNT, "meta", "s")])
        monkeypatch.setattr(writes, "TRANSACTION_BYTES", 20 * head)
        made = await asyncio.gather(*(tenant.put("s") for _ in range(VERSIONS)))
        assert sorted(version.number for version in made) == list(range(301, 301 + VERSIONS))


async def test_one_that_is_too_large_is_refused_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as tenant:
        await tenant.put("s")
        monkeypatch.setattr(writes, "TRANSACTION_BYTES", 20_000)
        large = b'{"a":"%s"}' % (b"x" * 30_000)
        data = [large if number == 7 else b'{"n":%d}' % number for number in range(20)]
        outcomes = await asyncio.gather(*(tenant.put("s", each) for each in data), return_exceptions=True)
        assert isinstance(outcomes[7], TransactionTooLarge)
        good = [outcome for outcome in outcomes if isinstance(outcome, kv.SecretVersion)]
        assert sorted(version.number for version in good) == list(range(2, 21))


async def test_two_that_fit_alone_and_not_together_both_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as tenant:
        await tenant.put("s")
        monkeypatch.setattr(writes, "TRANSACTION_BYTES", 100_000)
        large = b'{"a":"%s"}' % (b"x" * 60_000)
        made = await asyncio.gather(*(tenant.put("s", large) for _ in range(4)))
        assert sorted(version.number for version in made) == [2, 3, 4, 5]


async def test_one_that_waits_past_its_end_is_refused_and_the_others_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as tenant:

        async def put(seconds: float) -> kv.SecretVersion:
            request_context.enter(RequestContext(elapsed() + seconds))
            return await tenant.put("s")

        first = asyncio.ensure_future(put(60))
        await asyncio.sleep(0)
        late, later = (asyncio.ensure_future(put(seconds)) for seconds in (-1, 60))
        assert (await first).number == 1
        with pytest.raises(DeadlinePassed):
            await late
        assert (await later).number == 2


async def test_those_who_wait_when_the_vault_is_sealed_are_answered(tmp_path: Path) -> None:
    """Drawn: a seal drops the controller with its queue, of which the first command is in the store."""
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        writing = [asyncio.create_task(tenant.ask(kv.WriteSecret(1, "s", b"{}"))) for _ in range(40)]
        sealing = asyncio.create_task(tenant.ask(Seal()))
        done, pending = await asyncio.wait([*writing, sealing], timeout=5)
        assert not pending
        assert all(task.exception() is None or isinstance(task.exception(), Sealed) for task in done)
        for share in made.shares[:3]:
            await (await service.tenant(VAULT)).ask(Unseal(share))
        found = await (await service.tenant(VAULT)).ask(kv.ReadMetadata(1, "s"))
        assert found.current_version == sum(task.exception() is None for task in writing)
