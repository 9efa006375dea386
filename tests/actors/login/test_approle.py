"""AppRole: who gets in, by which secret id, how often; and what is left of what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kms_actors.actors.cluster.schedule import KEPT, entry_of, token_work
from kms_actors.actors.login import tidying
from kms_actors.actors.login.tidying import EndSecretIds
from kms_actors.errors import (
    AuthenticationFailed,
    InvalidRequest,
    NamedNotFound,
    NotFound,
    PermissionDenied,
    UnsupportedPath,
)
from kms_actors.login.approle import FAILED, Role
from kms_actors.login.approle_messages import (
    DeleteRole,
    DestroySecretId,
    ListRoles,
    ListSecretIds,
    LoginRole,
    LookUpSecretId,
    MadeSecretId,
    Missing,
    NewSecretId,
    ReadRole,
    TidySecretIds,
    WriteRole,
)
from kms_actors.login.lockout import DURATION, THRESHOLD
from kms_actors.login.messages import LoggedIn
from kms_actors.messages import Grants
from kms_actors.store.keyspace import TenantKeys
from tests.actors.login_tenant import APPROLE, CLIENT, KEYS, SECOND, T0, Tenant

MOUNT = APPROLE.number


async def add(tenant: Tenant, name: str = "app", **sent: Any) -> str:
    """Make or change a role; return its role id."""
    await tenant.ask(WriteRole(MOUNT, name, sent))
    role: Role = await tenant.ask(ReadRole(MOUNT, name))
    return role.role_id


async def new(tenant: Tenant, name: str = "app", secret_id: str = "", **sent: Any) -> MadeSecretId:
    made: MadeSecretId = await tenant.ask(NewSecretId(MOUNT, name, sent, secret_id))
    return made


async def log_in(tenant: Tenant, role_id: str, secret_id: str = "", ip: str = CLIENT) -> LoggedIn:
    done: LoggedIn = await tenant.ask(LoginRole(MOUNT, "auth/approle/login", ip, role_id, secret_id))
    return done


async def fail(tenant: Tenant, role_id: str, secret_id: str = "wrong", times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(InvalidRequest) as refused:
            await log_in(tenant, role_id, secret_id)
        assert str(refused.value) == FAILED


async def test_a_login_gives_a_token_of_the_role(tenant: Tenant) -> None:
    role_id = await add(tenant, token_policies=("b", "A"), token_ttl=60)
    made = await new(tenant, metadata="a=b,role_name=other")
    done = await log_in(tenant, role_id, made.secret_id)
    spec = done.issued.spec
    assert (spec.policies, spec.display_name, spec.ttl) == (("a", "b", "default"), "approle", 60)
    assert (spec.metadata, spec.mount) == ({"a": "b", "role_name": "app"}, MOUNT)
    assert (await tenant.bearer(done)).record.entity_id == done.entity_id != ""
    assert (await log_in(tenant, role_id, made.secret_id)).entity_id == done.entity_id


@pytest.mark.parametrize("uses", [1, 3])
async def test_of_many_logins_at_once_on_two_nodes_as_many_get_in_as_a_secret_id_allows(
    nodes: tuple[Tenant, Tenant], uses: int
) -> None:
    role_id = await add(nodes[0], secret_id_num_uses=uses)
    made = await new(nodes[0])
    assert made.uses == uses
    tries = [log_in(nodes[number % 2], role_id, made.secret_id) for number in range(4 + uses)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, LoggedIn) for outcome in outcomes) == uses
    assert {str(outcome) for outcome in outcomes if not isinstance(outcome, LoggedIn)} == {FAILED}
    with pytest.raises(NotFound):
        await nodes[1].ask(ListSecretIds(MOUNT, "app"))


async def test_what_is_left_of_uses_is_told(tenant: Tenant) -> None:
    role_id = await add(tenant, secret_id_num_uses=3)
    made = await new(tenant)
    tenant.now += 5
    await log_in(tenant, role_id, made.secret_id)
    found = await tenant.ask(LookUpSecretId(MOUNT, "app", secret_id=made.secret_id))
    assert (found.uses, found.created, found.updated) == (2, T0 * SECOND, (T0 + 5) * SECOND)


async def test_a_login_by_a_batch_token_of_a_known_entity_writes_nothing(nodes: tuple[Tenant, Tenant]) -> None:
    one, other = nodes
    role_id = await add(one, token_type="batch", token_policies=("a",), token_ttl=60)
    made = await new(one, metadata="a=b")
    first = await log_in(one, role_id, made.secret_id)
    before = await one.snapshot()
    for node in (one, other, one):
        done = await log_in(node, role_id, made.secret_id)
        assert (done.issued.accessor, done.entity_id) == ("", first.entity_id)
        assert (done.issued.spec.batch, done.issued.spec.renewable, done.issued.spec.ttl) == (True, False, 60)
    assert await one.snapshot() == before


async def test_a_secret_id_of_bounded_uses_is_counted_for_batch_tokens_too(nodes: tuple[Tenant, Tenant]) -> None:
    role_id = await add(nodes[0], token_type="batch", secret_id_num_uses=2)
    made = await new(nodes[0])
    tries = [log_in(nodes[number % 2], role_id, made.secret_id) for number in range(6)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, LoggedIn) for outcome in outcomes) == 2


async def test_a_refused_login_uses_nothing_up(tenant: Tenant) -> None:
    role_id = await add(tenant, secret_id_num_uses=1)
    made = await new(tenant, cidr_list=("10.0.0.0/8",))
    with pytest.raises(InvalidRequest, match="source address unauthorized by CIDR restrictions on the secret ID"):
        await log_in(tenant, role_id, made.secret_id, "11.0.0.1")
    await log_in(tenant, role_id, made.secret_id)


async def test_wrong_ids_are_answered_alike(tenant: Tenant) -> None:
    role_id, other = await add(tenant), await add(tenant, "other")
    made = await new(tenant)
    await fail(tenant, role_id, "wrong")
    await fail(tenant, "nobody", made.secret_id)
    await fail(tenant, other, made.secret_id)
    await fail(tenant, role_id, "x" * 5000)
    await fail(tenant, "x" * 5000, made.secret_id)
    for unknown in (role_id, "nobody"):
        with pytest.raises(InvalidRequest, match="missing secret_id"):
            await log_in(tenant, unknown)


async def test_a_role_without_secret_ids_is_bound_to_addresses(tenant: Tenant) -> None:
    with pytest.raises(InvalidRequest, match="at least one constraint should be enabled on the role"):
        await add(tenant, bind_secret_id=False)
    role_id = await add(tenant, bind_secret_id=False, secret_id_bound_cidrs=("10.0.0.0/8",))
    await log_in(tenant, role_id)
    await log_in(tenant, role_id, "whatever")
    with pytest.raises(InvalidRequest, match="source address unauthorized by CIDR restrictions on the role"):
        await log_in(tenant, role_id, ip="11.0.0.1")
    with pytest.raises(InvalidRequest, match="bind_secret_id is not set on the role"):
        await new(tenant)


async def test_a_secret_id_never_allows_more_addresses_than_its_role(tenant: Tenant) -> None:
    role_id = await add(tenant, secret_id_bound_cidrs=("10.0.0.0/8",), token_bound_cidrs=("10.0.0.0/8",))
    made = await new(tenant, cidr_list=("10.1.0.0/16",), token_bound_cidrs=("10.1.2.0/24",))
    assert (await log_in(tenant, role_id, made.secret_id)).issued.spec.bound_cidrs == ("10.1.2.0/24",)
    wider = ("11.0.0.0/8",)
    for making in (new(tenant, cidr_list=wider), new(tenant, token_bound_cidrs=wider)):
        with pytest.raises(InvalidRequest, match="failed to verify subset relationship"):
            await making
    await add(tenant, secret_id_bound_cidrs=("10.1.2.0/24",))
    with pytest.raises(InvalidRequest, match="failed to verify subset relationship"):
        await log_in(tenant, role_id, made.secret_id)


async def test_a_secret_id_ends_and_is_swept(tenant: Tenant) -> None:
    role_id = await add(tenant, secret_id_ttl=60)
    short, long = await new(tenant, ttl=30), await new(tenant)
    assert (short.ttl, long.ttl) == (30, 60)
    assert await tenant.store.run(lambda tr: token_work(tr, KEYS)) == (T0 + 30) * SECOND + KEPT
    assert await tenant.store.run(lambda tr: entry_of(tr, KEYS)) == (T0 + 30) * SECOND
    tenant.now += 30
    await fail(tenant, role_id, short.secret_id)
    assert await tenant.ask(LookUpSecretId(MOUNT, "app", secret_id=short.secret_id)) is None
    await log_in(tenant, role_id, long.secret_id)
    assert await tenant.ask(EndSecretIds()) == 0  # not yet: clocks are not all the same
    tenant.now += KEPT / SECOND
    assert await tenant.ask(EndSecretIds()) == 1
    assert await tenant.ask(ListSecretIds(MOUNT, "app")) == [long.accessor]
    tenant.now += 30
    assert await tenant.ask(EndSecretIds()) == 1
    assert await tenant.places("secret-id-end") == []
    with pytest.raises(NotFound):
        await tenant.ask(ListSecretIds(MOUNT, "app"))


async def test_the_mount_bounds_how_long_a_secret_id_lives(tenant: Tenant) -> None:
    await add(tenant, secret_id_ttl=10_000 * 3600)
    made = await new(tenant)
    assert made.ttl == 32 * 86400
    assert (await tenant.ask(LookUpSecretId(MOUNT, "app", accessor=made.accessor))).ttl == 10_000 * 3600


async def test_the_sweep_goes_on_where_it_left_off(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "PAGE", 2)
    monkeypatch.setattr(tidying, "STEPS", 2)
    await add(tenant)
    for number in range(5):
        await new(tenant, ttl=1 + number)
    destroyed = await new(tenant, ttl=3)
    await tenant.ask(DestroySecretId(MOUNT, "app", accessor=destroyed.accessor))
    tenant.now += 10 + KEPT / SECOND
    assert [await tenant.ask(EndSecretIds()) for _ in range(3)] == [4, 1, 0]


async def test_tidying_removes_what_has_ended_and_nothing_else(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "PAGE", 2)
    await add(tenant)
    kept = [(await new(tenant)).accessor for _ in range(3)]
    for _ in range(3):
        await new(tenant, ttl=5)
    tenant.now += 5
    assert await tenant.ask(TidySecretIds(MOUNT)) is True
    assert await tenant.ask(TidySecretIds(MOUNT)) is False
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(tasks, timeout=10)
    assert await tenant.ask(ListSecretIds(MOUNT, "app")) == sorted(kept)
    assert await tenant.ask(TidySecretIds(MOUNT)) is True


async def test_failures_on_all_nodes_lock_a_role_id(nodes: tuple[Tenant, Tenant]) -> None:
    one, other = nodes
    role_id = await add(one)
    made = await new(one)
    await fail(one, role_id, times=THRESHOLD - 2)
    await fail(other, role_id, times=2)
    for node in nodes:
        with pytest.raises(AuthenticationFailed):
            await log_in(node, role_id, made.secret_id)
    one.now += DURATION
    await log_in(one, role_id, made.secret_id)
    assert await one.places("approle", MOUNT, "failures") == []


async def test_a_lock_is_of_the_role_id(tenant: Tenant) -> None:
    role_id = await add(tenant)
    made = await new(tenant)
    await fail(tenant, role_id, times=THRESHOLD)
    await add(tenant, role_id="another")
    assert await tenant.places("approle", MOUNT, "failures") == []
    await log_in(tenant, "another", made.secret_id)
    await fail(tenant, role_id, made.secret_id)


async def test_a_role_id_is_of_one_role(nodes: tuple[Tenant, Tenant]) -> None:
    first = [add(node, f"r{number}", role_id="own") for number, node in enumerate(nodes)]
    outcomes = await asyncio.gather(*first, return_exceptions=True)
    assert sorted(map(str, outcomes)) == ["own", "role_id already in use"]
    with pytest.raises(InvalidRequest, match="invalid role_id supplied"):
        await add(nodes[0], "x", role_id="")
    with pytest.raises(InvalidRequest, match="invalid role_id supplied"):
        await add(nodes[0], "x", role_id="x" * 513)


async def test_a_token_lives_no_longer_than_its_role_says_however_often_it_is_renewed(tenant: Tenant) -> None:
    role_id = await add(tenant, token_ttl=60, token_max_ttl=100)
    done = await log_in(tenant, role_id, (await new(tenant)).secret_id)
    tenant.now += 50
    renewed = await tenant.renew(done)
    assert renewed.expires_at == T0 + 100
    tenant.now += 50
    with pytest.raises(AuthenticationFailed):
        await tenant.bearer(done)


async def test_a_role_id_that_leads_to_what_is_not_its_role_is_nobodys(tenant: Tenant) -> None:
    stale = await add(tenant)
    await add(tenant, "gone", role_id="of nobody")
    made = await new(tenant)
    kept = await tenant.snapshot()
    await add(tenant, role_id="current")
    await tenant.ask(DeleteRole(MOUNT, "gone"))
    await tenant.restore({key: kept[key] for key in kept if KEYS.parts(key)[2:3] == ("role-id",)})
    await fail(tenant, stale, made.secret_id)
    await fail(tenant, "of nobody", made.secret_id)
    await log_in(tenant, "current", made.secret_id)
    await add(tenant, "new", role_id="of nobody")
    await add(tenant, role_id=stale)
    await log_in(tenant, stale, made.secret_id)


async def test_a_role_goes_with_its_secret_ids(tenant: Tenant) -> None:
    role_id = await add(tenant)
    made = await new(tenant, ttl=60)
    await new(tenant)
    await fail(tenant, role_id)
    await add(tenant, "app2")
    other = await new(tenant, "app2")
    await tenant.ask(DeleteRole(MOUNT, "app"))
    assert await tenant.ask(ListRoles(MOUNT)) == ["app2"]
    assert {place[2] for place in await tenant.places("approle") if "app" in place} == set()
    assert await tenant.ask(ListSecretIds(MOUNT, "app2")) == [other.accessor]
    again = await add(tenant)
    assert again != role_id
    await fail(tenant, again, made.secret_id)
    tenant.now += 60 + KEPT / SECOND
    assert await tenant.ask(EndSecretIds()) == 0
    assert await tenant.places("secret-id-end") == []


async def test_secret_ids_are_stored_as_keyed_hashes_alone(tenant: Tenant) -> None:
    role_id = await add(tenant, role_id="the role id to look for")
    made = await new(tenant, secret_id="the secret id to look for")
    await log_in(tenant, role_id, made.secret_id)
    for key, value in (await tenant.snapshot()).items():
        assert b"secret id to look" not in key + value
        assert b"role id to look" not in key + value
    opened = [
        tenant.keyring.open(key, value)
        for key, value in (await tenant.snapshot()).items()
        if TenantKeys.parts(KEYS, key)[:1] == ("approle",)
    ]
    assert all(b"secret id to look" not in record for record in opened)
    assert any(b"role id to look" in record for record in opened)
    assert "look for" not in repr(made)


async def test_a_chosen_secret_id_is_registered_once(tenant: Tenant) -> None:
    await add(tenant)
    await add(tenant, "other")
    made = await new(tenant, secret_id="own", ttl=5)
    assert made.secret_id == "own"
    with pytest.raises(InvalidRequest, match="SecretID is already registered"):
        await new(tenant, secret_id="own")
    await new(tenant, "other", secret_id="own")
    tenant.now += 5
    await new(tenant, secret_id="own")  # the first has ended
    assert len(await tenant.ask(ListSecretIds(MOUNT, "app"))) == 1
    with pytest.raises(InvalidRequest, match="secret_id: at most 4096 characters"):
        await new(tenant, secret_id="x" * 4097)


async def test_secret_ids_are_looked_up_and_destroyed_by_either_name(tenant: Tenant) -> None:
    await add(tenant)
    await add(tenant, "other")
    one, two = await new(tenant), await new(tenant)
    assert (await tenant.ask(LookUpSecretId(MOUNT, "app", secret_id=one.secret_id))).accessor == one.accessor
    assert (await tenant.ask(LookUpSecretId(MOUNT, "app", accessor=one.accessor))).accessor == one.accessor
    assert await tenant.ask(LookUpSecretId(MOUNT, "other", secret_id=one.secret_id)) is None
    for kind in (LookUpSecretId, DestroySecretId):
        with pytest.raises(NamedNotFound, match="failed to find accessor entry for secret_id_accessor"):
            await tenant.ask(kind(MOUNT, "other", accessor=one.accessor))
        with pytest.raises(InvalidRequest, match='role "none" does not exist'):
            await tenant.ask(kind(MOUNT, "none", secret_id="x"))
    await tenant.ask(DestroySecretId(MOUNT, "other", secret_id=one.secret_id))
    assert len(await tenant.ask(ListSecretIds(MOUNT, "app"))) == 2
    await tenant.ask(DestroySecretId(MOUNT, "app", secret_id=one.secret_id))
    await tenant.ask(DestroySecretId(MOUNT, "app", accessor=two.accessor))
    with pytest.raises(NotFound):
        await tenant.ask(ListSecretIds(MOUNT, "app"))
    assert {place[2] for place in await tenant.places("approle")} == {"role", "role-id"}


async def test_what_wants_a_role_says_that_it_is_not_there(tenant: Tenant) -> None:
    with pytest.raises(NamedNotFound, match='role "none" does not exist'):
        await new(tenant, "none")
    with pytest.raises(InvalidRequest, match='role "none" does not exist'):
        await tenant.ask(ListSecretIds(MOUNT, "none"))
    with pytest.raises(UnsupportedPath):
        await tenant.ask(WriteRole(MOUNT, "none", {"token_ttl": 5}, missing=Missing.REFUSED))
    await tenant.ask(WriteRole(MOUNT, "none", {"token_ttl": 0}, missing=Missing.IGNORED))
    await tenant.ask(DeleteRole(MOUNT, "none"))
    for query in (ReadRole(MOUNT, "none"), ListRoles(MOUNT)):
        with pytest.raises(NotFound):
            await tenant.ask(query)


async def test_grants_count_by_whether_the_role_is_there(tenant: Tenant) -> None:
    with pytest.raises(PermissionDenied):
        await tenant.ask(WriteRole(MOUNT, "app", {}, grants=Grants(create=False)))
    await tenant.ask(WriteRole(MOUNT, "app", {}, grants=Grants(update=False)))
    with pytest.raises(PermissionDenied):
        await tenant.ask(WriteRole(MOUNT, "app", {}, grants=Grants(update=False)))


async def test_lists_come_in_pages(tenant: Tenant) -> None:
    for name in ("c", "a", "b"):
        await add(tenant, name)
    assert await tenant.ask(ListRoles(MOUNT, "a", 1)) == ["b"]
    accessors = sorted([(await new(tenant, "a")).accessor for _ in range(3)])
    assert await tenant.ask(ListSecretIds(MOUNT, "a", accessors[0], 1)) == [accessors[1]]


async def test_a_clock_that_is_not_trusted_ends_no_secret_id(tenant: Tenant) -> None:
    """It may be off by a year, set while the sweep or the tidying was under way."""
    await add(tenant)
    made = await new(tenant, ttl=60)
    tenant.now += 365 * 86_400
    tenant.timely = False
    assert await tenant.ask(EndSecretIds()) == 0
    await tenant.ask(TidySecretIds(MOUNT))
    await asyncio.sleep(0.1)
    tenant.now, tenant.timely = float(T0), True
    assert await tenant.ask(LookUpSecretId(MOUNT, "app", secret_id=made.secret_id)) is not None
