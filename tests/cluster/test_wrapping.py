"""A wrapped answer is given once, whichever nodes are asked for it at the same time; a cubbyhole is on all nodes."""

from __future__ import annotations

import asyncio

from tests.support.callers import Callers
from tests.support.node_cluster import SIZE
from tests.support.report import Report
from tests.support.tenant import Tenant

NOT_VALID = {"errors": ["wrapping token is not valid or does not exist"]}
UNWRAP = "sys/wrapping/unwrap"
#: Of the count of other tests, since each race is nine requests.
SHARE = 10
AT_ONCE = 4


async def test_one_of_all_who_ask_gets_a_wrapped_answer(users: Callers, count: int, report: Report) -> None:
    races, together = max(1, count // SHARE), asyncio.Semaphore(AT_ONCE)

    async def race(number: int) -> None:
        async with together:
            sent = {"number": number}
            made = await users.call(number % SIZE, "POST", "sys/wrapping/wrap", sent, X_Vault_Wrap_TTL="60")
            token = made.json["wrap_info"]["token"]
            path = "sys/wrapping/rewrap" if number % 4 == 3 else UNWRAP
            asked = [users.post(node, path if node == 0 else UNWRAP, {"token": token}) for node in [*range(SIZE)] * 2]
            replies = await asyncio.gather(*asked)
            won = [reply for reply in replies if reply.status == 200]
            assert len(won) == 1, replies
            assert won[0].json["data"] == sent or won[0].json["wrap_info"]["token"] != token
            lost = [reply.json for reply in replies if reply is not won[0]]
            assert lost == [NOT_VALID] * (len(replies) - 1)

    async with asyncio.TaskGroup() as group:
        for number in range(races):
            group.create_task(race(number))
    report(f"{races} wrapped answers, each asked for by {2 * SIZE} at once on {SIZE} nodes: given once")


async def test_a_cubbyhole_is_on_all_nodes_at_once_and_ends_on_all(users: Callers, tenant: Tenant) -> None:
    holders = users.with_token(tenant.root.token or "")
    for number in range(SIZE):
        assert (await holders.post(number, "cubbyhole/x", {"n": number})).status == 204
        for node in range(SIZE):
            assert (await holders.get(node, "cubbyhole/x")).data == {"n": number}
    assert (await holders.post(0, "auth/token/revoke-self")).status == 204
    assert (await holders.post(0, "cubbyhole/x", {"n": 9})).status == 403
