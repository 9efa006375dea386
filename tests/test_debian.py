"""The Debian package's recipe fits the project; what is built of it is run by `make container-test`."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from kms_actors import config

ROOT = Path(__file__).parents[1]
RECIPE = runpy.run_path(str(ROOT / ".ci/deb.py"))


def test_what_is_packed_is_there_and_its_configuration_is_one() -> None:
    for source in RECIPE["FILES"]:
        assert (ROOT / source).is_file(), source
    places = {place: source for source, place in RECIPE["FILES"].items()}
    loaded = config.load(ROOT / places["etc/clever-kms/node.toml"])
    assert loaded.host == "127.0.0.1"
    assert loaded.cluster.path.startswith("/var/lib/clever-kms/")


def test_its_folders_and_user_are_those_of_the_unit() -> None:
    unit = (ROOT / "config/clever-kms.service").read_text(encoding="utf-8")
    user = re.findall(r"^User=(\S+)$", unit, re.MULTILINE)
    assert user == re.findall(r"^u (\S+) ", (ROOT / "debian/clever-kms.sysusers").read_text(), re.MULTILINE)
    folders = (ROOT / "debian/clever-kms.tmpfiles").read_text(encoding="utf-8")
    for setting, top in (("ConfigurationDirectory", "/etc"), ("StateDirectory", "/var/lib")):
        [name] = re.findall(rf"^{setting}=(\S+)$", unit, re.MULTILINE)
        [mode] = re.findall(rf"^{setting}Mode=(\S+)$", unit, re.MULTILINE)
        assert f"d {top}/{name} {mode} " in folders
    assert f"ExecStart=/{RECIPE['PLACE']}/bin/kms-layer" in unit


@pytest.mark.parametrize("script", RECIPE["SCRIPTS"])
def test_its_scripts_are_those_of_a_plain_shell_and_stop_at_errors(script: str) -> None:
    path = ROOT / "debian" / script
    assert "\nset -e\n" in path.read_text(encoding="utf-8")
    shell = shutil.which("dash") or "sh"
    assert subprocess.run([shell, "-n", str(path)], capture_output=True, check=False).stderr == b""
