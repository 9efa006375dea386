"""A node without the database, and one that stood still: neither serves what may have changed, both come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import pytest

from tests.support.callers import Callers, Reply, calling
from tests.support.databases import engines
from tests.support.node_cluster import SIZE, NodeCluster
from tests.support.report import Report
from tests.support.tenant import Tenant

#: `tenants.lease_seconds` by default.
LEASE: Final = 2.0
#: Seconds for a request under way on a busy machine.
ALLOWANCE: Final = 1.0
#: Seconds within which a node serves again once the database does.
RETURN: Final = 15.0
#: Seconds without the database: all of its time-outs are over by then.
CUT_OFF: Final = 6.0

SECRET: Final = "secret/data/creds"
ENCRYPT: Final = "transit/encrypt/orders"
PLAINTEXT: Final = {"plaintext": "eA=="}


async def prepare(callers: Callers) -> None:
    """Make a secret and a key, and have every node keep the key."""
    assert (await callers.post(0, SECRET, {"data": {"a": "b"}})).status == 200
    assert (await callers.post(0, "transit/keys/orders")).status == 200
    await asyncio.sleep(0.2)  # until all have heard of it, and none forgets it again
    for node in range(SIZE):
        assert (await callers.post(node, ENCRYPT, PLAINTEXT)).status == 200
        assert (await callers.get(node, SECRET)).status == 200


async def encrypts_until_refused(callers: Callers, node: int, cut: float) -> float:
    """Return when the last request was begun that the node served, in seconds since `cut`."""
    last = 0.0
    while (begun := time.monotonic() - cut) < CUT_OFF:
        status = (await callers.post(node, ENCRYPT, PLAINTEXT)).status
        assert status in (200, 503)
        if status == 200:
            last = begun
        await asyncio.sleep(0.02)
    return last


async def eventually(ask: Callable[[], Awaitable[Reply]], status: int) -> float:
    """Ask until the answer has this status; return seconds."""
    started = time.monotonic()
    async with asyncio.timeout(RETURN):
        while (await ask()).status != status:  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.02)
    return time.monotonic() - started


async def encrypts_again(callers: Callers, node: int) -> float:
    return await eventually(lambda: callers.post(node, ENCRYPT, PLAINTEXT), 200)


@pytest.mark.parametrize("cluster", engines("foundationdb"), indirect=True)
async def test_without_the_database_no_node_serves_past_its_lease_and_all_come_back(
    cluster: NodeCluster, user_token: str, report: Report
) -> None:
    server = cluster.database.server
    assert server is not None
    async with calling(cluster.nodes, user_token) as callers:
        await prepare(callers)
        server.pause()
        try:
            cut = time.monotonic()
            served = await asyncio.gather(*(encrypts_until_refused(callers, node, cut) for node in range(SIZE)))
            assert max(served) < LEASE + ALLOWANCE
            begun = time.monotonic()
            assert (await callers.get(0, SECRET)).status == 503
            assert time.monotonic() - begun < ALLOWANCE, "a refusal that needs no store waits for it"
        finally:
            server.resume()
        back = await asyncio.gather(*(encrypts_again(callers, node) for node in range(SIZE)))
        assert (await callers.get(0, SECRET)).data["data"] == {"a": "b"}
    report(
        f"without the database served from memory for at most {max(served):.2f} s (lease {LEASE:g} s), "
        f"{max(back):.2f} s after its return again"
    )


async def _seal(tenant: Tenant, callers: Callers) -> None:
    operator = callers.with_token(tenant.operator.token or "")
    assert (await operator.call(0, "PUT", "sys/seal")).status == 204


async def _revoke(tenant: Tenant, callers: Callers) -> None:
    assert (await callers.post(0, "auth/token/revoke-self")).status == 204


async def _delete(tenant: Tenant, callers: Callers) -> None:
    assert (await callers.post(0, "transit/keys/orders/config", {"deletion_allowed": True})).status == 200
    assert (await callers.call(0, "DELETE", "transit/keys/orders")).status == 204
    assert (await callers.post(0, SECRET, {"data": {"a": "changed"}})).status == 200


#: How the first node ends a use, and what the others may say to it afterwards; 503 is always right.
ENDS: Final[list[tuple[Callable[[Tenant, Callers], Awaitable[None]], int]]] = [
    (_seal, 503),
    (_revoke, 403),
    (_delete, 400),
]


@pytest.mark.parametrize("cluster", engines(), indirect=True)
async def test_a_node_that_stood_still_past_its_lease_uses_nothing_that_ended_meanwhile(cluster: NodeCluster) -> None:
    """Requests wait at its door: it takes them before it has heard anything from the database."""
    tenants = await asyncio.to_thread(lambda: [cluster.make_tenant() for _ in ENDS])
    still = cluster.nodes[2]
    async with calling(cluster.nodes, "") as nobody:
        users = [nobody.with_token(tenant.user.token or "") for tenant in tenants]
        await asyncio.gather(*map(prepare, users))
        ciphertexts = [(await user.post(1, ENCRYPT, PLAINTEXT)).data["ciphertext"] for user in users]

        def decrypt_all() -> Iterator[asyncio.Task[Reply]]:
            for user, ciphertext in zip(users, ciphertexts, strict=True):
                yield asyncio.create_task(user.post(2, "transit/decrypt/orders", {"ciphertext": ciphertext}))

        still.pause()
        try:
            for (end, _), tenant, user in zip(ENDS, tenants, users, strict=True):
                await end(tenant, user)
            await asyncio.sleep(LEASE + 0.1)
            waiting = [tuple(decrypt_all()) for _ in range(10)]
            await asyncio.sleep(0.1)
        finally:
            still.resume()
        for _ in range(60):
            waiting.append(tuple(decrypt_all()))
            await asyncio.sleep(0.003)
        for (end, refusal), tasks in zip(ENDS, zip(*waiting, strict=True), strict=True):
            statuses = [reply.status for reply in await asyncio.gather(*tasks)]
            assert set(statuses) <= {refusal, 503}, f"{end.__name__} was not heeded: {statuses}"
        deleted = users[-1]
        assert (await deleted.get(2, SECRET)).data["data"] == {"a": "changed"}
        await eventually(lambda: deleted.post(2, "transit/decrypt/orders", {"ciphertext": ciphertexts[-1]}), 400)
