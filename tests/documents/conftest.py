"""A new user's machine: the project as it is cloned, a home without anything, a command line."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.conformance.vault_cli import find_vault
from tests.documents.reader import ROOT, USUAL_PORTS, with_ports
from tests.support.node import free_port


@pytest.fixture(scope="session", autouse=True)
def orderly_end() -> None:
    """End as at an interrupt when terminated, so that no node outlives the tests."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(params=["vault", "bao"])
def programs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with the program `vault`."""
    directory = tmp_path / "programs"
    directory.mkdir()
    found = find_vault() if request.param == "vault" else Path(sys.executable).with_name("bao")
    (directory / "vault").symlink_to(found)
    return directory


@pytest.fixture
def ports() -> tuple[str, ...]:
    found: set[int] = set()
    while len(found) < len(USUAL_PORTS):
        found.add(free_port())
    return tuple(map(str, found))


@pytest.fixture
def project(tmp_path: Path, ports: tuple[str, ...]) -> Path:
    """The project's folder as it is cloned, its environment made."""
    directory = tmp_path / "project"
    directory.mkdir()
    left_out = {".venv", ".dev", "config", *(path.name for path in ROOT.glob(".*_cache"))}
    for path in ROOT.iterdir():
        if path.name not in left_out:
            (directory / path.name).symlink_to(path)
    (directory / ".venv/bin").mkdir(parents=True)
    for path in (*Path(sys.prefix).glob("bin/*"), Path(sys.prefix, "pyvenv.cfg"), Path(sys.prefix, "lib")):
        (directory / ".venv" / path.relative_to(sys.prefix)).symlink_to(path)
    for marker in (".node", ".tests"):
        (directory / ".venv/bin" / marker).unlink(missing_ok=True)
        (directory / ".venv/bin" / marker).touch()
    shutil.copytree(ROOT / "config", directory / "config")
    embedded = directory / "config/embedded.toml"
    text = with_ports(embedded.read_text(encoding="utf-8"), ports)
    embedded.write_text(text if "[metrics]" in text else f"{text}\n[metrics]\nport = {ports[1]}\n", encoding="utf-8")
    return directory


@pytest.fixture
def environment(tmp_path: Path, programs: Path) -> dict[str, str]:
    """A new user's."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        **os.environ,
        "HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
