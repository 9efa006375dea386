"""Service tokens and revocation."""

import asyncio
from pathlib import Path

import pytest

from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken, tenant_of
from kms_actors.errors import AuthenticationFailed, InvalidRequest, Sealed
from kms_actors.messages import (
    AuthenticateToken,
    RenewToken,
    RevokeToken,
    Seal,
)
from tests.actors.node_service import OTHER, VAULT, started, unseal_node, unseal_tenant


class Biscuit(ServicePrincipal):
    """Stands for a biscuit of two blocks."""

    revocation_ids = ("aa", "bb")  # type: ignore[misc]


async def test_the_root_token_works_for_its_tenant(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)

        principal = await tenant.ask(AuthenticateToken(made.root_token))

        assert (principal.resource, principal.right, principal.policies) == (VAULT, Right.ROOT, ("root",))
        number = tenant_of(made.root_token)
        assert number is not None
        found = await service.tenant_by_number(number)
        assert found is not None
        assert found.vault_id == VAULT


async def test_a_token_of_another_tenant_is_unknown(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        _, made = await unseal_tenant(service)
        other, _ = await unseal_tenant(service, OTHER)
        with pytest.raises(AuthenticationFailed):
            await other.ask(AuthenticateToken(made.root_token))


async def test_a_number_of_no_tenant_is_none(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        assert await service.tenant_by_number(12345) is None


async def test_a_number_is_looked_up_in_a_task(tmp_path: Path) -> None:
    """The edge begins requests outside of one, where nothing that limits its time by `asyncio.timeout` can run."""
    async with started(tmp_path) as service:
        await unseal_node(service)
        lookup = service.tenant_by_number(12345)
        began = lookup.send(None)
        assert isinstance(began, asyncio.Task)
        await asyncio.wait([began])
        assert began.result() is None
        with pytest.raises(StopIteration):
            lookup.send(None)


async def test_a_revoked_service_token_is_unknown_also_after_waking(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        shares = await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        principal = await tenant.ask(AuthenticateToken(made.root_token))
        await tenant.ask(RevokeToken(principal, made.root_token))
        with pytest.raises(AuthenticationFailed):
            await tenant.ask(AuthenticateToken(made.root_token))
    async with started(tmp_path) as service:
        await unseal_node(service, shares)
        with pytest.raises(AuthenticationFailed):
            await (await service.tenant(VAULT)).ask(AuthenticateToken(made.root_token))


async def test_revoking_a_biscuit_revokes_what_was_narrowed_from_it_only(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        shares = await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(RevokeToken(Biscuit(ServiceToken.root(0.0), VAULT), "token"))
        assert tenant.revoked(("aa", "bb"))
        assert tenant.revoked(("aa", "bb", "cc"))
        assert not tenant.revoked(("aa",))
    async with started(tmp_path) as service:
        await unseal_node(service, shares)
        assert (await service.tenant(VAULT)).revoked(("aa", "bb"))


async def test_a_token_without_end_is_not_renewable(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        principal = await tenant.ask(AuthenticateToken(made.root_token))
        with pytest.raises(InvalidRequest):
            await tenant.ask(RenewToken(principal))


async def test_a_sealed_tenant_knows_no_token(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        await tenant.ask(Seal())
        with pytest.raises(Sealed):
            await tenant.ask(AuthenticateToken(made.root_token))
