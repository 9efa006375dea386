"""Build the wheel of the project: `make wheel`, or `python .ci/wheel.py FOLDER`. One source gives the same bytes.

A wheel holds the times and the modes of files. So it is built of a copy of the source with modes of its own, under an
umask of its own, and SOURCE_DATE_EPOCH says the time. It wants the environment of `requirements-build.lock`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("kms_actors", "http", "pyproject.toml", "README.md", "LICENSE")


def main(target: Path) -> None:
    """Put the wheel into a folder."""
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch)
        for name in SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
                )
            else:
                shutil.copy(ROOT / name, source / name)
        for path in source.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        words = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
        command = [sys.executable, "-m", "pip", "wheel", *words, "--wheel-dir", str(target.absolute()), scratch]
        subprocess.run(command, env={"SOURCE_DATE_EPOCH": "315532800", **os.environ}, check=True)  # noqa: S603


if __name__ == "__main__":
    main(Path(sys.argv[1]))
