"""Clients built once, into the user's cache, where none is at hand."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

_BUILD_SECONDS = 15 * 60

#: Builds the program at the path with the tool named first.
Build = Callable[[str, Path], None]


def named_by(variable: str) -> Path | None:
    """Return the ready binary that an environment variable names, if it is set."""
    named = os.environ.get(variable)
    if not named:
        return None
    assert os.access(named, os.X_OK), f"{variable} names no executable file"
    return Path(named)


def built_once(name: str, build: Build, absent: str, *, tool: str = "go") -> Path:
    """Return the program kept as `name` in the cache, built at need; skip with `absent` where `tool` is missing."""
    target = cache() / name
    if target.exists():
        return target
    found = shutil.which(tool)
    if found is None:
        pytest.skip(absent)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():  # another test run may have built it meanwhile
            print(f"building {target}, once; this takes some minutes")
            build(found, target)
    return target


def cache() -> Path:
    """Return where programs are kept: what tests are told (their home is not the user's), else the user's cache."""
    named = os.environ.get("KMS_TEST_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clever-kms"


def of_module(module: Path, variable: str, absent: str, *, seconds: float = _BUILD_SECONDS) -> Path:
    """Return the program that `variable` names, or that a Go module of the tests makes: one folder of few files.

    The test is skipped with `absent` where there is no Go, or a module that it needs cannot be had.
    """
    ready = named_by(variable)
    if ready is not None:
        return ready
    digest = hashlib.sha256()
    for path in (module / "go.mod", module / "go.sum", *sorted(module.glob("*.go"))):
        digest.update(path.read_bytes())

    def build(go: str, target: Path) -> None:
        fresh, environment = target.with_suffix(".new"), {**os.environ, "CGO_ENABLED": "0"}
        had = subprocess.run(
            [go, "list", "-deps", "."], cwd=module, env=environment, capture_output=True, text=True, check=False
        )
        if had.returncode:
            pytest.skip(f"{absent}; its modules cannot be had: {had.stderr.strip().splitlines()[-1]}")
        words = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(fresh), "."]
        subprocess.run(words, cwd=module, env=environment, check=True, timeout=seconds)
        fresh.rename(target)

    return built_once(f"{module.name}-{digest.hexdigest()[:16]}", build, absent)


def installed(name: str, variable: str, package: str, version: str, absent: str) -> Path:
    """Return the program that `variable` names, that is on the PATH, or that `go install` makes of a package."""
    ready = named_by(variable) or shutil.which(name)
    if ready is not None:
        return Path(ready)

    def build(go: str, target: Path) -> None:
        place = target.with_suffix(".new")
        subprocess.run(
            [go, "install", f"{package}@{version}"],
            env={**os.environ, "GOBIN": str(place)},
            check=True,
            timeout=_BUILD_SECONDS,
        )
        (place / name).rename(target)
        place.rmdir()

    return built_once(f"{name}-{version}", build, absent)
