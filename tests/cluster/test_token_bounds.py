"""What may be used so often is used no more often by all nodes together: tokens, and secret ids of logins."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from tests.cluster.logins import Logins, enable_approle
from tests.support.callers import Callers
from tests.support.node_cluster import SIZE
from tests.support.report import Report
from tests.support.tenant import Tenant

SELF = "auth/token/lookup-self"
CLIENTS = 24
#: Of the count of other tests: each use waits for all others.
USES_SHARE = 0.4
#: Secret ids of the count; each of them is tried `2 * SIZE` times at once.
SECRET_IDS_SHARE = 0.1
AT_ONCE = 4


async def test_a_token_is_used_no_more_often_than_it_may(
    users: Callers, tenant: Tenant, count: int, report: Report
) -> None:
    """All of its uses are given, and not one more, whichever nodes are asked at the same time."""
    uses = count if count > 1000 else int(count * USES_SHARE)
    logins = await enable_approle(users.with_token(tenant.root.token or ""), tenant.vault_id)
    await logins.role("counted", token_policies="default", token_num_uses=uses, secret_id_num_uses=0)
    token = await logins.token("counted")
    holders = users.with_token(token)
    answers: Counter[int] = Counter()

    async def client(number: int) -> None:
        refused = 0
        while refused < 3:
            reply = await holders.get(number % SIZE, SELF)
            answers[reply.status] += 1
            refused = refused + 1 if reply.status == 403 else 0

    started = time.monotonic()
    await asyncio.gather(*map(client, range(CLIENTS)))
    seconds = time.monotonic() - started
    unclear = answers.total() - answers[200] - answers[403]
    assert answers[200] <= uses < answers.total()
    assert answers[200] + unclear >= uses, answers
    for node in range(SIZE):
        assert (await holders.get(node, SELF)).status == 403
    report(
        f"a token of {uses} uses, asked for {answers.total()} times by {CLIENTS} clients: "
        f"good {answers[200]} times, {unclear} without an answer, {seconds:.1f} s"
    )


async def test_a_secret_id_logs_in_no_more_often_than_it_may(
    users: Callers, tenant: Tenant, count: int, report: Report
) -> None:
    logins = await enable_approle(users.with_token(tenant.root.token or ""), tenant.vault_id)
    for uses in (1, 2, 3):
        await logins.role(f"of-{uses}", token_policies="default", secret_id_num_uses=uses)
    races, together = max(3, int(count * SECRET_IDS_SHARE)), asyncio.Semaphore(AT_ONCE)

    async def race(number: int) -> None:
        async with together:
            uses = 1 + number % 3
            secret_id = await logins.secret_id(f"of-{uses}", node=number % SIZE)
            tried = [logins.try_login(f"of-{uses}", secret_id, node) for node in [*range(SIZE)] * 2]
            replies = await asyncio.gather(*tried)
            good = [reply.json["auth"]["client_token"] for reply in replies if reply.status == 200]
            assert len(set(good)) == uses, replies
            assert sum(reply.status == 400 for reply in replies) == len(replies) - uses, replies

    async with asyncio.TaskGroup() as group:
        for number in range(races):
            group.create_task(race(number))
    report(
        f"{races} secret ids of 1 to 3 uses, each tried by {2 * SIZE} at once on {SIZE} nodes: as often as they may"
    )


async def test_a_secret_id_that_is_destroyed_logs_in_no_more(users: Callers, tenant: Tenant) -> None:
    """At once, and on every node: a login reads the store."""
    logins: Logins = await enable_approle(users.with_token(tenant.root.token or ""), tenant.vault_id)
    await logins.role("app", token_policies="default")
    secret_id = await logins.secret_id("app")
    for node in range(SIZE):
        assert (await logins.try_login("app", secret_id, node)).status == 200
    gone = await logins.admins.post(1, "auth/approle/role/app/secret-id/destroy", {"secret_id": secret_id})
    assert gone.status == 204
    for node in range(SIZE):
        assert (await logins.try_login("app", secret_id, node)).status == 400
