"""kill -9 while a large mount is being removed: it was gone from the answer on, and its records go in the end.

`KMS_FAULT_RECORDS` says how many records it has, `KMS_FAULT_KILLS` how often the node is killed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from kms_actors.check.walk import check
from kms_actors.keyring.record import header
from kms_actors.store.api import Store, Transaction
from kms_actors.store.foundationdb.engine import FoundationDbStore
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.sqlite.engine import SqliteStore
from tests.store.access import put
from tests.support.api import Api, initialise, unseal
from tests.support.databases import Database, engines, open_database
from tests.support.fdb_cluster import API_VERSION
from tests.support.node import Node
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer

#: From the second one on, the sweep of the killed process is waited for: a minute each.
KILLS: Final = int(os.environ.get("KMS_FAULT_KILLS", "1"))
RECORDS: Final = int(os.environ.get("KMS_FAULT_RECORDS", "60000"))
#: Seconds for which no node goes on with what another one has begun, and then some.
PATIENCE: Final = 60.0 + RECORDS / 2000
KEYS: Final = TenantKeys(1)
#: The first mount behind those that every vault begins with.
NUMBER: Final = 3
TOGETHER: Final = 2000
_OFTEN: Final = "\n[tenants]\nrotation_check_seconds = 1\n"


@pytest.fixture(params=engines())
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with open_database(request.param, tmp_path) as database:
        yield database


async def _store(database: Database, directory: Path) -> Store:
    if database.server is not None:
        return await FoundationDbStore.open(database.server.cluster_file, API_VERSION)
    return await SqliteStore.open(directory / "kms.sqlite")


async def _fill(database: Database, directory: Path) -> None:
    store = await _store(database, directory)
    sealed = header(1) + bytes(200)
    for start in range(0, RECORDS, TOGETHER):
        some = range(start, min(start + TOGETHER, RECORDS))
        await put(store, *((KEYS.key("kv", NUMBER, "data", f"s{each:09}", 1), sealed) for each in some))
    await store.close()


async def _keys(tr: Transaction, begin: bytes, end: bytes) -> list[bytes]:
    return await tr.get_keys(begin, end, limit=TOGETHER)


async def _left(database: Database, directory: Path) -> tuple[int, int]:
    """Return how many records there are, and how many findings."""
    store = await _store(database, directory)
    begin, end = KEYS.span("kv", NUMBER)
    count, place = 0, begin
    while found := await store.run(partial(_keys, begin=place, end=end)):
        count, place = count + len(found), found[-1] + b"\0"
    report = await check(store, None, lambda *_: None)
    await store.close()
    return count, len(list(report.findings))


def test_an_unmounting_goes_on_after_each_kill(database: Database, tmp_path: Path) -> None:
    issuer = Issuer()
    node = Node(tmp_path, database.table, *issuer.keys.public, further=_OFTEN, forked=True)
    try:
        node.start()
        operator = Api(node.address, issuer.cluster_operator())
        shares = initialise(operator)["keys_base64"]
        unseal(operator, shares)
        root = make_tenant(node, issuer).root
        assert root.post("sys/mounts/big", {"type": "kv-v2"}).status == 204
        node.kill()
        asyncio.run(_fill(database, tmp_path))
        node.start()
        unseal(operator, shares)

        began = time.monotonic()
        assert root.delete("sys/mounts/big").status == 204
        answered = time.monotonic() - began
        counts: list[int] = []
        deadline = time.monotonic() + PATIENCE
        for kill in range(1, KILLS + 1):
            time.sleep(0.02 * kill)
            node.kill()
            left, findings = asyncio.run(_left(database, tmp_path))
            counts.append(left)
            assert findings == 0
            node.start()
            unseal(operator, shares)
            assert "big/" not in root.get("sys/mounts").data
            assert root.get("big/data/s000000001").status == 404
            while kill < KILLS and "kms_mounts_being_removed 1" not in _metrics(node):
                assert time.monotonic() < deadline, "nobody goes on"
                time.sleep(0.05)
        assert root.post("sys/mounts/big", {"type": "kv-v2"}).status == 204
        assert root.list("big/metadata/").status == 404
        while asyncio.run(_unmounting(database, tmp_path)):
            assert time.monotonic() < deadline + 2 * PATIENCE, "it does not end"
            time.sleep(0.2)
        assert node.stop() == 0
        assert asyncio.run(_left(database, tmp_path)) == (0, 0)
        print(f"{database.engine}: answered in {answered:.3f} s; records left at each kill: {counts}")
        assert 0 < counts[0] <= RECORDS
        assert counts == sorted(counts, reverse=True)
    finally:
        node.close()


async def _unmounting(database: Database, directory: Path) -> bool:
    store = await _store(database, directory)
    found = await store.run(partial(_keys, begin=KEYS.key("unmounting"), end=KEYS.span("unmounting")[1]))
    await store.close()
    return bool(found)


def _metrics(node: Node) -> str:
    return Api(node.metrics_address).get("/metrics").body.decode()
