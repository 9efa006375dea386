"""The `sops` command line, which encrypts files with data keys that Transit wraps: where it comes from.

`KMS_TEST_SOPS` names a ready binary, else the one on the PATH is taken. Else it is built once, into the user's cache;
that takes a few minutes of two cores. Without Go there is nothing to run.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

_VERSION = "v3.10.2"
_BUILD_SECONDS = 15 * 60
_RUN_SECONDS = 30


def find_sops() -> Path:
    """Return the binary, built at need; skip the test where that cannot be."""
    named = os.environ.get("KMS_TEST_SOPS")
    if named:
        assert os.access(named, os.X_OK), "KMS_TEST_SOPS names no executable file"
        return Path(named)
    if installed := shutil.which("sops"):
        return Path(installed)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cached = cache / "clever-kms" / f"sops-{_VERSION}"
    if not cached.exists():
        _build(cached)
    return cached


def _build(target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("sops is not here: set KMS_TEST_SOPS to a binary, or install Go and let the tests build it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():  # another test run built it meanwhile
            return
        print(f"building sops into {target}, once; this takes a few minutes")
        place = target.with_suffix(".new")
        subprocess.run(
            [go, "install", f"github.com/getsops/sops/v3/cmd/sops@{_VERSION}"],
            env={**os.environ, "GOBIN": str(place)},
            check=True,
            timeout=_BUILD_SECONDS,
        )
        (place / "sops").rename(target)
        place.rmdir()


def run_sops(home: Path, token: str, *arguments: str, code: int = 0) -> str:
    """Run a command in `home`, which must end with `code`; return what it printed, errors if it failed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VAULT_", "SOPS_"))}
    done = subprocess.run(
        [str(find_sops()), *arguments],
        env={**kept, "HOME": str(home), "VAULT_TOKEN": token, "VAULT_MAX_RETRIES": "0"},
        cwd=home,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )
    assert done.returncode == code, f"{arguments[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stderr if code else done.stdout
