"""What is handed out: a wheel that is the same whoever builds it, and a list of what a node is made of.

The kind: two builds of one source that differ, so that nobody can tell whether a wheel is what it says; a module that
is missing in it; a package whose licence nobody has looked at.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from kms_actors import __version__

ROOT: Final = Path(__file__).parents[1]
EPOCH: Final = "1767225600"  # the first second of 2026
#: Licences that a node may be made of: they ask for no more than a notice, or, MPL-2.0, for changes to its own files.
ALLOWED: Final = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}


def built(directory: Path, umask: int, mode: int, age: int, kind: str = "wheel") -> Path:
    """Return what is built of a checkout whose files have this mode and age, under an umask of its own."""
    checkout, target = directory / "checkout", directory / "dist"
    for name in (".ci", "config", "kms_actors", "http"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "requirements.lock",
        "requirements-build.lock",
        "requirements-extras.lock",
    ):
        shutil.copy(ROOT / name, checkout / name)
    for path in checkout.rglob("*"):
        if path.is_file():
            path.chmod(mode)
        os.utime(path, (age, age))
    done = subprocess.run(
        [sys.executable, str(checkout / ".ci/wheel.py"), str(target), kind],
        env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH},
        capture_output=True,
        text=True,
        timeout=300,
        umask=umask,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [made] = target.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel") / "one", 0o022, 0o644, 1_600_000_000)


def test_a_wheel_is_the_same_whoever_builds_it(wheel: Path, tmp_path: Path) -> None:
    other = built(tmp_path / "a-longer-name", 0o077, 0o600, 1_700_000_000)
    assert other.name == wheel.name
    assert hashlib.sha256(other.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()


def test_a_source_distribution_is_the_same_whoever_builds_it_and_gives_the_same_wheel(
    wheel: Path, tmp_path: Path
) -> None:
    made = built(tmp_path / "one", 0o022, 0o644, 1_600_000_000, "sdist")
    other = built(tmp_path / "a-longer-name", 0o077, 0o600, 1_700_000_000, "sdist")
    assert made.name == f"clever_kms-{__version__}.tar.gz"
    assert other.read_bytes() == made.read_bytes()
    words = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *words, "--wheel-dir", str(tmp_path / "dist"), str(made)],
        env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH},
        umask=0o022,
        timeout=300,
        check=True,
    )
    [again] = (tmp_path / "dist").iterdir()
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_a_wheel_has_every_module_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "kms_actors").rglob("*.py")}
    modules |= {str(path.relative_to(ROOT / "http")) for path in (ROOT / "http/kms_http").rglob("*.py")}
    typed = {"kms_actors/py.typed", "kms_http/py.typed"}
    console = ROOT / "http/kms_http/console/static"
    typed |= {str(path.relative_to(ROOT / "http")) for path in console.rglob("*") if path.is_file()}
    assert modules | typed == {name for name in names if ".dist-info/" not in name}
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_a_wheel_works_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin/python"
    words = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *words, str(wheel)]
    subprocess.run(command, capture_output=True, timeout=300, check=True)
    # The packages that it needs, from this environment; its editable project is not seen by that.
    [packages] = {path for path in sys.path if path.endswith("site-packages")}
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": packages}
    every = """
import kms_actors, kms_http, pkgutil
for package in (kms_actors, kms_http):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if "foundationdb" not in module.name and "pkcs11" not in module.name:  # these want libraries of the system
            __import__(module.name)
print(kms_actors.__file__)
"""
    told = subprocess.run([python, "-c", every], env=own, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert Path(told.stdout.strip()).is_relative_to(environment)
    for script in ("kms-layer", "kms-cli"):
        done = subprocess.run(
            [environment / "bin" / script, "--help"],
            env=own,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Usage: ")


def bill(path: Path, epoch: str = EPOCH) -> Any:
    subprocess.run(
        [sys.executable, str(ROOT / ".ci/materials.py"), str(path)],
        env=os.environ | {"SOURCE_DATE_EPOCH": epoch},
        timeout=120,
        check=True,
    )
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_bill_of_materials_is_one_and_has_every_package_of_the_lock(tmp_path: Path) -> None:
    found = bill(tmp_path / "bill.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str((tmp_path / "bill.json").read_text()) is None
    assert found["metadata"]["component"]["name"] == "clever-kms"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    packages = [each for each in found["components"] if each["purl"].startswith("pkg:pypi/")]
    assert {f"{each['name']}=={each['version']}" for each in packages} == set(
        re.findall(r"^(\S+==\S+)", lock, re.MULTILINE)
    )
    hashes = {each["content"] for component in packages for each in component["hashes"]}
    assert hashes == set(re.findall(r"sha256:([0-9a-f]{64})", lock))
    needed = {each["ref"]: each.get("dependsOn", []) for each in found["dependencies"]}
    assert any("pycparser" in ref for each in needed.values() for ref in each)


def test_the_bill_of_materials_has_what_others_wrote_for_the_console(tmp_path: Path) -> None:
    """The kind: a file that is served, and that no list names."""
    told = {
        file["name"]: file["hashes"][0]["content"]
        for component in bill(tmp_path / "bill.json")["components"]
        if component["purl"].startswith("pkg:npm/")
        for file in component["components"]
    }
    vendor = ROOT / "http/kms_http/console/static/vendor"
    served = [path for path in vendor.iterdir() if path.name != "manifest.json"]
    assert told == {
        str(path.relative_to(ROOT / "http")): hashlib.sha256(path.read_bytes()).hexdigest() for path in served
    }


def test_the_bill_of_materials_is_the_same_for_the_same_lock(tmp_path: Path) -> None:
    bill(tmp_path / "one.json")
    bill(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_every_package_of_a_node_has_a_licence_that_is_allowed(tmp_path: Path) -> None:
    for component in bill(tmp_path / "bill.json")["components"]:
        [told] = component["licenses"]
        text = told.get("expression") or told["license"].get("id") or told["license"]["name"]
        assert set(re.split(r" (?:AND|OR) ", re.sub(r"[()]", "", text))) <= ALLOWED, (component["name"], text)
