"""Logins that are remembered: answered without a transaction, and by nothing that is not so any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from kms_actors.actors.login import completing
from kms_actors.actors.login.remembered import Remembered
from kms_actors.actors.tenant.store import TenantStore
from kms_actors.auth.service_token import ServiceToken
from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.identity.messages import (
    DeleteEntities,
    LoginMount,
    MergeEntities,
    ResolveEntity,
    WriteAlias,
    WriteEntity,
    WriteGroup,
)
from kms_actors.login.approle_messages import DeleteRole, DestroySecretId, MadeSecretId
from kms_actors.login.lockout import THRESHOLD
from kms_actors.login.messages import LoggedIn
from tests.actors.login.test_approle import MOUNT, add, fail, log_in, new
from tests.actors.login_tenant import APPROLE, T0, Tenant
from tests.support.transactions import counted_changes

#: Logins after which nothing is read: one finds whose it is, and that is read meanwhile.
KNOWN = 3


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each transaction that may change something."""
    return counted_changes(monkeypatch)


async def known(tenant: Tenant, **sent: Any) -> tuple[str, MadeSecretId, LoggedIn]:
    """Make a role of batch tokens, and log in by it until that is remembered."""
    role_id = await add(tenant, **{"token_type": "batch", "token_policies": ("a",), "token_ttl": 60, **sent})
    made = await new(tenant, metadata="a=b")
    for _ in range(KNOWN):
        done = await log_in(tenant, role_id, made.secret_id)
    return role_id, made, done


def said(record: ServiceToken) -> ServiceToken:
    return msgspec.structs.replace(record, created=0.0, expires_at=0.0)


async def test_what_is_remembered_says_what_was_proved(tenant: Tenant, changes: list[int]) -> None:
    role_id = await add(
        tenant, token_type="batch", token_policies=("b", "A"), token_ttl=60, token_explicit_max_ttl=30
    )
    made = await new(tenant, metadata="a=b")
    first = await log_in(tenant, role_id, made.secret_id)
    for _ in range(KNOWN - 1):
        await log_in(tenant, role_id, made.secret_id)
    changes.clear()
    tenant.now += 5.5
    done = await log_in(tenant, role_id, made.secret_id)
    assert changes == []
    assert done.issued.token != first.issued.token
    assert (done.issued.created, done.issued.expires_at) == (T0 + 5, T0 + 35)
    unlike = {"token": "", "created": 0.0, "expires_at": 0.0}
    assert msgspec.structs.replace(done.issued, **unlike) == msgspec.structs.replace(first.issued, **unlike)
    assert msgspec.structs.replace(done, issued=first.issued) == first
    bearers = [await tenant.bearer(each) for each in (first, done)]
    assert said(bearers[0].record) == said(bearers[1].record)
    assert bearers[1].record.created == T0 + 5
    tenant.now += 30
    with pytest.raises(AuthenticationFailed):
        await tenant.bearer(done)


async def test_entities_in_groups_are_remembered_too(tenant: Tenant, changes: list[int]) -> None:
    role_id, made, done = await known(tenant)
    await tenant.ask(WriteEntity(id=done.entity_id, policies=("more",)))
    for _ in range(KNOWN):
        again = await log_in(tenant, role_id, made.secret_id)
        assert again.issued.identity_policies == ("more",)
    changes.clear()
    assert (await log_in(tenant, role_id, made.secret_id)).issued.identity_policies == ("more",)
    assert changes == []


@pytest.mark.parametrize(
    "role", [{"secret_id_num_uses": 9}, {"token_type": "service"}], ids=["counted", "a service token"]
)
async def test_what_writes_something_is_proved_each_time(
    tenant: Tenant, changes: list[int], role: dict[str, Any]
) -> None:
    role_id, made, _ = await known(tenant, **role)
    changes.clear()
    await log_in(tenant, role_id, made.secret_id)
    assert len(changes) == 1


