"""Several listeners of one node, and TLS that is renewed while it serves; in one process and in several."""

from __future__ import annotations

import base64
import http.client
import os
import signal
import socket
import ssl
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.processes.workers import stopped, wait_until, workers
from tests.support import certificates
from tests.support.certificates import Identity
from tests.support.node import Node, free_port, sqlite_table
from tests.support.node import _console_script as console_script
from tests.support.tokens import Issuer

StartListed = Callable[..., Node]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[StartListed]:
    """Starts a node with these listeners, sealed."""
    nodes: list[Node] = []

    def start(further: str, workers: int = 1) -> Node:
        node = prepared(tmp_path, further, workers)
        nodes.append(node)
        node.start()
        return node

    yield start
    for node in nodes:
        node.close()
        assert "Traceback" not in node.log


def prepared(directory: Path, further: str, workers: int = 1) -> Node:
    node = Node.for_issuer(directory, sqlite_table, Issuer(), forked=True)
    node.further, node.listed, node.settings = further, True, f"workers = {workers}"
    return node


def refusal(node: Node) -> str:
    """Start a node, which must fail; return the last line of its log."""
    path = node.directory / "node.toml"
    path.write_text(node._configuration() + node.further, encoding="utf-8")
    command = [console_script("kms-layer"), "--configuration", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def tcp(port: int, more: str = "") -> str:
    return f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n{more}\n'


def tls(files: tuple[Path, Path], more: str = "") -> str:
    return f'[listeners.tls]\ncertificate_file = "{files[0]}"\nprivate_key_file = "{files[1]}"\n{more}\n'


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def health(connection: http.client.HTTPConnection, *, keep: bool = False) -> int:
    """Return the status of `sys/health`."""
    try:
        connection.request("GET", "/v1/sys/health")
        response = connection.getresponse()
        response.read()
    finally:
        if not keep:
            connection.close()
    return response.status


def https(port: int, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)


@pytest.mark.parametrize("workers", [1, 2])
def test_all_listeners_serve(started: StartListed, tmp_path: Path, workers: int) -> None:
    identity = certificates.server()
    plain, secured, path = free_port(), free_port(), tmp_path / "kms.sock"
    node = started(
        tcp(plain)
        + tcp(secured)
        + tls(identity.files(tmp_path, "server"))
        + f'[[listeners]]\nunix = "{path}"\nmode = "0660"\nowner = "{os.getuid()}"\n',
        workers,
    )
    assert health(http.client.HTTPConnection("127.0.0.1", plain)) == 501
    assert health(https(secured, certificates.client_context(identity))) == 501
    assert health(UnixConnection(path)) == 501
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    for text in (f"port={plain}", f"unix={path}", "key=listeners[1].tls", "post_quantum="):
        assert text in node.log
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", node.port))  # of the single form, which was not given
    assert node.stop() == 0
    assert not path.exists()


def test_a_socket_that_another_node_left_is_taken_over(started: StartListed, tmp_path: Path) -> None:
    path = tmp_path / "kms.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    node = started(f'[[listeners]]\nunix = "{path}"\n')
    assert health(UnixConnection(path)) == 501
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    other = tmp_path / "other"
    other.mkdir()
    assert f"cannot listen at {path}: another program uses it" in refusal(prepared(other, node.further))
    assert health(UnixConnection(path)) == 501


@pytest.mark.parametrize(
    ("further", "reason"),
    [
        ('unix = "{directory}/file"', "listeners[0].unix`: cannot listen at {directory}/file: something is there"),
        ('unix = "{directory}/none/x"', "listeners[0].unix`: cannot listen at {directory}/none/x: no such file"),
        ('unix = "{directory}/x"\nowner = "no-such-user"', "listeners[0].owner`: there is no user `no-such-user`"),
        ('unix = "{directory}/x"\nowner = "4294967295"', "listeners[0].owner`: there is no user `4294967295`"),
        ('unix = "{directory}/x"\ngroup = "99999999999"', "listeners[0].group`: there is no group `99999999999`"),
        ('unix = "{directory}/x"\ngroup = "no-such-group"', "listeners[0].group`: there is no group `no-such-group`"),
    ],
)
def test_a_unix_socket_that_cannot_be_is_told_with_its_key(tmp_path: Path, further: str, reason: str) -> None:
    (tmp_path / "file").write_text("no socket")
    text = "[[listeners]]\n" + further.format(directory=tmp_path) + "\n"
    assert reason.format(directory=tmp_path) in refusal(prepared(tmp_path, text))
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "x.new").exists()


