"""The demo cluster, run: one command, the walk through the balancer, a node killed, the dashboard's queries.

The images stand in for those that the file names, and the ports are others: theirs may be in use here. Grafana is not
in Debian; what it would ask Prometheus for is asked instead.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.support.api import Api
from tests.support.containers import NODE, Podman, absent
from tests.support.node import free_port, wait_until

ROOT: Final = Path(__file__).parents[2]
VAULT_ID: Final = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"
_SERVICES: Final = (
    "foundationdb",
    "foundationdb-configured",
    "kms-1",
    "kms-2",
    "kms-3",
    "load-balancer",
    "prometheus",
)
_BALANCER, _PROMETHEUS, _NODES = "8200", "9091", ("8211", "8212", "8213")
#: What FoundationDB's own image has, here from this machine.
_PLACES: Final = {
    "fdbserver": ("/usr/local/bin/fdbserver", "/usr/sbin/fdbserver"),
    "fdbcli": ("/usr/local/bin/fdbcli", "/usr/bin/fdbcli"),
    "libfdb_c.so": ("/usr/local/lib/libfdb_c.so", "/usr/lib/libfdb_c.so"),
}
_SECONDS: Final = 300


class Demo(NamedTuple):
    """The cluster that runs."""

    podman: Podman
    name: str
    ports: dict[str, str]
    tokens: dict[str, str]
    seconds: float

    def address(self, usual: str) -> str:
        return f"http://127.0.0.1:{self.ports[usual]}"

    def bao(self, by: str, *words: str, at: str = _BALANCER) -> str:
        """Type a command of the walk, and return what it prints."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("bao")), *words],
            env={**self.podman.environment, "BAO_ADDR": self.address(at), "BAO_TOKEN": self.tokens[by]},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def asked(self, query: str) -> list[dict[str, Any]]:
        """Return the series that Prometheus has for a query."""
        target = f"{self.address(_PROMETHEUS)}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(target, timeout=30) as answer:
            found = json.load(answer)
        assert found["status"] == "success", query
        series: list[dict[str, Any]] = found["data"]["result"]
        return series


def _binaries(folder: Path) -> Path | None:
    """Put FoundationDB's binaries of this machine into a folder; None if they are not here."""
    for name, places in _PLACES.items():
        found = next((place for place in map(Path, (shutil.which(name) or "", *places)) if place.is_file()), None)
        if found is None:
            return None
        shutil.copy(found, folder / name)
    shutil.copy(ROOT / "tests/containers/images/foundationdb.bash", folder)
    return folder


