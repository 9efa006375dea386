"""A token that may be used so often is used no more often by all nodes together."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from tests.cluster.logins import enable_approle
from tests.support.callers import Callers
from tests.support.node_cluster import SIZE
from tests.support.report import Report
from tests.support.tenant import Tenant

SELF = "auth/token/lookup-self"
CLIENTS = 24
#: Of the count of other tests: each use waits for all others.
USES_SHARE = 0.4


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
