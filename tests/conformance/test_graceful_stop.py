"""SIGTERM: requests under way get their answers, the process ends with 0, and the store opens again."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from os import kill

import pytest

from tests.support.api import Api, b64, initialise, unseal
from tests.support.node import NewNode, Node
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


def test_a_request_whose_body_is_on_its_way_is_answered(stopping: tuple[Node, Tenant, str], issuer: Issuer) -> None:
    node, tenant, share = stopping
    body = json.dumps({"data": {"a": "b"}}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
    connection.putrequest("POST", "/v1/secret/data/slow")
    connection.putheader("X-Vault-Token", tenant.user.token or "")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:5])
    wait_for_the_log(node, "stopping", node.terminate)
    connection.send(body[5:])
    response = connection.getresponse()
    assert response.status == 200
    assert json.loads(response.read())["data"]["version"] == 1
    connection.close()
    assert node.wait() == 0
    start_again(node, issuer, share)
    assert tenant.user.get("secret/data/slow").data["data"] == {"a": "b"}


def test_work_under_way_is_answered(stopping: tuple[Node, Tenant, str], issuer: Issuer) -> None:
    node, tenant, share = stopping
    assert tenant.user.post("transit/keys/orders").status == 200
    batch = json.dumps({"batch_input": [{"plaintext": b64(str(number))} for number in range(20_000)]}).encode()
    with ThreadPoolExecutor(6) as pool:
        requests = [pool.submit(tenant.user.post, "transit/encrypt/orders", batch) for _ in range(6)]
        time.sleep(0.2)  # all are sent; together they take longer than this
        node.terminate()
        ciphertexts = [request.result().data["batch_results"][-1]["ciphertext"] for request in requests]
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
            except ConnectionError:
                return  # no longer listening
            except http.client.HTTPException:
                return  # closed before it was read
            if answer.status != 200:
                failures.append((answer.status, answer.body))
                return
            acknowledged[name] = number

    writers = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(6)]
    for writer in writers:
        writer.start()
    time.sleep(0.3)
    assert node.stop() == 0
    for writer in writers:
        writer.join()
    assert failures == []
    assert len(acknowledged) == 6
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
    assert time.monotonic() - started < 5
    silent.close()
    for connection in idle:
        connection.close()
    with pytest.raises(ConnectionError):
        tenant.user.get("sys/health")


def test_interrupt_stops_as_well(new_node: NewNode) -> None:
    node = new_node()
    kill(node.pid, signal.SIGINT)
    assert node.wait() == 0
    assert "Traceback" not in node.log


def wait_for_the_log(node: Node, text: str, after: object) -> None:
    """Do something, and wait until the node tells of it."""
    assert callable(after)
    after()
    deadline = time.monotonic() + 10
    while text not in node.log:
        assert time.monotonic() < deadline, node.log
        time.sleep(0.01)
