"""Users with passwords: who gets in, what a guess costs, and that all nodes count guesses together."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from kms_actors.actors.login import locking
from kms_actors.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied
from kms_actors.login import passwords
from kms_actors.login.lockout import DURATION, THRESHOLD
from kms_actors.login.messages import LoggedIn
from kms_actors.login.userpass import DeleteUser, ListUsers, LoginUser, ReadUser, WriteUser
from kms_actors.messages import Grants
from kms_actors.mounts import Mount
from tests.actors.login_tenant import CLIENT, STRICT, T0, USERPASS, Tenant

pytestmark = pytest.mark.usefixtures("runs")


async def add(
    tenant: Tenant, name: str = "ann", password: str = "right", mount: Mount = USERPASS, **sent: Any
) -> None:
    await tenant.ask(WriteUser(mount.number, name, sent, password))


async def log_in(
    tenant: Tenant, name: str = "ann", password: str = "right", mount: Mount = USERPASS, ip: str = CLIENT
) -> LoggedIn:
    done: LoggedIn = await tenant.ask(LoginUser(mount.number, f"{mount.path}login/{name}", ip, name, password))
    return done


async def fail(tenant: Tenant, times: int = 1, name: str = "ann", mount: Mount = USERPASS) -> None:
    for _ in range(times):
        with pytest.raises(InvalidRequest, match="invalid username or password"):
            await log_in(tenant, name, "wrong", mount)


async def test_a_login_gives_a_token_of_the_mount_and_of_an_entity(tenant: Tenant) -> None:
    await add(tenant, token_policies=("b", "A"), token_ttl=60)
    done = await log_in(tenant)
    spec = done.issued.spec
    assert (spec.policies, spec.display_name, spec.ttl) == (("a", "b", "default"), "userpass-ann", 60)
    assert (spec.metadata, spec.mount, spec.path) == ({"username": "ann"}, 4, "auth/userpass/login/ann")
    bearer = await tenant.bearer(done)
    assert bearer.record.entity_id == done.entity_id != ""
    assert (await log_in(tenant)).entity_id == done.entity_id


async def test_the_mount_says_how_long_a_token_lives(tenant: Tenant) -> None:
    await add(tenant, mount=STRICT)
    assert (await log_in(tenant, mount=STRICT)).issued.spec.ttl == 3600
    await add(tenant, mount=STRICT, token_ttl=10_000)
    done = await log_in(tenant, mount=STRICT)
    assert done.issued.spec.ttl == 7200
    assert "capped accordingly" in done.issued.warnings[0]


async def test_every_login_is_the_same_work(tenant: Tenant, runs: list[str]) -> None:
    await add(tenant)
    for name, password in (("ann", "right"), ("ann", "wrong"), ("nobody", "right"), ("nobody", "wrong")):
        runs.clear()
        if (name, password) == ("ann", "right"):
            await log_in(tenant)
        else:
            with pytest.raises(InvalidRequest, match="invalid username or password"):
                await log_in(tenant, name, password)
        assert runs == [password]


async def test_failures_on_all_nodes_together_lock_a_name(nodes: tuple[Tenant, Tenant], runs: list[str]) -> None:
    one, other = nodes
    await add(one)
    for node in (one, other, one, other, one):
        await fail(node)
    runs.clear()
    for node in nodes:
        with pytest.raises(AuthenticationFailed):
            await log_in(node)
    assert runs == ["right", "right"]  # as much work as ever
    one.now += DURATION
    await log_in(one)
    await fail(one, THRESHOLD - 1)
    await log_in(one)  # any success forgets them
    await fail(one, THRESHOLD - 1)


async def test_a_locked_name_writes_nothing_and_is_not_locked_for_longer(tenant: Tenant) -> None:
    await add(tenant)
    await fail(tenant, THRESHOLD)
    before = await tenant.snapshot()
    for _ in range(3):
        tenant.now += 60
        with pytest.raises(AuthenticationFailed):
            await log_in(tenant, password="wrong")
    assert await tenant.snapshot() == before
    tenant.now = T0 + DURATION
    await log_in(tenant)


async def test_a_mount_says_when_names_are_locked(tenant: Tenant) -> None:
    await add(tenant, mount=STRICT)
    await fail(tenant, mount=STRICT)
    tenant.now += 30
    await fail(tenant, mount=STRICT)  # the first is forgotten
    await fail(tenant, mount=STRICT)
    with pytest.raises(AuthenticationFailed):
        await log_in(tenant, mount=STRICT)
    tenant.now += 60
    await log_in(tenant, mount=STRICT)


async def test_a_password_that_is_right_counts_for_nothing_once_the_name_is_locked(
    nodes: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = nodes
    await add(one)
    begun, go_on = asyncio.Event(), threading.Event()
    real, loop = passwords.matches, asyncio.get_running_loop()

    def held(stored: str, password: str) -> bool:
        if password == "right":
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(10)
        return real(stored, password)

    monkeypatch.setattr(passwords, "matches", held)
    login = asyncio.ensure_future(log_in(one))
    await begun.wait()
    await fail(other, THRESHOLD)
    go_on.set()
    with pytest.raises(AuthenticationFailed):
        await login


async def test_of_many_guesses_at_once_none_is_right_after_the_name_is_locked(nodes: tuple[Tenant, Tenant]) -> None:
    await add(nodes[0])
    tries = [log_in(nodes[number % 2], password="wrong") for number in range(16)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {InvalidRequest, AuthenticationFailed}
    for node in nodes:
        with pytest.raises(AuthenticationFailed):
            await log_in(node)
    assert len(await nodes[0].places("userpass", 4, "failures")) == 1


async def test_names_that_are_not_there_make_nothing_grow_and_are_locked_too(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "BUCKETS", 3)
    outcomes: list[BaseException | LoggedIn] = []
    for number in range(40):
        outcomes += await asyncio.gather(log_in(tenant, f"name{number}"), return_exceptions=True)
    assert len(await tenant.places("userpass")) <= 3
    assert [type(outcome) for outcome in outcomes[-5:]] == [AuthenticationFailed] * 5
    await add(tenant, "name7")
    await log_in(tenant, "name7")  # what was guessed before there was such a user does not lock it


async def test_a_password_that_was_changed_meanwhile_is_wrong(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(tenant)
    begun, go_on = asyncio.Event(), threading.Event()
    real, loop = passwords.matches, asyncio.get_running_loop()

    def held(stored: str, password: str) -> bool:
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        return real(stored, password)

    monkeypatch.setattr(passwords, "matches", held)
    login = asyncio.ensure_future(log_in(tenant))
    await begun.wait()
    changed = asyncio.ensure_future(add(tenant, password="new"))
    await asyncio.sleep(0)
    await tenant.ask(DeleteUser(4, "ann"))
    go_on.set()
    with pytest.raises(InvalidRequest, match="invalid username or password"):
        await login
    await changed


async def test_an_address_that_the_user_is_not_bound_to_is_refused(tenant: Tenant) -> None:
    await add(tenant, token_bound_cidrs=("10.0.0.0/8",))
    assert (await log_in(tenant)).issued.spec.bound_cidrs == ("10.0.0.0/8",)
    with pytest.raises(AuthenticationFailed):
        await log_in(tenant, ip="11.0.0.1")
    await add(tenant, token_bound_cidrs=(), token_strictly_bind_ip=True)
    assert (await log_in(tenant)).issued.spec.bound_cidrs == (CLIENT,)


async def test_a_user_is_made_with_a_password_and_changed_without(tenant: Tenant) -> None:
    with pytest.raises(InvalidRequest, match="must provide either password or password_hash"):
        await add(tenant, password="")
    await add(tenant, token_ttl=5)
    await add(tenant, password="", token_period=6)
    user = await tenant.ask(ReadUser(4, "ann"))
    assert (user.parameters.ttl, user.parameters.period) == (5, 6)
    assert user.password.startswith("$argon2id$")
    await log_in(tenant)


async def test_grants_count_by_whether_the_user_is_there(tenant: Tenant) -> None:
    only_update, only_create = Grants(create=False), Grants(update=False)
    with pytest.raises(PermissionDenied):
        await tenant.ask(WriteUser(4, "ann", {}, "pw", grants=only_update))
    await tenant.ask(WriteUser(4, "ann", {}, "pw", grants=only_create))
    with pytest.raises(PermissionDenied):
        await tenant.ask(WriteUser(4, "ann", {}, "pw", grants=only_create))


async def test_what_must_be_there_is_not_made(tenant: Tenant) -> None:
    with pytest.raises(InvalidRequest, match="username does not exist"):
        await tenant.ask(WriteUser(4, "ann", {}, "pw", must_exist=True))


async def test_users_are_listed_and_deleted_with_their_failures(tenant: Tenant) -> None:
    for name in ("cat", "ann", "bob"):
        await add(tenant, name)
    assert await tenant.ask(ListUsers(4)) == ["ann", "bob", "cat"]
    assert await tenant.ask(ListUsers(4, "ann", 1)) == ["bob"]
    await fail(tenant, name="bob")
    for name in ("ann", "bob", "cat", "dan"):
        await tenant.ask(DeleteUser(4, name))
    assert await tenant.places("userpass") == []
    for message in (ListUsers(4), ReadUser(4, "ann")):
        with pytest.raises(NotFound):
            await tenant.ask(message)


async def test_a_password_has_bounds(tenant: Tenant, runs: list[str]) -> None:
    for work in (add(tenant, password="x" * 1025), log_in(tenant, password="x" * 1025)):
        with pytest.raises(InvalidRequest, match="password: at most 1024 bytes"):
            await work
    assert runs == []


async def test_no_password_is_in_the_store(tenant: Tenant) -> None:
    await add(tenant, password="a password to look for")
    assert all(b"a password to look for" not in value for value in (await tenant.snapshot()).values())
    user = await tenant.ask(ReadUser(4, "ann"))
    assert "argon2" not in repr(user)
    assert msgspec.structs.replace(user).encode()
