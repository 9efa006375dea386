"""Who logs in again and again: found at once, and never by what is not so any more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kms_actors.actors.identity import resolving
from kms_actors.actors.identity.storage import IdentityRecords
from kms_actors.actors.login import completing
from kms_actors.errors import AuthenticationFailed
from kms_actors.identity.records import Entity, Membership
from kms_actors.store.api import Transaction
from tests.actors.login.test_approle import add, log_in, new
from tests.actors.login_tenant import KEYS, Tenant


@pytest.fixture
def worked_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the aliases whose entities were worked out."""
    seen: list[str] = []
    real = resolving.entity_for

    async def counted(*arguments: Any, **named: Any) -> Any:
        seen.append(named["alias_name"])
        return await real(*arguments, **named)

    monkeypatch.setattr(completing, "entity_for", counted)
    return seen


async def change(tenant: Tenant, entity_id: str, **fields: Any) -> None:
    """Change an entity in the store, as another node does."""

    async def body(tr: Transaction) -> None:
        records = IdentityRecords(tr, KEYS, tenant.keyring)
        before = await records.entity(entity_id)
        assert isinstance(before, Entity)
        records.put_entity(msgspec.structs.replace(before, **fields), before)

    await tenant.store.run(body)


async def test_an_entity_is_worked_out_once(tenant: Tenant, worked_out: list[str]) -> None:
    role_id, made = await add(tenant), await new(tenant, metadata="a=b")
    first = await log_in(tenant, role_id, made.secret_id)
    for _ in range(3):
        assert (await log_in(tenant, role_id, made.secret_id)).entity_id == first.entity_id
    assert worked_out == [role_id]
    other = await new(tenant, metadata="a=c")
    assert (await log_in(tenant, role_id, other.secret_id)).entity_id == first.entity_id
    assert worked_out == [role_id] * 2  # what the login says of it is other than it was


async def test_what_became_of_an_entity_on_another_node_counts_at_once(
    nodes: tuple[Tenant, Tenant], worked_out: list[str]
) -> None:
    one, other = nodes
    role_id, made = await add(one), await new(one)
    for _ in range(2):
        done = await log_in(one, role_id, made.secret_id)
    await change(other, done.entity_id, policies=("more",))
    again = await log_in(one, role_id, made.secret_id)
    assert again.issued.identity_policies == ("more",)
    await change(other, done.entity_id, disabled=True)
    with pytest.raises(AuthenticationFailed):
        await log_in(one, role_id, made.secret_id)
    await change(other, done.entity_id, disabled=False)
    assert (await log_in(one, role_id, made.secret_id)).issued.identity_policies == ("more",)
    assert len(worked_out) == 4


async def test_who_is_in_a_group_is_worked_out_each_time(tenant: Tenant, worked_out: list[str]) -> None:
    role_id, made = await add(tenant), await new(tenant)
    done = await log_in(tenant, role_id, made.secret_id)

    async def body(tr: Transaction) -> None:
        records = IdentityRecords(tr, KEYS, tenant.keyring)
        records.add_member("11111111-1111-4111-8111-111111111111", done.entity_id, Membership())

    await tenant.store.run(body)
    for _ in range(2):
        await log_in(tenant, role_id, made.secret_id)
    assert len(worked_out) == 3


async def test_an_entity_that_is_gone_is_made_anew(tenant: Tenant) -> None:
    role_id, made = await add(tenant), await new(tenant)
    first = await log_in(tenant, role_id, made.secret_id)

    async def body(tr: Transaction) -> None:
        records = IdentityRecords(tr, KEYS, tenant.keyring)
        before = await records.entity(first.entity_id)
        assert isinstance(before, Entity)
        records.remove_entity(before)

    await tenant.store.run(body)
    again = await log_in(tenant, role_id, made.secret_id)
    assert again.entity_id not in ("", first.entity_id)


async def test_a_role_id_that_moved_is_looked_for_anew(nodes: tuple[Tenant, Tenant]) -> None:
    one, other = nodes
    await add(one, role_id="own")
    made = await new(one)
    await log_in(one, "own", made.secret_id)
    await add(other, role_id="another")
    await add(other, "taker", role_id="own", token_policies=("taken",))
    theirs = await new(other, "taker")
    assert "taken" in (await log_in(one, "own", theirs.secret_id)).issued.spec.policies
