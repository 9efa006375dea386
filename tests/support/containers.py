"""Containers for tests: podman as it is to be asked here, and images that stand in for those nobody can pull.

Everything is made of a Debian of debootstrap's, so no registry of images is needed; what stands in for what, and why,
is told in docs/packages.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
IMAGES: Final = ROOT / "tests/containers/images"
BASE: Final = "localhost/kms-test/debian"
NODE: Final = "localhost/kms-test/node"
#: What the base has: what the official image of Python has, too.
_PACKAGES: Final = "ca-certificates,python3,python3-pip,python3-venv"
_WANTED: Final = ("podman", "runc", "debootstrap")
_SECONDS: Final = 1800
#: Few files and processes, for a machine may let even root have no more; runc, for it needs no systemd.
_SETTINGS: Final = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


def absent(*further: str) -> str | None:
    """Return why no containers are run, with how to have them run; None where they are."""
    if os.environ.get("KMS_TEST_CONTAINERS") != "1":
        return "containers are not run: `make container-test` does it, in half an hour"
    missing = [name for name in (*_WANTED, *further) if shutil.which(name) is None]
    if missing:
        return f"containers are not run: install {', '.join(missing)} (Debian's packages, see docs/packages.md)"
    return None if os.geteuid() == 0 else "containers are not run: debootstrap wants root"


class Podman:
    """Podman with settings of its own; `folder` is where they lie."""

    def __init__(self, folder: Path) -> None:
        settings = folder / "containers.conf"
        settings.write_text(_SETTINGS, encoding="ascii")
        self.environment: Final = {**os.environ, "CONTAINERS_CONF": str(settings)}

    def call(self, *words: str, cwd: Path | None = None) -> str:
        """Return what podman prints; a failure is told with all that was said."""
        done = self.run("podman", *words, cwd=cwd)
        assert done.returncode == 0, f"podman {' '.join(words)}\n{done.stdout[-4000:]}{done.stderr[-8000:]}"
        return done.stdout

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run any program with these settings."""
        return subprocess.run(
            command,
            env=self.environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def has(self, image: str) -> bool:
        return self.run("podman", "image", "exists", image).returncode == 0

    def base(self) -> str:
        """Return the name of the base image, made at the first call on a machine."""
        if not self.has(BASE):
            with tempfile.TemporaryDirectory() as scratch:
                tree, archive = Path(scratch, "tree"), Path(scratch, "tree.tar")
                made = self.run("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(tree))
                assert made.returncode == 0, made.stdout[-4000:]
                subprocess.run(["tar", "-C", str(tree), "-cf", str(archive), "."], check=True)
                self.call("import", str(archive), BASE)
        return BASE

    def stand_in(self, name: str) -> str:
        """Return the name of an image of `tests/containers/images`, made once on a machine."""
        image = f"localhost/kms-test/{name}"
        if not self.has(image):
            recipe = str(IMAGES / f"{name}.Containerfile")
            self.build(image, recipe, IMAGES, f"BASE={self.base()}")
        return image

    def build(self, image: str, recipe: str, context: Path, *arguments: str) -> None:
        """Build an image; packages come by the machine's own network, and as its own certificates allow."""
        words = [word for argument in arguments for word in ("--build-arg", argument)]
        if certificates := os.environ.get("PIP_CERT"):
            words += ["--volume", f"{certificates}:{certificates}:ro", "--env", f"PIP_CERT={certificates}"]
        self.call(
            *("build", "--format", "docker", "--network", "host", "--file", recipe, "--tag", image),
            *words,
            str(context),
        )
