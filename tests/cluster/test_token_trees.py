"""What ends a token ends what it has made, on every node: at once for writes, within the lease for reads."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import pytest_asyncio

from tests.cluster import trees
from tests.cluster.logins import enable_approle
from tests.support.callers import Callers, spread
from tests.support.node_cluster import SIZE
from tests.support.report import Report
from tests.support.tenant import Tenant

LEVELS, EACH = 3, 2
MAKERS = 12
#: Seconds after which the records of the large tree must be gone, for each thousand of its tokens.
CLEANED = 6.0
ROUNDS = 3


@pytest_asyncio.fixture
async def admins(users: Callers, tenant: Tenant) -> Callers:
    """Who bears the root token; the policy `writer` is there."""
    admins = users.with_token(tenant.root.token or "")
    await trees.write_policy(admins, "writer", trees.WRITER)
    return admins


async def some_made(made: list[Callers]) -> None:
    """Wait until there is one."""
    for _ in range(2000):
        if made:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("nothing is made")


async def test_a_revoked_token_ends_what_it_has_made_on_all_nodes(admins: Callers, report: Report) -> None:
    tops = [admins.with_token(await trees.make(admins, policies=["writer"])) for _ in range(2)]
    ended, others = [[top, *await trees.make_tree(top, LEVELS, EACH)] for top in tops]
    await trees.warm(ended + others)
    assert (await tops[0].post(1, "auth/token/revoke-self")).status == 204
    seconds = await trees.all_dead(ended)
    await trees.warm(others)
    report(f"a tree of {len(ended)} tokens revoked on node 1: no write since, no read after {1000 * seconds:.0f} ms")


async def test_what_is_made_while_its_maker_ends_is_dead(admins: Callers) -> None:
    """Drawn by chance: one of the two is too late, whichever nodes do it."""
    for turn in range(ROUNDS):
        top = admins.with_token(await trees.make(admins, policies=["writer"]))
        made: list[Callers] = []

        async def makes(node: int, top: Callers = top, made: list[Callers] = made) -> None:
            while (reply := await top.post(node, trees.CREATE, {})).status == 200:
                made.append(top.with_token(reply.json["auth"]["client_token"]))
            assert reply.status in {400, 403}, reply

        making = [asyncio.create_task(makes(node)) for node in [*range(SIZE)] * 2]
        await some_made(made)
        assert (await top.post(turn % SIZE, "auth/token/revoke-self")).status == 204
        await asyncio.gather(*making)
        await trees.all_dead([top, *made[-SIZE * 4 :]])


async def test_a_login_mount_that_is_disabled_ends_its_tokens_and_what_they_have_made(
    admins: Callers, tenant: Tenant, report: Report
) -> None:
    slowest = 0.0
    for turn in range(ROUNDS):
        logins = await enable_approle(admins, tenant.vault_id)
        await logins.role("app", token_policies="writer")
        top = admins.with_token(await logins.token("app"))
        ended = [top, *await trees.make_tree(top, LEVELS, EACH)]
        other = admins.with_token(await trees.make(admins, policies=["writer"]))
        await trees.warm([*ended, other])
        made: list[Callers] = []

        async def makes(node: int, maker: Callers, made: list[Callers] = made) -> None:
            while (reply := await maker.post(node, trees.CREATE, {})).status == 200:
                made.append(maker.with_token(reply.json["auth"]["client_token"]))
            assert reply.status in {400, 403}, reply

        making = [asyncio.create_task(makes(node, maker)) for node in range(SIZE) for maker in ended[:2]]
        await some_made(made)
        assert (await admins.call(turn % SIZE, "DELETE", "sys/auth/approle")).status == 204
        slowest = max(slowest, await trees.all_dead(ended))
        await asyncio.gather(*making)
        await trees.all_dead(made[-SIZE * 4 :])
        await trees.warm([other])
    report(
        f"login mount disabled {ROUNDS} times, with {len(ended)} tokens and others being made: no write since, "
        f"no read after {1000 * slowest:.0f} ms"
    )


async def test_a_large_tree_ends_at_once_and_others_go_on(
    admins: Callers, users: Callers, tree: int, report: Report
) -> None:
    """Its records are removed a few at a time, while everybody else is served."""
    number = tree
    top = admins.with_token(await trees.make(admins, policies=["writer"]))
    makers = [top.with_token(await trees.make(top, node % SIZE)) for node in range(MAKERS)]
    leaves: list[str] = []

    async def makes(maker: int, turn: int) -> None:
        leaves.append(await trees.make(makers[maker], turn % SIZE))

    started = time.monotonic()
    await spread(number, MAKERS, makes)
    making = time.monotonic() - started
    some = [top.with_token(leaf) for leaf in leaves[:: max(1, number // 12)]]
    await trees.warm(some)
    left = (await _count_tokens(admins)) - number - MAKERS - 1

    served, longest, over = Counter[int](), 0.0, False

    async def others(node: int) -> None:
        nonlocal longest
        while not over:
            began = time.monotonic()
            served[(await trees.write(users, node)).status] += 1
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.01)

    going = [asyncio.create_task(others(node)) for node in range(SIZE)]
    started = time.monotonic()
    assert (await top.post(0, "auth/token/revoke-self")).status == 204
    ended = time.monotonic() - started
    seconds = await trees.all_dead([top, *makers, *some])
    while (found := await _count_tokens(admins)) > left:
        assert time.monotonic() - started < 30 + CLEANED * number / 1000, f"{found} are left of {number}"
        await asyncio.sleep(1)
    gone = time.monotonic() - started
    over = True
    await asyncio.gather(*going)
    assert found == left
    assert set(served) == {200}, served
    report(
        f"{number} tokens below one, made in {making:.0f} s: revoked in {1000 * ended:.0f} ms, refused on all nodes "
        f"after {1000 * seconds:.0f} ms, gone after {gone:.0f} s; {served[200]} writes of others meanwhile, "
        f"none refused, the longest {1000 * longest:.0f} ms"
    )


async def _count_tokens(admins: Callers) -> int:
    """Return how many tokens there are, as pages of accessors show them."""
    total, last = 0, ""
    while True:
        reply = await admins.call(0, "LIST", f"auth/token/accessors?limit=1000&after={last}")
        if reply.status == 404:
            return total
        keys = reply.data["keys"]
        total += len(keys)
        if len(keys) < 1000:
            return total
        last = keys[-1]
