"""The import contract bites: a copy of the project with one arrow upwards fails it, and names the arrow."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of what the contract speaks of."""
    for package in ("kms_actors", "http/kms_http"):
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(  # noqa: PLW1510 - the return code is what is asked for
        [program, "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(folder)},
    )


def test_the_project_keeps_it(copy: Path) -> None:
    result = lint(copy)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "line", "arrow"),
    [
        (
            "kms_actors/kv/engine.py",
            "import kms_actors.actors.kv.queue",
            "kms_actors.kv.engine -> kms_actors.actors.kv",
        ),
        ("kms_actors/errors.py", "import kms_actors.config", "kms_actors.errors -> kms_actors.config"),
        ("kms_http/handler.py", "import kms_actors.store.api", "kms_http.handler -> kms_actors.store.api"),
        ("kms_http/wire/paths.py", "import kms_http.fields", "kms_http.wire.paths -> kms_http.fields"),
        (
            "kms_actors/store/writes.py",
            "import kms_actors.store.sqlite.engine",
            "kms_actors.store.writes -> kms_actors.store.sqlite",
        ),
    ],
)
def test_an_arrow_upwards_breaks_it(copy: Path, module: str, line: str, arrow: str) -> None:
    with (copy / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}  # noqa\n")
    result = lint(copy)
    assert result.returncode == 1
    assert arrow in result.stdout
