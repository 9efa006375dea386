"""What somebody without a token can make a node do: little, and the same whoever he names."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from tests.advisories.conftest import token_of
from tests.fuzz.running import megabytes
from tests.support.api import Api
from tests.support.memory import family
from tests.support.node import Node
from tests.support.tenant import Tenant

#: Bodies, and the bound that they are past.
DEEP = {
    "lists": (b"[" * 10_000 + b"]" * 10_000, "nested deeper"),
    "objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested deeper"),
    "open": (b'{"a":' + b"[" * 100_000, "nested deeper"),
    "members": (b'{"data":{' + b",".join(b'"%d":1' % number for number in range(300_000)) + b"}}", "elements"),
    "escapes": (b'{"a":"' + b"\\u0041" * 1_500_000 + b'"}', "escapes"),
    "digits": (b'{"a":' + b"9" * 4_000_000 + b"}", "numbers that are too long"),
}


def processor_seconds(node: Node) -> float:
    """Return what a node's processes have used of the processor, together."""
    ticks = 0
    for pid in family(node.pid):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("name", DEEP)
def test_cve_2025_6203_json_is_bounded_before_it_is_parsed(
    name: str, node: Node, tenant: Tenant, nobody: Api
) -> None:
    """Bodies within the bound of size, but deep or of many members, took memory and time out of all proportion.

    Here depth, members, escapes and digits are counted before anything is parsed, and nobody's body is read at all
    where a token is needed.
    """
    body, bound = DEEP[name]
    tenant.operator.post("sys/auth/userpass", {"type": "userpass"})
    before, held = processor_seconds(node), megabytes(node)
    for path in ("secret/data/a", "sys/mounts/x", "auth/token/create"):
        with contextlib.suppress(ConnectionError):  # closed while it was still being sent
            assert nobody.call("POST", path, body).status == 403
    for path in ("auth/userpass/login/ann", "sys/init", "sys/unseal"):
        with contextlib.suppress(ConnectionError):
            assert nobody.call("POST", path, body).status in {400, 403, 413}
    refused = tenant.user.call("POST", "secret/data/a", body)
    assert refused.status == 400
    assert bound in refused.errors[0]
    assert processor_seconds(node) - before < 5
    assert megabytes(node) - held < 200


@pytest.mark.parametrize("path", ["secret/data/a", "auth/userpass/login/ann", "sys/unseal", "sys/wrapping/unwrap"])
def test_cve_2023_6337_requests_of_nobody_hold_no_memory(path: str, node: Node, tenant: Tenant, nobody: Api) -> None:
    """Large requests without a token were read whole before anybody asked for one, until memory was at its end.

    Here what is to come is not read before somebody may send it, and what nobody may send is small. What waits is
    bounded for all together.
    """
    tenant.operator.post("sys/auth/userpass", {"type": "userpass"})
    assert nobody.post("auth/userpass/login/ann", {"password": "password"}).status == 400  # it is there
    head = f"POST /v1/{path} HTTP/1.1\r\nHost: x\r\nX-Vault-Namespace: {tenant.vault_id}\r\n"
    opening = f"{head}Content-Length: 30000000\r\n\r\n".encode()
    held = megabytes(node)
    with contextlib.ExitStack() as open_:
        for _ in range(40):
            connection = open_.enter_context(socket.create_connection(("127.0.0.1", node.port), timeout=30))
            connection.settimeout(2)
            with contextlib.suppress(OSError):
                connection.sendall(opening + b"x" * 4_000_000)
        assert megabytes(node) - held < 60
    assert Api(node.address).get("sys/health").status == 200


def test_cve_2025_6011_a_login_costs_the_same_whoever_it_names(node: Node, tenant: Tenant, nobody: Api) -> None:
    """A name that is not there was refused at once, one that is after its password was hashed: the time told which.

    Here the password is hashed for both, and both have one answer.
    """
    operator = tenant.operator
    operator.post("sys/auth/userpass", {"type": "userpass"})
    operator.post("sys/auth/userpass/tune", {"user_lockout_config": {"lockout_disable": True}})
    assert operator.post("auth/userpass/users/ann", {"password": "password"}).status == 204
    assert token_of(nobody.post("auth/userpass/login/ann", {"password": "password"}))
    spent, answers = {}, {}
    for name in ("ann", "somebody"):
        before = processor_seconds(node)
        tries = [nobody.post(f"auth/userpass/login/{name}", {"password": "wrong"}) for _ in range(12)]
        spent[name] = processor_seconds(node) - before
        answers[name] = {(each.status, each.body) for each in tries}
    assert answers["ann"] == answers["somebody"]
    assert spent["ann"] > 0.1  # a hash is dear, so the bound below says something
    assert 0.5 < spent["somebody"] / spent["ann"] < 2
