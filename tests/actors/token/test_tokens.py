"""Service tokens and revocation."""

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken, TokenProof, proof_digest, tenant_of
from kms_actors.errors import AuthenticationFailed, InvalidRequest, Sealed
from kms_actors.messages import (
    AuthenticateToken,
    RevokeToken,
    Seal,
    Unseal,
)
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.token.messages import RenewToken
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
        found = await by_token(service, made.root_token)
        assert found is not None
        assert found[0].vault_id == VAULT
        assert found[1] is not None
        assert found[1].right is Right.ROOT


async def test_a_token_of_another_tenant_is_unknown(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        _, made = await unseal_tenant(service)
        other, _ = await unseal_tenant(service, OTHER)
        with pytest.raises(AuthenticationFailed):
            await other.ask(AuthenticateToken(made.root_token))


async def by_token(service: NodeService, token: str) -> tuple[TenantHandle, TokenProof | None] | None:
    number = tenant_of(token)
    assert number is not None
    return await service.tenant_by_token(number, proof_digest(token))


class Counting:
    """A store that counts transactions and the keys they read."""

    def __init__(self, store: Store) -> None:
        self._inner = store
        self.reads: list[int] = []
        self.watch, self.close = store.watch, store.close

    async def run(self, body: Any, *, idempotency_key: bytes | None = None, **how: Any) -> Any:
        async def counted(tr: Any) -> Any:
            spy = Spy(tr)
            try:
                return await body(spy)
            finally:
                self.reads.append(spy.reads)

        return await self._inner.run(counted, idempotency_key=idempotency_key, **how)


class Spy:
    def __init__(self, tr: Any) -> None:
        self._tr = tr
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        self.reads += name in {"get", "get_range"}
        return getattr(self._tr, name)


class TestMadeUpTokens:
    """One refusal, and one work, for all tokens that prove nothing: whatever vault they name, sealed, asleep or none.

    That is so by construction: what tells a good token lies in one place for all vaults, which is read before any
    of them is looked at (`proofs`).
    """

    async def test_tell_nothing_of_the_vault_they_name(self, tmp_path: Path) -> None:
        async with started(tmp_path) as service:
            await unseal_node(service)
            open_tenant, made = await unseal_tenant(service)
            sealed, other = await unseal_tenant(service, OTHER)
            await sealed.ask(Seal())
            for token in (made.root_token, other.root_token):
                assert await by_token(service, token) is not None
            assert not open_tenant.sealed
            store = Counting(service._store)
            assert service._directory is not None
            service._directory._services = dataclasses.replace(service._directory._services, store=store)
            for token in (made.root_token, other.root_token, "hvs.00zzzz" + "a" * 18):
                assert await by_token(service, token[:-18] + "b" * 18) is None
            assert len(store.reads) == 3
            assert len(set(store.reads)) == 1

    async def test_wake_no_vault(self, tmp_path: Path) -> None:
        async with started(tmp_path) as service:
            shares = await unseal_node(service)
            _, made = await unseal_tenant(service)
        async with started(tmp_path) as service:
            await unseal_node(service, shares)
            assert await by_token(service, made.root_token[:-18] + "b" * 18) is None
            assert service.active_tenants == 0


async def test_a_sealed_tenants_root_token_is_known_until_it_is_revoked(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        principal = await tenant.ask(AuthenticateToken(made.root_token))
        await tenant.ask(Seal())
        found = await by_token(service, made.root_token)
        assert found is not None
        assert found[0].sealed
        assert found[1] is not None
        bearer = found[1].principal(VAULT)
        assert (bearer.right, bearer.policies, bearer.issued_at) == (Right.ROOT, ("root",), principal.issued_at)
        for share in made.shares[:3]:
            await tenant.ask(Unseal(share))
        await tenant.ask(RevokeToken(principal, made.root_token))
        await tenant.ask(Seal())
        assert await by_token(service, made.root_token) is None


async def test_a_token_of_an_older_program_gets_its_proof_when_it_is_used(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        keys = TenantKeys(tenant_of(made.root_token) or 0)

        async def forget(tr: Transaction) -> None:
            tr.clear_range(keys.key("token-digest"), after(keys.key("token-digest")))

        await service._store.run(forget, idempotency_key=os.urandom(16))
        found = await by_token(service, made.root_token)
        assert found is not None
        assert found[1] is None
        await tenant.ask(AuthenticateToken(made.root_token, found[1] is not None))
        await tenant.ask(Seal())
        found = await by_token(service, made.root_token)
        assert found is not None
        assert found[1] is not None


async def test_a_token_is_looked_up_in_a_task(tmp_path: Path) -> None:
    """The edge begins requests outside of one, where nothing that limits its time by `asyncio.timeout` can run."""
    async with started(tmp_path) as service:
        await unseal_node(service)
        lookup = service.tenant_by_token(12345, proof_digest("hvs.000007" + "a" * 18))
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


async def test_a_token_that_is_known_by_its_proof_is_revoked_as_any_other(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        known = AuthenticateToken(made.root_token, digest=proof_digest(made.root_token))
        for _ in range(3):
            principal = await tenant.ask(known)
            assert principal.accessor == (await tenant.ask(AuthenticateToken(made.root_token))).accessor
        await tenant.ask(RevokeToken(principal, made.root_token))
        for asked in (known, AuthenticateToken(made.root_token), known):
            with pytest.raises(AuthenticationFailed):
                await tenant.ask(asked)


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
        with pytest.raises(InvalidRequest):
            await tenant.ask(RenewToken(made.root_token))


async def test_a_sealed_tenant_knows_no_token(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, made = await unseal_tenant(service)
        await tenant.ask(Seal())
        with pytest.raises(Sealed):
            await tenant.ask(AuthenticateToken(made.root_token))
