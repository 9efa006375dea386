"""NIST's and RFC 8032's vectors of signatures and CMACs, through the engine; those that must fail as strictly."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kms_actors.transit.go_base64 import encode
from kms_actors.transit.items import CmacItem, MacItem, Signed, SignItem, VerifyItem
from kms_actors.transit.key import TransitKey
from kms_actors.transit.macs import make_cmacs, verify_cmacs
from kms_actors.transit.mldsa import PARAMETER_SETS
from kms_actors.transit.records import KeyPolicy, VersionRecord
from kms_actors.transit.scheme import subject_public_key_info
from kms_actors.transit.signature import DEFAULT, SignatureParameters, parameters
from kms_actors.transit.signing import sign, verify
from tests.transit.keys import public_only

VECTORS = Path(cryptography_vectors.__file__).parent
HASHES = {"SHA1": "sha1", **{f"SHA{bits}": f"sha2-{bits}" for bits in (224, 256, 384, 512)}}
RSA = VECTORS / "asymmetric" / "RSA" / "FIPS_186-2"


def blocks(path: Path) -> Iterator[dict[str, str]]:
    """Yield the fields of each block, with those of the blocks and the `[section]` before it."""
    fields: dict[str, str] = {}
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            fields["section"] = line.strip("[] ")
        elif equals and not line.startswith("#"):
            fields[name] = value
        elif not line.strip() and "Result" in fields:
            yield dict(fields)
            del fields["Result"]


def says(key: TransitKey, message: bytes, signature: bytes, how: SignatureParameters) -> bool:
    (result,) = verify(key, [VerifyItem(message, f"vault:v1:{encode(signature)}")], how)
    return result is True


@cache
def rsa_key(modulus: str, exponent: str) -> TransitKey:
    public = RSAPublicNumbers(int(exponent, 16), int(modulus, 16)).public_key()
    return public_only(f"rsa-{public.key_size}", public)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SigVer15_186-3.rsp", {"signature_algorithm": "pkcs1v15"}),
        ("SigVerPSS_186-3.rsp", {"salt_length": "10"}),
    ],
)
def test_nist_rsa_signatures(name: str, options: dict[str, str]) -> None:
    seen: Counter[bool] = Counter()
    for fields in blocks(RSA / name):
        if fields["section"] not in ("mod = 2048", "mod = 3072", "mod = 4096"):
            continue
        how = parameters(HASHES[fields["SHAAlg"]], **options)  # type: ignore[arg-type]
        message, signature = bytes.fromhex(fields["Msg"]), bytes.fromhex(fields["S"])
        good = fields["Result"].startswith("P")
        assert says(rsa_key(fields["n"], fields["e"]), message, signature, how) is good
        seen[good] += 1
    assert seen[True] >= 5
    assert seen[False] >= 20


CURVES = {
    "P-256": ("ecdsa-p256", ec.SECP256R1()),
    "P-384": ("ecdsa-p384", ec.SECP384R1()),
    "P-521": ("ecdsa-p521", ec.SECP521R1()),
}


@pytest.mark.parametrize("curve", CURVES)
def test_nist_ecdsa_signatures(curve: str) -> None:
    type_name, definition = CURVES[curve]
    seen: Counter[bool] = Counter()
    for fields in blocks(VECTORS / "asymmetric" / "ECDSA" / "FIPS_186-3" / "SigVer.rsp"):
        name, _, digest = fields["section"].partition(",")
        if name != curve:
            continue
        x, y, r, s = (int(fields[part], 16) for part in ("Qx", "Qy", "R", "S"))
        key = public_only(type_name, ec.EllipticCurvePublicNumbers(x, y, definition).public_key())
        how = parameters(HASHES[digest.replace("-", "")])
        good = fields["Result"].startswith("P")
        assert says(key, bytes.fromhex(fields["Msg"]), encode_dss_signature(r, s), how) is good
        seen[good] += 1
    assert seen[True] >= 5
    assert seen[False] >= 10


def test_ed25519_signatures_of_rfc_8032() -> None:
    lines = (VECTORS / "asymmetric" / "Ed25519" / "sign.input").read_text().splitlines()
    for line in lines[::4]:
        private, public, message, signed = (bytes.fromhex(part) for part in line.split(":")[:4])
        stored = subject_public_key_info(Ed25519PrivateKey.from_private_bytes(private[:32]).public_key())
        assert stored.endswith(public)
        record = VersionRecord(private, bytes(32), 0, stored)
        key = TransitKey(KeyPolicy("k", "ed25519"), {1: record})
        (result,) = sign(key, [SignItem(message)], DEFAULT)
        assert isinstance(result, Signed)
        assert base64.b64decode(result.signature.removeprefix("vault:v1:")) == signed[:64]
        assert says(key, message, signed[:64], DEFAULT)
        assert not says(key, message + b"\0", signed[:64], DEFAULT)


@pytest.mark.parametrize("parameter_set", PARAMETER_SETS)
def test_ml_dsa_keys_grow_from_their_seeds(parameter_set: str) -> None:
    scheme = PARAMETER_SETS[parameter_set]
    text = (VECTORS / "asymmetric" / "MLDSA" / f"kat_MLDSA_{parameter_set}_det_pure.rsp").read_text()
    seeds = [line[5:] for line in text.splitlines() if line.startswith("xi = ")]
    publics = [line[5:] for line in text.splitlines() if line.startswith("pk = ")]
    assert len(seeds) == len(publics) > 20
    for seed, public in zip(seeds, publics, strict=True):
        assert scheme.private(bytes.fromhex(seed)).public_key().public_bytes_raw() == bytes.fromhex(public)


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_nist_cmacs(bits: int) -> None:
    text = (VECTORS / "CMAC" / f"nist-800-38b-aes{bits}.txt").read_text()
    count = 0
    for block in text.split("COUNT")[1:]:
        fields = dict(line.split(" =", 1) for line in block.splitlines()[1:] if " =" in line)
        secret, message, output = (bytes.fromhex(fields[name]) for name in ("KEY", "MESSAGE", "OUTPUT"))
        key = TransitKey(KeyPolicy("k", f"aes{bits}-cmac"), {1: VersionRecord(secret, bytes(32), 0)})
        expected = f"vault:v1:{encode(output)}"
        assert make_cmacs(key, [CmacItem(message)]) == [expected]
        assert verify_cmacs(key, [MacItem(message, expected)]) == [True]
        assert verify_cmacs(key, [MacItem(message + b"\0", expected)]) == [False]
        count += 1
    assert count >= 4
