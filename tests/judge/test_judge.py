"""Histories of three real nodes, with kills and standstills, are linearizable: says a judge that is not ours.

Some thousand calls for everyday; `make judge` takes as many as `KMS_JUDGE_CALLS` says.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.judge.faults import Faults
from tests.judge.history import judge
from tests.judge.workloads import Recorder
from tests.support.callers import calling
from tests.support.databases import engines, open_database
from tests.support.node_cluster import NodeCluster, node_cluster
from tests.support.report import reporting

CALLS = int(os.environ.get("KMS_JUDGE_CALLS", "2000"))
SEED = int(os.environ.get("KMS_JUDGE_SEED", str(time.time_ns() % 1_000_000)))
#: Seconds between two faults, in the mean; and after which a call is given up.
PAUSE = float(os.environ.get("KMS_JUDGE_PAUSE", "1"))
PATIENCE = 8.0


async def record(cluster: NodeCluster) -> tuple[Recorder, Faults]:
    tenant = await asyncio.to_thread(cluster.make_tenant)
    faults = Faults(cluster, SEED, PAUSE)
    async with calling(cluster.nodes, tenant.user.token or "", patience=PATIENCE) as users:
        recorder = Recorder(cluster, tenant, users, CALLS, SEED)
        await recorder.prepare()
        breaking = asyncio.create_task(faults.run(lambda: recorder.goes_on))
        try:
            await recorder.run()
        finally:
            recorder.stopping = True
            await breaking
    return recorder, faults


@pytest.mark.parametrize("engine", engines())
def test_what_three_nodes_answer_is_linearizable(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = reporting(capsys, f"judged on {engine}, seed {SEED}")
    judge([])  # where the judge is absent, this is skipped now, not after the run
    with (
        open_database(engine, tmp_path) as database,
        node_cluster(database, tmp_path, "workers = 1") as cluster,
    ):
        began = time.monotonic()
        recorder, faults = asyncio.run(record(cluster))
        seconds = time.monotonic() - began
    kept = Path(os.environ.get("KMS_JUDGE_KEPT", str(tmp_path))) / f"history-{engine}-{SEED}.jsonl"
    verdict = judge(recorder.history.lines, kept=kept)
    report(
        f"{verdict.summary['operations']} calls of {verdict.summary['objects']} objects in {seconds:.0f} s, "
        f"{verdict.summary['unclear']} of them unknown; {dict(faults.happened)}; {dict(recorder.history.outcomes)}"
    )
    assert not verdict.illegal, f"not linearizable: {verdict.illegal}, in {kept}"
    assert not verdict.unknown, f"not decided in time: {verdict.unknown}, in {kept}"
    assert faults.happened
