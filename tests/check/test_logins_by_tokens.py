"""What logins by tokens keep is clean as a node leaves it, bound to its place, and comes back from a backup."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kms_actors.check.findings import Kind
from kms_actors.check.walk import check
from kms_actors.login.jwt_config import WriteJwtConfig
from kms_actors.login.jwt_login import LoginByJwt
from kms_actors.login.jwt_role import WriteJwtRole
from kms_actors.login.kubernetes import LoginOfAccount, WriteKubernetesConfig, WriteKubernetesRole
from kms_actors.login.oidc_messages import BeginFlow
from kms_actors.messages import EnableMount, Unseal
from kms_actors.store.keyspace import TenantKeys
from tests.store.access import get, get_all, put
from tests.support.backups import backup, restore
from tests.support.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, identity_provider
from tests.support.kubernetes_api import KubernetesApi
from tests.support.vaults import filled, master_of, node, opened

KEYS = TenantKeys(1)
ROLE = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ("kms",)}
URI = "http://localhost:8250/oidc/callback"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with identity_provider() as running:
        yield running


async def log_in(tenant: Any, provider: IdentityProvider, api: KubernetesApi) -> None:
    await tenant.ask(LoginByJwt(3, "auth/jwt/login", "::1", "r", provider.token()))
    await tenant.ask(LoginOfAccount(5, "auth/kubernetes/login", "::1", "r", api.token()))


async def test_records_are_known_and_come_back(tmp_path: Path, provider: IdentityProvider) -> None:
    api = KubernetesApi()
    tenants: dict[str, Any] = {"login_urls": [provider.address]}
    async with opened(tmp_path) as store:
        async with node(store, tmp_path, **tenants) as service:
            vault = await filled(service, "vault_a")
            tenant = await service.tenant("vault_a")
            for kind in ("jwt", "oidc", "kubernetes"):
                await tenant.ask(EnableMount(f"auth/{kind}/", kind, "", {}))
            await tenant.ask(WriteJwtConfig(3, {"jwks_url": provider.keys_url}))
            await tenant.ask(WriteJwtRole(3, "r", ROLE))
            flow = {
                "oidc_discovery_url": provider.address,
                "oidc_client_id": CLIENT_ID,
                "oidc_client_secret": CLIENT_SECRET,
            }
            await tenant.ask(WriteJwtConfig(4, flow))
            await tenant.ask(WriteJwtRole(4, "r", {"user_claim": "sub", "allowed_redirect_uris": (URI,)}))
            await tenant.ask(BeginFlow(4, "r", URI))
            await tenant.ask(WriteKubernetesConfig(5, {"pem_keys": (api.signer.pem,)}))
            names = {"bound_service_account_names": ("*",), "bound_service_account_namespaces": ("*",)}
            await tenant.ask(WriteKubernetesRole(5, "r", names))
            await log_in(tenant, provider, api)
        master = await master_of(store, tmp_path)
        for keys in (None, master):
            assert not (await check(store, keys, lambda *_: None)).findings
        places = {
            KEYS.parts(key)[:3:2]
            for area in ("jwt", "oidc", "kubernetes")
            for key, _ in await get_all(store)
            if KEYS.span(area)[0] < key < KEYS.span(area)[1]
        }
        assert places == {
            ("jwt", "config"),
            ("jwt", "role"),
            ("oidc", "config"),
            ("oidc", "role"),
            ("oidc", "flow"),
            ("kubernetes", "config"),
            ("kubernetes", "role"),
        }
        assert CLIENT_SECRET.encode() not in b"".join(value for _, value in await get_all(store))
        file = await backup(store, "all")
        # A role that was moved to another place does not open there.
        moved = KEYS.key("jwt", 3, "role", "other")
        role = await get(store, KEYS.key("jwt", 3, "role", "r"))
        assert role is not None
        await put(store, (moved, role))
        found = {(each.kind, each.key) for each in (await check(store, master, lambda *_: None)).findings}
        assert {key for _, key in found} == {moved}
        assert Kind.UNKNOWN_KEY not in {kind for kind, _ in found}
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "master.key", other / "master.key")
    async with opened(other) as store:
        await restore(store, file)
        async with node(store, other, **tenants) as service:
            tenant = await service.tenant("vault_a")
            for share in vault.shares[:2]:
                await tenant.ask(Unseal(share))
            await log_in(tenant, provider, api)
