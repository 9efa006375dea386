"""From a client's folder to the command that runs it: built by its own tool, once, into the cache of the tests.

A client is built anew when a file of its folder changes. Its tool finds registries as the user has set them up.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.clients.matrix import HERE, Client
from tests.support.programs import built_once

_BUILD_SECONDS: Final = 60 * 60


def command_of(client: Client) -> list[str]:
    """Return the command that runs a client, built at need; skip the test where its tool is missing."""
    make = _MAKERS.get(client.lock_path.name)
    if make is None:  # the test extra has brought it
        return [sys.executable, str(HERE / client.package.replace("-", "_") / "main.py")]
    return make(client)


def _go(client: Client) -> list[str]:
    """A program of our own, or the tool that go.mod names."""
    tool = re.search(r"^tool (\S+)", client.lock_path.read_text(encoding="utf-8"), re.MULTILINE)
    package = tool[1] if tool else "."

    def build(go: str, target: Path) -> None:
        fresh = target.with_suffix(".new")
        _run([go, "build", "-tags", client.tags, "-o", str(fresh), package], client.folder)
        fresh.rename(target)

    return [str(_built(client, build, "go", "Go 1.26"))]


def _npm(client: Client) -> list[str]:
    """Node's packages lie beside the program that wants them."""

    def build(npm: str, target: Path) -> None:
        fresh = _copied(client, target)
        _run([npm, "ci", "--ignore-scripts"], fresh)
        fresh.rename(target)

    return ["node", str(_built(client, build, "npm", "Node.js and npm") / "main.js")]


def _cargo(client: Client) -> list[str]:
    """What it depends on stays compiled beside it: another program of ours needs only itself."""

    def build(cargo: str, target: Path) -> None:
        compiled = target.parent / f"client-{client.folder.name}-target"
        _run([cargo, "build", "--locked", "--target-dir", str(compiled)], client.folder)
        name = tomllib.loads((client.folder / "Cargo.toml").read_text(encoding="utf-8"))["package"]["name"]
        fresh = target.with_suffix(".new")
        shutil.copy2(compiled / "debug" / name, fresh)
        fresh.rename(target)

    return [str(_built(client, build, "cargo", "Rust and Cargo"))]


def _maven(client: Client) -> list[str]:
    """Jars lie beside the class `Main`."""

    def build(maven: str, target: Path) -> None:
        fresh = _copied(client, target)
        _run([maven, "-B", "-q", "compile", "dependency:copy-dependencies"], fresh)
        fresh.rename(target)

    place = _built(client, build, "mvn", "a JDK 17 and Maven") / "target"
    return ["java", "-cp", f"{place / 'classes'}:{place / 'dependency'}/*", "Main"]


def _pip(client: Client) -> list[str]:
    """An environment with what `requirements.txt` locks, and of the collections of Ansible the one that is used."""

    def build(_: str, target: Path) -> None:
        fresh = target.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(target)], client.folder)
        locked = [str(target / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        _run([*locked, "install", "--require-hashes", "-r", "requirements.txt"], client.folder)
        options = ["--no-deps", "--require-hashes", "--dest", str(fresh), "-r", "collection.txt"]
        _run([*locked, "download", *options], client.folder)
        [wheel] = fresh.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            wanted = (name for name in archive.namelist() if "/community/hashi_vault/" in name)
            archive.extractall(target / "collections", wanted)
        shutil.rmtree(fresh)

    place = _built(client, build, "python3", "Python", only="*.txt")
    return ["env", f"ANSIBLE_COLLECTIONS_PATH={place / 'collections'}", str(place / "bin" / "ansible-playbook")]


def _copied(client: Client, target: Path) -> Path:
    """Return a copy of the folder beside `target`, to be built in."""
    fresh = target.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    return shutil.copytree(client.folder, fresh)


def _built(client: Client, build: Callable[[str, Path], None], tool: str, tool_title: str, only: str = "*") -> Path:
    """Return what `build` makes, kept by the digest of the files of the folder that are named like `only`."""
    digest = hashlib.sha256()
    shared = (HERE / "checked").iterdir() if tool == "go" else ()
    for path in sorted((*client.folder.rglob(only), *shared)):
        if path.is_file():
            digest.update(path.read_bytes())
    name = f"client-{client.folder.name}-{digest.hexdigest()[:16]}"
    return built_once(name, build, f"{client.title} cannot be built: install {tool_title}", tool=tool)


def _run(command: list[str], folder: Path) -> None:
    """Run a tool as the user would: with the caches and the registries that are set up in the user's home."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    subprocess.run(command, cwd=folder, env=os.environ | {"HOME": home}, check=True, timeout=_BUILD_SECONDS)


_MAKERS: Final[dict[str, Callable[[Client], list[str]]]] = {
    "go.mod": _go,
    "package-lock.json": _npm,
    "Cargo.lock": _cargo,
    "pom.xml": _maven,
    "collection.txt": _pip,
}