@pytest.fixture(scope="module")
def demo(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if reason := absent("podman-compose"):
        pytest.skip(reason)
    binaries = _binaries(tmp_path_factory.mktemp("binaries"))
    if binaries is None:
        pytest.skip("FoundationDB is absent (no fdbserver, fdbcli, libfdb_c.so): the demo is not run")
    images = {
        "docker.io/foundationdb/foundationdb:": podman.stand_in("foundationdb", binaries),
        "docker.io/library/haproxy:": podman.stand_in("haproxy"),
        "docker.io/prom/prometheus:": podman.stand_in("prometheus"),
        "clever-kms": NODE,
    }
    first = f"FOUNDATIONDB={images['docker.io/foundationdb/foundationdb:']}"
    podman.build(NODE, str(ROOT / "compose/Containerfile"), ROOT, f"PYTHON={podman.base()}", first)
    folder = tmp_path_factory.mktemp("project")
    for name in ("compose", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("run", "__pycache__"))
    file = folder / "compose/compose.yaml"
    text = file.read_text(encoding="utf-8")
    for usual, image in images.items():
        text = re.sub(rf"image: {re.escape(usual)}\S*", f"image: {image}", text)
    ports = {usual: str(free_port()) for usual in re.findall(r"127\.0\.0\.1:(\d+):", text)}
    for usual, port in ports.items():
        text = text.replace(f'["127.0.0.1:{usual}:', f'["127.0.0.1:{port}:')
    file.write_text(text, encoding="utf-8")

    prepared = subprocess.run(
        [sys.executable, str(folder / "compose/prepare.py")], capture_output=True, text=True, check=True
    )
    tokens = dict(re.findall(r"^(\S+) token:\n(\S+)$", prepared.stdout, re.MULTILINE))
    name = f"kms-test-{free_port()}"
    compose = ("podman-compose", "--project-name", name, "--file", str(file))
    began = time.monotonic()
    up = podman.run(*compose, "up", "--detach", "--no-build", *_SERVICES, cwd=folder)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        running = Demo(podman, name, ports, tokens, 0)
        for port in _NODES:
            _wait_for(podman, name, f"{running.address(port)}/v1/sys/health")
        yield running._replace(seconds=time.monotonic() - began)
    finally:
        podman.run(*compose, "down", "--volumes", cwd=folder)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()  # a sealed node answers 501 or 503
    except OSError:
        return False
    return True


def _wait_for(podman: Podman, name: str, address: str) -> None:
    end = time.monotonic() + _SECONDS
    while not _answers(address):
        if time.monotonic() > end:
            said = podman.run("podman", "ps", "--all", "--filter", f"name={name}").stdout
            for each in _SERVICES:
                log = podman.run("podman", "logs", "--tail", "20", f"{name}_{each}_1")
                said += f"\n--- {each}\n{log.stdout}{log.stderr}"
            pytest.fail(f"{address} does not answer\n{said}")
        time.sleep(1)


def test_the_demo_runs_the_walk_loses_a_node_and_shows_it(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\nthe demo answers {demo.seconds:.0f} s after its command")
    _unsealed(demo)
    _walk(demo, "one")

    # A node is killed, and the walk goes on.
    demo.podman.call("kill", f"{demo.name}_kms-2_1")
    for number in range(20):
        _walk(demo, f"after-{number}")

    _dashboard(demo)
    done = demo.podman.run(
        *(str(Path(sys.executable).with_name("kms-cli")), "doctor", "--address", demo.address(_BALANCER), "--json")
    )
    assert {json.loads(line)["what"] for line in done.stdout.splitlines()} >= {"server", "clock"}


def _unsealed(demo: Demo) -> None:
    """Initialise the cluster, unseal each node, then the vault, once for all nodes."""
    made = json.loads(demo.bao("cluster-operator", "operator", "init", "-format=json", at=_NODES[0]))
    for port in _NODES:
        for share in made["unseal_keys_b64"][:3]:
            demo.bao("cluster-operator", "operator", "unseal", share, at=port)
    wait_until(lambda: _answers(f"{demo.address(_BALANCER)}/v1/sys/health"), "the balancer has a node")
    wait_until(lambda: Api(demo.address(_BALANCER)).call("GET", "/v1/sys/health").status == 200, "it serves")
    made = json.loads(demo.bao("tenant-operator", "operator", "init", "-format=json"))
    for share in made["unseal_keys_b64"][:3]:
        demo.bao("tenant-operator", "operator", "unseal", share)


def _walk(demo: Demo, name: str) -> None:
    demo.bao("tenant", "kv", "put", "-mount=secret", f"creds/{name}", "passcode=my-long-passcode")
    assert "my-long-passcode" in demo.bao("tenant", "kv", "get", "-mount=secret", f"creds/{name}")
    demo.bao("tenant", "write", "-f", "transit/keys/orders")
    sealed = json.loads(demo.bao("tenant", "write", "-format=json", "transit/encrypt/orders", "plaintext=aGVsbG8K"))[
        "data"
    ]["ciphertext"]
    opened = demo.bao("tenant", "write", "-format=json", "transit/decrypt/orders", f"ciphertext={sealed}")
    assert json.loads(opened)["data"]["plaintext"] == "aGVsbG8K"


def _dashboard(demo: Demo) -> None:
    """See that each query of each panel has series, within some scrapes."""
    panels = json.loads((ROOT / "compose/grafana/clever-kms.json").read_text(encoding="utf-8"))["panels"]
    queries = {target["expr"] for panel in panels for target in panel["targets"]}
    assert len(queries) > 10
    end = time.monotonic() + 60
    while empty := [query for query in queries if not demo.asked(query)]:
        assert time.monotonic() < end, empty
        _walk(demo, "again")
    up = {each["metric"]["instance"]: each["value"][1] for each in demo.asked('up{job="clever-kms"}')}
    assert set(up) == {"kms-1:9090", "kms-2:9090", "kms-3:9090"}
    assert up["kms-1:9090"] == up["kms-3:9090"] == "1"
