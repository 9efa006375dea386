"""The unit for systemd: what a node cannot do under it, as systemd itself judges, and that its command is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kms_actors.cli import layer

UNIT = Path(__file__).parents[1] / "config/clever-kms.service"
#: In tenths, from 0 to 100: what is exposed at most. systemd calls less than 20 well.
MOST = 20


def test_little_is_exposed_as_systemd_judges() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not here: the package systemd has it")
    command = [program, "security", "--offline=true", "--no-pager", f"--threshold={MOST}", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze judges no files: version 250 of systemd does")
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level for clever-kms.service" in done.stdout


def test_its_command_is_that_of_a_node() -> None:
    found = re.search(r"^ExecStart=\S+/kms-layer (.+)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    known = {name for option in layer.main.params for name in option.opts}
    assert {word for word in found[1].split() if word.startswith("--")} <= known
