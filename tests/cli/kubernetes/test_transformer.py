"""The transformer that API servers seal their objects with, Kubernetes' own code, over the program's socket."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.kubernetes_program import KubernetesProgram, kubernetes_clients, narrowed
from tests.support.node import Node, wait_until
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer

pytest.importorskip("grpc", reason="gRPC is absent: pip install -e .[test]")

SECRET = b"a secret of the cluster"


class Refused(Exception):
    """The transformer says no; its words are the argument."""


class Opened(NamedTuple):
    """A value, and whether an API server would write it anew, were it to write it."""

    value: bytes
    stale: bool


class ApiServer:
    """What of an API server seals, with the state that it has: `restart` has it forget that."""

    def __init__(self, program: Path, socket: Path) -> None:
        self._process = subprocess.Popen(
            [str(program), "transform", str(socket)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def restart(self) -> None:
        self._do("restart")

    def follow(self) -> str:
        """Look at the status, as every minute, and return the id of the key that seals from now on."""
        return str(self._do("follow")["key_id"])

    def seal(self, value: bytes = SECRET) -> bytes:
        return base64.b64decode(self._do("seal", value)["value"])

    def open(self, sealed: bytes) -> Opened:
        told = self._do("open", sealed)
        return Opened(base64.b64decode(told["value"]), told["stale"])

    def close(self) -> None:
        _, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0

    def _do(self, what: str, value: bytes = b"") -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, "value": base64.b64encode(value).decode()}) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        if "error" in told:
            raise Refused(told["error"])
        return told


@pytest.fixture
def program(tenant: Tenant, node: Node, issuer: Issuer, tmp_path: Path) -> Iterator[KubernetesProgram]:
    token = tmp_path / "kubernetes.token"
    narrowed(issuer.tenant(tenant.vault_id), token, ["seal"])
    program = KubernetesProgram(tmp_path / "kms.sock", node.address, token, key="seal")
    program.start()
    yield program
    program.close()
    assert b"Traceback" not in program.told


@pytest.fixture
def server(program: KubernetesProgram) -> Iterator[ApiServer]:
    server = ApiServer(kubernetes_clients(), program.path)
    yield server
    server.close()


def succeeds(do: Callable[[], Any]) -> bool:
    """Tell whether the transformer does not refuse."""
    with contextlib.suppress(Refused):
        do()
        return True
    return False


def test_a_value_is_sealed_and_is_opened_also_after_a_start(server: ApiServer) -> None:
    with pytest.raises(Refused, match="no seed was sealed"):
        server.seal()
    server.follow()
    sealed = server.seal()
    assert SECRET not in sealed
    assert server.open(sealed) == (SECRET, False)
    server.restart()
    server.follow()
    assert server.open(sealed) == (SECRET, False), "by the socket: what was opened before is forgotten"
    changed = bytearray(sealed)
    changed[-1] ^= 1
    with pytest.raises(Refused):
        server.open(bytes(changed))


def test_a_rotation_is_followed_and_old_values_are_told_to_be_stale(server: ApiServer, tenant: Tenant) -> None:
    before = server.follow()
    old = server.seal()
    assert tenant.root.post("transit/keys/seal/rotate").status == 200
    began = time.monotonic()
    wait_until(lambda: server.follow() != before, "the new version seals")
    assert time.monotonic() - began < 10
    new = server.seal()
    assert server.open(old) == (SECRET, True)
    assert server.open(new) == (SECRET, False)
    server.restart()
    server.follow()
    assert server.open(old) == (SECRET, True)
    tenant.root.post("transit/keys/seal/config", {"min_decryption_version": 2})
    server.restart()
    server.follow()
    assert server.open(new) == (SECRET, False)
    with pytest.raises(Refused, match="failed to decrypt DEK"):
        server.open(old)


def test_without_the_server_an_api_server_starts_and_what_it_seals_outlives_the_program(
    server: ApiServer, program: KubernetesProgram, node: Node, start_again: Callable[[], None]
) -> None:
    key_id = server.follow()
    before = server.seal()
    node.kill()
    server.restart()
    assert server.follow() == key_id
    assert server.open(before) == (SECRET, False)
    meanwhile = server.seal()
    server.restart()
    server.follow()
    assert server.open(meanwhile) == (SECRET, False)
    program.kill()  # with the spare key, which was nowhere else
    start_again()
    program.start()
    server.restart()
    assert server.follow() == key_id
    assert server.open(before) == server.open(meanwhile) == (SECRET, False)


def test_the_program_is_away_and_comes_back_over_the_socket_that_it_left(
    server: ApiServer, program: KubernetesProgram
) -> None:
    key_id = server.follow()
    sealed = server.seal()
    program.kill()
    assert program.path.is_socket()
    assert server.open(sealed) == (SECRET, False), "an API server keeps what it opened"
    assert server.open(server.seal()) == (SECRET, False), "and seals for three minutes more"
    with pytest.raises(Refused):
        server.follow()
    program.start()
    wait_until(lambda: succeeds(server.follow), "the API server finds it again")
    assert server.follow() == key_id
    program.kill()
    server.restart()
    with pytest.raises(Refused, match="no seed was sealed"):
        server.open(sealed)
    program.start()
    wait_until(lambda: succeeds(server.follow), "the API server that was started before it finds it")
    assert server.open(sealed) == (SECRET, False)


def test_what_the_server_refuses_is_refused_at_once_and_told_by_the_status(
    server: ApiServer, tenant: Tenant, program: KubernetesProgram
) -> None:
    server.follow()
    sealed = server.seal()
    tenant.root.post("transit/keys/seal/config", {"deletion_allowed": True})
    assert tenant.root.delete("transit/keys/seal").status == 204
    server.restart()
    with pytest.raises(Refused):
        server.follow()
    assert tenant.root.get("transit/keys/seal").status == 404, "to seal makes no key"
    assert tenant.root.post("transit/keys/seal", {"type": "aes256-gcm96"}).status == 200
    wait_until(lambda: succeeds(server.follow), "a key by that name seals")
    with pytest.raises(Refused, match="failed to decrypt DEK"):
        server.open(sealed)
