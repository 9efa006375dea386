"""A node of several processes: what one worker is told all know, and workers come and go unnoticed."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.processes.workers import (
    Connection,
    Load,
    alive,
    answered,
    metrics,
    new_node,
    operator,
    stopped,
    wait_until,
    workers,
)
from tests.support.api import initialise
from tests.support.node import Node
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer

Unsealed = tuple[Node, Tenant]


def to_each(node: Node, token: str | None) -> list[Connection]:
    return [Connection.to(node, pid, token) for pid in workers(node)]


def statuses(connections: Iterable[Connection], path: str) -> set[int]:
    return {connection.get(path).status for connection in connections}


class TestSealing:
    def test_shares_given_to_several_workers_unseal_all(self, start: Callable[..., Node], issuer: Issuer) -> None:
        node = start()
        shares = initialise(operator(node, issuer))["keys_base64"]
        first, second = to_each(node, issuer.cluster_operator())
        assert first.put("sys/unseal", {"key": shares[0]}).json["progress"] == 1
        assert second.put("sys/unseal", {"key": shares[1]}).json["progress"] == 2
        assert first.get("sys/seal-status").json["progress"] == 2
        assert first.put("sys/unseal", {"key": shares[2]}).json["sealed"] is False
        for connection in (first, second, *to_each(node, None)):
            assert connection.get("sys/seal-status").json["sealed"] is False
            assert connection.get("sys/health").status == 200

    def test_a_seal_is_answered_when_no_worker_serves(self, unsealed: Unsealed, issuer: Issuer) -> None:
        node, tenant = unsealed
        connections = to_each(node, tenant.user.token)
        assert statuses(connections, "secret/data/a") == {200}
        assert operator(node, issuer).put("sys/seal").status == 204
        assert statuses(connections, "secret/data/a") == {503}
        assert statuses(to_each(node, tenant.user.token), "secret/data/a") == {503}

    def test_errors_of_the_node_actor_come_back_as_they_are(self, start: Callable[..., Node], issuer: Issuer) -> None:
        node = start()
        api = operator(node, issuer)
        assert api.put("sys/unseal", {"key": "00" * 33}).errors == ["Vault is not initialized"]
        initialise(api, 2, 2)
        answer = api.put("sys/init", {"secret_shares": 1, "secret_threshold": 1})
        assert (answer.status, answer.errors) == (400, ["Vault is already initialized"])

    def test_a_worker_that_does_not_hear_of_a_seal_is_ended(self, unsealed: Unsealed, issuer: Issuer) -> None:
        node, tenant = unsealed
        deaf, other = workers(node)
        asking = Connection.to(node, other, issuer.cluster_operator())
        with stopped(deaf):
            assert asking.put("sys/seal").status == 204
            assert not alive(deaf)
        wait_until(lambda: len(workers(node)) == 2)
        assert statuses(to_each(node, tenant.user.token), "secret/data/a") == {503}

    def test_a_revoked_operator_is_refused_by_all_workers(self, unsealed: Unsealed, issuer: Issuer) -> None:
        node, _ = unsealed
        first, second = to_each(node, issuer.cluster_operator())
        assert second.get("auth/token/lookup-self").status == 200
        assert first.call("POST", "auth/token/revoke-self").status == 204
        assert second.get("auth/token/lookup-self").status == 403


class TestTenants:
    def test_what_one_worker_was_told_holds_at_the_other_at_once(self, shared: Unsealed) -> None:
        node, tenant = shared
        first, second = to_each(node, tenant.operator.token)
        for _ in range(5):
            assert first.put("sys/seal").status == 204
            assert second.get("secret/data/a").status == 503
            for key in tenant.shares[:3]:
                assert second.put("sys/unseal", {"key": key}).status == 200
            assert first.get("secret/data/a").status == 200
            assert first.call("POST", "transit/keys/k").status == 200
            version = first.call("POST", "transit/keys/k/rotate").data["latest_version"]
            assert second.put("transit/encrypt/k", {"plaintext": "aGVsbG8="}).data["key_version"] == version
            assert second.call("POST", "sys/mounts/team", {"type": "kv", "options": {"version": "2"}}).status == 204
            assert first.call("POST", "team/data/a", {"data": {}}).status == 200
            assert first.call("DELETE", "sys/mounts/team").status == 204
            assert second.get("team/data/a").status == 404

    def test_a_revoked_token_is_refused_by_all_workers(self, shared: Unsealed, issuer: Issuer) -> None:
        node, tenant = shared
        for token in (issuer.tenant(tenant.vault_id), tenant.root.token):
            first, second = to_each(node, token)
            assert second.get("auth/token/lookup-self").status == 200
            assert first.call("POST", "auth/token/revoke-self").status == 204
            assert second.get("auth/token/lookup-self").status == 403


class TestCrashes:
    def test_a_killed_worker_is_replaced_and_needs_no_operator(self, unsealed: Unsealed) -> None:
        node, tenant = unsealed
        victim, other = workers(node)
        assert tenant.user.token is not None
        with Load(node, tenant.user.token, "secret/data/a", clients=6) as load:
            os.kill(victim, signal.SIGKILL)
            load.wait_for_more()
            wait_until(lambda: "worker serves" in node.log)
            load.wait_for_more()
        assert set(load.statuses) == {200}
        assert load.unanswered <= 6  # each client's one connection, if the victim had it
        replacement = next(pid for pid in workers(node) if pid != other)
        assert Connection.to(node, replacement, tenant.user.token).get("secret/data/a").status == 200

    def test_all_workers_killed_at_once_are_replaced(self, unsealed: Unsealed) -> None:
        node, tenant = unsealed
        for pid in workers(node):
            os.kill(pid, signal.SIGKILL)
        assert tenant.user.get("secret/data/a").status == 200  # the connection waits for the first that serves

    def test_a_worker_that_dies_again_and_again_is_replaced_after_a_while(self, unsealed: Unsealed) -> None:
        node, _ = unsealed
        for _ in range(3):
            seen = node.log.count("worker serves")
            os.kill(max(workers(node)), signal.SIGKILL)
            wait_until(lambda: node.log.count("worker serves") > seen)  # noqa: B023
        assert "replaced_in=0.0" in node.log
        assert "replaced_in=0.25" in node.log

    def test_when_the_supervisor_dies_the_workers_end(self, unsealed: Unsealed) -> None:
        node, tenant = unsealed
        orphans = workers(node)
        busy = Connection.to(node, orphans[0], tenant.user.token)
        os.kill(node.pid, signal.SIGKILL)
        started = time.monotonic()
        wait_until(lambda: not any(map(alive, orphans)), 10)
        assert time.monotonic() - started < 2
        busy.close()
        with pytest.raises(ConnectionError):
            tenant.user.get("sys/health")

    def test_a_hanging_worker_ends_with_the_supervisor_too(self, unsealed: Unsealed) -> None:
        node, _ = unsealed
        orphans = workers(node)
        with stopped(orphans[0]):
            os.kill(node.pid, signal.SIGKILL)
            wait_until(lambda: not alive(orphans[1]), 10)
        wait_until(lambda: not alive(orphans[0]), 10)


class TestRestart:
    def test_loses_no_request(self, unsealed: Unsealed) -> None:
        node, tenant = unsealed
        assert tenant.user.token is not None
        before = set(workers(node))
        with Load(node, tenant.user.token, "secret/data/a") as load:
            for count in (1, 2):
                os.kill(node.pid, signal.SIGHUP)
                wait_until(lambda: node.log.count("workers restarted") == count)  # noqa: B023
                load.wait_for_more()
            wait_until(lambda: len(workers(node)) == 2)
        assert set(load.statuses) == {200}
        assert load.unanswered == 0
        assert not before & set(workers(node))

    def test_keeps_an_idle_connection_until_its_next_request(self, unsealed: Unsealed) -> None:
        node, tenant = unsealed
        old, _ = workers(node)
        idle = Connection.to(node, old, tenant.user.token)
        os.kill(node.pid, signal.SIGHUP)
        wait_until(lambda: "workers restarted" in node.log)
        time.sleep(0.1)
        assert idle.get("secret/data/a").status == 200
        assert idle.last
        wait_until(lambda: not alive(old))

    def test_of_a_node_of_one_process_does_nothing(self, start: Callable[..., Node], issuer: Issuer) -> None:
        node = start(1)
        os.kill(node.pid, signal.SIGHUP)
        assert operator(node, issuer).get("sys/health").status == 501
        assert workers(node) == []


class TestStop:
    def test_answers_requests_under_way(self, unsealed: Unsealed) -> None:
        node, tenant = unsealed
        slow = [Connection.to(node, pid, tenant.user.token) for pid in workers(node)]
        body = b'{"data": {"x": "y"}}'
        head = f"PUT /v1/secret/data/slow HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {tenant.user.token}\r\n"
        raw = []
        for connection in slow:
            found = connection._http.sock
            assert isinstance(found, socket.socket)
            found.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
            raw.append(found)
        time.sleep(0.1)
        node.terminate()
        wait_until(lambda: "stopping" in node.log)
        for found in raw:
            found.sendall(body[5:])
            assert found.recv(100).startswith(b"HTTP/1.1 200 ")
        assert node.wait() == 0
        assert "Traceback" not in node.log

    def test_ends_all_processes(self, unsealed: Unsealed) -> None:
        node, tenant = unsealed
        pids = workers(node)
        os.killpg(node.pid, signal.SIGTERM)  # as a service manager does, and a terminal with SIGINT
        assert node.wait() == 0
        assert not any(map(alive, pids))
        with pytest.raises(ConnectionError):
            tenant.user.get("sys/health")


class TestMetrics:
    def test_are_those_of_all_workers(self, shared: Unsealed) -> None:
        node, tenant = shared
        before = answered(node, "data/")
        for connection in to_each(node, tenant.user.token):
            for _ in range(3):
                assert connection.get("secret/data/a").status == 200
        assert answered(node, "data/") == before + 6
        found = metrics(node)
        assert found["kms_workers"] == 2
        assert found["kms_node_sealed"] == 0
        for worker in ("1", "2", "supervisor"):
            assert found[f'process_resident_memory_bytes{{worker="{worker}"}}'] > 10e6

    def test_count_on_when_workers_are_replaced(self, unsealed: Unsealed) -> None:
        node, tenant = unsealed
        for connection in to_each(node, tenant.user.token):
            assert connection.get("secret/data/a").status == 200
            connection.close()
        before = answered(node, "data/")
        os.kill(node.pid, signal.SIGHUP)
        wait_until(lambda: "workers restarted" in node.log)
        wait_until(lambda: len(workers(node)) == 2)
        assert answered(node, "data/") == before
        os.kill(workers(node)[0], signal.SIGKILL)
        wait_until(lambda: "worker serves" in node.log)
        assert answered(node, "data/") == before
        assert metrics(node)["kms_worker_restarts_total"] == 1


def _read(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def test_workers_are_told_nothing_by_arguments_and_leave_no_core(start: Callable[..., Node]) -> None:
    node = start(forked=False)
    forked, replaced = workers(node)
    os.kill(replaced, signal.SIGKILL)
    wait_until(lambda: "worker serves" in node.log)
    launched = next(pid for pid in workers(node) if pid != forked)
    assert _read(forked, "cmdline") == _read(node.pid, "cmdline")
    arguments = _read(launched, "cmdline").split(b"\0")
    assert arguments[1:4] == [b"-P", b"-m", b"kms_actors.processes.worker"]
    assert arguments[5].startswith(b"passes:")
    told = (arguments[4], arguments[5].removeprefix(b"passes:"), *arguments[6:-1])
    assert all(part.isdigit() for argument in told for part in argument.split(b":"))
    assert _read(launched, "environ") == _read(forked, "environ") == _read(node.pid, "environ")
    for pid in (node.pid, *workers(node)):
        limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
        core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]


def _sockets(pid: int) -> set[str]:
    opened = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return {name for name in opened if name.startswith("socket:")}


def test_forked_workers_share_no_socket_but_the_listener_and_the_lane(start: Callable[..., Node]) -> None:
    node = start(workers=3)
    processes = [node.pid, *workers(node)]
    for one, other in itertools.combinations(processes, 2):
        assert len(_sockets(one) & _sockets(other)) == 2


def test_forked_workers_draw_different_random_bytes(shared: Unsealed) -> None:
    node, tenant = shared
    drawn = [
        connection.put("transit/random/32").json["data"]["random_bytes"]
        for connection in to_each(node, tenant.user.token)
    ]
    assert len(set(drawn)) == 2


def test_an_address_that_is_taken_ends_the_start(shared: Unsealed, tmp_path: Path) -> None:
    node, _ = shared
    keys = node.root_public_key, node.service_public_key
    second = Node(tmp_path, node.cluster, *keys, port=node.port, settings="workers = 2")
    with pytest.raises(AssertionError, match="another program uses it"):
        second.start()


def test_a_worker_that_cannot_start_ends_the_start(tmp_path: Path, issuer: Issuer) -> None:
    node = new_node(tmp_path, issuer)
    (tmp_path / "kms.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(AssertionError, match="cannot run"):
        node.start()