async def test_what_was_sent_counts_as_a_whole(tenant: Tenant, changes: list[int]) -> None:
    """Whatever is wrong of it, it is not the login that is remembered; and one address does not stand for another."""
    role_id, made, _ = await known(tenant, secret_id_bound_cidrs=("10.0.0.0/8",), token_strictly_bind_ip=True)
    changes.clear()
    assert (await log_in(tenant, role_id, made.secret_id)).issued.spec.bound_cidrs == ("10.1.2.3",)
    assert changes == []
    with pytest.raises(InvalidRequest, match="source address unauthorized"):
        await log_in(tenant, role_id, made.secret_id, "11.0.0.1")
    assert (await log_in(tenant, role_id, made.secret_id, "10.9.9.9")).issued.spec.bound_cidrs == ("10.9.9.9",)
    await fail(tenant, role_id, made.secret_id + "x")
    await fail(tenant, role_id + made.secret_id[:1], made.secret_id[1:])


async def test_a_secret_id_ends_though_it_is_remembered(tenant: Tenant) -> None:
    role_id = await add(tenant, token_type="batch")
    made = await new(tenant, ttl=60)
    for _ in range(KNOWN):
        await log_in(tenant, role_id, made.secret_id)
    tenant.now += 59.9
    await log_in(tenant, role_id, made.secret_id)
    tenant.now = float(T0 + 60)
    await fail(tenant, role_id, made.secret_id)


async def test_a_clock_of_the_seventies_is_no_fault(tenant: Tenant) -> None:
    role_id, made, _ = await known(tenant)
    tenant.now = 5.0
    assert (await log_in(tenant, role_id, made.secret_id)).issued.created == 5


#: What ends it: of a role, its id, a secret id and an entity.
Ending = Callable[[Tenant, str, MadeSecretId, str], Awaitable[Any]]

