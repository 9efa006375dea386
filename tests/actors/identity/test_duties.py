"""What may take long: it is done in pages, goes on where it was left, and has its effect before it is done."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.identity import duties
from kms_actors.actors.identity.places import IdentityKeys
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.tenant.authorities import DutyLeft
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import NotFound, StoreUnavailable
from kms_actors.identity import messages as identity
from kms_actors.identity.records import Duty, DutyKind, GroupType
from kms_actors.keyring import stored
from kms_actors.messages import DisableMount, EnableMount
from kms_actors.store.api import Transaction
from tests.actors.identity.test_groups import entity, group, members, resolved
from tests.actors.identity_tenant import JWT, KEYS, USERPASS, Tenant, alias_mount
from tests.actors.node_service import started, unseal_node, unseal_tenant

Nodes = tuple[Tenant, Tenant]
DUTY = "22222222-2222-4222-8222-222222222222"


async def leave(tenant: Tenant, duty: Duty) -> None:
    key = IdentityKeys(KEYS, tenant.keyring).duty(DUTY)

    async def body(tr: Transaction) -> None:
        tr.set(key, tenant.keyring.seal(key, stored.encode(duty)))

    await tenant.store.run(body)


class Ending:
    """A store of a tenant whose node ends after some changes."""

    def __init__(self, store: Any, changes: int) -> None:
        self._store = store
        self._left = changes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def change(self, *given: Any, **how: Any) -> Any:
        if not self._left:
            raise StoreUnavailable("ended")
        self._left -= 1
        return await self._store.change(*given, **how)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kms_actors.actors.identity.duties.PAGE", 3)


async def test_the_aliases_of_a_mount_are_removed_wherever_it_was_left(nodes: Nodes) -> None:
    first, second = nodes
    people = [(await first.log_in(f"user-{number}")).entity_id for number in range(8)]
    kept = await first.log_in("user-0", JWT)
    staff = await group(first, "staff", "staff", type=GroupType.EXTERNAL)
    await first.ask(identity.WriteGroupAlias(None, "g", alias_mount(USERPASS), staff))
    ann = await first.log_in("user-7", groups=["g"])
    await leave(first, Duty(DutyKind.MOUNT, USERPASS.accessor))
    whole = first.context.store
    object.__setattr__(first.context, "store", Ending(whole, 2))
    first.notify(DutyLeft())
    with pytest.raises(StoreUnavailable):
        await first.controller._doing  # type: ignore[misc]
    assert (await resolved(second, ann.entity_id)).policies == ()  # aliases of groups went first
    assert 0 < await aliases(second) < 9
    await second.settled()
    assert await aliases(second) == 1
    assert (await resolved(second, kept.entity_id)).subject.aliases[0].accessor == JWT.accessor
    for each in people:
        found = await second.ask(identity.FindEntity(identity.Wanted(each)))
        assert found.entity.aliases == ()
    assert await second.links() == []
    assert {key[1] for key in await second.stored()} == {"count", "entity", "group", "groups", "index", "mount"}


async def test_a_large_group_is_gone_before_its_members_are(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kms_actors.actors.identity.groups.MAX_MEMBERS", 5)
    staff = await group(tenant, "staff", "staff", type=GroupType.EXTERNAL)
    await tenant.ask(identity.WriteGroupAlias(None, "g", alias_mount(USERPASS), staff))
    people = [(await tenant.log_in(f"user-{number}", groups=["g"])).entity_id for number in range(8)]
    shown = await tenant.ask(identity.FindGroup(identity.Wanted(staff)))
    assert (len(shown.entities), shown.more) == (5, True)
    await resolved(tenant, people[0])

    async def put_off(_: TenantContext) -> int:
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(duties, "do_all", put_off)
        await tenant.ask(identity.DeleteGroup(staff))
        assert (await resolved(tenant, people[0])).policies == ()
        assert len(await tenant.links()) == 16
    await tenant.ask(identity.DeleteEntities((people[1],)))
    await tenant.log_in("user-2")
    await tenant.settled()
    assert await tenant.links() == []
    assert {key[1] for key in await tenant.stored()} == {"entity", "groups", "index", "mount"}


async def test_members_that_still_count_stay(tenant: Tenant) -> None:
    ann = await entity(tenant, "ann")
    red = await group(tenant, "red", entities=(ann,))
    await leave(tenant, Duty(DutyKind.MEMBERS, red))
    await tenant.settled()
    assert await members(tenant, red) == (ann,)


async def test_a_login_mount_takes_its_aliases_with_it(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await unseal_node(service)
        tenant, _ = await unseal_tenant(service)
        await tenant.ask(EnableMount("auth/userpass/", "userpass", "", {}))
        mount = tenant.mounts.get("auth/userpass/")
        assert mount is not None
        for number in range(7):
            await tenant.ask(identity.WriteAlias(None, f"user-{number}", alias_mount(mount), "", None))
        assert len(await tenant.ask(identity.ListAliases())) == 7
        await tenant.ask(DisableMount("auth/userpass/"))
        async with asyncio.timeout(10):
            while await there(tenant):  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.005)


async def there(tenant: TenantHandle) -> bool:
    try:
        return bool(await tenant.ask(identity.ListAliases()))
    except NotFound:
        return False


async def aliases(tenant: Tenant) -> int:
    return len(await tenant.ask(identity.ListAliases()))
