"""Large bodies are served by a process of their own, and nothing else changes for who sends them.

The kind of fault: one call into a library over a large body holds a process, and so whoever shares it. Bounds of time
could only make that shorter. Now a vault that sends none shares no process with those that do.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kms_actors.processes.bulk import wait_until_idle
from kms_http.wire import passing
from tests.processes.test_proxied_addresses import INSIDE, OUTSIDE, Proxied
from tests.processes.workers import Connection, alive, new_node, operator, wait_until, workers
from tests.support import certificates
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node
from tests.support.tenant import Tenant, make_tenant
from tests.support.tls_node import TlsNode, caller
from tests.support.tokens import Issuer

pytestmark = pytest.mark.skipif(not hasattr(socket, "send_fds"), reason="the system passes no descriptors on")

LARGE = {"plaintext": "AAAA" * (1 << 19)}
ENCRYPT = "transit/encrypt/own"
Unsealed = tuple[Node, Tenant]


@pytest.fixture
def settings() -> str:
    return ""


@pytest.fixture
def node(tmp_path: Path, issuer: Issuer, settings: str) -> Iterator[Unsealed]:
    """A node of two workers, and one vault; all of it unsealed."""
    made = new_node(tmp_path, issuer, further=settings)
    made.start()
    api = operator(made, issuer)
    unseal(api, initialise(api, 1, 1)["keys_base64"])
    yield made, make_tenant(made, issuer)
    assert made.stop() == 0, made.log
    assert "Traceback" not in made.log


def bulk(node: Node) -> list[int]:
    """Return the pids of bulk workers: one at most, but while one drains."""
    return [pid for pid in workers(node) if b"\0takes:" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def sent_in_pieces(tenant: Tenant, node: Node, body: Any, **headers: str) -> tuple[int, bool]:
    """Send a chunked body; return the status, and whether the server closes the connection."""
    encoded = json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
    pieces = (encoded[start : start + 100_000] for start in range(0, len(encoded), 100_000))
    sent = {"X-Vault-Token": tenant.user.token or "", "Content-Type": "application/json", **headers}
    connection.request("POST", f"/v1/{ENCRYPT}", pieces, sent, encode_chunked=True)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.getheader("Connection") == "close"


class TestAVaultThatSendsLargeBodies:
    def test_is_served_by_a_process_of_their_own(self, shared: Unsealed) -> None:
        node, tenant = shared
        ciphertext = tenant.user.post(ENCRYPT, LARGE).data["ciphertext"]
        (taken,) = bulk(node)
        assert tenant.user.post("transit/decrypt/own", {"ciphertext": ciphertext}).data == LARGE
        assert tenant.user.post(ENCRYPT, LARGE).status == 200
        assert bulk(node) == [taken]
        assert len(workers(node)) == 3

    def test_is_told_to_make_another_connection_for_what_it_sends_next(self, shared: Unsealed) -> None:
        node, tenant = shared
        connection = Connection.to(node, workers(node)[0], tenant.user.token)
        assert connection.put(ENCRYPT, LARGE).status == 200
        assert connection.last
        assert connection.put("secret/data/a", {"data": {"a": "small"}}).status == 200
        assert not connection.last

    def test_may_send_it_in_pieces_and_wait_to_be_told_to(self, shared: Unsealed) -> None:
        node, tenant = shared
        assert sent_in_pieces(tenant, node, LARGE) == (200, True)
        assert sent_in_pieces(tenant, node, LARGE, Expect="100-continue") == (200, True)

    def test_gets_the_answer_to_what_it_asked_before_first(self, shared: Unsealed) -> None:
        node, tenant = shared
        encoded = json.dumps(LARGE).encode()
        heads = f"Host: a\r\nX-Vault-Token: {tenant.user.token}\r\n"
        small = f"GET /v1/auth/token/lookup-self HTTP/1.1\r\n{heads}\r\n".encode()
        large = f"POST /v1/{ENCRYPT} HTTP/1.1\r\n{heads}Content-Length: {len(encoded)}\r\n\r\n".encode() + encoded
        with socket.create_connection(("127.0.0.1", node.port), timeout=30) as connection:
            connection.sendall(small + large)
            answers = []
            for _ in range(2):
                response = http.client.HTTPResponse(connection)
                response.begin()
                answers.append(json.loads(response.read())["data"])
        assert "id" in answers[0]
        assert answers[1]["ciphertext"].startswith("vault:v1:")

    def test_is_not_heeded_after_its_token_was_revoked(self, shared: Unsealed) -> None:
        node, tenant = shared
        token = tenant.root.post("auth/token/create", {"policies": ["root"]}).json["auth"]["client_token"]
        held = Api(node.address, token)
        assert held.post(ENCRYPT, LARGE).status == 200
        assert tenant.root.post("auth/token/revoke", {"token": token}).status == 204
        assert held.post(ENCRYPT, LARGE).status == 403

    def test_meets_one_process_however_many_of_them_come_before_it_serves(self, node: Unsealed) -> None:
        served, tenant = node
        assert len(workers(served)) == 2
        begun = threading.Barrier(24)

        def send(number: int) -> int:
            begun.wait()
            return tenant.user.post(f"transit/encrypt/{number}", LARGE).status

        with ThreadPoolExecutor(24) as threads:
            assert list(threads.map(send, range(24))) == [200] * 24
        assert len(bulk(served)) == 1
        assert served.log.count("bulk worker serves") == 1

    def test_meets_another_process_where_one_was_replaced_or_killed(self, node: Unsealed, issuer: Issuer) -> None:
        served, tenant = node
        assert tenant.user.post(ENCRYPT, LARGE).status == 200
        before = workers(served)
        os.kill(served.pid, signal.SIGHUP)
        wait_until(lambda: not set(before) & set(workers(served)) and len(workers(served)) == 2)
        assert tenant.user.post(ENCRYPT, LARGE).status == 200
        assert "bulk worker ended" not in served.log
        (killed,) = bulk(served)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not alive(killed))
        assert tenant.user.post(ENCRYPT, LARGE).status == 200
        assert bulk(served) != [killed]
        assert "bulk worker ended" in served.log
        assert operator(served, issuer).put("sys/seal").status == 204
        assert tenant.user.post(ENCRYPT, LARGE).status == 503


@pytest.fixture
def secured(tmp_path: Path, issuer: Issuer) -> Iterator[TlsNode]:
    """A node of two workers with a listener under TLS that asks clients for certificates."""
    started = TlsNode.started(tmp_path, issuer, workers=2)
    yield started
    assert started.node.stop() == 0, started.node.log
    assert "Traceback" not in started.node.log


class TestUnderTls:
    """What TLS knows of a connection stays in its process, which goes between the client and the other one."""

    def test_they_are_served_by_the_process_of_their_own(self, secured: TlsNode, tmp_path: Path) -> None:
        tenant = make_tenant(secured.node, secured.issuer)
        client = caller(secured.port, tmp_path, secured.identity)
        headers = {"X-Vault-Token": tenant.user.token or ""}
        status, sealed = client.call("POST", ENCRYPT, LARGE, headers=headers)
        assert status == 200
        (taken,) = bulk(secured.node)
        body = {"ciphertext": sealed["data"]["ciphertext"]}
        assert client.call("POST", "transit/decrypt/own", body, headers=headers)[1]["data"] == LARGE
        assert bulk(secured.node) == [taken]

    def test_the_connection_ends_with_its_answer(self, secured: TlsNode) -> None:
        tenant = make_tenant(secured.node, secured.issuer)
        encoded = json.dumps(LARGE).encode()
        with connected(secured) as client:
            for last in (False, True):
                body = encoded if last else b'{"plaintext": "AAAA"}'
                client.sendall(head_of(tenant, len(body)) + body)
                answer = http.client.HTTPResponse(client)
                answer.begin()
                assert (answer.status, answer.getheader("Connection") == "close") == (200, last)
                answer.read()
            assert client.recv(1) == b""

    def test_who_reads_late_and_asks_to_be_told_to_send_gets_all_of_it(self, secured: TlsNode) -> None:
        tenant = make_tenant(secured.node, secured.issuer)
        encoded = json.dumps(LARGE).encode()
        with connected(secured) as client:
            client.sendall(head_of(tenant, len(encoded), "Expect: 100-continue\r\n"))
            assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(encoded)
            time.sleep(1)  # the answer fills what lies between
            answer = http.client.HTTPResponse(client)
            answer.begin()
            ciphertext = json.loads(answer.read())["data"]["ciphertext"]
        assert tenant.user.post("transit/decrypt/own", {"ciphertext": ciphertext}).data == LARGE

    def test_the_clients_certificate_goes_along(self, secured: TlsNode, tmp_path: Path) -> None:
        tenant = make_tenant(secured.node, secured.issuer)
        own, other = certificates.client("own"), certificates.client("other")
        assert tenant.root.post("sys/auth/cert", {"type": "cert"}).status == 204
        role = {"certificate": own.pem, "token_policies": "default"}
        assert tenant.root.post("auth/cert/certs/own", role).status == 204
        headers = {"X-Vault-Token": tenant.user.token or ""}
        large = {"name": "own", "pad": "A" * passing.LARGE}
        client = caller(secured.port, tmp_path, secured.identity)
        assert client.call("POST", "auth/cert/login", large, shown=[own], headers=headers)[0] == 200
        assert client.call("POST", "auth/cert/login", large, shown=[other], headers=headers)[0] in {400, 403}
        assert client.call("POST", "auth/cert/login", large, headers=headers)[0] in {400, 403}
        assert bulk(secured.node)

    def test_nothing_is_left_of_who_went_away_nor_of_a_process_that_was_killed(self, secured: TlsNode) -> None:
        tenant = make_tenant(secured.node, secured.issuer)
        encoded = json.dumps(LARGE).encode()
        assert tenant.user.post(ENCRYPT, LARGE).status == 200
        here = [pid for pid in workers(secured.node) if pid not in bulk(secured.node)]
        before = descriptors(here)
        for _ in range(8):
            with connected(secured) as client:
                client.sendall(head_of(tenant, len(encoded)) + encoded[: 1 << 19])
        with connected(secured) as client:
            client.sendall(head_of(tenant, len(encoded)) + encoded[: 1 << 19])
            time.sleep(0.5)
            (killed,) = bulk(secured.node)
            os.kill(killed, signal.SIGKILL)
            assert client.recv(1) == b""
        wait_until(lambda: descriptors(here) <= before)
        assert tenant.user.post(ENCRYPT, LARGE).status == 200

    def test_a_worker_that_is_replaced_goes_between_until_it_is_answered(self, secured: TlsNode) -> None:
        tenant = make_tenant(secured.node, secured.issuer)
        encoded = json.dumps(LARGE).encode()
        with connected(secured) as client:
            client.sendall(head_of(tenant, len(encoded)) + encoded[: 1 << 19])
            before = workers(secured.node)
            os.kill(secured.node.pid, signal.SIGHUP)
            wait_until(lambda: len(set(workers(secured.node)) - set(before)) == 2)
            client.sendall(encoded[1 << 19 :])
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, len(answer.read()) > len(encoded)) == (200, True)
        wait_until(lambda: not set(before) & set(workers(secured.node)))

    def test_one_that_is_being_born_is_not_ended_by_a_restart(self, secured: TlsNode) -> None:
        tenant = make_tenant(secured.node, secured.issuer)
        encoded = json.dumps(LARGE).encode()
        with connected(secured) as client:
            client.sendall(head_of(tenant, len(encoded)) + encoded)
            wait_until(lambda: bool(bulk(secured.node)))
            time.sleep(0.1)  # it is known by then, and still loads its modules
            os.kill(secured.node.pid, signal.SIGHUP)
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert (answer.status, len(answer.read()) > len(encoded)) == (200, True)
        wait_until(lambda: "workers restarted" in secured.node.log)
        assert "bulk worker cannot be started" not in secured.node.log


def connected(secured: TlsNode) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", secured.port), timeout=30)
    context = certificates.client_context(secured.identity)
    return context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=True)


def head_of(tenant: Tenant, length: int, more: str = "") -> bytes:
    token = f"X-Vault-Token: {tenant.user.token}\r\n"
    return f"POST /v1/{ENCRYPT} HTTP/1.1\r\nHost: a\r\n{token}{more}Content-Length: {length}\r\n\r\n".encode()


def descriptors(pids: list[int]) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


class TestWhoNeedsNoOtherProcess:
    def test_shows_no_token_or_sends_small_bodies(self, shared: Unsealed) -> None:
        node, tenant = shared
        for pid in bulk(node):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(workers(node)) == 2)
        assert Api(node.address, None).post(ENCRYPT, LARGE).status in {403, 413}
        small = {"plaintext": "AAAA" * (passing.LARGE // 4 - 100)}
        assert tenant.user.post(ENCRYPT, small).status == 200
        assert len(workers(node)) == 2

    @pytest.mark.parametrize("settings", ["[limits]\nbulk_worker = false\n"])
    def test_asks_a_node_that_is_to_have_none(self, node: Unsealed) -> None:
        served, tenant = node
        assert tenant.user.post(ENCRYPT, LARGE).status == 200
        assert len(workers(served)) == 2


@pytest.mark.parametrize("settings", ["[limits]\nbulk_idle_seconds = 0.2\n"])
def test_the_process_ends_when_it_has_nothing_to_do_and_another_begins_later(node: Unsealed) -> None:
    served, tenant = node
    for count in (1, 2):
        assert tenant.user.post(ENCRYPT, LARGE).status == 200
        wait_until(lambda: len(workers(served)) == 2)
        assert served.log.count("bulk worker serves") == count
    assert "bulk worker ended" not in served.log


async def test_idle_is_who_had_no_connection_for_so_long() -> None:
    there = 1
    waiting = asyncio.ensure_future(wait_until_idle(lambda: there, 0.01))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    there = 0
    async with asyncio.timeout(30):
        await waiting


def test_addresses_that_proxies_tell_go_along(tmp_path: Path) -> None:
    proxied = Proxied(tmp_path, Issuer())
    try:
        root = proxied.tenant.root
        bob = {"password": "right", "token_bound_cidrs": INSIDE, "token_policies": "writer"}
        assert root.post("auth/userpass/users/bob", bob).status == 204
        rule = 'path "transit/*" { capabilities = ["create", "update"] }'
        assert root.put("sys/policies/acl/writer", {"policy": rule}).status == 204
        for kind in ("PROXY", "X-Forwarded-For"):
            login = proxied.ask(kind, INSIDE, "POST", "auth/userpass/login/bob", {"password": "right"})[1]
            bound = login["auth"]["client_token"]
            assert proxied.ask(kind, OUTSIDE, "POST", ENCRYPT, LARGE, token=bound)[0] == 403
            assert proxied.ask(kind, INSIDE, "POST", ENCRYPT, LARGE, token=bound)[0] == 200
        assert bulk(proxied.node)
    finally:
        proxied.node.stop()
