"""Shares and tokens encrypted to OpenPGP certificates: by Sequoia, and read by it and by GnuPG."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from kms_actors.ceremony.pgp import MOST_KEY, encrypt_shares, read_recipient, read_recipients
from kms_actors.errors import InvalidRequest

pysequoia = pytest.importorskip("pysequoia")


def text_of(certificate: object) -> str:
    return base64.b64encode(bytes(certificate)).decode()  # type: ignore[call-overload]


@pytest.fixture(scope="module", params=["Cv25519", "P256", "RSA2k"])
def holder(request: pytest.FixtureRequest) -> object:
    suite = getattr(pysequoia.CipherSuite, request.param)
    return pysequoia.Tsk.generate("Alice <alice@example.org>", cipher_suite=suite)


def test_only_the_holder_reads_what_is_encrypted(holder: object) -> None:
    certificate = holder.extract_certificate()  # type: ignore[attr-defined]
    recipient = read_recipient(text_of(certificate))
    assert recipient.fingerprint == certificate.fingerprint
    message = recipient.encrypt(b"token")
    assert b"token" not in message
    decrypted = pysequoia.decrypt(message, decryptor=holder.decryptor())  # type: ignore[attr-defined]
    assert decrypted.bytes == b"token"
    other = pysequoia.Tsk.generate("Bob <bob@example.org>")
    with pytest.raises(RuntimeError):
        pysequoia.decrypt(message, decryptor=other.decryptor())


def test_a_share_is_encrypted_in_hex_as_vault_does() -> None:
    holders = [pysequoia.Tsk.generate(f"{name} <{name}@example.org>") for name in ("a", "b")]
    texts = [text_of(holder.extract_certificate()) for holder in holders]
    shares = (b"\x01" + bytes(32), b"\x02" + bytes(32))
    encrypted = encrypt_shares(shares, read_recipients(texts, 2, ""))
    for holder, share, message in zip(holders, shares, encrypted, strict=True):
        assert pysequoia.decrypt(message, decryptor=holder.decryptor()).bytes == share.hex().encode()
    assert encrypt_shares(shares, ()) == shares


@pytest.mark.parametrize("text", ["", "AAAA", "!", "A" * (MOST_KEY + 1), base64.b64encode(b"\xff" * 500).decode()])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_recipient(text)


def test_a_private_key_is_refused() -> None:
    secret = pysequoia.Tsk.generate("Alice <alice@example.org>")
    with pytest.raises(InvalidRequest, match="private"):
        read_recipient(base64.b64encode(bytes(secret)).decode())


def test_a_certificate_that_is_revoked_or_expired_is_refused() -> None:
    holder = pysequoia.Tsk.generate("Alice <alice@example.org>")
    certificate = holder.extract_certificate()
    revocation = certificate.revoke(holder.certifier())
    revoked = pysequoia.Cert.from_bytes(bytes(certificate) + bytes(revocation))
    with pytest.raises(InvalidRequest, match="cannot be encrypted to"):
        read_recipient(text_of(revoked))
    brief = pysequoia.Tsk.generate("Dan <dan@example.org>", validity_seconds=1)
    time.sleep(2.1)
    with pytest.raises(InvalidRequest, match="cannot be encrypted to"):
        read_recipient(text_of(brief.extract_certificate()))


def test_as_many_as_there_are_shares_or_none() -> None:
    text = text_of(pysequoia.Tsk.generate("a <a@example.org>").extract_certificate())
    with pytest.raises(InvalidRequest, match="count mismatch between number of provided PGP keys"):
        read_recipients([text], 2, "invalid: ")
    assert read_recipients([], 5, "") == ()


class TestGnuPg:
    """What people have."""

    @pytest.fixture
    def gpg(self, tmp_path: Path) -> list[str]:
        found = shutil.which("gpg")
        if found is None:
            pytest.skip("gpg is not here: install GnuPG")
        home = tmp_path / "gnupg"
        home.mkdir(mode=0o700)
        return [
            found,
            "--homedir",
            str(home),
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]

    @pytest.mark.parametrize("kind", ["default", "future-default"])
    def test_it_decrypts_what_is_encrypted_to_its_key(self, gpg: list[str], kind: str) -> None:
        subprocess.run([*gpg, "--quick-generate-key", "carol@example.org", kind, "default", "1d"], check=True)
        exported = subprocess.run([*gpg, "--export", "carol@example.org"], check=True, capture_output=True).stdout
        recipient = read_recipient(base64.b64encode(exported).decode())
        shown = subprocess.run(
            [*gpg, "--decrypt"], input=recipient.encrypt(b"a share"), check=True, capture_output=True
        ).stdout
        assert shown == b"a share"
        subprocess.run(["gpgconf", "--homedir", gpg[2], "--kill", "all"], check=False)