def of_an_unknown_curve() -> str:
    """Return a private key whose curve nobody knows, PEM."""
    made = ec.generate_private_key(ec.SECP256R1())
    der = made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    text = base64.encodebytes(der.replace(_P256, _P256[:-1] + b"\x63")).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n"


_P256 = bytes.fromhex("2a8648ce3d030107")  # the name of the curve


def test_a_certificate_that_is_too_weak_and_a_key_of_no_use_are_told_as_such(tmp_path: Path) -> None:
    weak = certificates.make("weak", key=rsa.generate_private_key(65537, 1024)).files(tmp_path, "weak")
    reason = f"key `listeners[0].tls.certificate_file`: {weak[0]} holds what no TLS takes"
    assert reason in refusal(prepared(tmp_path, tcp(free_port()) + tls(weak)))
    odd = tmp_path / "odd.key"
    odd.write_text(of_an_unknown_curve())
    reason = f"key `listeners[0].tls.private_key_file`: {odd} holds a private key of a kind that no TLS takes"
    assert reason in refusal(prepared(tmp_path, tcp(free_port()) + tls((weak[0], odd))))


def test_files_of_a_listener_are_named_with_its_place(tmp_path: Path) -> None:
    files = certificates.server().files(tmp_path, "server")
    others = certificates.server().files(tmp_path, "other")
    good = tcp(free_port()) + tls(files)
    wrong = tls((files[0], others[1]))
    assert f"key `listeners[1].tls.private_key_file`: {others[1]} is not the key of {files[0]}" in refusal(
        prepared(tmp_path, good + tcp(free_port()) + wrong)
    )
    ca = tmp_path / "none.pem"
    asking = tls(files, f'client_certificates = "require"\nclient_ca_file = "{ca}"')
    assert f"key `listeners[0].tls.client_ca_file`: {ca}: no such file" in refusal(
        prepared(tmp_path, tcp(free_port()) + asking)
    )


class Renewed:
    """A node with TLS whose files change."""

    def __init__(self, started: StartListed, directory: Path, workers: int) -> None:
        self.first, self.second = certificates.server(), certificates.server()
        self.directory = directory
        self.files = self.first.files(directory, "server")
        self.port = free_port()
        self.node = started(tcp(self.port) + tls(self.files), workers)

    def connect(self, trusted: Identity) -> http.client.HTTPSConnection:
        return https(self.port, certificates.client_context(trusted))

    def speaks(self, trusted: Identity) -> bool:
        try:
            return health(self.connect(trusted)) == 501
        except ssl.SSLError:
            return False

    def hang_up(self, text: str) -> None:
        count = self.node.log.count(text)
        os.kill(self.node.pid, signal.SIGHUP)
        wait_until(lambda: self.node.log.count(text) > count)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hangup_brings_new_certificates_and_ends_no_connection(
    started: StartListed, tmp_path: Path, workers: int
) -> None:
    renewed = Renewed(started, tmp_path, workers)
    kept = renewed.connect(renewed.first)
    assert health(kept, keep=True) == 501
    renewed.second.files(tmp_path, "server")
    renewed.hang_up("certificates read")
    wait_until(lambda: renewed.speaks(renewed.second))
    wait_until(lambda: not renewed.speaks(renewed.first))
    own = kept.sock
    assert health(kept, keep=True) == 501
    if workers == 1:
        assert health(kept, keep=True) == 501  # and goes on so: no process was replaced
        assert kept.sock is own
    kept.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_pair_that_cannot_be_used_leaves_the_one_before(started: StartListed, tmp_path: Path, workers: int) -> None:
    """With new workers, too, which begin when the files are broken."""
    renewed = Renewed(started, tmp_path, workers)
    renewed.files[0].write_text(renewed.second.pem)  # and the key is still the other one's
    renewed.hang_up("certificates cannot be used")
    if workers > 1:
        wait_until(lambda: "workers restarted" in renewed.node.log)
    assert f"{renewed.files[1]} is not the key of {renewed.files[0]}" in renewed.node.log
    assert renewed.speaks(renewed.first)
    assert not renewed.speaks(renewed.second)
    renewed.second.files(tmp_path, "server")
    renewed.hang_up("certificates read")
    wait_until(lambda: renewed.speaks(renewed.second))


