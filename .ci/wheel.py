"""Build the wheel and the source distribution: `make wheel sdist`, or `python .ci/wheel.py FOLDER [wheel|sdist]`.

One source gives the same bytes, and the source distribution gives the same wheel. Both hold the times and the modes
of files, so they are built of a copy of the source with modes of its own, under an umask of its own, and
SOURCE_DATE_EPOCH says the time. It wants the environment of `requirements-build.lock`.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
#: What a wheel is made of.
SOURCES: Final = ("kms_actors", "http", "pyproject.toml", "README.md", "LICENSE")
#: What else a source distribution has: how to build the wheel, what to install beside it, and what to run it with.
#: What is not here is left out of both, so that the one is built of the other.
BESIDE: Final = (
    ".ci/wheel.py",
    "CHANGELOG.md",
    "config",
    "requirements.lock",
    "requirements-build.lock",
    "requirements-extras.lock",
)
EPOCH: Final = os.environ.get("SOURCE_DATE_EPOCH", "315532800")


def copy(source: Path, names: tuple[str, ...]) -> None:
    """Copy the source, with modes of its own."""
    for name in names:
        place = source / name
        place.parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, place)
    for path in source.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def wheel(target: Path) -> None:
    """Put the wheel into a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        copy(Path(scratch), SOURCES)
        words = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
        command = [sys.executable, "-m", "pip", "wheel", *words, "--wheel-dir", str(target.absolute()), scratch]
        subprocess.run(command, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, check=True)  # noqa: S603


def sdist(target: Path) -> None:
    """Put the source distribution into a folder."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        copy(Path(scratch), (*SOURCES, *BESIDE))
        Path(scratch, "MANIFEST.in").write_text(
            "".join(f"graft {name}\n" if (ROOT / name).is_dir() else f"include {name}\n" for name in BESIDE)
            + "global-exclude *.egg-info/*\n",
            encoding="ascii",
        )
        # In a process of its own: the backend works in its folder.
        code = "import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))"
        command = [sys.executable, "-c", code, str(Path(scratch, "made"))]
        made = subprocess.run(command, cwd=scratch, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        name = made.stdout.split()[-1]
        (target / name).write_bytes(_settled(Path(scratch, "made", name).read_bytes()))


def _settled(archive: bytes) -> bytes:
    """Return an archive with its files in one order, of one time, and nobody's."""
    made = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as old,
        gzip.GzipFile(fileobj=made, mode="wb", filename="", mtime=int(EPOCH)) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = int(EPOCH), 0, 0, "", ""
            member.mode, member.pax_headers = 0o755 if member.isdir() else 0o644, {}
            new.addfile(member, old.extractfile(member))
    return made.getvalue()


KINDS: Final[dict[str, Callable[[Path], None]]] = {"wheel": wheel, "sdist": sdist}


if __name__ == "__main__":
    os.umask(0o022)
    KINDS[sys.argv[2] if len(sys.argv) > 2 else "wheel"](Path(sys.argv[1]))
