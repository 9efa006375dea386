"""Write the locks anew: every package with its version, and with the SHA-256 of each file that there is of it.

    make lock                       keep all versions; look what is missing, or one too many
    make lock UPGRADE="aiohttp"     take the newest that pyproject.toml allows of these

pip-compile of pip-tools resolves, in an environment of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
#: What resolves; of another version, locks may look otherwise.
RESOLVER = "pip-tools==7.6.2"


class Lock(NamedTuple):
    """A lock: its file, the extras of the project that it is for, and what is needed besides.

    It has what those before it have not; one that is `aside` what the first has not, and those behind it do not count
    on it; one that stands `alone` has everything.
    """

    name: str
    about: str
    extras: tuple[str, ...] = ()
    further: str = ""
    alone: bool = False
    aside: bool = False


LOCKS = (
    Lock("requirements.lock", "What a node needs, and nothing else."),
    Lock("requirements-test.lock", "What tests, lint and benches need beside requirements.lock.", ("test",)),
    Lock("requirements-fuzz.lock", "What `make fuzz` needs beside the other locks.", ("test", "fuzz")),
    Lock(
        "requirements-extras.lock",
        "What the extras `kubernetes` and `pkcs11` need beside requirements.lock.",
        ("kubernetes", "pkcs11"),
        aside=True,
    ),
    Lock("requirements-docs.lock", "What `make docs` needs beside requirements.lock.", ("docs",), aside=True),
    Lock("requirements-build.lock", "What makes the project's own package.", further="setuptools>=77", alone=True),
)
_ENTRY = re.compile(
    r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)[^\\\n]*((?:\\\n +--hash=sha256:[0-9a-f]{64} ?)*)$", re.MULTILINE
)


def entries(text: str) -> dict[str, tuple[str, str]]:
    """Return version and hashes of each package of a lock, by its name in one spelling."""
    found = _ENTRY.findall(text.replace(" \\\n", "\\\n"))
    return {re.sub(r"[-_.]+", "-", name).lower(): (version, hashes) for name, version, hashes in found}


def main() -> None:
    """Write all locks."""
    upgraded = {re.sub(r"[-_.]+", "-", name).lower() for name in sys.argv[1:]}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        venv.create(folder / "environment", with_pip=True)
        python = folder / "environment/bin/python"
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", RESOLVER)
        before: dict[str, tuple[str, str]] = {}
        first: dict[str, tuple[str, str]] = {}
        for lock in LOCKS:
            found = _resolved(lock, python, folder, upgraded)
            there = {} if lock.alone else first if lock.aside else before
            own = {name: entry for name, entry in found.items() if name not in there}
            first = first or own
            if not lock.alone and not lock.aside:
                before |= own
            lines = (
                f"{name}=={version} \\\n" + " \\\n".join(f"    {each}" for each in hashes.replace("\\", "").split())
                for name, (version, hashes) in sorted(own.items())
            )
            head = f"# {lock.about}\n# Made by `make lock`.\n"
            (ROOT / lock.name).write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
            print(f"{lock.name}: {len(own)} packages")  # noqa: T201


def _resolved(lock: Lock, python: Path, folder: Path, upgraded: set[str]) -> dict[str, tuple[str, str]]:
    pins = folder / "pins.txt"
    known = {name: version for path in ROOT.glob("requirements*.lock") for name, version in _versions(path)}
    pins.write_text("".join(f"{name}=={version}\n" for name, version in known.items() if name not in upgraded))
    wanted = ROOT / "pyproject.toml"
    if lock.further:
        wanted = folder / "further.in"
        wanted.write_text(lock.further + "\n")
    target = folder / lock.name
    options = ["--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--allow-unsafe", "--strip-extras"]
    options += ["--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links"]
    options += [f"--extra={extra}" for extra in lock.extras]
    _run(
        python, "-m", "piptools", "compile", *options, f"--constraint={pins}", f"--output-file={target}", str(wanted)
    )
    return entries(target.read_text(encoding="utf-8"))


def _versions(path: Path) -> list[tuple[str, str]]:
    text = path.read_text(encoding="utf-8")
    return [(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version, _ in _ENTRY.findall(text)] or [
        (name, version) for name, (version, _) in entries(text).items()
    ]


def _run(*command: str | Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT, env=kept)  # noqa: S603


if __name__ == "__main__":
    main()