def _runs(pid: int) -> bool:
    return b"kms_actors.processes.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_two_hangups_one_after_the_other_leave_the_newest_pair_with_all_workers(
    started: StartListed, tmp_path: Path
) -> None:
    """The second comes while the first new worker still loads its modules."""
    renewed = Renewed(started, tmp_path, 2)
    before = set(workers(renewed.node))
    renewed.hang_up("certificates read")
    # One that stands still before it runs its own program holds up who starts it, as nothing else would.
    wait_until(lambda: any(map(_runs, set(workers(renewed.node)) - before)))
    with stopped(*set(workers(renewed.node)) - before):
        renewed.second.files(tmp_path, "server")
        renewed.hang_up("certificates read")
    wait_until(lambda: "workers restarted" in renewed.node.log)
    wait_until(lambda: not before & set(workers(renewed.node)))
    assert all(renewed.speaks(renewed.second) for _ in range(40))


class TestMetrics:
    def read(self, node: Node, token: str = "", context: ssl.SSLContext | None = None) -> int:
        address = node.metrics_address if context is None else node.metrics_address.replace("http:", "https:")
        request = urllib.request.Request(f"{address}/metrics", headers={"Authorization": token} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as response:
                assert b"kms_requests" in response.read()
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except (urllib.error.URLError, OSError):
            return 0

    @pytest.mark.parametrize("workers", [1, 2])
    def test_may_want_a_token(self, started: StartListed, tmp_path: Path, workers: int) -> None:
        token = tmp_path / "token"
        token.write_text("a-token-of-prometheus\n")
        node = started(f'token_file = "{token}"\n' + tcp(free_port()), workers)
        assert self.read(node) == 401
        assert self.read(node, "Bearer a-token-of-prometheu") == 401
        assert self.read(node, "a-token-of-prometheus") == 401
        assert self.read(node, "Bearer a-token-of-prometheus") == 200
        assert "a-token-of-prometheus" not in node.log

    @pytest.mark.parametrize("content", ["", "short", "two words that are long", "ü" * 20])
    def test_a_file_without_a_token_is_named(self, tmp_path: Path, content: str) -> None:
        token = tmp_path / "token"
        token.write_text(content)
        reason = refusal(prepared(tmp_path, f'token_file = "{token}"\n' + tcp(free_port())))
        assert f"key `metrics.token_file`: {token} holds no token" in reason
        assert not content or content not in reason

    def test_may_want_a_certificate(self, started: StartListed, tmp_path: Path) -> None:
        identity, root = certificates.server(), certificates.authority()
        files = identity.files(tmp_path, "server")
        ca, _ = root.files(tmp_path, "ca")
        node = started(
            f'[metrics.tls]\ncertificate_file = "{files[0]}"\nprivate_key_file = "{files[1]}"\n'
            f'client_certificates = "require"\nclient_ca_file = "{ca}"\n' + tcp(free_port())
        )
        stranger = certificates.client("prometheus").files(tmp_path, "stranger")
        known = certificates.client("prometheus", root).files(tmp_path, "known")
        assert self.read(node, context=certificates.client_context(identity)) == 0
        assert self.read(node, context=certificates.client_context(identity, stranger)) == 0
        assert self.read(node, context=certificates.client_context(identity, known)) == 200
