"""The unit for systemd: what a node cannot do under it, as systemd itself judges, and that its command is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kms_actors.cli import layer
from kms_actors.cli.kubernetes import command

UNIT = Path(__file__).parents[1] / "config/clever-kms.service"
KUBERNETES = UNIT.with_name("clever-kms-kubernetes.service")
#: In tenths, from 0 to 100: what is exposed at most. systemd calls less than 20 well; of root it thinks less well.
MOST = {UNIT: 20, KUBERNETES: 25}


@pytest.mark.parametrize("unit", MOST, ids=lambda unit: unit.stem)
def test_little_is_exposed_as_systemd_judges(unit: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here: the package systemd has it")
    judge = [program, "security", "--offline=true", "--no-pager", f"--threshold={MOST[unit]}", str(unit)]
    done = subprocess.run(judge, capture_output=True, text=True, timeout=60, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze judges no files: version 250 of systemd does")
    assert done.returncode == 0, done.stdout
    assert f"Overall exposure level for {unit.name}" in done.stdout


def test_its_command_is_that_of_a_node() -> None:
    found = re.search(r"^ExecStart=\S+/kms-layer (.+)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    known = {name for option in layer.main.params for name in option.opts}
    assert {word for word in found[1].split() if word.startswith("--")} <= known


def test_the_command_of_the_way_of_kubernetes_is_one() -> None:
    found = re.search(r"^ExecStart=\S+/kms-cli kubernetes serve (.+)$", KUBERNETES.read_text(), re.MULTILINE)
    assert found is not None
    known = {name for option in command.serve.params for name in option.opts}
    assert {word for word in found[1].split() if word.startswith("--")} <= known
