"""The demo cluster with images that stand in for those of its file, on ports that are free."""

from __future__ import annotations

import contextlib
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
import yaml

from tests.support.containers import NODE, ROOT, Podman
from tests.support.node import free_port

BALANCER, PROMETHEUS, NODES = "8200", "9091", ("8211", "8212", "8213")
#: What FoundationDB's own image has, here from this machine.
_PLACES: Final = {
    "fdbserver": ("/usr/local/bin/fdbserver", "/usr/sbin/fdbserver"),
    "fdbcli": ("/usr/local/bin/fdbcli", "/usr/bin/fdbcli"),
    "libfdb_c.so": ("/usr/local/lib/libfdb_c.so", "/usr/lib/libfdb_c.so"),
}
_GLIBC: Final = re.compile(r"(libc|libm|libdl|librt|libpthread|libresolv|ld-linux\S*)\.so")
_SECONDS: Final = 300


class Demo(NamedTuple):
    """The cluster that runs."""

    podman: Podman
    name: str
    ports: dict[str, str]
    tokens: dict[str, str]

    def address(self, usual: str) -> str:
        """Return where it is that the demo has at a port."""
        return f"http://127.0.0.1:{self.ports[usual]}"

    def bao(self, by: str, *words: str, at: str = BALANCER) -> str:
        """Type a command, and return what it prints."""
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
        target = f"{self.address(PROMETHEUS)}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(target, timeout=30) as answer:
            found = json.load(answer)
        assert found["status"] == "success", query
        series: list[dict[str, Any]] = found["data"]["result"]
        return series


class Images(NamedTuple):
    """What stands in for the images of the recipe: of Python, and of FoundationDB."""

    base: str
    store: str


def foundationdb(podman: Podman, folder: Path) -> Images:
    """Return images with FoundationDB's binaries of this machine."""
    for name, places in _PLACES.items():
        found = next((place for place in map(Path, (shutil.which(name) or "", *places)) if place.is_file()), None)
        if found is None:
            pytest.skip("FoundationDB is absent (no fdbserver, fdbcli, libfdb_c.so): the demo runs without it")
        shutil.copy(found, folder / name)
    shutil.copy(ROOT / "tests/containers/images/foundationdb.bash", folder)
    (folder / "libraries").mkdir()
    for library in _linked_to([folder / name for name in _PLACES]):
        shutil.copy(library, folder / "libraries")
    made, below = [], podman.base()
    for name in ("libraries", "foundationdb"):
        made.append(f"localhost/kms-test/{name}")
        recipe = str(ROOT / f"tests/containers/images/{name}.Containerfile")
        podman.build(made[-1], recipe, folder, f"BASE={below}")
        below = made[-1]
    return Images(*made)


def _linked_to(programs: list[Path]) -> set[Path]:
    """Return the libraries that programs want, but those of glibc, which the base has."""
    found = set()
    for program in programs:
        told = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
        linked = re.findall(r"^\s(\S+) => (/\S+)", told, re.MULTILINE)
        found |= {Path(path) for name, path in linked if not _GLIBC.match(name)}
    return found


def _project(
    podman: Podman, folder: Path, images: Images, *, embedded: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Make the demo's files in a folder; return ports and tokens."""
    for name in ("compose", "config"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("run", "__pycache__"))
    script = [sys.executable, str(folder / "compose/prepare.py")]
    prepared = subprocess.run(script, capture_output=True, text=True, check=True)
    file = folder / "compose/compose.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    stand_ins = {
        "foundationdb": images.store,
        "haproxy": podman.stand_in("haproxy"),
        "prometheus": podman.stand_in("prometheus"),
        "clever-kms": NODE,
    }
    del content["services"]["grafana"]
    ports = {}
    for service in content["services"].values():
        service["image"] = stand_ins[re.sub(r":.*", "", service["image"]).rpartition("/")[2]]
        for number, mapping in enumerate(service.get("ports", ())):
            host, usual, inner = mapping.split(":")
            ports[usual] = str(free_port())
            service["ports"][number] = f"{host}:{ports[usual]}:{inner}"
    if embedded:
        _share_a_file(folder / "compose/run", content["services"])
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    return ports, dict(re.findall(r"^(\S+) token:\n(\S+)$", prepared.stdout, re.MULTILINE))


def _share_a_file(run: Path, services: dict[str, Any]) -> None:
    """Have the nodes share the embedded store, which several processes of one machine may."""
    for path in run.glob("node-*.toml"):
        text = re.sub(r"(?m)^api_version = .*$", 'backend = "sqlite"', path.read_text(encoding="utf-8"))
        text = re.sub(r"(?m)^cluster_file_path = .*$", 'path = "/etc/foundationdb/kms.sqlite"', text)
        path.write_text(text, encoding="utf-8")
    del services["foundationdb"]
    configured = services["foundationdb-configured"]
    del configured["depends_on"]
    configured["command"] = ["chmod 1777 /etc/foundationdb"]


@contextlib.contextmanager
def running(podman: Podman, folder: Path, images: Images, *, embedded: bool) -> Iterator[Demo]:
    """Run the demo by one command; it is there when each node answers."""
    arguments = (f"PYTHON={images.base}", f"FOUNDATIONDB={images.store}")
    podman.build(NODE, str(ROOT / "compose/Containerfile"), ROOT, *arguments)
    ports, tokens = _project(podman, folder, images, embedded=embedded)
    demo = Demo(podman, f"kms-test-{free_port()}", ports, tokens)
    compose = ("podman-compose", "--project-name", demo.name, "--file", str(folder / "compose/compose.yaml"))
    try:
        up = podman.run(*compose, "up", "--detach", "--no-build", cwd=folder)
        assert up.returncode == 0, up.stdout + up.stderr
        for port in NODES:
            _wait_for(demo, f"{demo.address(port)}/v1/sys/health")
        yield demo
    finally:
        podman.run(*compose, "down", "--volumes", cwd=folder)


def _wait_for(demo: Demo, address: str) -> None:
    end = time.monotonic() + _SECONDS
    while not answers(address):
        if time.monotonic() > end:
            pytest.fail(f"{address} does not answer\n{said(demo)}")
        time.sleep(1)


def said(demo: Demo) -> str:
    """Return what the containers have printed last."""
    names = demo.podman.call("ps", "--all", "--filter", f"name={demo.name}", "--format", "{{.Names}} {{.Status}}")
    lines = []
    for each in names.splitlines():
        log = demo.podman.run("podman", "logs", "--tail", "20", each.split()[0])
        lines.append(f"--- {each}\n{log.stdout}{log.stderr}")
    return "\n".join(lines)


def answers(address: str) -> bool:
    """Tell whether somebody answers, whatever it is: a sealed node does with 501 or 503."""
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True
