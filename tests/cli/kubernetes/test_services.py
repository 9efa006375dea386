"""Both services as an API server calls them, over gRPC, before a real node."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kms_actors.cli.client import main
from tests.support.kubernetes_program import PROGRAM, KubernetesProgram, kubernetes_clients, narrowed
from tests.support.node import PATIENCE, Node, wait_until
from tests.support.tenant import Tenant
from tests.support.tokens import Issuer

grpc = pytest.importorskip("grpc", reason="gRPC is absent: pip install -e .[test]")

from kms_actors.cli.kubernetes import asking  # noqa: E402

SEED = os.urandom(32)  # what an API server seals


class Caller(asking.Caller):
    """Calls a socket as an API server does."""

    def refused(self, method: str, **fields: Any) -> tuple[str, str]:
        """Return code and text of a refusal."""
        with pytest.raises(grpc.RpcError) as refusal:
            self.call(method, **fields)
        return refusal.value.code().name, refusal.value.details()


Serve = Callable[..., Caller]


@pytest.fixture
def serve(tenant: Tenant, node: Node, issuer: Issuer, tmp_path: Path) -> Iterator[Serve]:
    """Run the program with a biscuit that is narrowed to one key, and return who calls it."""
    running: list[tuple[KubernetesProgram, Caller]] = []

    def begin(**keys: str) -> Caller:
        path, token = tmp_path / f"{len(running)}.sock", tmp_path / "kubernetes.token"
        narrowed(issuer.tenant(tenant.vault_id), token, list(keys.values()))
        program, caller = KubernetesProgram(path, node.address, token, **keys), Caller(path, 10)
        running.append((program, caller))
        program.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return caller

    yield begin
    for program, caller in running:
        caller.close()
        program.close()
        assert b"Traceback" not in program.told
        assert SEED not in program.told


# KMS v2.


def test_what_is_sealed_is_opened_again(serve: Serve) -> None:
    caller = serve(key="seal")
    status = caller.call("Status")
    assert (status.version, status.healthz) == ("v2", "ok")
    sealed = caller.call("Encrypt", plaintext=SEED, uid="1")
    assert sealed.key_id == status.key_id
    assert 0 < len(sealed.ciphertext) < 1024
    assert SEED not in sealed.ciphertext
    opened = caller.call("Decrypt", ciphertext=sealed.ciphertext, uid="2", key_id=sealed.key_id)
    assert opened.plaintext == SEED


def test_a_rotation_is_followed_and_what_was_sealed_before_still_opens(serve: Serve, tenant: Tenant) -> None:
    caller = serve(key="seal")
    sealed = caller.call("Encrypt", plaintext=SEED)
    assert tenant.root.post("transit/keys/seal/rotate").status == 200
    began = time.monotonic()
    wait_until(lambda: caller.call("Status").key_id != sealed.key_id, "the new version is known")
    assert time.monotonic() - began < 10
    again = caller.call("Encrypt", plaintext=SEED)
    assert again.key_id == caller.call("Status").key_id
    for each in (sealed, again):
        assert caller.call("Decrypt", ciphertext=each.ciphertext, key_id=each.key_id).plaintext == SEED


def test_without_the_server_what_was_opened_before_is_opened(serve: Serve, node: Node, shares: list[str]) -> None:
    caller = serve(key="seal")
    known, other = caller.call("Encrypt", plaintext=SEED), caller.call("Encrypt", plaintext=b"x" * 32)
    node.kill()
    assert caller.call("Decrypt", ciphertext=known.ciphertext).plaintext == SEED
    assert caller.call("Status").healthz == "ok"
    changed = other.ciphertext[:-8] + b"AAAAAAA="
    assert caller.refused("Decrypt", ciphertext=changed)[0] == "UNAVAILABLE"
    meanwhile = caller.call("Encrypt", plaintext=SEED)
    assert meanwhile.key_id == known.key_id
    assert caller.call("Decrypt", ciphertext=meanwhile.ciphertext).plaintext == SEED
    assert SEED not in meanwhile.ciphertext
    node.start()
    assert caller.refused("Decrypt", ciphertext=changed)[0] in {"UNAVAILABLE", "FAILED_PRECONDITION"}  # it is sealed


def test_a_token_that_is_away_for_a_moment_ends_nothing(serve: Serve, tenant: Tenant, tmp_path: Path) -> None:
    """Who renews it writes the file anew; meanwhile the old one is refused and there is none."""
    caller, token = serve(key="seal"), tmp_path / "kubernetes.token"
    good, used = token.read_text(), tenant.root.post("auth/token/create", {"policies": ["default"]})
    token.unlink()
    revoked = tenant.root.post("auth/token/revoke", {"token": good.strip()})
    assert (used.status, revoked.status) == (200, 204)
    assert caller.refused("Encrypt", plaintext=SEED)[0] == "UNAVAILABLE"
    token.write_text(str(tenant.root.token))
    wait_until(lambda: caller.call("Status").healthz == "ok", "it goes on with the new token")
    assert caller.call("Encrypt", plaintext=SEED).key_id


def test_what_is_no_ciphertext_is_refused(serve: Serve) -> None:
    caller = serve(key="seal")
    for ciphertext in (b"", b"vault", b"vault:v1", b"vault:vx:aaaa", b"\xff:v1:a", b"vault:v99:AAAA"):
        assert caller.refused("Decrypt", ciphertext=ciphertext)[0] == "FAILED_PRECONDITION"


def test_a_key_that_may_not_be_used_any_more_opens_nothing_that_was_kept(serve: Serve, tenant: Tenant) -> None:
    caller = serve(key="seal")
    sealed = caller.call("Encrypt", plaintext=SEED)
    assert caller.call("Decrypt", ciphertext=sealed.ciphertext).plaintext == SEED
    tenant.root.post("transit/keys/seal/rotate")
    tenant.root.post("transit/keys/seal/config", {"min_decryption_version": 2})
    assert caller.refused("Decrypt", ciphertext=sealed.ciphertext)[0] == "FAILED_PRECONDITION"


# ExternalJWTSigner.


def claims() -> str:
    return base64.urlsafe_b64encode(json.dumps({"sub": "system:serviceaccount:a:b"}).encode()).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(("key", "algorithm"), [("rsa", "RS256"), ("p256", "ES256"), ("p384", "ES384")])
def test_a_token_is_signed_by_a_key_that_is_told(serve: Serve, key: str, algorithm: str) -> None:
    caller = serve(signing_key=key)
    signed = caller.call("Sign", claims=claims())
    header = json.loads(decoded(signed.header))
    assert list(header) == ["alg", "kid", "typ"]
    assert (header["alg"], header["typ"]) == (algorithm, "JWT")
    told = caller.call("FetchKeys")
    (der,) = [each.key for each in told.keys if each.key_id == header["kid"]]
    assert 0 < told.refresh_hint_seconds <= 10
    assert told.data_timestamp.seconds > time.time() - 60
    text, signature, public = (
        f"{signed.header}.{claims()}".encode(),
        decoded(signed.signature),
        load_der_public_key(der),
    )
    hash_ = hashes.SHA384() if algorithm == "ES384" else hashes.SHA256()
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, text, padding.PKCS1v15(), hash_)
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        half = len(signature) // 2
        pair = (int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
        public.verify(encode_dss_signature(*pair), text, ec.ECDSA(hash_))
    assert caller.call("Metadata").max_token_expiration_seconds == 86_400


def test_after_a_rotation_both_keys_are_told_and_the_new_one_signs(serve: Serve, tenant: Tenant) -> None:
    caller = serve(signing_key="p256")
    before = json.loads(decoded(caller.call("Sign", claims=claims()).header))["kid"]
    tenant.root.post("transit/keys/p256/rotate")
    told = caller.call("FetchKeys").keys
    assert len(told) == 2
    after = json.loads(decoded(caller.call("Sign", claims=claims()).header))["kid"]
    assert {before, after} == {each.key_id for each in told}
    assert before != after
    assert after == base64.urlsafe_b64encode(hashlib.sha256(told[1].key).digest()).decode().rstrip("=")


def test_both_services_are_served_on_one_socket(serve: Serve) -> None:
    caller = serve(key="seal", signing_key="p256")
    assert caller.call("Status").healthz == "ok"
    assert caller.call("Sign", claims=claims()).signature
    for wrong in ("", "a b", "é", "a" * 70_000):
        assert caller.refused("Sign", claims=wrong)[0] == "FAILED_PRECONDITION"


# As Kubernetes' own clients have it.


def test_what_kubernetes_own_clients_speak_is_spoken(serve: Serve, tmp_path: Path) -> None:
    program = kubernetes_clients()
    serve(key="seal", signing_key="p256")
    serve(signing_key="rsa")
    for what, name in (("kms", "0.sock"), ("jwt", "0.sock"), ("jwt", "1.sock")):
        done = subprocess.run(
            [str(program), what, str(tmp_path / name)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


# The commands.


def test_a_check_asks_what_an_api_server_does(serve: Serve, tmp_path: Path, node: Node) -> None:
    def check(name: str, code: int) -> str:
        done = CliRunner().invoke(main, ["kubernetes", "check", "--socket", str(tmp_path / name)])
        assert done.exit_code == code, done.output
        return done.output

    serve(key="seal")
    serve(signing_key="p256")
    assert "sealed and opened" in check("0.sock", 0)
    assert "1 keys, the newest " in check("1.sock", 0)
    assert "unavailable" in check("nosuch.sock", 1)
    node.kill()
    assert "sealed and opened" in check("0.sock", 0), "by the spare key, as an API server would that starts now"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--key or --signing-key"),
        (["--key", "p256"], "does not seal"),
        (["--signing-key", "seal"], "signs no tokens"),
        (["--key", "nosuch"], "transit/nosuch: 404"),
        (["--signing-key", "sign", "--max-token-ttl", "1m"], "10m or more"),
        (["--key", "seal", "--max-token-ttl", "1h"], "--max-token-ttl is for --signing-key"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    node: Node, tenant: Tenant, tmp_path: Path, words: list[str], says: str
) -> None:
    token = tmp_path / "token"
    token.write_text(str(tenant.root.token))
    common = ["kubernetes", "serve", "--socket", str(tmp_path / "s"), "--address", node.address]
    done = CliRunner().invoke(main, [*common, "--token-file", str(token), *words])
    assert done.exit_code != 0
    assert says in done.output


@pytest.mark.parametrize(
    ("name", "says"),
    [("nosuch/s", "cannot be made: no such folder"), ("s" * 108, "the 107 bytes of a socket's path")],
)
def test_a_socket_that_cannot_be_made_is_told_in_one_line(  # noqa: PLR0917 - fixtures, and two words
    node: Node, tenant: Tenant, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    token = tmp_path / "token"
    token.write_text(str(tenant.root.token))
    words = ["kubernetes", "serve", "--socket", str(tmp_path / name), "--address", node.address, "--key", "seal"]
    done = CliRunner().invoke(main, [*words, "--token-file", str(token)])
    assert done.exit_code == 2
    assert done.output.splitlines()[-1].endswith(says)
    assert not capfd.readouterr().err, "gRPC has a log of its own"


def test_it_ends_whichever_of_its_threads_the_system_tells(
    tenant: Tenant, node: Node, issuer: Issuer, tmp_path: Path
) -> None:
    path, token = tmp_path / "s", tmp_path / "token"
    narrowed(issuer.tenant(tenant.vault_id), token, ["seal"])
    program = KubernetesProgram(path, node.address, token, key="seal")
    for choose in (min, max):  # the main one is the first
        program.start()
        program.stop(choose)
        assert not path.exists()


def test_it_ends_at_once_while_it_looks_for_the_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = [
            PROGRAM,
            "kubernetes",
            "serve",
            "--socket",
            str(tmp_path / "s"),
            "--address",
            address,
            "--key",
            "seal",
        ]
        started = subprocess.Popen(words, env={**os.environ, "VAULT_TOKEN": "a"}, stderr=subprocess.PIPE)
        taken, _ = silent.accept()
        with taken, started:
            started.send_signal(signal.SIGTERM)
            assert started.wait(timeout=PATIENCE) == -signal.SIGTERM


def test_what_is_no_claims_is_not_signed(serve: Serve) -> None:
    caller = serve(signing_key="p256")
    for claims in (b"[1]", b'{"a":', b"\xff", b"1"):
        with pytest.raises(grpc.RpcError) as refused:
            caller.call("Sign", claims=base64.urlsafe_b64encode(claims).decode().rstrip("="))
        assert refused.value.details() == "claims are a JSON object in base64url"


def test_another_file_or_a_service_at_the_socket_is_left_alone(
    serve: Serve, node: Node, tenant: Tenant, tmp_path: Path
) -> None:
    serve(key="seal")
    (tmp_path / "file").write_text("mine")
    token = tmp_path / "token"
    token.write_text(str(tenant.root.token))
    for name, says in (("0.sock", "another process serves"), ("file", "no socket")):
        words = ["kubernetes", "serve", "--socket", str(tmp_path / name), "--address", node.address, "--key", "seal"]
        done = CliRunner().invoke(main, [*words, "--token-file", str(token)])
        assert done.exit_code == 2
        assert says in done.output
    assert (tmp_path / "file").read_text() == "mine"
