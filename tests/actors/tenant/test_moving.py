"""Mounts that get another path: what lies below them comes along, what rested on the old path does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from kms_actors import request_context
from kms_actors.actors.node.directory import TenantHandle
from kms_actors.actors.node.service import NodeService
from kms_actors.actors.tenant import moving
from kms_actors.check.walk import check
from kms_actors.errors import AuthenticationFailed, InvalidRequest, NoMount, NotFound
from kms_actors.kv.messages import ListSecrets, ReadSecret, WriteSecret
from kms_actors.login.userpass import LoginUser, WriteUser
from kms_actors.messages import AuthenticateToken, DisableMount, EnableMount, Moved, MoveMount, ReadMove
from kms_actors.request_context import Bearer
from kms_actors.store.api import Store
from kms_actors.store.keyspace import TenantKeys
from kms_actors.token.making import Maker, Wanted
from kms_actors.token.messages import CreateToken
from kms_actors.token.spec import Issued
from kms_actors.transit import messages as transit
from kms_actors.transit.items import DecryptItem
from tests.store.conftest import open_store, place, store
from tests.support.vaults import filled, node

__all__ = ["open_store", "place", "store"]

KEYS = TenantKeys(1)


class Pair:
    """Two nodes on one store, and a vault that both have awake."""

    def __init__(
        self, bare: Store, first: NodeService, second: NodeService, here: TenantHandle, there: TenantHandle
    ) -> None:
        self.bare = bare
        self.first, self.second = first, second
        self.here, self.there = here, there

    def number(self, path: str) -> int:
        mount = self.here.mounts.get(path)
        assert mount is not None
        return mount.number

    async def move(self, source: str, target: str) -> str:
        migration = await self.here.ask(MoveMount(source, target))
        await self.second.catch_up()
        assert isinstance(migration, str)
        return migration


@pytest_asyncio.fixture
async def pair(open_store: Callable[[], Awaitable[Store]], store: Store, tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(await open_store(), tmp_path)) for _ in range(2)]
        await filled(nodes[0], "vault_a")
        here, there = [await each.tenant("vault_a") for each in nodes]
        yield Pair(store, nodes[0], nodes[1], here, there)
        report = await check(store, None, lambda *_: None)
        assert list(report.findings) == []


def below(number: int, path: str) -> None:
    """Be a request that was allowed for a path below a mount, as a node knew it."""
    request_context.begin()
    request_context.is_below(number, path)


async def log_in(tenant: TenantHandle, number: int, path: str) -> Issued:
    message = LoginUser(number, f"{path}login/bob", "127.0.0.1", "bob", "x")
    issued = (await tenant.ask(message)).issued
    assert isinstance(issued, Issued)
    return issued


async def lives(tenant: TenantHandle, token: str) -> bool:
    try:
        await tenant.ask(AuthenticateToken(token))
    except AuthenticationFailed:
        return False
    return True


async def test_secrets_and_keys_come_along(pair: Pair) -> None:
    number, keys = pair.number("secret/"), pair.number("transit/")
    await pair.move("secret/", "team/kv/")
    await pair.move("transit/", "team/keys/")
    for tenant in (pair.here, pair.there):
        assert [mount.path for mount in tenant.mounts] == ["team/keys/", "team/kv/"]
        assert pair.number("team/kv/") == number
        below(number, "team/kv/")
        assert (await tenant.ask(ReadSecret(number, "app/one"))).data == b'{"n":1}'
        assert await tenant.ask(ListSecrets(number, "app/")) == ["db", "one"]
        below(keys, "team/keys/")
        mount = tenant.mounts.numbered(keys)
        assert mount is not None
        assert (await tenant.ask(transit.ReadKey(mount, "orders"))).policy.latest_version == 3


async def test_a_new_mount_at_the_old_path_is_another_one(pair: Pair) -> None:
    await pair.move("secret/", "old/")
    await pair.here.ask(EnableMount("secret/", "kv-v2", "", {}))
    with pytest.raises(NotFound):
        await pair.here.ask(ReadSecret(pair.number("secret/"), "app/one"))
    assert (await pair.here.ask(ReadSecret(pair.number("old/"), "app/one"))).data == b'{"n":1}'


async def test_what_was_allowed_for_the_old_path_is_not_done_at_the_new_one(pair: Pair) -> None:
    """On the node that moved it, on one that has heard of it, and on one that has not."""
    number, keys = pair.number("secret/"), pair.here.mounts.get("transit/")
    assert keys is not None
    stale = pair.there._view.mounts
    await pair.move("secret/", "old/")
    await pair.move("transit/", "keys/")
    items = (DecryptItem("vault:v1:AAAA"),)
    for unheard in (False, True):
        for tenant in (pair.here, pair.there):
            if unheard:
                tenant._view.mounts = stale
            below(number, "secret/")
            for message in (
                WriteSecret(number, "late", b"{}"),
                ReadSecret(number, "app/one"),
                ListSecrets(number, "app/"),
            ):
                with pytest.raises(NoMount):
                    await tenant.ask(message)
            below(keys.number, "transit/")
            with pytest.raises(NoMount):
                await tenant.ask(transit.RotateKey(keys, "orders"))
            with pytest.raises(NoMount):
                await tenant.ask(transit.ReadKey(keys, "orders"))
            if not unheard:  # what needs no store is done for as long as a node may serve from memory
                with pytest.raises(NoMount):
                    await tenant.ask(transit.Decrypt(keys, "orders", items))


async def test_nothing_is_read_below_a_mount_that_another_node_disabled(pair: Pair) -> None:
    """Its records may still be there."""
    number, stale = pair.number("secret/"), pair.there._view.mounts
    await pair.here.ask(DisableMount("secret/"))
    await pair.second.catch_up()
    pair.there._view.mounts = stale
    below(number, "secret/")
    for message in (ReadSecret(number, "app/one"), ListSecrets(number, "app/")):
        with pytest.raises(NoMount):
            await pair.there.ask(message)


async def test_tokens_of_logins_end_with_all_that_they_made(pair: Pair) -> None:
    await pair.here.ask(EnableMount("auth/in/", "userpass", "", {}))
    number = pair.number("auth/in/")
    await pair.here.ask(WriteUser(number, "bob", {}, "x"))
    await pair.second.catch_up()
    issued = await log_in(pair.here, number, "auth/in/")
    record = (await pair.here.ask(AuthenticateToken(issued.token))).record
    maker = Maker(
        right=record.right, policies=record.policies, sudo=False, accessor=record.accessor, mount=record.mount
    )
    child: Issued = await pair.here.ask(CreateToken(wanted=Wanted(ttl=600), maker=maker))
    assert await lives(pair.there, issued.token)
    assert await lives(pair.there, child.token)
    await pair.here.ask(MoveMount("auth/in/", "auth/people/"))
    request_context.begin()
    request_context.borne_by(Bearer(mount=number, moves=0))
    with pytest.raises(AuthenticationFailed):
        await pair.there.ask(WriteSecret(pair.number("secret/"), "late", b"{}"))
    request_context.borne_by(None)
    await pair.second.catch_up()
    for tenant in (pair.here, pair.there):
        assert not await lives(tenant, issued.token)
        assert not await lives(tenant, child.token)
    later = await log_in(pair.there, number, "auth/people/")
    assert await lives(pair.here, later.token)

    await pair.move("auth/people/", "auth/in/")
    again = await log_in(pair.here, number, "auth/in/")
    for service in (pair.first, pair.second):
        assert service._sweep is not None
        await service._sweep.sweep()
    for tenant in (pair.here, pair.there):
        assert [await lives(tenant, each.token) for each in (issued, child, later, again)] == [False] * 3 + [True]
    begin, end = KEYS.span("token")
    assert len(await pair.bare.run(lambda tr: tr.get_keys(begin, end, limit=9))) == 2, "root's, and the last one"


async def test_batch_tokens_outlive_a_move_and_no_unmounting(pair: Pair) -> None:
    """As in Vault: nothing was ever kept of them."""
    await pair.here.ask(EnableMount("auth/in/", "userpass", "", {}))
    number = pair.number("auth/in/")
    await pair.here.ask(WriteUser(number, "bob", {"token_type": "batch"}, "x"))
    issued = await log_in(pair.here, number, "auth/in/")
    assert not issued.accessor
    await pair.move("auth/in/", "auth/people/")
    assert await lives(pair.here, issued.token)
    await pair.here.ask(DisableMount("auth/people/"))
    assert not await lives(pair.here, issued.token)


async def test_a_move_is_told_of_on_every_node(pair: Pair) -> None:
    migration = await pair.move("secret/", "old/")
    for tenant in (pair.here, pair.there):
        assert await tenant.ask(ReadMove(migration)) == Moved("secret/", "old/")
    with pytest.raises(NotFound):
        await pair.here.ask(ReadMove("none"))


async def test_the_oldest_moves_are_forgotten(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "KEPT", 3)
    paths = ["secret/", "a/", "b/", "c/", "d/"]
    known = [await pair.move(source, target) for source, target in pairwise(paths)]
    with pytest.raises(NotFound):
        await pair.here.ask(ReadMove(known[0]))
    assert [(await pair.here.ask(ReadMove(each))).target for each in known[1:]] == ["b/", "c/", "d/"]


@pytest.mark.parametrize(
    ("source", "target", "text"),
    [
        ("none/", "x/", 'no matching mount at "none/"'),
        ("secret/", "transit/", 'path already in use at "transit/"'),
        ("secret/", "secret/", 'path already in use at "secret/"'),
        ("secret/", "secret/below/", 'path already in use at "secret/"'),
        ("secret/", "transit/below/", 'path already in use at "transit/"'),
        ("sys/", "x/", 'cannot remount "sys/"'),
        ("cubbyhole/", "x/", 'cannot remount "cubbyhole/"'),
        ("identity/", "x/", 'cannot remount "identity/"'),
        ("auth/token/", "auth/x/", 'cannot remount "auth/token/"'),
        ("secret/", "sys/", 'cannot remount to destination "sys/"'),
        ("secret/", "identity/x/", 'cannot remount to destination "identity/x/"'),
        ("secret/", "auth/x/", 'cannot remount to destination "auth/x/"'),
        ("secret/", "auth/", 'cannot remount to destination "auth/"'),
        ("secret/", "auth/token/x/", 'cannot remount to destination "auth/token/x/"'),
        ("auth/in/", "x/", 'cannot remount auth mount to non-auth mount "x/"'),
        ("auth/in/", "auth/", 'cannot remount to destination "auth/"'),
        ("auth/in/", "auth/token/x/", 'cannot remount to destination "auth/token/x/"'),
        ("secret/", "a//b/", "a mount path has printable segments other than '.' and '..'"),
        ("secret/", "a/../b/", "a mount path has printable segments other than '.' and '..'"),
        ("secret/", "a" * 300 + "/", "a mount path is longer than 256 bytes"),
    ],
)
async def test_what_cannot_be_moved_stays(pair: Pair, source: str, target: str, text: str) -> None:
    await pair.here.ask(EnableMount("auth/in/", "userpass", "", {}))
    before = [mount.path for mount in pair.here.mounts]
    with pytest.raises(InvalidRequest) as refused:
        await pair.here.ask(MoveMount(source, target))
    assert str(refused.value) == text
    assert [mount.path for mount in pair.here.mounts] == before
