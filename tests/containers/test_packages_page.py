"""The page of packages, where it is about wheels: each command works, in a folder as it is cloned."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kms_actors import __version__
from tests.support import documents
from tests.support.containers import absent

ROOT = Path(__file__).parents[2]


def test_what_is_built_is_installed_elsewhere(tmp_path: Path) -> None:
    if reason := absent():
        pytest.skip(reason)
    text = (ROOT / "docs/packages.md").read_text(encoding="utf-8")
    section = text[text.index("## Wheel") : text.index("## Debian package")]
    (script,) = documents.commands(section, "packages.md").shells
    for path in ROOT.iterdir():
        if path.name not in {"dist", ".venv"}:
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for path in (*Path(sys.prefix).glob("bin/*"), Path(sys.prefix, "pyvenv.cfg"), Path(sys.prefix, "lib")):
        (tmp_path / ".venv" / path.relative_to(sys.prefix)).symlink_to(path)
    (tmp_path / ".venv/bin/.node").unlink(missing_ok=True)
    (tmp_path / ".venv/bin/.node").touch()  # made
    python = f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": python},
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(__version__)
    assert {path.suffix for path in (tmp_path / "dist").iterdir()} == {".whl", ".gz"}
    shutil.rmtree(tmp_path / "own")
