"""What keys are used for, counted by several workers: together in the store, and on the metrics port."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from tests.processes.workers import Connection, metrics, operator, wait_until, workers
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

HELLO = {"plaintext": "aGVsbG8="}


def unsealed(node: Node, issuer: Issuer) -> tuple[Tenant, list[str]]:
    """Unseal a node; return a tenant of it, and the shares of its master key."""
    api = operator(node, issuer)
    shares = initialise(api, 1, 1)["keys_base64"]
    unseal(api, shares)
    return make_tenant(node, issuer), shares


def used(api: Api) -> dict[str, dict[str, int]]:
    usage = api.get("transit/keys/k").data["usage"]
    return {version: {operation: use["count"] for operation, use in uses.items()} for version, uses in usage.items()}


def shown(node: Node, tenant: Tenant, version: int) -> float:
    labels = f'key="k",mount="transit/",operation="encrypt",tenant="{tenant.vault_id}",version="{version}"'
    return metrics(node).get(f"kms_transit_key_operations_total{{{labels}}}", 0)


def test_all_workers_count_together(start: Callable[..., Node], issuer: Issuer) -> None:
    node = start(further="[transit]\nusage_flush_seconds = 0.1\n")
    tenant, _ = unsealed(node, issuer)
    connections = [Connection.to(node, pid, tenant.user.token) for pid in workers(node)]
    assert len(connections) == 2
    tenant.user.post("transit/keys/k")
    for times, connection in enumerate(connections, 2):
        for _ in range(times):
            assert connection.put("transit/encrypt/k", HELLO).status == 200
    tenant.user.post("transit/keys/k/rotate")
    assert connections[0].put("transit/encrypt/k", HELLO).data["key_version"] == 2
    wait_until(lambda: used(tenant.user) == {"1": {"encrypt": 5}, "2": {"encrypt": 1}})
    wait_until(lambda: (shown(node, tenant, 1), shown(node, tenant, 2)) == (5, 1))


def test_a_stop_and_a_restart_of_workers_lose_nothing(start: Callable[..., Node], issuer: Issuer) -> None:
    node = start(further="[transit]\nusage_flush_seconds = 3600\n")
    tenant, shares = unsealed(node, issuer)
    before = workers(node)
    for pid in before:
        connection = Connection.to(node, pid, tenant.user.token)
        assert connection.put("transit/encrypt/k", HELLO).status == 200
        connection.close()
    os.kill(node.pid, signal.SIGHUP)
    wait_until(lambda: not set(workers(node)) & set(before))
    assert used(tenant.user) == {"1": {"encrypt": 2}}
    assert shown(node, tenant, 1) == 2
    assert tenant.user.put("transit/encrypt/k", HELLO).status == 200
    assert node.stop() == 0
    node.start()
    unseal(operator(node, issuer), shares)
    assert used(tenant.user) == {"1": {"encrypt": 3}}
