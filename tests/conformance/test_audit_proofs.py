"""A node's audit logs prove themselves: over restarts, rotations and kill -9, to `kms-cli` and to Go's verifier.

`KMS_AUDIT_KILLS` makes it many kills (`make audit-test`).
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kms_actors.cli.private_file import create_private
from kms_http.auditing import RECEIPT
from tests.support.api import Api
from tests.support.audit_verifier import find_audit_verifier
from tests.support.node import Node, sqlite_table, wait_until
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

_KILLS = int(os.environ.get("KMS_AUDIT_KILLS", "5"))
_WRITERS = 8
#: What a client sees of a node that dies before it answers.
_UNANSWERED = (ConnectionError, http.client.HTTPException, TimeoutError, OSError)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "master.key"
    create_private(path, random.Random(1).randbytes(32).hex())
    return path


@pytest.fixture
def node(tmp_path: Path, issuer: Issuer, key_file: Path) -> Iterator[Node]:
    """A node of two workers that unseals itself."""
    node = Node.for_issuer(
        tmp_path,
        sqlite_table,
        issuer,
        provider=f'key_file = "{key_file}"',
        further=f'\n[audit]\nfolder = "{tmp_path / "audit"}"\n',
        forked=True,
    )
    node.provider_name = "static"
    node.settings = "workers = 2"
    node.start()
    yield node
    node.close()


@pytest.fixture
def tenant(node: Node, issuer: Issuer) -> Tenant:
    return make_tenant(node, issuer)


def enable(tenant: Tenant, proof: str) -> None:
    answer = tenant.operator.put(
        "sys/audit/file", {"type": "file", "options": {"file_path": "audit.log", "proof": proof}}
    )
    assert answer.status == 204, answer.body


def path_of(node: Node, tenant: Tenant) -> Path:
    return node.directory / "audit/vaults" / tenant.vault_id / "audit.log"


def cli(node: Node, token: Api, *arguments: str | Path) -> tuple[int, str]:
    environment = {**os.environ, "VAULT_ADDR": node.address, "VAULT_TOKEN": token.token or ""}
    program = Path(sys.executable).with_name("kms-cli")
    done = subprocess.run(
        [program, "audit", *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def verified(node: Node, tenant: Tenant, *files: Path) -> Any:
    code, text = cli(node, tenant.operator, "verify", *files, "--device", "file", "--json")
    assert code in {0, 1}, text
    return json.loads(text)


def numbers(*files: Path) -> set[int]:
    """Return which secrets the lines of requests are about."""
    found = set()
    for file in files:
        for line in file.read_bytes().splitlines():
            if b'"type":"request"' in line:
                path = json.loads(line)["request"]["path"]
                if path.startswith("secret/data/"):
                    found.add(int(path.rpartition("/")[2]))
    return found


@pytest.mark.parametrize("proof", ["lagged", "strict"])
def test_a_log_is_sound_and_a_second_after_an_answer_its_lines_are_proven(
    node: Node, tenant: Tenant, tmp_path: Path, proof: str
) -> None:
    enable(tenant, proof)
    path = path_of(node, tenant)
    for number in range(20):
        assert tenant.user.put(f"secret/data/{number}", {"data": {"a": "hidden"}}).status == 200
    answered = time.monotonic()
    at = next(
        number
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if b'"path":"secret/data/19"' in line and b'"type":"response"' in line
    )
    target, entry = tmp_path / "a.tlog-proof", tmp_path / "entry"

    def is_proven() -> bool:
        content = path.read_bytes().splitlines()
        log = json.loads(content[at - 1])["proof"]["log"]
        return any(
            found["log"] == log and found["index"] > json.loads(content[at - 1])["proof"]["index"]
            for found in (json.loads(line)["proof"] for line in content if b'"control":' in line)
        )

    wait_until(is_proven, "a checkpoint")
    assert time.monotonic() - answered < 1.0 + 0.5  # and what a busy machine adds
    code, text = cli(
        node, tenant.operator, "prove", path, "--device", "file", "--at", f"{path}:{at}", "--output", target,
        "--entry", entry,
    )  # fmt: skip
    assert code == 0, text
    told = tenant.operator.get("sys/audit-checkpoint/file").data
    log = json.loads(entry.read_bytes())["proof"]["log"]
    key = next(each["key"] for each in told["logs"] if each["log"] == log)
    assert find_audit_verifier().accepts("proof", key, target, entry)
    found = verified(node, tenant, path)
    assert (found["findings"], found["sound"]) == ([], True)
    assert b"hidden" not in path.read_bytes()


def test_logs_go_on_over_restarts_and_rotations_and_what_is_cut_is_missed(node: Node, tenant: Tenant) -> None:
    enable(tenant, "lagged")
    path, old = path_of(node, tenant), path_of(node, tenant).with_suffix(".1")
    for number in range(10):
        tenant.user.put(f"secret/data/{number}", {"data": {}})
    path.rename(old)
    os.kill(node.pid, signal.SIGHUP)
    wait_until(path.exists, "the file is opened anew")
    for number in range(10, 20):
        tenant.user.put(f"secret/data/{number}", {"data": {}})
    assert node.stop() == 0
    node.start()
    for number in range(20, 30):
        assert tenant.user.put(f"secret/data/{number}", {"data": {}}).status == 200
    found = verified(node, tenant, path, old)
    assert found["findings"] == []
    assert numbers(path, old) == set(range(30))
    time.sleep(1)  # a line is held within a second of its answer
    content = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(content[:-8]))
    kinds = {each["kind"] for each in verified(node, tenant, path, old)["findings"]}
    assert kinds & {"cut", "removed"}  # the second where the node has written a checkpoint behind the cut meanwhile


def test_a_vault_is_told_of_its_own_logs_alone(node: Node, tenant: Tenant, issuer: Issuer) -> None:
    enable(tenant, "lagged")
    tenant.user.put("secret/data/1", {"data": {}})
    other = make_tenant(node, issuer)
    enable(other, "lagged")
    other.user.put("secret/data/1", {"data": {}})
    wait_until(lambda: bool(tenant.operator.get("sys/audit-checkpoint/file").data["logs"]), "an anchor")
    mine, others = (each.operator.get("sys/audit-checkpoint/file").data for each in (tenant, other))
    assert mine["public_key"] != others["public_key"]
    assert tenant.vault_id in mine["scope"]
    assert other.vault_id in others["scope"]
    assert tenant.user.get("sys/audit-checkpoint/file").status == 403
    code, text = cli(node, other.operator, "verify", path_of(node, tenant), "--device", "file")
    assert code in {1, 2}, text


def test_the_nodes_own_log_proves_itself_by_a_key_of_its_own(node: Node, tenant: Tenant, issuer: Issuer) -> None:
    operator = Api(node.address, issuer.cluster_operator())
    options = {"file_path": "audit.log", "proof": "strict"}
    assert operator.put("sys/audit/file", {"type": "file", "options": options}).status == 204
    assert tenant.user.put("secret/data/1", {"data": {}}).status == 200
    path = node.directory / "audit/node/audit.log"
    code, text = cli(node, operator, "verify", path, "--device", "file", "--json")
    assert code == 0, text
    assert json.loads(text)["logs"]
    assert "/node/" in json.loads(text)["logs"][0]["origin"]


@pytest.mark.parametrize("proof", ["lagged", "strict"])
def test_a_receipt_proves_the_line_of_an_answer_and_holds_the_log_to_it(
    node: Node, tenant: Tenant, tmp_path: Path, proof: str
) -> None:
    enable(tenant, proof)
    path, kept = path_of(node, tenant), tmp_path / "receipts"
    asking = tenant.user.with_headers(**{RECEIPT: "1"})
    answers = [asking.put(f"secret/data/{number}", {"data": {}}) for number in range(3)]
    texts = [answer.headers[RECEIPT.lower()] for answer in answers]
    assert RECEIPT.lower() not in tenant.user.put("secret/data/9", {"data": {}}).headers
    content = path.read_bytes().splitlines(keepends=True)
    for answer, text in zip(answers, texts, strict=True):
        receipt = json.loads(text)
        (at,) = [
            number
            for number, line in enumerate(content)
            if b'"type":"response"' in line and answer.json["request_id"].encode() in line
        ]
        placed = json.loads(content[at])["proof"]
        assert (placed["log"], placed["index"]) == (receipt["log"], receipt["index"])
        assert ("proof" in receipt) == (proof == "strict")
        if proof == "strict":
            target, entry = tmp_path / "a.tlog-proof", tmp_path / "entry"
            target.write_bytes(base64.b64decode(receipt["proof"]))
            entry.write_bytes(content[at].removesuffix(b"\n"))
            assert find_audit_verifier().accepts("proof", receipt["key"], target, entry)
    kept.write_text("\n".join(texts), encoding="utf-8")
    key = json.loads(texts[0])["key"]
    assert cli(node, tenant.operator, "verify", path, "--key", key, "--receipts", kept)[0] == 0
    log = json.loads(texts[-1])["log"].encode()
    last = json.loads(texts[-1])["index"]
    path.write_bytes(
        b"".join(
            line for line in content if b'"log":"%b"' % log not in line or json.loads(line)["proof"]["index"] < last
        )
    )
    code, text = cli(node, tenant.operator, "verify", path, "--key", key, "--receipts", kept)
    assert code == 1
    assert "cut" in text or "removed" in text  # the latter where a checkpoint of later lines is left


class Writers:
    """Callers that write until the node is gone; `answered` are the secrets whose writes were answered."""

    def __init__(self, user: Api, first: int) -> None:
        self.answered: set[int] = set()
        self.next = first
        self._user = user
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write) for _ in range(_WRITERS)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _write(self) -> None:
        while True:
            with self._lock:
                number, self.next = self.next, self.next + 1
            try:
                status = self._user.put(f"secret/data/{number}", {"data": {"n": number}}).status
            except _UNANSWERED:
                return
            if status == 200:
                self.answered.add(number)


def test_no_answered_operation_is_missing_after_kill_9(node: Node, tenant: Tenant) -> None:
    """In `strict`. Every other restart begins with a rotation, so that files and logs are many."""
    enable(tenant, "strict")
    path, answered, first = path_of(node, tenant), set[int](), 0
    draw = random.Random(_KILLS)
    files = [path]
    for kill in range(_KILLS):
        writers = Writers(tenant.user, first)
        time.sleep(draw.uniform(0.05, 0.6))
        node.kill()
        writers.wait()
        answered |= writers.answered
        first = writers.next
        if kill % 4 == 3:
            files.append(path.with_suffix(f".{kill}"))
            path.rename(files[-1])
        node.start()
    assert tenant.user.put(f"secret/data/{first}", {"data": {}}).status == 200
    missing = answered - numbers(*(each for each in files if each.exists()))
    assert not missing
    assert len(answered) > _KILLS
    found = verified(node, tenant, *(each for each in files if each.exists()))
    assert found["findings"] == []
