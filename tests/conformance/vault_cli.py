"""The official `vault` command line client: where it comes from, and its tables read back.

`KMS_TEST_VAULT_CLI` names a ready binary. Else it is built once, from the module in `vaultcli/`, into the user's
cache; that takes ten minutes or more of two cores and about 370 MB. Without Go there is nothing to run.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.programs import built_once, named_by

_MODULE = Path(__file__).parent / "vaultcli"
_BUILD_SECONDS = 25 * 60
_RUN_SECONDS = 30

#: For a Go program that ends soon: a third of its time would go into collecting what the system takes back at once.
UNCOLLECTED: Final = {"GOGC": "off"}


def find_vault() -> Path:
    """Return the binary, built at need; skip the test where that cannot be."""
    named = named_by("KMS_TEST_VAULT_CLI")
    if named is not None:
        return named
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((_MODULE / name).read_bytes())
    absent = (
        "the official vault CLI is not here: set KMS_TEST_VAULT_CLI to a vault 1.14 binary, "
        "or install Go 1.26 or later and let the tests build it"
    )
    return built_once(f"vault-{digest.hexdigest()[:16]}", _build, absent)


def _build(go: str, target: Path) -> None:
    fresh = target.with_suffix(".new")
    subprocess.run([go, "build", "-o", str(fresh), "."], cwd=_MODULE, check=True, timeout=_BUILD_SECONDS)
    fresh.rename(target)


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def table(self) -> dict[str, str]:
        """The rows of a table of keys and values."""
        return rows(self.out)

    @property
    def columns(self) -> list[dict[str, str]]:
        """The rows of a table with a header and any number of columns."""
        header, _, *lines = (re.split(r"\s{2,}", line.strip()) for line in self.out.strip().splitlines())
        return [dict(zip(header, line, strict=False)) for line in lines]

    @property
    def sections(self) -> dict[str, str]:
        """The parts of an answer of `vault kv`, by title."""
        parts = re.split(r"^=+ (.+?) =+$", self.out, flags=re.MULTILINE)[1:]
        return {title: text.strip() for title, text in zip(parts[::2], parts[1::2], strict=True)}


def rows(text: str) -> dict[str, str]:
    """Return the rows of a table `Key  Value`; its header and rule are checked and left out."""
    lines = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in text.strip().splitlines()]
    start = next(index for index, line in enumerate(lines) if line == ["Key", "Value"])
    assert set("".join(lines[start + 1])) == {"-"}
    return {line[0]: line[1] if len(line) > 1 else "" for line in lines[start + 2 :] if line[0]}


@dataclass(frozen=True)
class VaultCli:
    """`vault` as one user on one machine: its own home, where `vault login` keeps the token."""

    binary: Path
    address: str
    home: Path
    namespace: str = ""
    _environment: dict[str, str] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VAULT_")}
        self._environment.update(
            kept, HOME=str(self.home), VAULT_ADDR=self.address, VAULT_MAX_RETRIES="0", **UNCOLLECTED
        )

    def login(self, token: str) -> Outcome:
        """Log in with a token, and keep it for the commands that follow."""
        return self("login", f"token={token}" if "=" in token else token)

    def __call__(self, *arguments: str, code: int = 0) -> Outcome:
        """Run a command, which must end with `code`."""
        done = subprocess.run(
            [str(self.binary), *arguments],
            env=self._environment,
            cwd=self.home,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        assert done.returncode == code, f"{arguments[0]}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Outcome(done.returncode, done.stdout, done.stderr)
