"""SIGTERM: requests under way get their answers, the process ends with 0, and the store opens again."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from http import HTTPStatus
from typing import Any

import pytest

from tests.support.api import Api, b64, initialise, unseal
from tests.support.node import NewNode, Node, wait_until
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer


@pytest.fixture
def stopping(new_node: NewNode, issuer: Issuer) -> tuple[Node, Tenant, str]:
    """A node of its own with an unsealed tenant, and the share that unseals the node."""
    node = new_node()
    operator = Api(node.address, issuer.cluster_operator())
    (share,) = initialise(operator, 1, 1)["keys_base64"]
    unseal(operator, [share])
    return node, make_tenant(node, issuer), share


def start_again(node: Node, issuer: Issuer, share: str) -> None:
    node.start()
    unseal(Api(node.address, issuer.cluster_operator()), [share])


class Begun:
    """A request that the node has begun to read: it has asked for the body, which is not sent yet."""

    def __init__(self, caller: Api, path: str, fields: Any) -> None:
        self._body = json.dumps(fields).encode()
        self._socket = socket.create_connection(("127.0.0.1", int(caller.address.rsplit(":", 1)[1])), timeout=30)
        head = (
            f"POST /v1/{path} HTTP/1.1\r\nHost: node\r\nX-Vault-Token: {caller.token}\r\n"
            f"Content-Length: {len(self._body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        assert self._socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"

    def send_body(self) -> None:
        self._socket.sendall(self._body)

    def data(self) -> Any:
        """Return what the answer carries."""
        with http.client.HTTPResponse(self._socket) as response:
            response.begin()
            assert response.status == HTTPStatus.OK
            data = json.loads(response.read())["data"]
        self._socket.close()
        return data


def test_a_request_whose_body_is_on_its_way_is_answered(stopping: tuple[Node, Tenant, str], issuer: Issuer) -> None:
    node, tenant, share = stopping
    write = Begun(tenant.user, "secret/data/slow", {"data": {"a": "b"}})
    node.terminate()
    wait_until(lambda: "stopping" in node.log, "the log tells of the stop")
    write.send_body()
    assert write.data()["version"] == 1
    assert node.wait() == 0
    start_again(node, issuer, share)
    assert tenant.user.get("secret/data/slow").data["data"] == {"a": "b"}


def test_work_under_way_is_answered(stopping: tuple[Node, Tenant, str], issuer: Issuer) -> None:
    node, tenant, share = stopping
    assert tenant.user.post("transit/keys/orders").status == 200
    items = {"batch_input": [{"plaintext": b64(str(number))} for number in range(20_000)]}
    requests = [Begun(tenant.user, "transit/encrypt/orders", items) for _ in range(6)]
    senders = [threading.Thread(target=request.send_body) for request in requests]
    for sender in senders:
        sender.start()
    node.terminate()
    ciphertexts = [request.data()["batch_results"][-1]["ciphertext"] for request in requests]
    for sender in senders:
        sender.join()
    assert node.wait() == 0
    start_again(node, issuer, share)
    for ciphertext in ciphertexts:
        decrypted = tenant.user.post("transit/decrypt/orders", {"ciphertext": ciphertext})
        assert decrypted.data["plaintext"] == b64("19999")


def test_under_load_every_acknowledged_write_is_kept(stopping: tuple[Node, Tenant, str], issuer: Issuer) -> None:
    node, tenant, share = stopping
    acknowledged: dict[str, int] = {}
    failures: list[tuple[int, bytes]] = []

    def write(name: str) -> None:
        for number in range(100_000):
            try:
                answer = tenant.user.post(f"secret/data/{name}", {"data": {"n": number}})
            except (ConnectionError, http.client.HTTPException):
                return  # no longer listening, or closed before the request was read
            if answer.status != HTTPStatus.OK:
                failures.append((answer.status, answer.body))
                return
            acknowledged[name] = number

    writers = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(6)]
    for writer in writers:
        writer.start()
    wait_until(lambda: len(acknowledged) == len(writers) and min(acknowledged.values()) > 2, "writes")
    assert node.stop() == 0
    for writer in writers:
        writer.join()
    assert failures == []
    start_again(node, issuer, share)
    for name, number in acknowledged.items():
        assert tenant.user.get(f"secret/data/{name}").data["data"]["n"] >= number


def test_idle_connections_do_not_hold_up_the_end(stopping: tuple[Node, Tenant, str]) -> None:
    node, tenant, _ = stopping
    idle = [http.client.HTTPConnection("127.0.0.1", node.port, timeout=30) for _ in range(5)]
    for connection in idle:
        connection.request("GET", "/v1/sys/health")
        assert connection.getresponse().read()
    silent = socket.create_connection(("127.0.0.1", node.port))
    started = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - started < 8  # less than `stop_seconds`
    silent.close()
    for connection in idle:
        connection.close()
    with pytest.raises(ConnectionError):
        tenant.user.get("sys/health")


def test_interrupt_stops_as_well(new_node: NewNode) -> None:
    node = new_node()
    os.kill(node.pid, signal.SIGINT)
    assert node.wait() == 0
    assert "Traceback" not in node.log
