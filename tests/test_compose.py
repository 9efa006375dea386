"""The demo cluster: its files fit together. Containers are not run here."""

import json
import re
from pathlib import Path

import pytest

from kms_actors import config

COMPOSE = Path(__file__).parents[1] / "compose"
RECIPE = (COMPOSE / "Containerfile").read_text(encoding="utf-8")
TEXT = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")


def test_every_mounted_file_exists_or_is_made_by_prepare() -> None:
    mounted = re.findall(r"- \./(\S+?):", TEXT)
    assert len(mounted) == 8
    for name in mounted:
        assert (COMPOSE / name).exists() or name in {f"run/node-{n}.toml" for n in (1, 2, 3)}


def test_the_image_copies_only_files_that_exist() -> None:
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", RECIPE, re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert "kms_actors" in names
    assert all((COMPOSE.parent / name).exists() for name in names)
    ignored = (COMPOSE.parent / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in names if not name.startswith("requirements")} <= set(ignored)


def test_a_node_in_a_container_is_not_root_and_starts_without_a_shell() -> None:
    last = RECIPE.rpartition("FROM ")[2]
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", last, re.MULTILINE)
    assert "RUN" not in last
    started = re.findall(r"^(?:ENTRYPOINT|CMD|    CMD) (.+)$", last, re.MULTILINE)
    assert len(started) == 3
    assert all(json.loads(each) for each in started)
    assert "--require-hashes" in RECIPE
    assert set(re.findall(r"^FROM (\S+)", RECIPE, re.MULTILINE)) == {"${FOUNDATIONDB}", "${PYTHON}"}


def test_nodes_may_write_nothing_of_their_image() -> None:
    node = TEXT.partition("x-node: &node\n")[2].partition("\nservices:")[0]
    for setting in (
        "read_only: true",
        "cap_drop: [ALL]",
        "security_opt: [no-new-privileges:true]",
        "kms-layer, health",
    ):
        assert setting in node.replace('"', "")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_nodes_configuration_is_accepted_and_its_own(number: int) -> None:
    loaded = config.load(COMPOSE.parent / "config" / f"node-{number}.toml")
    assert loaded.master_keyring_provider.node_name == f"kms-c1-n{number}"
    assert loaded.metrics.host == "0.0.0.0"
    assert f"kms-{number}:{loaded.port}" in (COMPOSE / "haproxy.cfg").read_text(encoding="utf-8")
    assert f"kms-{number}:{loaded.metrics.port}" in (COMPOSE / "prometheus.yaml").read_text(encoding="utf-8")


def test_the_dashboard_shows_only_metrics_that_nodes_have() -> None:
    dashboard = json.loads((COMPOSE / "grafana/clever-kms.json").read_text(encoding="utf-8"))
    shown = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\bkms_[a-z_]+", target["expr"])
    }
    sources = "".join(path.read_text(encoding="utf-8") for path in (COMPOSE.parent / "kms_actors").rglob("*.py"))
    for name in shown:
        assert f'"{re.sub("_(total|bucket)$", "", name)}"' in sources
