"""Nodes and their database stand still or die in the middle of load: nothing acknowledged is lost.

`make faults` takes more turns of each disaster.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import pytest

from tests.faults.disasters import DISASTERS, SERVER_DISASTERS, Disaster, node_stands_still
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.support.callers import calling
from tests.support.databases import engines
from tests.support.node_cluster import NodeCluster
from tests.support.report import Report

TURNS: Final = int(os.environ.get("KMS_FAULT_TURNS", "1"))
#: Requests acknowledged between two disasters.
BETWEEN: Final = 100
#: Seconds until a client gives a request up, and while a node stands still, which has no time-outs.
PATIENCE: Final = 12.0
PATIENCE_WITH_NODES: Final = 2.0


@pytest.mark.parametrize("disaster", DISASTERS)
@pytest.mark.parametrize("cluster", engines(), indirect=True)
async def test_nothing_acknowledged_is_lost_with_nodes(
    cluster: NodeCluster, user_token: str, tmp_path: Path, report: Report, disaster: Disaster
) -> None:
    await live_through(disaster, cluster, user_token, tmp_path, report)


@pytest.mark.parametrize("disaster", SERVER_DISASTERS)
@pytest.mark.parametrize("cluster", engines("foundationdb"), indirect=True)
async def test_nothing_acknowledged_is_lost_with_the_database(
    cluster: NodeCluster, user_token: str, tmp_path: Path, report: Report, disaster: Disaster
) -> None:
    await live_through(disaster, cluster, user_token, tmp_path, report)


async def live_through(
    disaster: Disaster, cluster: NodeCluster, user_token: str, directory: Path, report: Report
) -> None:
    patience = PATIENCE_WITH_NODES if disaster is node_stands_still else PATIENCE
    ledger = Ledger(directory / "ledger")
    async with calling(cluster.nodes, user_token, patience=patience) as callers:
        load = Load(callers, ledger)
        started = time.monotonic()
        await load.start()
        for turn in range(TURNS):
            await load.goes_on(BETWEEN)
            await disaster(cluster, load, turn)
        await load.goes_on(BETWEEN)
        await load.stop()
        secrets = await load.compare()
    ledger.close()
    report(
        f"{disaster.__name__} {TURNS} times in {time.monotonic() - started:.0f} s: {ledger.acknowledged} requests "
        f"acknowledged, {secrets} secrets, none lost; outcomes {dict(load.outcomes)}, slowest {load.slowest:.1f} s"
    )
