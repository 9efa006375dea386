"""What others made elsewhere: keys and certificates, backups of keys and of stores, audit logs, checkpoints."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from ipaddress import ip_address
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from kms_actors.audit.log import checkpoints, diagnosing, lines, notes, recovering, verifying
from kms_actors.audit.log.findings import Trust
from kms_actors.audit.log.notes import Signer, Verifier
from kms_actors.backup import verify
from kms_actors.backup.format import FrameWriter, Header, Records, Tally, Tenant
from kms_actors.ceremony import pgp
from kms_actors.errors import FormatError
from kms_actors.login import cert_crls, cert_matching
from kms_actors.login.cert import CertRole
from kms_actors.store import schema
from kms_actors.store.keyspace import TenantKeys
from kms_actors.transit.exchange import key_backup
from kms_actors.transit.exchange.agreement import agreed_key
from kms_actors.transit.exchange.certificates import certified, parse_chain, signing_request
from kms_actors.transit.exchange.importing import Imported, imported_version
from kms_actors.transit.key import TransitKey
from kms_actors.transit.policy import KeyOptions, new_policy, new_version
from kms_actors.transit.records import KeyPolicy, VersionRecord
from kms_actors.transit.schemes.scheme import pem, pkcs8
from tests.fuzz.parsers.target import Target, text
from tests.support import certificates
from tests.support.proven_log import Written, write_logs


@cache
def _made(type_name: str) -> tuple[KeyPolicy, VersionRecord]:
    policy = new_policy("key", KeyOptions(type_name, exportable=True, allow_plaintext_backup=True))
    return policy, new_version(policy, 1)


def _key(type_name: str) -> TransitKey:
    policy, version = _made(type_name)
    return TransitKey(policy, {1: version})


def _private(type_name: str) -> bytes:
    private: Any = _key(type_name).latest.private
    return pkcs8(getattr(private, "library", private))


def _import(type_name: str, data: bytes) -> None:
    imported_version(_made(type_name)[0], Imported(data), 1)


def _import_public(type_name: str, data: bytes) -> None:
    imported_version(_made(type_name)[0], Imported(public_key=pem(data)), 1)


def take_pem(data: bytes) -> None:
    imported_version(_made("ecdsa-p256")[0], Imported(public_key=text(data)), 1)


def take_chain(data: bytes) -> None:
    certified(*_made("ecdsa-p256"), parse_chain(pem(data, "CERTIFICATE")))


def take_request(data: bytes) -> None:
    signing_request(_key("ecdsa-p256"), 0, pem(data, "CERTIFICATE REQUEST"))


def take_peer(data: bytes) -> None:
    agreed_key(_key("ecdsa-p256"), 0, pem(data), "aes256-gcm96")


def take_shown(data: bytes) -> None:
    """A certificate that a client shows, at a mount where such as it may log in."""
    shown = cert_matching.read([data])
    name = cert_matching.find(shown, _roles(), frozenset(), _MOMENT)
    cert_matching.outcome_of(shown, name, _roles()[name], alias_metadata=True)


@cache
def _roles() -> dict[str, CertRole]:
    """Return a role for what an authority has signed, and one for a certificate itself."""
    rules: dict[str, Any] = {"allowed_common_names": ("*",), "allowed_metadata_extensions": ("2.5.29.17",)}
    trusted = {"issued": _authority().pem, "itself": pem(_certificate(), "CERTIFICATE")}
    return {name: CertRole(certificate=each, display_name=name, **rules) for name, each in trusted.items()}


def take_revocations(data: bytes) -> None:
    cert_crls.read(data).encode()


def take_pgp(data: bytes) -> None:
    pgp.read_recipient(base64.b64encode(data).decode())


@cache
def _pgp() -> bytes:
    from pysequoia import Tsk  # noqa: PLC0415 - large, and of one parser alone

    return bytes(Tsk.generate("Alice <alice@example.org>").extract_certificate())


def take_key_backup(data: bytes) -> None:
    key_backup.read(base64.b64encode(data).decode(), "", 1)


def take_backup(data: bytes) -> None:
    verify.verify(io.BytesIO(data), lambda _: None)


def take_frames(data: bytes) -> None:
    """Frames whose digests are right, so that what they hold is looked at: a payload each line."""
    header = msgspec.json.encode(_HEADER) + b"\n"
    digest, file = hashlib.sha256(header), io.BytesIO()
    file.write(header)
    for payload in data.split(b"\n\n")[:8]:
        framed = len(payload).to_bytes(4, "big") + payload
        digest.update(framed)
        file.write(framed + digest.digest())
    verify.verify(file, lambda _: None)


_HEADER: Final = Header(store_format=schema.FORMAT, scope="all", created=0.0)


@cache
def _backup() -> bytes:
    file = io.BytesIO()
    writer = FrameWriter.begin(file, _HEADER)
    prefix = TenantKeys(7).prefix
    writer.write(Records("v", 7, ((prefix + b"a", b"b"),), b""))
    writer.write(Tenant("v", 7, ((prefix + b"c", b"d"),)))
    writer.end()
    return file.getvalue()


@cache
def _frames() -> bytes:
    prefix = TenantKeys(7).prefix
    frames = (Records("v", 7, ((prefix + b"a", b"b"),), b""), Tenant("v", 7, ((prefix + b"c", b"d"),)))
    tally = Tally()
    for each in frames:
        tally.add(each)
    return b"\n\n".join(msgspec.msgpack.encode(each) for each in (*frames, tally.end()))


@cache
def _log() -> Written:
    return write_logs(1, 12, logs=1, each=4, rotated=1)


def take_log(data: bytes) -> None:
    """A file of an audit log is verified, what is wrong with it told, and it is gone on from its end."""
    written, trust = data.splitlines(keepends=True)[:64], _log().trust
    files = [("audit.log", written)]
    verified = verifying.follow(verifying.read(files), trust)
    if not verifying.is_sound(verified, _log().anchors):
        assert diagnosing.diagnose(verifying.read(files), verified, trust, _log().anchors)
    else:
        assert data.rstrip(b"\n") == _text_of_log().rstrip(b"\n")
    recovering.recover((line.rstrip(b"\n") for line in written), trust.verifier)


def _text_of_log() -> bytes:
    return b"".join(line for _, line in _log().lines)


#: When the certificates made here are good.
_MOMENT: Final = datetime.now(UTC).timestamp()


@cache
def _signer() -> Signer:
    return Signer("scope/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def take_control(data: bytes) -> None:
    """What a control line states, signed, so that all of it is looked at."""
    log, prev = b"9f86d081884c7d65", lines.NOTHING
    entry = lines.signed(b'{"a":1}\n', log, 0, prev, text=data.replace(b"\n", b""), sign=_signer().sign)
    line = lines.parse(entry)
    if line is not None and line.control is not None:
        lines.statement(line, _signer().verifier)
        lines.is_whole(entry, line, _signer().verifier)


_NOTE: Final = "scope/log\n3\nAAAA\n"


def take_note(data: bytes) -> None:
    note = notes.parse(text(data))
    assert not _signer().verifier.signed(note) or note.text == _NOTE
    checkpoints.parse(note.text)


def take_verifier(data: bytes) -> None:
    """A key is written as it was read."""
    found = Verifier.parse(text(data))
    assert str(found) == text(data).strip()
    Trust.of(text(data))


def _control() -> Iterator[bytes]:
    for _, line in _log().lines:
        parsed = lines.parse(line.rstrip(b"\n"))
        if parsed is not None and parsed.control is not None:
            yield parsed.control[: parsed.control.rfind(b',"seal"')]


def _note() -> Iterable[bytes]:
    return (_signer().note(_NOTE).encode(), "a\n\n\u2014 b AAAAAAAA\n".encode())


def _key_backups() -> Iterator[bytes]:
    for type_name in ("aes256-gcm96", "ecdsa-p256", "hmac"):
        policy, version = _made(type_name)
        yield base64.b64decode(key_backup.write(policy, {1: version}))


@cache
def _authority() -> certificates.Identity:
    return certificates.authority()


@cache
def _issued() -> bytes:
    return certificates.client("leaf", _authority(), units=["unit"]).der


@cache
def _certificate() -> bytes:
    names = [x509.DNSName("a.example"), x509.IPAddress(ip_address("::1")), x509.RFC822Name("a@b.example")]
    return certificates.client("leaf", names=names, units=["unit"], key=_key("ecdsa-p256").latest.private).der


@cache
def _request() -> bytes:
    names = x509.SubjectAlternativeName([x509.DNSName("a.example")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), SHA256()).public_bytes(Encoding.DER)


@cache
def _revocations() -> bytes:
    issuer, now = certificates.authority(), datetime(2027, 1, 1, tzinfo=UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(now).next_update(now)
    revoked = x509.RevokedCertificateBuilder().serial_number(77).revocation_date(now).build()
    return builder.add_revoked_certificate(revoked).sign(issuer.key, SHA256()).public_bytes(Encoding.DER)


def _imports() -> Iterator[tuple[str, Target]]:
    for name in ("rsa-2048", "ecdsa-p256", "ed25519"):
        yield f"private-{name}", Target(partial(_import, name), _once(partial(_private, name)), most=2048)
        yield f"public-{name}", Target(partial(_import_public, name), _once(partial(_public, name)))


def _public(type_name: str) -> bytes:
    return _made(type_name)[1].public_key


def _once(make: Callable[[], bytes]) -> Callable[[], Iterable[bytes]]:
    return lambda: (make(),)


TARGETS: Final[Mapping[str, Target]] = {
    **dict(_imports()),
    "public-pem": Target(take_pem, lambda: (pem(_public("ecdsa-p256")).encode(),)),
    "certificate": Target(take_chain, _once(_certificate), most=2048),
    "certificate-shown": Target(take_shown, lambda: (_certificate(), _issued()), most=2048),
    "request": Target(take_request, _once(_request), most=2048),
    "peer": Target(take_peer, lambda: (_public("ecdsa-p256"),)),
    "revocations": Target(take_revocations, _once(_revocations), most=2048),
    "pgp": Target(take_pgp, _once(_pgp), most=4096),
    "key-backup": Target(take_key_backup, _key_backups, most=4096),
    "backup": Target(take_backup, _once(_backup), (FormatError,), 4096),
    "backup-frames": Target(take_frames, _once(_frames), (FormatError,)),
    "audit-log": Target(take_log, lambda: (_text_of_log(), _text_of_log()[300:]), most=16_384),
    "audit-control": Target(take_control, _control, most=4096),
    "audit-note": Target(take_note, _note),
    "audit-key": Target(take_verifier, lambda: (str(_signer().verifier).encode(),), most=256),
}
