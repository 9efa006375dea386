"""Tokens as a node leaves them are clean; what does not fit together is found, and tidying removes it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.token.sweeping import EndTokens
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServicePrincipal
from kms_actors.check.findings import Kind
from kms_actors.check.keys import Master
from kms_actors.check.walk import check
from kms_actors.messages import AuthenticateToken
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.token.making import Maker, Wanted
from kms_actors.token.messages import CreateToken, EndToken, LookUpToken, TidyTokens, WriteRole
from kms_actors.token.spec import Issued
from tests.store.access import clear, get_all, put
from tests.support.backups import backup, restore
from tests.support.vaults import Vault, filled, master_of, node, opened

KEYS = TenantKeys(1)
ROOT = Maker(right=Right.ROOT, policies=("root",), sudo=True, chooses=True)


async def make(tenant: TenantHandle, maker: Maker = ROOT, **wanted: Any) -> Issued:
    given: dict[str, Any] = {"policies": ("app",), "ttl": 3600}
    issued: Issued = await tenant.ask(CreateToken(wanted=Wanted(**(given | wanted)), maker=maker))
    return issued


def maker_of(token: Issued) -> Maker:
    """Return who bears a token, and may do all with it."""
    spec = token.spec
    return Maker(
        right=Right.POLICY,
        policies=spec.policies,
        sudo=True,
        accessor=token.accessor,
        line=spec.line,
        mount=spec.mount,
    )


class World(NamedTuple):
    """A vault with a tree of tokens, some of which were revoked alone, with a role, and with one of counted uses."""

    store: Store
    master: Master
    vault: Vault
    parent: Issued
    child: Issued
    counted: Issued

    async def findings(self, *, with_keys: bool = True) -> set[tuple[Kind, tuple[Any, ...]]]:
        report = await check(self.store, self.master if with_keys else None, lambda *_: None)
        return {(finding.kind, KEYS.parts(finding.key)) for finding in report.findings}

    async def key(self, area: str) -> bytes:
        """Return where the first record of an area lies."""
        begin = KEYS.key(area)
        return next(key for key, _ in await get_all(self.store) if key.startswith(begin) and len(key) > len(begin))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as store:
        async with node(store, tmp_path) as service:
            vault = await filled(service, "vault_a")
            tenant = await service.tenant("vault_a")
            parent = await make(tenant)
            child = await make(tenant, maker_of(parent))
            left = await make(tenant)
            await make(tenant, maker_of(left))
            await tenant.ask(EndToken(left.token, leave=True))
            counted = await make(tenant, num_uses=3)
            await make(tenant, type="batch")
            await make(tenant, id="a-text-of-ones-own-0123456789")
            await tenant.ask(WriteRole("role", {}))
        master = await master_of(store, tmp_path)
        yield World(store, master, vault, parent, child, counted)


@pytest.mark.parametrize("with_keys", [False, True])
async def test_what_a_node_leaves_is_clean(world: World, with_keys: bool) -> None:
    assert await world.findings(with_keys=with_keys) == set()


@pytest.mark.parametrize(
    "area", ["token-end", "lease", "token-child", "token-uses", "accessor", "token", "token-digest"]
)
async def test_what_is_missing_is_found_and_what_is_left_of_it_is_tidied(
    world: World, tmp_path: Path, area: str
) -> None:
    # Without its own accessor a token comes back; without that of its parent it is dead, and stays so.
    gone = KEYS.key(area, world.child.accessor) if area == "accessor" else await world.key(area)
    await clear(world.store, gone)
    found = await world.findings()
    assert any(kind in {Kind.MISSING, Kind.ORPHAN} for kind, _ in found)
    if area in {"accessor", "token"}:
        async with node(world.store, tmp_path) as service:
            tenant = await service.tenant("vault_a")
            assert await tenant.ask(TidyTokens())
            await _until_tidied(tenant)
            if area == "accessor":  # what was removed is back when it is used
                for token in (world.vault.root_token, world.parent.token, world.child.token, world.counted.token):
                    await tenant.ask(AuthenticateToken(token, use=False))
        assert await world.findings() == set()


async def _until_tidied(tenant: TenantHandle) -> None:
    for _ in range(500):
        if await tenant.ask(TidyTokens()):
            break
        await asyncio.sleep(0.01)
    for _ in range(500):
        await tenant.ask(EndTokens())
        if await tenant.ask(TidyTokens()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("tidying takes for ever")


async def test_what_belongs_to_no_token_is_found(world: World) -> None:
    planted = [
        KEYS.key("token-child", world.parent.accessor, "x" * 24),
        KEYS.key("token-child", "x" * 24, world.child.accessor),
        KEYS.key("token-end", 9_999_999_999, "x" * 24),
        KEYS.key("token-left", "y" * 24),
        KEYS.key("lease", f"auth/token/create/h{'00' * 32}"),
    ]
    await put(world.store, *((key, b"") for key in planted))
    assert await world.findings() == {(Kind.ORPHAN, KEYS.parts(key)) for key in planted}
    await put(world.store, (KEYS.key("lease", "auth/token/create"), b""))
    assert (Kind.FORMAT, ("lease", "auth/token/create")) in await world.findings()


async def test_a_backup_brings_tokens_back_and_what_was_read_of_revoked_ones_is_tidied(
    world: World, tmp_path: Path
) -> None:
    raw = await backup(world.store, "vault_a")
    # As if the token had been revoked between two pages: of its records, some were read.
    record = await world.key("token")
    await clear(world.store, record)
    torn = await backup(world.store, "vault_a")
    for number, taken in enumerate((raw, torn)):
        directory = tmp_path / f"restored-{number}"
        directory.mkdir()
        shutil.copy(tmp_path / "master.key", directory / "master.key")
        async with opened(directory) as store:
            async with node(store, directory) as service:
                await restore(store, taken)
                tenant = await world.vault.unsealed(service)
                if taken is raw:
                    bearer: ServicePrincipal = await tenant.ask(AuthenticateToken(world.child.token))
                    assert bearer.record.line == (world.parent.accessor,)
                    assert await tenant.ask(LookUpToken(world.counted.token)) is not None
                assert await tenant.ask(TidyTokens())
                await _until_tidied(tenant)
            report = await check(store, None, lambda *_: None)
            assert [finding.place for finding in report.findings] == []
