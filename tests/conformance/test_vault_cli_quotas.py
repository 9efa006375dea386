"""Quotas through the official client and curl, of a node with two workers: refused in time, no more than must be."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.test_vault_cli import vault_for
from tests.conformance.vault_cli import VaultCli
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table, wait_until
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

RATE = 6
WORKERS = 2


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Node]:
    """A node of two workers."""
    node = Node.for_issuer(tmp_path_factory.mktemp("busy"), sqlite_table, issuer, forked=True)
    node.settings = f"workers = {WORKERS}"
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    yield node
    assert node.stop() == 0, node.log
    assert "Traceback" not in node.log


@pytest.fixture
def vault(busy: Node, issuer: Issuer) -> Tenant:
    return make_tenant(busy, issuer)


@pytest.fixture
def client(vault: Tenant, tmp_path: Path) -> VaultCli:
    return vault_for(vault.root, tmp_path / "root")


def test_a_quota_is_written_read_listed_and_deleted(client: VaultCli) -> None:
    written = client("write", "sys/quotas/rate-limit/slow", "path=secret/", "rate=1000", "interval=1m")
    assert "Success! Data written to: sys/quotas/rate-limit/slow" in written.out
    table = client("read", "sys/quotas/rate-limit/slow").table
    assert (table["path"], table["rate"], table["interval"], table["type"]) == ("secret/", "1000", "60", "rate-limit")
    assert client("list", "sys/quotas/rate-limit").out.split() == ["Keys", "----", "slow"]
    assert "Success!" in client("write", "sys/quotas/config", "enable_rate_limit_response_headers=true").out
    assert client("read", "sys/quotas/config").table["enable_rate_limit_response_headers"] == "true"
    assert "Success!" in client("delete", "sys/quotas/rate-limit/slow").out
    assert "No value found" in client("list", "sys/quotas/rate-limit", code=2).err


def test_all_workers_together_let_through_what_is_promised(busy: Node, vault: Tenant, client: VaultCli) -> None:
    """At least a share, at most `rate` rounded up for each worker; then 429, that says when to come again."""
    rule = ["sys/quotas/rate-limit/slow", "path=secret/data/*", f"rate={RATE - 1}", "interval=1h"]
    client("write", *rule)
    client("write", "sys/quotas/config", "enable_rate_limit_response_headers=true")
    limited = vault.user.with_headers()

    def held() -> bool:
        return "x-ratelimit-limit" in limited.get("secret/data/else").headers

    for _ in range(8):  # connections go to either worker: both know of it within the lease
        wait_until(held, "the quota holds on all workers")
    client("write", *rule[:1], "path=secret/data/app", f"rate={RATE - 1}", "interval=1h")
    wait_until(lambda: limited.get("secret/data/else").status != 429, "the wider one is gone")
    statuses = [limited.get("secret/data/app").status for _ in range(60)]
    passed = len([status for status in statuses if status != 429])
    assert -(-(RATE - 1) // WORKERS) <= passed <= RATE - 1 + WORKERS
    assert statuses[-1] == 429
    answer = limited.get("secret/data/app")
    assert answer.errors == ['request path "secret/data/app": rate limit quota exceeded']
    assert 0 < int(answer.headers["retry-after"]) <= 3600
    assert answer.headers["x-ratelimit-limit"] == f"{RATE - 1}"
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert limited.get("secret/config").status == 200

    curl = ["curl", "-sS", "-H", f"X-Vault-Token: {limited.token}", f"{busy.address}/v1/secret/data/app"]
    shown = subprocess.run([*curl, "-w", "%{http_code}"], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("429")
    assert json.loads(shown[:-3])["errors"] == ['request path "secret/data/app": rate limit quota exceeded']
    assert "rate limit quota exceeded" in client("kv", "get", "-mount=secret", "app", code=2).err
