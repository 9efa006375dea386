"""Vectors in the form of NIST's CAVS, `name = value` in blocks, which RFCs' vectors have there, too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Final

import cryptography_vectors
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from kms_actors.transit.schemes.scheme import (
    pem,
    pkcs8,
    subject_public_key_info,
)
from tests.vectors.ciphers import Opens, Unwraps
from tests.vectors.derivations import Agrees, Derives
from tests.vectors.proofs import NO_KEY, Cmac, Hashes, Hmac, Verifies
from tests.vectors.vector import Key, Request, Source, Vector
from tests.vectors.wycheproof import key_of_size

DIRECTORY: Final = Path(cryptography_vectors.__file__).parent
_RSA: Final = "asymmetric/RSA"
_CAVS: Final = f"{_RSA}/FIPS_186-2"
_ECDSA: Final = "asymmetric/ECDSA/FIPS_186-3"

Fields = Mapping[str, str]
#: Of a block: key, request, and whether it is good; or why it does not apply.
Convert = Callable[[Fields], tuple[Key, Request, bool] | str]

SHA: Final = {"SHA1": "sha1", **{f"SHA{bits}": f"sha2-{bits}" for bits in (224, 256, 384, 512)}}
CURVES: Final[Mapping[str, tuple[str, ec.EllipticCurve]]] = {
    "P-256": ("ecdsa-p256", ec.SECP256R1()),
    "P-384": ("ecdsa-p384", ec.SECP384R1()),
    "P-521": ("ecdsa-p521", ec.SECP521R1()),
}


#: What the block of a good vector has and that of a bad one may not have, or the other way round.
_ABSENT_IF_BAD: Final = ("Result", "PT", "P")


def _blocks(file: str, last: str) -> Iterator[Fields]:
    """Yield the fields of each block with the field `last`, and those of the blocks and the `[section]` before it."""
    kept: dict[str, str] = {}
    block: dict[str, str] = {}
    for line in [*(DIRECTORY / file).read_text(encoding="utf-8").splitlines(), ""]:
        name, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            kept["section"] = line.strip("[] ")
        elif line.startswith("FAIL"):
            block["Result"] = "F"
        elif equals and not line.startswith("#"):
            block[name] = value
        elif not line.strip():
            if last in block:
                yield kept | block
            kept |= {name: value for name, value in block.items() if name not in _ABSENT_IF_BAD}
            block = {}


def _source(algorithm: str, publisher: str, file: str, last: str, convert: Convert) -> Source:
    return Source(algorithm, publisher, file, partial(_read, file, last, convert))


def _read(file: str, last: str, convert: Convert) -> Iterator[Vector | str]:
    for number, fields in enumerate(_blocks(file, last), start=1):
        found = convert(fields)
        if isinstance(found, str):
            yield found
            continue
        key, request, good = found
        kind = f"{fields.get('section', '')} {fields.get('SHAAlg', '')} {fields.get('Result', '')}"
        yield Vector(f"block {number}", kind, good, key, request)


def _hex(fields: Fields, name: str) -> bytes:
    return bytes.fromhex(fields.get(name, ""))


def _passes(fields: Fields) -> bool:
    return not fields.get("Result", "P").startswith(("F", "CIPHERFINAL_ERROR"))


# Authenticated encryption.


def _gcm(fields: Fields, *, type_name: str) -> tuple[Key, Request, bool] | str:
    if len(fields["IV"]) != 24:
        return "nonces of other sizes"
    if len(fields["Tag"]) != 32:
        return "shortened tags, which the API does not have"
    blob = _hex(fields, "IV") + _hex(fields, "CT") + _hex(fields, "Tag")
    request = Opens(blob, _hex(fields, "PT"), _hex(fields, "AAD"))
    return Key(type_name, _hex(fields, "Key")), request, _passes(fields)


def _chacha_openssl(fields: Fields) -> tuple[Key, Request, bool] | str:
    if len(fields["IV"]) != 24:
        return "nonces of other sizes"
    blob = _hex(fields, "IV") + _hex(fields, "Ciphertext") + _hex(fields, "Tag")
    request = Opens(blob, _hex(fields, "Plaintext"), _hex(fields, "AAD"))
    return Key("chacha20-poly1305", _hex(fields, "Key")), request, _passes(fields)


def _chacha_rfc_7539(fields: Fields) -> tuple[Key, Request, bool]:
    key, nonce, plaintext, data, sealed, tag = (
        _text_or_hex(fields[name]) for name in ("KEY", "NONCE", "IN", "AD", "CT", "TAG")
    )
    return Key("chacha20-poly1305", key), Opens(nonce + sealed + tag, plaintext, data), True


def _text_or_hex(value: str) -> bytes:
    return value.strip('"').encode() if value.startswith('"') else bytes.fromhex(value)


# Hashes and MACs.


def _hash(fields: Fields, *, algorithm: str) -> tuple[Key, Request, bool]:
    message = _hex(fields, "Msg")[: int(fields["Len"]) // 8]
    return NO_KEY, Hashes(message, _hex(fields, "MD"), algorithm), True


def _hmac(fields: Fields, *, algorithm: str) -> tuple[Key, Request, bool]:
    return Key("hmac", _hex(fields, "Key")), Hmac(_hex(fields, "Msg"), _hex(fields, "MD"), algorithm), True


def _cmac(fields: Fields, *, type_name: str) -> tuple[Key, Request, bool]:
    return Key(type_name, _hex(fields, "KEY")), Cmac(_hex(fields, "MESSAGE"), _hex(fields, "OUTPUT")), True


# Signatures.


def _ecdsa(fields: Fields) -> tuple[Key, Request, bool] | str:
    name, _, digest = fields["section"].partition(",")
    if name not in CURVES:
        return "other curves"
    type_name, curve = CURVES[name]
    x, y, r, s = (int(fields[part], 16) for part in ("Qx", "Qy", "R", "S"))
    public = subject_public_key_info(ec.EllipticCurvePublicNumbers(x, y, curve).public_key())
    request = Verifies(_hex(fields, "Msg"), encode_dss_signature(r, s), SHA[digest.replace("-", "")])
    return Key(type_name, public=public), request, _passes(fields)


def _rsa_signature(fields: Fields, *, algorithm: str, salt: str = "auto") -> tuple[Key, Request, bool] | str:
    bits = int(fields["section"].removeprefix("mod = "))
    if bits not in (2048, 3072, 4096):
        return "keys of other sizes"
    how = Verifies(_hex(fields, "Msg"), _hex(fields, "S"), SHA[fields["SHAAlg"]], algorithm, salt)
    return Key(f"rsa-{bits}", public=_rsa_public(fields["n"], fields["e"])), how, _passes(fields)


@cache
def _rsa_public(modulus: str, exponent: str) -> bytes:
    return subject_public_key_info(rsa.RSAPublicNumbers(int(exponent, 16), int(modulus, 16)).public_key())


# Derivation, agreement, wrapping.


def _hkdf(fields: Fields) -> tuple[Key, Request, bool] | str:
    if fields["salt"]:
        return "salts, which the API does not have"
    request = Derives(_hex(fields, "info"), int(fields["L"]), _hex(fields, "OKM"))
    return Key("aes256-gcm96", _hex(fields, "IKM")), request, True


_SECTIONS: Final = {"EC - SHA256": "P-256", "ED - SHA384": "P-384", "EE - SHA512": "P-521"}


def _ecdh(fields: Fields) -> tuple[Key, Request, bool] | str:
    if fields["section"] not in _SECTIONS:
        return "other curves"
    if fields["Result"].startswith(("F (5", "F (6", "F (7")):
        return "mistakes in the receiver's own key pair"
    type_name, curve = CURVES[_SECTIONS[fields["section"]]]
    private = ec.derive_private_key(int(fields["dsIUT"], 16), curve)
    peer = _point(curve, int(fields["QsCAVSx"], 16), int(fields["QsCAVSy"], 16))
    return Key(type_name, pkcs8(private)), Agrees(peer, _hex(fields, "Z")), _passes(fields)


def _point(curve: ec.EllipticCurve, x: int, y: int) -> str:
    """Return the PEM of a public key, which need not be on its curve."""
    size = (curve.key_size + 7) // 8
    valid = subject_public_key_info(ec.generate_private_key(curve).public_key())
    return pem(valid[: -2 * size] + x.to_bytes(size, "big") + y.to_bytes(size, "big"))


def _kwp(fields: Fields) -> tuple[Key, Request, bool] | str:
    secret, good = _hex(fields, "P"), _passes(fields)
    if good and len(secret) <= 8:
        return "wrapped keys of up to 8 bytes, which are refused"
    key = key_of_size(secret if good else bytes(32))
    return key, Unwraps(_hex(fields, "K"), _hex(fields, "C"), secret), good


def _sources() -> Iterable[Source]:
    for bits in (128, 256):
        convert: Convert = partial(_gcm, type_name=f"aes{bits}-gcm96")
        for name in ("Decrypt", "EncryptExtIV"):
            file = f"ciphers/AES/GCM/gcm{name}{bits}.rsp"
            yield _source(f"aes{bits}-gcm96", "NIST CAVS", file, "Tag", convert)
    chacha = "ciphers/ChaCha20Poly1305"
    yield _source("chacha20-poly1305", "RFC 7539", f"{chacha}/boringssl.txt", "TAG", _chacha_rfc_7539)
    yield _source("chacha20-poly1305", "OpenSSL", f"{chacha}/openssl.txt", "Tag", _chacha_openssl)
    for name, last in (("SigVer", "Result"), ("SigGen", "S")):
        yield _source("ecdsa", "NIST CAVS", f"{_ECDSA}/{name}.rsp", last, _ecdsa)
    for file, last, algorithm, salt in (
        ("SigVer15_186-3", "Result", "pkcs1v15", "auto"),
        ("SigGen15_186-2", "S", "pkcs1v15", "auto"),
        ("SigVerPSS_186-3", "Result", "pss", "10"),
        ("SigGenPSS_186-3", "S", "pss", "auto"),
    ):
        what = "PSS" if "PSS" in file else "PKCS #1 v1.5"
        convert = partial(_rsa_signature, algorithm=algorithm, salt=salt)
        yield _source(f"rsa, {what} signatures", "NIST CAVS", f"{_CAVS}/{file}.rsp", last, convert)
    yield _source("hmac, SHA-1", "RFC 2202", "HMAC/rfc-2202-sha1.txt", "MD", partial(_hmac, algorithm="sha1"))
    for bits in (224, 256, 384, 512):
        convert = partial(_hmac, algorithm=f"sha2-{bits}")
        yield _source(f"hmac, sha2-{bits}", "RFC 4231", f"HMAC/rfc-4231-sha{bits}.txt", "MD", convert)
    for bits in (128, 192, 256):
        name = f"aes{bits}-cmac"
        yield _source(
            name, "NIST SP 800-38B", f"CMAC/nist-800-38b-aes{bits}.txt", "OUTPUT", partial(_cmac, type_name=name)
        )
    for family, directory in (("SHA", "SHA2"), ("SHA3_", "SHA3")):
        for bits in (224, 256, 384, 512):
            for what in ("ShortMsg", "LongMsg"):
                algorithm = f"{directory.lower()}-{bits}"
                file = f"hashes/{directory}/{family}{bits}{what}.rsp"
                yield _source(algorithm, "NIST CAVS", file, "MD", partial(_hash, algorithm=algorithm))
    yield _source("HKDF-SHA256", "RFC 5869", "KDF/rfc-5869-HKDF-SHA256.txt", "OKM", _hkdf)
    ecdh = "asymmetric/ECDH/KASValidityTest_ECCStaticUnified_NOKC_ZZOnly_init.fax"
    yield _source("ECDH", "NIST CAVS", ecdh, "Result", _ecdh)
    for name in ("KWP_AE_256", "KWP_AD_256"):
        yield _source("AES-KWP", "NIST SP 800-38F", f"keywrap/kwtestvectors/{name}.txt", "C", _kwp)


SOURCES: Final = tuple(_sources())
