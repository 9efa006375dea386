"""Leases: tokens that end, by the paths of the requests that made them."""

import asyncio

import pytest

from kms_actors.actors.cluster.schedule import LEASE_REVOKING
from kms_actors.actors.token import leases
from kms_actors.actors.token.bearers import TokenChanged
from kms_actors.actors.token.sweeping import EndTokens
from kms_actors.errors import AuthenticationFailed
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Store, Transaction
from kms_actors.token.messages import ListLeases, LookUpLease, RevokeLeases
from kms_actors.token.spec import Issued
from tests.actors.token_tenant import MOUNT, T0, Tenant

LOGIN = "auth/approle/login"


def lease(tenant: Tenant, token: Issued) -> str:
    return f"{token.spec.path}/h{tenant.controller._records.hash(token.token).hex()}"


async def dead(tenant: Tenant, *tokens: Issued) -> bool:
    for token in tokens:
        with pytest.raises(AuthenticationFailed):
            await tenant.bearer(token)
    return True


async def test_a_token_that_ends_has_a_lease(tenant: Tenant) -> None:
    made = await tenant.issue(path=LOGIN)
    found = await tenant.ask(LookUpLease(lease(tenant, made)))
    assert (found.accessor, found.expires_at) == (made.accessor, T0 + 3600)
    for wrong in ("", "nope", f"{LOGIN}/h{'0' * 64}", lease(tenant, made).replace("approle", "other"), LOGIN):
        assert await tenant.ask(LookUpLease(wrong)) is None
    await tenant.issue(policies=("root",), ttl=0)
    await tenant.issue(batch=True)
    assert await tenant.ask(ListLeases("")) == ["auth/"]
    assert await tenant.ask(ListLeases(f"{LOGIN}/")) == [lease(tenant, made).rpartition("/")[2]]


async def test_leases_are_listed_by_folder(tenant: Tenant) -> None:
    made = [await tenant.issue(path=path) for path in (LOGIN, LOGIN, "auth/token/create", "auth/token/create/role")]
    assert await tenant.ask(ListLeases("auth/")) == ["approle/", "token/"]
    assert await tenant.ask(ListLeases("auth/token/")) == ["create/"]
    assert await tenant.ask(ListLeases("auth/", "approle/")) == ["token/"]
    assert await tenant.ask(ListLeases("auth/", limit=1)) == ["approle/"]
    names = await tenant.ask(ListLeases("auth/token/create/"))
    assert names == [lease(tenant, made[2]).rpartition("/")[2], "role/"]
    assert await tenant.ask(ListLeases("none/")) == []


async def test_a_lease_that_is_revoked_ends_its_token_and_its_children(tenant: Tenant) -> None:
    made = await tenant.issue(path=LOGIN)
    child = await tenant.issue(made)
    for token in (made, child):
        await tenant.bearer(token)
    for _ in range(2):
        await tenant.ask(RevokeLeases(lease_id=lease(tenant, made)))
        assert await dead(tenant, made, child)


@pytest.mark.parametrize("steps", [leases.ENDED_TOGETHER, 0])
async def test_all_that_begin_so_are_revoked_by_who_asks_or_by_the_sweep(
    store: Store, keyring: Keyring, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(leases, "ENDED_TOGETHER", 2)
    monkeypatch.setattr("kms_actors.actors.token.controller.STEPS_OF_A_REQUEST", steps)
    here, there = Tenant(store, keyring), Tenant(store, keyring)
    ended = [await here.issue(path=f"{LOGIN}{end}") for end in ("", "", "", "/x", "/y")]
    child = await here.issue(ended[0])
    kept = [await here.issue(path=path) for path in ("auth/approle2/login", "auth/token/create")]
    for token in (*ended, child, *kept):
        await there.bearer(token)
    await here.ask(RevokeLeases(prefix="auth/approle/"))
    await asyncio.gather(there.ask(EndTokens()), here.ask(EndTokens()))
    for _, name in (*here.said, *there.said):
        await there.ask(TokenChanged(name))
    for node in (here, there):
        assert await dead(node, *ended, child)
        for token in kept:
            await node.bearer(token)
    assert LEASE_REVOKING not in await here.areas()
    assert (await here.areas()).count("lease") == 2


async def test_a_prefix_ends_at_a_slash_and_may_be_the_id_of_one_lease(tenant: Tenant) -> None:
    made = [await tenant.issue(path=f"{LOGIN}/{user}") for user in ("u1", "u1", "u10")]
    await tenant.ask(RevokeLeases(prefix=lease(tenant, made[0])))
    assert await dead(tenant, made[0])
    await tenant.bearer(made[1])
    await tenant.ask(RevokeLeases(prefix=f"{LOGIN}/u1"))
    assert await dead(tenant, made[1])
    for part in ("auth/app", f"{LOGIN}/u"):
        await tenant.ask(RevokeLeases(prefix=part))
        await tenant.bearer(made[2])


async def test_who_revokes_does_not_wait_for_what_others_have_asked_for(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kms_actors.actors.token.controller.STEPS_OF_A_REQUEST", 2)
    made = await tenant.issue(path=LOGIN)

    async def ask(tr: Transaction) -> None:
        for number in range(5):
            tr.set(tenant.keys.key(LEASE_REVOKING, f"auth/a{number}/", MOUNT), b"")

    await tenant.store.run(ask)
    await tenant.ask(RevokeLeases(prefix="auth/approle"))
    assert await dead(tenant, made)


async def test_what_is_left_of_a_mount_that_is_gone_goes_too(tenant: Tenant) -> None:
    gone = [await tenant.issue(path=LOGIN, mount=MOUNT) for _ in range(3)]
    child = await tenant.issue(gone[0], mount=MOUNT)
    later = await tenant.issue(path=LOGIN, mount=None)  # of another mount at the same path

    async def unmount(tr: Transaction) -> None:
        tr.clear(tenant.keys.key("mount", MOUNT))
        tr.set(tenant.keys.key(LEASE_REVOKING, "auth/approle/", MOUNT), b"")

    await tenant.store.run(unmount)
    await tenant.ask(EndTokens())
    await tenant.ask(EndTokens())
    assert await dead(tenant, *gone, child)
    await tenant.bearer(later)
    assert (await tenant.areas()).count("token") == 1
