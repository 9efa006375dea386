"""Logins that are remembered, on two nodes with one store: what ends them on one ends them on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.errors import InvalidRequest, KmsError, NoMount, Sealed, Unavailable
from kms_actors.login.approle_messages import (
    DestroySecretId,
    LoginRole,
    MadeSecretId,
    NewSecretId,
    ReadRole,
    WriteRole,
)
from kms_actors.login.messages import LoggedIn
from kms_actors.messages import DisableMount, EnableMount, Seal, TuneMount
from kms_actors.store.sqlite.engine import SqliteStore
from tests.actors.node.test_two_nodes import CutOff, pair, soon
from tests.actors.node_service import VAULT, configuration, unseal_node, unseal_tenant
from tests.support.transactions import counted_changes

ROLE = {"token_type": "batch", "token_ttl": 60}


async def role(tenant: TenantHandle) -> tuple[int, str]:
    """Mount the method with a role of batch tokens; return the mount's number and the role id."""
    await tenant.ask(EnableMount("auth/approle/", "approle", "", {}))
    mount = tenant.mounts.get("auth/approle/")
    assert mount is not None
    await tenant.ask(WriteRole(mount.number, "app", ROLE))
    return mount.number, (await tenant.ask(ReadRole(mount.number, "app"))).role_id


async def made(tenant: TenantHandle, mount: int) -> str:
    found: MadeSecretId = await tenant.ask(NewSecretId(mount, "app", {}))
    return found.secret_id


async def log_in(tenant: TenantHandle, mount: int, role_id: str, secret_id: str) -> LoggedIn:
    done: LoggedIn = await tenant.ask(LoginRole(mount, "auth/approle/login", "::1", role_id, secret_id))
    return done


async def known(tenant: TenantHandle, login: Callable[[], Awaitable[LoggedIn]], changes: list[int]) -> None:
    """Log in until that is remembered."""

    async def remembered() -> bool:
        changes.clear()
        await login()
        return not changes

    await soon(remembered)


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each transaction that may change something."""
    return counted_changes(monkeypatch)


ENDS: dict[str, Callable[[TenantHandle, int, str], Awaitable[Any]]] = {
    "destroyed": lambda tenant, mount, secret_id: tenant.ask(DestroySecretId(mount, "app", secret_id=secret_id)),
    "unmounted": lambda tenant, _, __: tenant.ask(DisableMount("auth/approle/")),
    "sealed": lambda tenant, _, __: tenant.ask(Seal()),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_it_ends_at_once_here_and_soon_there(
    tmp_path: Path, changes: list[int], end: Callable[[TenantHandle, int, str], Awaitable[Any]]
) -> None:
    async with pair(tmp_path) as (first, second, _):
        here, there = await first.tenant(VAULT), await second.tenant(VAULT)
        mount, role_id = await role(here)
        secret_id = await made(here, mount)

        async def mounted() -> bool:
            return there.mounts.get("auth/approle/") is not None

        await soon(mounted)
        for tenant in (here, there):
            await known(tenant, lambda tenant=tenant: log_in(tenant, mount, role_id, secret_id), changes)  # type: ignore[misc]
        await end(here, mount, secret_id)
        with pytest.raises((InvalidRequest, NoMount, Sealed)):
            await log_in(here, mount, role_id, secret_id)

        async def over() -> bool:
            try:
                await log_in(there, mount, role_id, secret_id)
            except (InvalidRequest, NoMount, Sealed):
                return True
            return False

        await soon(over)


async def test_a_mount_that_is_tuned_gives_what_it_says_now(tmp_path: Path, changes: list[int]) -> None:
    async with pair(tmp_path) as (first, _, __):
        tenant = await first.tenant(VAULT)
        mount, role_id = await role(tenant)
        await tenant.ask(WriteRole(mount, "app", {"token_ttl": 0}))
        secret_id = await made(tenant, mount)

        async def login() -> LoggedIn:
            return await log_in(tenant, mount, role_id, secret_id)

        await known(tenant, login, changes)
        await tenant.ask(TuneMount("auth/approle/", None, None, {"default_lease_ttl": 77}))
        assert (await login()).issued.spec.ttl == 77
        await known(tenant, login, changes)
        await tenant.ask(TuneMount("auth/approle/", None, None, {"token_type": "service"}))
        assert not (await login()).issued.spec.batch


async def test_a_node_that_is_cut_off_lets_in_nobody_once_its_lease_is_over(
    tmp_path: Path, changes: list[int]
) -> None:
    store = CutOff(await SqliteStore.open(tmp_path / "kms.sqlite"))
    service = NodeService(configuration(lease_seconds=0.3), store)
    await service.start()
    await unseal_node(service)
    tenant, _ = await unseal_tenant(service)
    mount, role_id = await role(tenant)
    secret_id = await made(tenant, mount)
    await known(tenant, lambda: log_in(tenant, mount, role_id, secret_id), changes)
    store.cut = True

    async def refused() -> bool:
        try:
            await log_in(tenant, mount, role_id, secret_id)
        except Unavailable:
            return True
        return False

    await soon(refused)
    store.cut = False
    await service.stop()
    await store.close()


async def test_of_logins_raced_with_the_end_of_their_secret_id_none_is_late(tmp_path: Path) -> None:
    """Who comes after the answer to the destruction is refused where that was given, whatever is remembered."""
    async with pair(tmp_path) as (first, second, _):
        here, there = await first.tenant(VAULT), await second.tenant(VAULT)
        mount, role_id = await role(here)
        over = False
        late: list[str] = []

        async def logins(tenant: TenantHandle, secret_id: str) -> None:
            for _ in range(200):
                after = over
                try:
                    await log_in(tenant, mount, role_id, secret_id)
                except KmsError:
                    if over:
                        return
                else:
                    if after and tenant is here:
                        late.append(secret_id)
                await asyncio.sleep(0)

        for _ in range(10):
            over, secret_id = False, await made(here, mount)
            racing = [asyncio.ensure_future(logins(tenant, secret_id)) for tenant in (here, there, here)]
            await asyncio.sleep(0.01)
            await here.ask(DestroySecretId(mount, "app", secret_id=secret_id))
            over = True
            await asyncio.gather(*racing)
            with pytest.raises(KmsError):
                await log_in(here, mount, role_id, secret_id)
        assert late == []