ENDINGS: dict[str, Ending] = {
    "destroyed by its accessor": lambda tenant, _, made, __: tenant.ask(
        DestroySecretId(MOUNT, "app", accessor=made.accessor)
    ),
    "destroyed": lambda tenant, _, made, __: tenant.ask(DestroySecretId(MOUNT, "app", secret_id=made.secret_id)),
    "role deleted": lambda tenant, _, __, ___: tenant.ask(DeleteRole(MOUNT, "app")),
    "another role id": lambda tenant, _, __, ___: add(tenant, role_id="other"),
    "bound to addresses": lambda tenant, _, __, ___: add(tenant, secret_id_bound_cidrs=("11.0.0.0/8",)),
    "locked": lambda tenant, role_id, _, __: fail(tenant, role_id, times=THRESHOLD),
    "entity disabled": lambda tenant, _, __, entity: tenant.ask(WriteEntity(id=entity, disabled=True)),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_it_ends_at_once_where_that_was_answered_and_elsewhere_when_it_is_heard(
    nodes: tuple[Tenant, Tenant], ending: Ending
) -> None:
    one, other = nodes
    role_id, made, done = await known(one)
    for _ in range(KNOWN):
        await log_in(other, role_id, made.secret_id)
    one.recorded = []
    await ending(one, role_id, made, done.entity_id)
    with pytest.raises((InvalidRequest, AuthenticationFailed)):
        await log_in(one, role_id, made.secret_id)
    await log_in(other, role_id, made.secret_id)  # which has not heard of it, and may go on so for its lease
    other.hear(one)
    with pytest.raises((InvalidRequest, AuthenticationFailed)):
        await log_in(other, role_id, made.secret_id)


async def test_a_role_that_is_changed_gives_what_it_says_now(nodes: tuple[Tenant, Tenant]) -> None:
    one, other = nodes
    role_id, made, _ = await known(one)
    for _ in range(KNOWN):
        await log_in(other, role_id, made.secret_id)
    later: tuple[dict[str, Any], ...] = ({"token_policies": ("b",)}, {"token_policies": ("c",), "token_ttl": 5})
    for number, sent in enumerate(later):
        one.recorded = []
        await add(one, **sent)
        other.hear(one)
        for node in (*nodes, one):
            spec = (await log_in(node, role_id, made.secret_id)).issued.spec
            assert (spec.policies, spec.ttl) == (("bc"[number], "default"), (60, 5)[number])
    await add(one, token_type="service")
    assert not (await log_in(one, role_id, made.secret_id)).issued.spec.batch


async def test_a_text_that_is_a_secret_id_again_is_a_new_one(tenant: Tenant) -> None:
    role_id = await add(tenant, token_type="batch")
    await new(tenant, secret_id="own", metadata="a=b", ttl=5)
    for _ in range(KNOWN):
        await log_in(tenant, role_id, "own")
    tenant.now += 5
    await new(tenant, secret_id="own", metadata="a=c")
    assert (await log_in(tenant, role_id, "own")).issued.spec.metadata == {"a": "c", "role_name": "app"}


@pytest.mark.parametrize("at_first", [True, False])
async def test_a_success_forgets_failures_on_whatever_node(nodes: tuple[Tenant, Tenant], at_first: bool) -> None:
    """Failures that were counted on one node are forgotten by a success on another, though that remembers it."""
    one, other = nodes if at_first else nodes[::-1]
    role_id, made, _ = await known(one)
    for _ in range(KNOWN):
        await log_in(other, role_id, made.secret_id)
    for _ in range(3):
        one.recorded = []
        await fail(one, role_id, times=THRESHOLD - 1)
        other.hear(one)
        await log_in(other, role_id, made.secret_id)
        await log_in(one, role_id, made.secret_id)
    assert await one.places("approle", MOUNT, "failures") == []


async def test_what_is_told_of_failures_tells_no_name(tenant: Tenant) -> None:
    """One line each, whether the name is there or not: who waits for the answer must not learn that."""
    role_id = await add(tenant)
    tenant.recorded = []
    await fail(tenant, role_id)
    await fail(tenant, "nobody")
    (one, mark), (other, mark_of_nobody) = tenant.recorded
    assert one == other == "login"
    assert len(mark) == len(mark_of_nobody) == 32
    assert mark != mark_of_nobody


async def test_the_alias_of_another_is_not_the_entity_that_is_remembered(tenant: Tenant) -> None:
    role_id, made, done = await known(tenant)
    elsewhere = (await tenant.ask(WriteEntity(name="elsewhere"))).id
    mount = LoginMount(APPROLE.accessor, APPROLE.type, APPROLE.path, APPROLE.number)
    await tenant.ask(WriteAlias(None, role_id, mount, elsewhere, None))
    for _ in range(KNOWN + 1):
        assert (await log_in(tenant, role_id, made.secret_id)).entity_id == elsewhere
    third = (await tenant.ask(WriteEntity(name="third"))).id
    await tenant.ask(MergeEntities(target=third, sources=(elsewhere,)))
    for _ in range(KNOWN + 1):
        assert (await log_in(tenant, role_id, made.secret_id)).entity_id == third
    await tenant.ask(DeleteEntities((third,)))
    made_anew = [(await log_in(tenant, role_id, made.secret_id)).entity_id for _ in range(KNOWN + 1)]
    assert len(set(made_anew)) == 1
    assert made_anew[0] not in {done.entity_id, elsewhere, third}


@pytest.mark.parametrize("ending", ["destroyed", "role deleted", "entity disabled"])
async def test_what_is_heard_of_while_it_is_proved_is_not_remembered_as_it_was(
    nodes: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Drawn: the login is proved, its end is committed elsewhere and heard here, and then it would be remembered."""
    one, other = nodes
    role_id, made, done = await known(one)
    held, go_on = asyncio.Event(), asyncio.Event()
    for _ in range(KNOWN - 2):
        await log_in(other, role_id, made.secret_id)
    transaction = TenantStore.change

    async def slow(self: TenantStore, *arguments: Any, **named: Any) -> Any:
        result = await transaction(self, *arguments, **named)
        if self is other.context.store:
            held.set()
            await go_on.wait()
        return result

    monkeypatch.setattr(TenantStore, "change", slow)
    login = asyncio.ensure_future(log_in(other, role_id, made.secret_id))
    await held.wait()
    one.recorded = []
    await ENDINGS[ending](one, role_id, made, done.entity_id)
    other.hear(one)
    await other.ask(ResolveEntity(done.entity_id))  # what it gives now is in memory again
    go_on.set()
    await login  # it was proved before
    for _ in range(2):
        with pytest.raises((InvalidRequest, AuthenticationFailed)):
            await log_in(other, role_id, made.secret_id)


async def test_nothing_that_is_remembered_shows_a_secret(tenant: Tenant) -> None:
    role_id, made, _ = await known(tenant)
    handler = tenant.handlers[next(kind for kind in tenant.handlers if kind.__name__ == "LoginsChanged")]
    remembered = handler.__self__
    assert isinstance(remembered, Remembered)
    shown = repr([(key, remembered._kept.get(key)) for key in list(remembered._kept.keys())])
    assert len(list(remembered._kept.keys())) == 1
    assert made.secret_id not in shown
    assert role_id not in shown


async def test_a_login_that_writes_reads_what_it_rests_on_and_opens_nothing(
    nodes: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another node has changed counts at once, whether that was heard of or not."""
    one, other = nodes
    role_id, made, first = await known(one, token_type="service")
    worked_out: list[str] = []
    real = completing.complete

    async def counted(*arguments: Any) -> LoggedIn:
        worked_out.append("again")
        return await real(*arguments)

    monkeypatch.setattr(completing, "complete", counted)
    done = await log_in(one, role_id, made.secret_id)
    assert worked_out == []
    assert done.issued.token != first.issued.token
    assert done.issued.accessor not in {"", first.issued.accessor}
    assert (done.issued.spec, done.entity_id) == (first.issued.spec, first.entity_id)
    record = (await one.bearer(done)).record
    assert (record.mount, record.entity_id, record.policies) == (MOUNT, first.entity_id, ("a", "default"))
    await other.ask(WriteEntity(id=first.entity_id, policies=("more",)))
    assert (await log_in(one, role_id, made.secret_id)).issued.identity_policies == ("more",)
    await add(other, token_policies=("b",))
    assert (await log_in(one, role_id, made.secret_id)).issued.spec.policies == ("b", "default")
    assert len(worked_out) == 2
    await log_in(one, role_id, made.secret_id)
    assert len(worked_out) == 2


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_a_login_that_writes_ends_everywhere_at_once(nodes: tuple[Tenant, Tenant], ending: Ending) -> None:
    one, other = nodes
    role_id, made, done = await known(one, token_type="service")
    for _ in range(KNOWN):
        await log_in(other, role_id, made.secret_id)
    await ending(one, role_id, made, done.entity_id)
    for node in (other, one):  # neither has heard of it by the log
        with pytest.raises((InvalidRequest, AuthenticationFailed)):
            await log_in(node, role_id, made.secret_id)


async def test_who_comes_into_a_group_is_looked_at_by_logins_that_write(nodes: tuple[Tenant, Tenant]) -> None:
    one, other = nodes
    role_id, made, done = await known(one, token_type="service")
    await other.ask(WriteGroup(name="g", policies=("g",), entities=(done.entity_id,)))
    for _ in range(KNOWN + 1):
        assert (await log_in(one, role_id, made.secret_id)).issued.identity_policies == ("g",)


async def test_a_secret_id_ends_for_logins_that_write_though_nothing_of_it_is_changed(tenant: Tenant) -> None:
    role_id = await add(tenant)
    made = await new(tenant, ttl=60)
    for _ in range(KNOWN):
        await log_in(tenant, role_id, made.secret_id)
    tenant.now = float(T0 + 60)
    await fail(tenant, role_id, made.secret_id)
