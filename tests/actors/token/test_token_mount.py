"""Tokens live as long as their mount says, by its record in the very transaction that makes or renews them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kms_actors.auth.principal import Right
from kms_actors.keyring.keyring import Keyring
from kms_actors.mounts import MountConfig, token_mount
from kms_actors.store.api import Store
from kms_actors.token.making import Maker, Wanted
from kms_actors.token.messages import CreateToken, RenewToken, WriteRole
from kms_actors.token.spec import Issued
from tests.actors.grounds import plant
from tests.actors.token_tenant import LOGINS, MOUNT, Tenant

ROOT = Maker(right=Right.ROOT, policies=("root",), sudo=True)


@pytest.fixture
def elsewhere(store: Store, keyring: Keyring) -> Tenant:
    """The vault on another node, which has not heard of anything yet."""
    return Tenant(store, keyring)


async def tune(tenant: Tenant, **config: Any) -> None:
    """Tune the mount on a node that nobody hears of."""
    tuned = msgspec.structs.replace(token_mount("vault"), config=MountConfig(**config))
    await plant(tenant.store, tenant.keys, tenant.context.keyring, tuned)


async def create(tenant: Tenant, **wanted: Any) -> Issued:
    issued: Issued = await tenant.ask(CreateToken(wanted=Wanted(policies=("a",), **wanted), maker=ROOT))
    return issued


async def test_a_token_is_made_within_what_the_mount_says_then(tenant: Tenant, elsewhere: Tenant) -> None:
    assert (await create(elsewhere)).spec.ttl == 2764800
    await tune(tenant, default_lease_ttl=60, max_lease_ttl=600)
    assert (await create(elsewhere)).spec.ttl == 60
    for wanted in ({"ttl": 6000}, {"period": 6000}, {"ttl": 6000, "type": "batch"}):
        issued = await create(elsewhere, **wanted)
        assert issued.spec.ttl == 600
        assert any("exceeded the effective max_ttl" in warning for warning in issued.warnings)


async def test_a_token_is_renewed_within_what_the_mount_says_then(tenant: Tenant, elsewhere: Tenant) -> None:
    issued = await create(tenant, ttl=6000)
    await tune(tenant, max_lease_ttl=600)
    renewed = await elsewhere.ask(RenewToken(issued.token, increment=6000))
    assert renewed.spec.ttl == 600


async def test_tokens_of_logins_are_bound_by_their_own_mount(tenant: Tenant) -> None:
    issued = await tenant.issue(mount=MOUNT, renewable=True)
    assert LOGINS.number == MOUNT
    await tune(tenant, max_lease_ttl=60)
    assert (await tenant.ask(RenewToken(issued.token, increment=600))).spec.ttl == 600


async def test_a_role_is_told_of_it(tenant: Tenant) -> None:
    await tune(tenant, max_lease_ttl=60)
    (warning,) = await tenant.ask(WriteRole("r", {"token_explicit_max_ttl": 61}))
    assert "allowed value of 60 seconds" in warning
    assert await tenant.ask(WriteRole("r", {"token_explicit_max_ttl": 60})) == ()
