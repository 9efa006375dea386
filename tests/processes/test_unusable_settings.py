"""A start that fails: one line with file, key and reason, in words, and exit code 1; never a traceback.

The kind: good settings that name what this machine does not have. Each place that uses one names its key, so the
text of an exception is never shown.
"""

from __future__ import annotations

import datetime
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kms_actors.cli.private_file import create_private
from tests.support import nursery
from tests.support.node import Node, sqlite_table
from tests.support.node import _console_script as console_script
from tests.support.tokens import Issuer

_EXCEPTIONS = re.compile(r"Traceback|\w+Error\b|Errno|\w+Exception\b|gaierror")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node.for_issuer(tmp_path, sqlite_table, Issuer())


def refused(node: Node, *, forked: bool = True) -> str:
    """Start the node, which must fail; return the reason."""
    path, printed = node.directory / "node.toml", node.directory / "printed"
    path.write_text(node._configuration() + node.further + '\n[log]\nformat = "json"\n', encoding="utf-8")
    words = [console_script("kms-layer"), "--configuration", str(path)]
    with printed.open("wb") as file:
        if forked and nursery.AVAILABLE:
            code = nursery.fork_node(words, node.directory, file.fileno()).wait(60)
        else:
            code = subprocess.run(words, stdout=file, stderr=file, timeout=60, check=False).returncode
    text = printed.read_text(encoding="utf-8")
    assert code == 1, text
    assert _EXCEPTIONS.search(text) is None, text
    told = [line for line in text.splitlines() if '"cannot run"' in line and str(path) in line]
    assert len(told) == 1, text
    reason = re.search(r'"reason": "((?:[^"\\]|\\.)*)"', told[0])
    assert reason is not None
    return reason[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_that_is_taken(node: Node, workers: int) -> None:
    node.settings = f"workers = {workers}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node.port = taken.getsockname()[1]
        reason = f"cannot listen at 127.0.0.1:{node.port}: another program uses it"
        assert refused(node, forked=False) == f"key `port`: {reason}"


def test_the_port_of_the_metrics_taken(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node.metrics_port = taken.getsockname()[1]
        reason = f"cannot listen at 127.0.0.1:{node.metrics_port}: another program uses it"
        assert refused(node) == f"key `metrics.port`: {reason}"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("no-such-host.invalid", "no such host"),
        ("192.0.2.1", "no address of this machine"),
        ("10..0.1", "no such host"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_host_that_is_not_this_one(node: Node, host: str, reason: str, workers: int) -> None:
    node.settings = f'workers = {workers}\nhost = "{host}"'
    assert refused(node) == f"key `host`: cannot listen at {host}:{node.port}: {reason}"


def pair(directory: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
    """Write a certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    paths = directory / f"{name}.pem", directory / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    return paths


CERTIFICATE, KEY = "tls.certificate_file", "tls.private_key_file"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (lambda d: (d / "none.pem", pair(d, "a")[1]), (CERTIFICATE, "{certificate}: no such file")),
        (lambda d: (d, pair(d, "a")[1]), (CERTIFICATE, "{certificate}: is a directory")),
        (lambda d: (pair(d, "a")[1], pair(d, "a")[1]), (CERTIFICATE, "{certificate} holds no certificate in PEM")),
        (lambda d: (pair(d, "a")[0], d / "none.key"), (KEY, "{key}: no such file")),
        (
            lambda d: (pair(d, "a")[0], pair(d, "b")[0]),
            (KEY, "{key} holds no private key in PEM without a passphrase"),
        ),
        (
            lambda d: pair(d, "a", b"passphrase"),
            (KEY, "{key} holds no private key in PEM without a passphrase"),
        ),
        (lambda d: (pair(d, "a")[0], pair(d, "b")[1]), (KEY, "{key} is not the key of {certificate}")),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_certificates(
    node: Node, files: Callable[[Path], tuple[Path, Path]], expected: tuple[str, str], workers: int
) -> None:
    certificate, key = files(node.directory)
    node.settings = f"workers = {workers}"
    node.further = f'[tls]\ncertificate_file = "{certificate}"\nprivate_key_file = "{key}"\n'
    assert refused(node) == f"key `{expected[0]}`: {expected[1].format(certificate=certificate, key=key)}"


@pytest.mark.parametrize("place", ["", "/proc/none/kms.sqlite", "{directory}/file/kms.sqlite"])
def test_a_store_that_cannot_be_made(node: Node, place: str) -> None:
    (node.directory / "file").write_text("no directory")
    path = place.format(directory=node.directory)
    node.cluster = f'backend = "sqlite"\npath = "{path}"'
    assert refused(node).startswith(f"key `cluster.path`: store path {path or '.'}: ")


def test_a_cluster_that_does_not_answer(node: Node) -> None:
    cluster_file = node.directory / "fdb.cluster"
    cluster_file.write_text("kms:none@127.0.0.1:1")
    node.cluster = f'cluster_file_path = "{cluster_file}"'
    reason = refused(node, forked=False)
    assert reason.startswith("key `cluster.cluster_file_path`: ")
    assert f"cluster file {cluster_file}: the store does not answer" in reason or "library is missing" in reason


def test_a_cluster_file_that_is_not_there_or_no_client_library(node: Node) -> None:
    node.cluster = f'cluster_file_path = "{node.directory}/none.cluster"'
    reason = refused(node)
    assert reason.startswith("key `cluster.cluster_file_path`: ")
    assert "No such file" in reason or "client library is missing" in reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "{path}: no such file"),
        ("rubbish", "{path} holds no master key: 64 hex characters"),
        ("", "{path} is empty"),
        ("1" * 20_000, "{path} is too large for what it is to hold"),
    ],
)
def test_a_file_without_a_master_key(node: Node, content: str | None, reason: str) -> None:
    path = node.directory / "master.key"
    if content is not None:
        create_private(path, content)
    node.provider_name, node.provider = "static", f'key_file = "{path}"'
    assert refused(node) == f"key `master_keyring_provider.key_file`: {reason.format(path=path)}"


def test_the_master_key_of_another_cluster(node: Node) -> None:
    path = node.directory / "master.key"
    create_private(path, "11" * 32)
    node.provider_name, node.provider, node.forked = "static", f'key_file = "{path}"', True
    node.start()
    node.stop()
    path.write_text("22" * 32)
    reason = f"{path} holds the master key of another cluster"
    assert refused(node) == f"key `master_keyring_provider.key_file`: {reason}"
