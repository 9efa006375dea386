"""A node without the database, and one that stood still: neither serves what may have changed, both come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from tests.support.callers import Callers, calling
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


async def encrypts_again(callers: Callers, node: int) -> float:
    started = time.monotonic()
    async with asyncio.timeout(RETURN):
        while (await callers.post(node, ENCRYPT, PLAINTEXT)).status != 200:  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.02)
    return time.monotonic() - started


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
@pytest.mark.parametrize(("end", "refusal"), ENDS)
async def test_a_node_that_stood_still_past_its_lease_uses_nothing_that_ended_meanwhile(
    cluster: NodeCluster,
    tenant: Tenant,
    user_token: str,
    end: Callable[[Tenant, Callers], Awaitable[None]],
    refusal: int,
) -> None:
    """Requests wait at its door: it takes them before it has heard anything from the database."""
    still = cluster.nodes[2]
    async with calling(cluster.nodes, user_token) as callers:
        await prepare(callers)
        decrypted = (await callers.post(1, ENCRYPT, PLAINTEXT)).data["ciphertext"]
        still.pause()
        try:
            await end(tenant, callers)
            await asyncio.sleep(LEASE + 0.1)
            waiting = [
                asyncio.create_task(callers.post(2, "transit/decrypt/orders", {"ciphertext": decrypted}))
                for _ in range(20)
            ]
            await asyncio.sleep(0.1)
        finally:
            still.resume()
        for _ in range(100):
            waiting.append(asyncio.create_task(callers.post(2, "transit/decrypt/orders", {"ciphertext": decrypted})))
            await asyncio.sleep(0.002)
        replies = await asyncio.gather(*waiting)
        assert {reply.status for reply in replies} <= {refusal, 503}
        assert replies[-1].status == refusal
        if end is _delete:
            assert (await callers.get(2, SECRET)).data["data"] == {"a": "changed"}
