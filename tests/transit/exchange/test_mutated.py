"""Whatever bytes stand where a certificate, a request, a key or a backup should: taken, or InvalidRequest.

The kind: libraries that read callers' bytes raise errors that nobody listed, which then counted as failures of the
vault. Known cases are named; the rest are drawn by changing valid inputs, byte by byte, with the lengths of DER kept.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key

from kms_actors.errors import InvalidRequest
from kms_actors.transit.exchange import importing, key_backup
from kms_actors.transit.exchange.agreement import agreed_key
from kms_actors.transit.exchange.certificates import certified, parse_chain, signing_request
from kms_actors.transit.exchange.importing import Imported, imported_version
from kms_actors.transit.key import TransitKey
from kms_actors.transit.policy import KeyOptions, new_policy, new_version
from kms_actors.transit.records import KeyPolicy, VersionRecord
from kms_actors.transit.schemes.scheme import pem, pkcs8, subject_public_key_info

DRAWS = 1500
SEED = 2027
NOW = datetime(2027, 1, 1, tzinfo=UTC)


@cache
def made(type_name: str) -> tuple[KeyPolicy, VersionRecord]:
    options = KeyOptions(type_name, exportable=True, allow_plaintext_backup=True)
    policy = new_policy("key", options)
    return policy, new_version(policy, 1)


@cache
def private(type_name: str) -> Any:
    policy, version = made(type_name)
    return TransitKey(policy, {1: version}).latest.private


def names(*tlvs: bytes) -> x509.UnrecognizedExtension:
    """Return a subjectAltName of names by their DER."""
    body = b"".join(tlvs)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30" + bytes([len(body)]) + body)


@cache
def certificate() -> bytes:
    key = private("ecdsa-p256")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "leaf")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW)
    builder = builder.add_extension(x509.KeyUsage(*[True] * 9), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


@cache
def request(extension: x509.ExtensionType | None = None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(
        extension or x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False
    )
    return builder.sign(private("ecdsa-p256"), SHA256()).public_bytes(Encoding.DER)


def set_certificate(der: bytes) -> None:
    certified(*made("ecdsa-p256"), parse_chain(pem(der, "CERTIFICATE")))


def ask_for_certificate(der: bytes) -> None:
    policy, version = made("ecdsa-p256")
    signing_request(TransitKey(policy, {1: version}), 0, pem(der, "CERTIFICATE REQUEST"))


def import_private(type_name: str) -> Callable[[bytes], None]:
    return lambda der: void(imported_version(made(type_name)[0], Imported(der), 1))


def import_public(type_name: str) -> Callable[[bytes], None]:
    return lambda der: void(imported_version(made(type_name)[0], Imported(public_key=pem(der)), 1))


def agree(der: bytes) -> None:
    policy, version = made("ecdsa-p256")
    agreed_key(TransitKey(policy, {1: version}), 0, pem(der), "aes256-gcm96")


def void(_: Any) -> None:
    """Whatever was made, no more is asked of it."""


def public(type_name: str) -> bytes:
    return made(type_name)[1].public_key


def stored(type_name: str) -> bytes:
    return pkcs8(getattr(private(type_name), "library", private(type_name)))


CASES: dict[str, tuple[Callable[[bytes], None], Callable[[], bytes]]] = {
    "certificate": (set_certificate, certificate),
    "request": (ask_for_certificate, request),
    "private rsa-2048": (import_private("rsa-2048"), lambda: stored("rsa-2048")),
    "private ecdsa-p256": (import_private("ecdsa-p256"), lambda: stored("ecdsa-p256")),
    "private ed25519": (import_private("ed25519"), lambda: stored("ed25519")),
    "public rsa-2048": (import_public("rsa-2048"), lambda: public("rsa-2048")),
    "public ecdsa-p256": (import_public("ecdsa-p256"), lambda: public("ecdsa-p256")),
    "peer": (agree, lambda: public("ecdsa-p256")),
}


def mutated(valid: bytes, draw: random.Random) -> bytes:
    """Change a few bytes; tags, lengths, numbers and texts alike."""
    content = bytearray(valid)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        place = draw.randrange(len(content))
        content[place] = draw.choice((draw.randrange(256), content[place] ^ 1 << draw.randrange(8), 0, 0xFF))
    return bytes(content) if draw.random() < 0.9 else bytes(content[: draw.randrange(len(content))])


@pytest.mark.parametrize("name", CASES)
def test_changed_bytes_are_taken_or_refused_and_nothing_else(name: str) -> None:
    take, valid = CASES[name]
    take(valid())
    draw = random.Random(f"{SEED} {name}")
    refused = 0
    for _ in range(DRAWS if "rsa" not in name else DRAWS // 10):
        changed = mutated(valid(), draw)
        try:
            take(changed)
        except InvalidRequest:
            refused += 1
    assert refused > 0


def version_of(der: bytes, number: int) -> bytes:
    """Return a certificate that says it is of another version of X.509."""
    place = der.index(b"\xa0\x03\x02\x01\x02")
    return der[: place + 4] + bytes([number]) + der[place + 5 :]


@pytest.mark.parametrize("number", [3, 4, 6, 255])
def test_certificates_of_versions_that_do_not_exist_are_refused(number: int) -> None:
    with pytest.raises(InvalidRequest, match="malformed certificate"):
        set_certificate(version_of(certificate(), number))


def test_a_certificate_with_an_extension_twice_is_refused() -> None:
    twice = certificate().replace(b"\x55\x1d\x0f", b"\x55\x1d\x11")  # the key usage becomes a second set of names
    with pytest.raises(InvalidRequest, match="malformed certificate"):
        set_certificate(twice)


@pytest.mark.parametrize("name", [b"\xa3\x02\x30\x00", b"\xa5\x05\xa1\x03\x0c\x01a"], ids=["x400", "ediParty"])
def test_requests_with_names_that_no_library_takes_are_refused(name: bytes) -> None:
    with pytest.raises(InvalidRequest, match="could not parse the CSR"):
        ask_for_certificate(request(names(name)))


def test_keys_of_an_unknown_curve_or_algorithm_are_refused() -> None:
    known = bytes.fromhex("06082a8648ce3d030107")
    for other in ("06082a8648ce3d030101", "06082a8648ce3d0301ff"):
        with pytest.raises(InvalidRequest):
            agree(public("ecdsa-p256").replace(known, bytes.fromhex(other)))
    for curve in (ec.SECP256K1(), ec.BrainpoolP256R1(), ec.SECP224R1()):
        foreign = ec.generate_private_key(curve)
        with pytest.raises(InvalidRequest):
            agree(subject_public_key_info(foreign.public_key()))
        with pytest.raises(InvalidRequest, match="invalid curve"):
            import_private("ecdsa-p256")(pkcs8(foreign))


# Backups.


@cache
def backup(type_name: str) -> Any:
    policy, version = made(type_name)
    return json.loads(base64.b64decode(key_backup.write(policy, {1: version})))


def restore(content: Any) -> None:
    text = base64.b64encode(json.dumps(content).encode()).decode()
    key_backup.read(text, "", 1)


HUGE = (2**63, 2**64, -(2**63) - 1, 10**40, 10**4000)


@pytest.mark.parametrize("value", HUGE, ids=lambda value: f"{value.bit_length()} bits")
@pytest.mark.parametrize(
    "name", ["auto_rotate_period", "latest_version", "min_decryption_version", "type", "kdf", "key_size"]
)
def test_numbers_that_no_record_holds_are_refused_when_a_backup_is_read(name: str, value: int) -> None:
    content = backup("aes256-gcm96")
    with pytest.raises(InvalidRequest):
        restore({**content, "policy": {**content["policy"], name: value}})


@pytest.mark.parametrize("time", ["9999-01-01T00:00:00Z", "0001-01-01T00:00:00.5Z", "x" * 100_000, "2027-13-01T"])
def test_times_that_no_record_holds_are_refused_when_a_backup_is_read(time: str) -> None:
    content = backup("aes256-gcm96")
    (entry,) = content["policy"]["keys"].values()
    with pytest.raises(InvalidRequest, match="the time of a version"):
        restore({**content, "policy": {**content["policy"], "keys": {"1": {**entry, "time": time}}}})


@pytest.mark.parametrize("type_name", ["rsa-2048", "ecdsa-p256", "ed25519", "aes256-gcm96", "hmac"])
def test_backups_with_changed_values_are_taken_or_refused_and_nothing_else(type_name: str) -> None:
    draw = random.Random(f"{SEED} {type_name}")
    values: list[Any] = [None, True, -1, 0, 1, 2, 65537, 2**31, 2**64, 10**600, 1.5, "", "x", [], {}, [1], [1, 2]]
    content = backup(type_name)
    for _ in range(300):
        changed = json.loads(json.dumps(content))
        place = changed
        while isinstance(place, dict | list) and place:
            inner = list(place.keys()) if isinstance(place, dict) else list(range(len(place)))
            name = draw.choice(inner)
            if draw.random() < 0.4 or not isinstance(place[name], dict | list):
                place[name] = draw.choice(values)
                break
            place = place[name]
        try:
            restore(changed)
        except InvalidRequest:
            continue


def test_a_backup_of_more_objects_than_a_key_can_have_is_refused_before_it_is_read() -> None:
    content = backup("aes256-gcm96")
    with pytest.raises(InvalidRequest, match="too many versions"):
        restore({**content, "archived_keys": {"keys": [{}] * 100_001}})


# Sizes and exponents of RSA, which are looked at before anything is proved.


def test_a_key_of_another_size_is_refused_before_it_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    large = rsa.generate_private_key(65537, 3072)
    numbers = large.private_numbers()
    content = backup("rsa-2048")
    (entry,) = content["policy"]["keys"].values()
    own = {"N": numbers.public_numbers.n, "E": 65537, "D": numbers.d, "Primes": [numbers.p, numbers.q]}
    monkeypatch.setattr(rsa.RSAPrivateNumbers, "private_key", None, raising=False)
    with pytest.raises(InvalidRequest, match="expected 256 bytes, got 384 bytes"):
        restore({**content, "policy": {**content["policy"], "keys": {"1": {**entry, "rsa_key": own}}}})
    proved: list[bool] = []
    real = load_der_private_key

    def loaded(der: bytes, password: None, *, unsafe_skip_rsa_key_validation: bool) -> Any:
        proved.append(not unsafe_skip_rsa_key_validation)
        return real(der, password, unsafe_skip_rsa_key_validation=unsafe_skip_rsa_key_validation)

    monkeypatch.setattr(importing, "load_der_private_key", loaded)
    with pytest.raises(InvalidRequest, match="invalid key size: expected 256 bytes, got 384 bytes"):
        import_private("rsa-2048")(pkcs8(large))
    assert proved == [False]


@pytest.mark.parametrize("exponent", [2**31 + 1, 2**3070 + 1, 1, 65536])
def test_exponents_that_make_a_key_dear_or_no_key_are_refused(exponent: int) -> None:
    modulus = private("rsa-2048").private_numbers().public_numbers.n
    content = backup("rsa-2048")
    (entry,) = content["policy"]["keys"].values()
    half = {**entry, "rsa_key": None, "rsa_public_key": {"N": modulus, "E": exponent}}
    with pytest.raises(InvalidRequest, match="public exponent"):
        restore({**content, "policy": {**content["policy"], "keys": {"1": half}}})
    with pytest.raises(InvalidRequest, match=r"public exponent|not in PEM"):
        import_public("rsa-2048")(rsa_public(modulus, exponent))


def test_the_largest_exponent_that_is_in_use_is_taken() -> None:
    modulus = private("rsa-2048").private_numbers().public_numbers.n
    import_public("rsa-2048")(rsa_public(modulus, 2**31 - 1))


def rsa_public(modulus: int, exponent: int) -> bytes:
    """Return a SubjectPublicKeyInfo by hand: libraries refuse to make most of these."""

    def tlv(tag: int, body: bytes) -> bytes:
        size = len(body)
        length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
        return bytes([tag]) + length + body

    def integer(value: int) -> bytes:
        return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))

    algorithm = tlv(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    return tlv(0x30, algorithm + tlv(3, b"\0" + tlv(0x30, integer(modulus) + integer(exponent))))


def test_large_texts_are_refused_before_they_are_searched() -> None:
    with pytest.raises(InvalidRequest, match="at most"):
        parse_chain("-----BEGIN A-----\n" * 100_000)
    with pytest.raises(InvalidRequest, match="at most 64 certificates"):
        parse_chain(pem(certificate(), "CERTIFICATE") * 65)
