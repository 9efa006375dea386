"""The demo cluster, run: one command, the walk through the balancer, a node killed, the dashboard's queries.

The images stand in for those that the file names, and the ports are others: theirs may be in use here. Grafana is not
in Debian; what it would ask Prometheus for is asked instead. Where there is no FoundationDB, the nodes share the
embedded store, which they may on one machine: all but the database is then as in the demo.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kms_actors import __version__
from tests.containers.demo import BALANCER, NODES, Demo, Images, answers, foundationdb, running, said
from tests.support.api import Api
from tests.support.containers import NODE, ROOT, Podman, absent
from tests.support.node import wait_until


@pytest.fixture(params=["foundationdb", "embedded"])
def demo(
    request: pytest.FixtureRequest, podman: Podman, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Demo]:
    if reason := absent("podman-compose"):
        pytest.skip(reason)
    embedded = request.param == "embedded"
    binaries, folder = tmp_path / "binaries", tmp_path / "project"
    binaries.mkdir()
    folder.mkdir()
    images = Images(podman.base(), podman.stand_in("embedded")) if embedded else foundationdb(podman, binaries)
    with running(podman, folder, images, embedded=embedded) as cluster:
        yield cluster
        shown = podman.call("ps", "--filter", f"name={cluster.name}")
        with capsys.disabled():
            print(f"\n{request.param}: the demo's containers\n{shown}")


def test_the_demo_runs_the_walk_loses_a_node_and_shows_it(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    _as_little_as_it_can_do_with(demo)
    _unsealed(demo)
    _walk(demo, "one")

    # A node is killed, and the walk goes on.
    demo.podman.call("kill", f"{demo.name}_kms-2_1")
    began = time.monotonic()
    for number in range(20):
        _walk(demo, f"after-{number}")
    with capsys.disabled():
        print(f"\n100 commands of the walk after a node was killed: {time.monotonic() - began:.0f} s")

    _dashboard(demo)
    doctor = (str(Path(sys.executable).with_name("kms-cli")), "doctor", "--address", demo.address(BALANCER), "--json")
    done = demo.podman.run(*doctor)
    assert {json.loads(line)["what"] for line in done.stdout.splitlines()} >= {"server", "clock"}


def _as_little_as_it_can_do_with(demo: Demo) -> None:
    """See that a node is not root, writes nothing, needs no shell, and tells how it is."""
    node = f"{demo.name}_kms-1_1"
    assert demo.podman.call("exec", node, "python", "-c", "import os; print(os.getuid())") == "10001\n"
    assert "Read-only" in demo.podman.run("podman", "exec", node, "touch", "/opt/clever-kms/x").stderr
    status = demo.podman.call("exec", node, "cat", "/proc/1/status")
    assert re.findall(r"^CapBnd:\s+0+$|^NoNewPrivs:\s+1$", status, re.MULTILINE)[1:]
    assert demo.podman.run("podman", "healthcheck", "run", node).returncode == 0
    hidden = [word for shell in ("sh", "bash", "dash") for word in ("--volume", f"/dev/null:/usr/bin/{shell}:ro")]
    told = demo.podman.call("run", "--rm", *hidden, "--entrypoint", "kms-layer", NODE, "--version")
    assert __version__ in told


def _unsealed(demo: Demo) -> None:
    """Initialise the cluster, unseal each node, then the vault, once for all nodes."""
    made = json.loads(demo.bao("cluster-operator", "operator", "init", "-format=json", at=NODES[0]))
    for port in NODES:
        for share in made["unseal_keys_b64"][:3]:
            demo.bao("cluster-operator", "operator", "unseal", share, at=port)
    try:
        wait_until(lambda: answers(f"{demo.address(BALANCER)}/v1/sys/health"), "the balancer answers")
        wait_until(lambda: Api(demo.address(BALANCER)).call("GET", "/v1/sys/health").status == 200, "it has a node")
    except AssertionError as error:
        pytest.fail(f"{error}\n{said(demo)}")
    made = json.loads(demo.bao("tenant-operator", "operator", "init", "-format=json"))
    for share in made["unseal_keys_b64"][:3]:
        demo.bao("tenant-operator", "operator", "unseal", share)


def _walk(demo: Demo, name: str) -> None:
    demo.bao("tenant", "kv", "put", "-mount=secret", f"creds/{name}", "passcode=my-long-passcode")
    assert "my-long-passcode" in demo.bao("tenant", "kv", "get", "-mount=secret", f"creds/{name}")
    demo.bao("tenant", "write", "-f", "transit/keys/orders")
    text = demo.bao("tenant", "write", "-format=json", "transit/encrypt/orders", "plaintext=aGVsbG8K")
    ciphertext = json.loads(text)["data"]["ciphertext"]
    opened = demo.bao("tenant", "write", "-format=json", "transit/decrypt/orders", f"ciphertext={ciphertext}")
    assert json.loads(opened)["data"]["plaintext"] == "aGVsbG8K"


def _dashboard(demo: Demo) -> None:
    """See that each query of each panel has series, within some scrapes."""
    panels = json.loads((ROOT / "compose/grafana/clever-kms.json").read_text(encoding="utf-8"))["panels"]
    queries = {target["expr"] for panel in panels for target in panel["targets"]}
    assert len(queries) > 10
    end = time.monotonic() + 120
    while empty := [query for query in queries if not demo.asked(query)]:
        assert time.monotonic() < end, empty
        _walk(demo, "again")
    up = {each["metric"]["instance"]: each["value"][1] for each in demo.asked('up{job="clever-kms"}')}
    assert set(up) == {"kms-1:9090", "kms-2:9090", "kms-3:9090"}
    assert up["kms-1:9090"] == up["kms-3:9090"] == "1"
