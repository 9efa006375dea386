"""What `make` installs, and what it says where it cannot.

The kind: an environment that has more than is told (tests' tools on a node), less than is needed, or that fails in a
tool's words. The locks are compared with what the packages themselves ask for, so neither can drift.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Versions of Python that an environment may be made with.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def locked(name: str) -> dict[str, str]:
    """Return the packages of a lock with their versions."""
    lines = (ROOT / name).read_text(encoding="utf-8").split("\n")
    pairs = (line.removesuffix(" \\").split("==") for line in lines if line and not line.startswith(("#", " ")))
    return {canonicalize_name(package): version for package, version in pairs}


def needed(requirements: list[str], python: str) -> set[str]:
    """Return what these requirements, and theirs, come to on a version of Python."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or not _applies(requirement, python):
            continue
        found.add(name)
        waiting += [
            theirs
            for text in importlib.metadata.distribution(name).requires or []
            if any(_applies(theirs := Requirement(text), python, extra) for extra in ("", *requirement.extras))
        ]
    return found


def _applies(requirement: Requirement, python: str, extra: str = "") -> bool:
    where = {"python_version": python, "python_full_version": f"{python}.0", "extra": extra}
    return requirement.marker is None or requirement.marker.evaluate(where)


def test_the_lock_of_a_node_has_what_a_node_needs_and_nothing_else() -> None:
    of_any = set().union(*(needed(PROJECT["dependencies"], python) for python in PYTHONS))
    assert of_any == locked("requirements.lock").keys()


def test_the_lock_of_the_tests_has_what_they_need_besides_and_nothing_else() -> None:
    tests = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]
    of_any = set().union(*(needed(tests, python) for python in PYTHONS))
    node, further = locked("requirements.lock"), locked("requirements-test.lock")
    assert not node.keys() & further.keys()
    assert of_any == node.keys() | further.keys()


def test_the_lock_of_the_fuzzers_has_nothing_that_others_have() -> None:
    others = locked("requirements.lock").keys() | locked("requirements-test.lock").keys()
    assert not others & locked("requirements-fuzz.lock").keys()
    for text in PROJECT["optional-dependencies"]["fuzz"]:
        requirement = Requirement(text)
        assert locked("requirements-fuzz.lock")[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_lock_of_the_extras_has_what_they_need_besides_and_nothing_else() -> None:
    """In the versions that the tests try: packages and images are made of it."""
    extras = [text for name in ("kubernetes", "pkcs11") for text in PROJECT["optional-dependencies"][name]]
    wanted = set().union(*(needed(extras, python) for python in PYTHONS)) - locked("requirements.lock").keys()
    assert wanted == locked("requirements-extras.lock").keys()
    assert locked("requirements-extras.lock").items() <= locked("requirements-test.lock").items()


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_every_package_of_a_lock_is_known_by_hashes_of_its_files(name: str) -> None:
    """Else whoever serves them, or stands in between, could give another one. pip wants all or none of them."""
    packages = re.split(r"\n(?=\S)", (ROOT / name).read_text(encoding="utf-8").strip())
    for package in packages:
        if not package.startswith("#"):
            assert re.fullmatch(r"[\w.-]+==[\w.]+( \\\n    --hash=sha256:[0-9a-f]{64})+", package), package[:60]


def locked_and_declared() -> Iterator[tuple[str, Requirement]]:
    versions = locked("requirements.lock") | locked("requirements-test.lock")
    for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]:
        requirement = Requirement(text)
        yield versions[canonicalize_name(requirement.name)], requirement


def test_locked_versions_are_allowed_ones() -> None:
    for version, requirement in locked_and_declared():
        assert version in requirement.specifier, requirement


def test_what_makes_a_node_installs_the_lock_of_a_node_alone() -> None:
    steps = planned("run")
    assert "--require-hashes --requirement requirements.lock" in steps
    assert "--no-build-isolation --editable" in steps  # else pip fetches what builds, whatever it is
    assert "requirements-test" not in steps
    told = [(ROOT / name).read_text(encoding="utf-8") for name in ("compose/Containerfile", "docs/operations.md")]
    for line in "\n".join([steps, *told]).splitlines():
        assert "pip install" not in line or "--require-hashes" in line or "--no-build-isolation" in line, line
    assert "requirements-test" not in (ROOT / "compose/Containerfile").read_text(encoding="utf-8")
    for goal in ("test", "lint", "types", "bench"):
        assert "--require-hashes --requirement requirements-test.lock" in planned(goal), goal


def planned(goal: str) -> str:
    """Return what `make` would do where nothing is installed."""
    done = subprocess.run(
        ["make", "--dry-run", "VENV=/nonexistent", goal], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """A Python that says it is 3.10."""
    wrapper = tmp_path / "python3"
    program = (
        "import runpy, sys; sys.version_info = (3, 10, 12); "
        "sys.argv[1:] and runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{program}" "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def test_an_old_python_is_told_the_version_needed_in_one_sentence(tmp_path: Path, old_python: Path) -> None:
    said = refused(tmp_path, str(old_python))
    assert re.fullmatch(
        r"Clever KMS needs Python 3\.11 or newer, and \S+ is Python 3\.10: name another one, .*\.", said
    )


def test_a_missing_python_is_told_in_one_sentence(tmp_path: Path) -> None:
    assert refused(tmp_path, "no-python").startswith("There is no no-python: install Python 3.11 or newer.")


def refused(directory: Path, python: str) -> str:
    """Return the one line that `make run` says, beside make's own, before anything is made."""
    target = directory / "environment"
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}", f"VENV={target}"],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert not target.exists()
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    return line


def test_the_version_that_is_named_is_the_one_that_pip_demands() -> None:
    source = (ROOT / ".ci/check_python.py").read_text(encoding="utf-8")
    least = re.search(r"^LEAST = \((\d+), (\d+)\)", source, re.MULTILINE)
    assert least is not None
    assert PROJECT["requires-python"] == f">={least[1]}.{least[2]}"
    assert f"install Python {least[1]}.{least[2]} or newer" in (ROOT / "Makefile").read_text(encoding="utf-8")
