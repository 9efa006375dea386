"""Project Wycheproof's vectors: which files there are for each algorithm, and what each asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from kms_actors.transit.key_types import KEY_TYPES, Parameters
from kms_actors.transit.schemes.mldsa import PARAMETER_SETS
from tests.support.wycheproof import Case, cases
from tests.vectors.ciphers import Opens, Unwraps, UnwrapsAesKey
from tests.vectors.derivations import Agrees, Derives
from tests.vectors.proofs import Cmac, Hmac, Verifies
from tests.vectors.vector import Key, Request, Source, Vector, Way

#: Of a case: key and request; or why it does not apply.
Convert = Callable[[Case], tuple[Key, Request] | str]
#: Of a valid case: whether it must be refused all the same.
Refuse = Callable[[Case], bool]

#: The names of hashes there and in the API.
_HASHES: Final = {
    "SHA-1": "sha1",
    **{f"SHA-{bits}": f"sha2-{bits}" for bits in (224, 256, 384, 512)},
    **{f"SHA3-{bits}": f"sha3-{bits}" for bits in (224, 256, 384, 512)},
}
_CURVES: Final = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384", "secp521r1": "ecdsa-p521"}
_RSA_SIZES: Final = (2048, 3072, 4096)
_ML_DSA_BYTES: Final = {"44": 1312, "65": 1952, "87": 2592}

#: Flags of cases that may be taken or not, and are taken; all others are refused.
TAKEN: Final = frozenset(
    {
        "CompressedPublic",  # a point in the short form is the same point
        "WeakHash",  # SHA-1 is there, as in the API; a token can be narrowed away from it
        "SmallPublicKey",  # so are keys with the public exponent 3, which others made
    }
)


def _source(
    algorithm: str, file: str, convert: Convert, refuse: Refuse = lambda _: False, way: Way = Way.NODE
) -> Source:
    return Source(algorithm, "Wycheproof", file, partial(_read, file, convert, refuse), way)


def _read(file: str, convert: Convert, refuse: Refuse) -> Iterator[Vector | str]:
    for case in cases(file):
        found = convert(case)
        if isinstance(found, str):
            yield found
            continue
        good = bool(TAKEN & set(case.test["flags"])) if case.valid is None else case.valid
        kind = " ".join(case.test["flags"]) or case.test["comment"]
        key, request = found
        short = isinstance(request, Derives) and (not request.context or request.length < 32)
        yield Vector(str(case), kind, good and not refuse(case), key, request, short, case.valid is None)


# Authenticated encryption.


def _aead(type_name: str, key_size: int, iv_size: int) -> Convert:
    def convert(case: Case) -> tuple[Key, Request] | str:
        if case.group["keySize"] != key_size:
            return "keys of other sizes"
        if case.group["ivSize"] != iv_size:
            return "nonces of other sizes"
        blob = case.hex("iv") + case.hex("ct") + case.hex("tag")
        return Key(type_name, case.hex("key")), Opens(blob, case.hex("msg"), case.hex("aad"))

    return convert


# Signatures.


def _public(type_name: str, case: Case) -> Key:
    return Key(type_name, public=bytes.fromhex(case.group["publicKeyDer"]))


def _ecdsa(case: Case, *, curve: str, jws: bool) -> tuple[Key, Request]:
    request = Verifies(case.hex("msg"), case.hex("sig"), _HASHES[case.group["sha"]], jws=jws)
    return _public(_CURVES[curve], case), request


def _ed25519(case: Case) -> tuple[Key, Request]:
    return _public("ed25519", case), Verifies(case.hex("msg"), case.hex("sig"))


def _pkcs1v15(case: Case) -> tuple[Key, Request]:
    request = Verifies(case.hex("msg"), case.hex("sig"), _HASHES[case.group["sha"]], "pkcs1v15")
    return _public(f"rsa-{case.group['keySize']}", case), request


def _pkcs1v15_made(case: Case) -> tuple[Key, Request]:
    request = Verifies(case.hex("msg"), case.hex("sig"), _HASHES[case.group["sha"]], "pkcs1v15", made=True)
    return _private(case), request


def _pss(case: Case) -> tuple[Key, Request] | str:
    if case.group["sLen"] == 0 and case.test["comment"].startswith("s_len changed"):
        return "salts where there should be none: in the API, 0 means any"
    request = Verifies(case.hex("msg"), case.hex("sig"), _HASHES[case.group["sha"]], salt=str(case.group["sLen"]))
    return _public(f"rsa-{case.group['keySize']}", case), request


def _other_mask(case: Case) -> bool:
    """In the API one hash function serves the message and the mask."""
    return bool(case.group["sha"] != case.group["mgfSha"])


def _ml_dsa(case: Case, *, name: str) -> tuple[Key, Request] | str:
    if case.test.get("ctx"):
        return "contexts, which the API does not have"
    if len(case.group["publicKey"]) != 2 * _ML_DSA_BYTES[name]:
        return "public keys of a wrong length, which cannot be had"
    key = Key("ml-dsa", public=bytes.fromhex(case.group["publicKeyDer"]), parameters=Parameters(name))
    return key, Verifies(case.hex("msg"), case.hex("sig"))


def _ml_dsa_seed(case: Case, *, name: str) -> tuple[Key, Request] | str:
    if case.test.get("ctx"):
        return "contexts, which the API does not have"
    if "msg" not in case.test:
        return "digests in place of messages"
    if len(case.group["privateSeed"]) != 64:
        return "seeds of a wrong length, which cannot be had"
    key = Key("ml-dsa", bytes.fromhex(case.group["privateSeed"]), parameters=Parameters(name))
    return key, Verifies(case.hex("msg"), case.hex("sig"))


# Encryption with RSA.


def _private(case: Case) -> Key:
    return Key(f"rsa-{case.group['keySize']}", bytes.fromhex(case.group["privateKeyPkcs8"]))


def _oaep(case: Case) -> tuple[Key, Request] | str:
    if case.group["keySize"] not in _RSA_SIZES:
        return "keys of other sizes"
    if case.test["label"]:
        return "labels, which the API does not have"
    return _private(case), Opens(case.hex("ct"), case.hex("msg"))


def _other_oaep(case: Case) -> bool:
    return (case.group["sha"], case.group["mgfSha"]) != ("SHA-256", "SHA-256")


def _aes_key(case: Case) -> tuple[Key, Request] | str:
    if case.test["label"]:
        return "labels, which the API does not have"
    if len(case.hex("ct")) > case.group["keySize"] // 8:
        return "longer ciphertexts: what follows is the wrapped key"
    return _private(case), UnwrapsAesKey(case.hex("ct"), case.hex("msg"), case.group["sha"].replace("-", ""))


def _pkcs1v15_encryption(case: Case) -> tuple[Key, Request]:
    return _private(case), Opens(case.hex("ct"), case.hex("msg"), padding_scheme="pkcs1v15")


# MACs, derivation, agreement, wrapping.


def _cmac(case: Case, *, bits: int) -> tuple[Key, Request] | str:
    if case.group["keySize"] != bits:
        return "keys of other sizes"
    return Key(f"aes{bits}-cmac", case.hex("key")), Cmac(case.hex("msg"), case.hex("tag"))


def _hmac(case: Case, *, algorithm: str, bits: int) -> tuple[Key, Request] | str:
    if case.group["tagSize"] != bits:
        return "shortened tags, which the API does not have"
    return Key("hmac", case.hex("key")), Hmac(case.hex("msg"), case.hex("tag"), algorithm)


def _hkdf(case: Case) -> tuple[Key, Request] | str:
    if case.test["salt"]:
        return "salts, which the API does not have"
    return Key("aes256-gcm96", case.hex("ikm")), Derives(case.hex("info"), case.test["size"], case.hex("okm"))


def _ecdh(case: Case, *, type_name: str) -> tuple[Key, Request]:
    private = load_pem_private_key(case.test["private"].encode(), None)
    secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Key(type_name, secret), Agrees(case.test["public"], case.hex("shared"))


#: Types as which keys of these sizes come in; larger ones are HMAC keys.
_BY_SIZE: Final = {16: "aes128-gcm96", 24: "aes192-cmac", 32: "aes256-gcm96"}
_SMALLEST_HMAC: Final = KEY_TYPES["hmac"].key_size.start


def key_of_size(secret: bytes) -> Key:
    """Return a key as which these bytes can be imported, if their number allows it."""
    size = len(secret)
    return Key(_BY_SIZE.get(size, "hmac" if size >= _SMALLEST_HMAC else "aes256-gcm96"), secret)


def _kwp(case: Case) -> tuple[Key, Request] | str:
    if case.group["keySize"] != 256:
        return "wrapping keys of other sizes"
    if len(case.hex("msg")) <= 8 and case.valid:
        return "wrapped keys of up to 8 bytes, which are refused"
    secret = case.hex("msg")
    return key_of_size(secret), Unwraps(case.hex("key"), case.hex("ct"), secret)


_HMACS: Final = (
    *((f"sha{bits}", f"sha2-{bits}", bits) for bits in (224, 256, 384, 512)),
    *((f"sha3_{bits}", f"sha3-{bits}", bits) for bits in (224, 256, 384, 512)),
)
_ECDSA: Final = {
    "secp256r1": ("sha256", "sha512", "sha3_256", "sha3_512"),
    "secp384r1": ("sha256", "sha384", "sha512", "sha3_384", "sha3_512"),
    "secp521r1": ("sha512", "sha3_512"),
}
_P1363: Final = {
    "secp256r1": ("sha256", "sha512"),
    "secp384r1": ("sha384", "sha512"),
    "secp521r1": ("sha512",),
}
_PKCS1V15: Final = {
    2048: ("sha224", "sha256", "sha384", "sha512", "sha3_224", "sha3_256", "sha3_384", "sha3_512"),
    3072: ("sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"),
    4096: ("sha256", "sha384", "sha512"),
}
_PSS: Final = {
    2048: ("sha1_mgf1_20", "sha256_mgf1_0", "sha256_mgf1_32", "sha256_mgf1sha1_20", "sha384_mgf1_48"),
    3072: ("sha256_mgf1_32",),
    4096: ("sha256_mgf1_32", "sha384_mgf1_48", "sha512_mgf1_32", "sha512_mgf1_64"),
}
_AES_KEY: Final = {
    2048: ("sha1", "sha224", "sha256", "sha384", "sha512"),
    3072: ("sha256", "sha512"),
    4096: ("sha256", "sha512"),
}


def _signatures() -> Iterable[Source]:
    yield _source("ed25519", "ed25519", _ed25519)
    for curve, names in _ECDSA.items():
        for name in names:
            yield _source(_CURVES[curve], f"ecdsa_{curve}_{name}", partial(_ecdsa, curve=curve, jws=False))
    for curve, names in _P1363.items():
        for name in names:
            file = f"ecdsa_{curve}_{name}_p1363"
            yield _source(f"{_CURVES[curve]}, JWS", file, partial(_ecdsa, curve=curve, jws=True))
    for bits, names in _PKCS1V15.items():
        for name in names:
            yield _source(f"rsa-{bits}, PKCS #1 v1.5 signatures", f"rsa_signature_{bits}_{name}", _pkcs1v15)
        yield _source(f"rsa-{bits}, PKCS #1 v1.5 signatures", f"rsa_pkcs1_{bits}_sig_gen", _pkcs1v15_made)
    for bits, names in _PSS.items():
        for name in names:
            yield _source(f"rsa-{bits}, PSS signatures", f"rsa_pss_{bits}_{name}", _pss, _other_mask)
    yield _source("rsa-2048, PSS signatures", "rsa_pss_misc", _pss, _other_mask)
    for name in PARAMETER_SETS:
        ml_dsa = f"ml-dsa-{name}"
        yield _source(ml_dsa, f"mldsa_{name}_verify", partial(_ml_dsa, name=name), way=Way.EDGE)
        yield _source(ml_dsa, f"mldsa_{name}_sign_seed", partial(_ml_dsa_seed, name=name), way=Way.EDGE)


def _encryption() -> Iterable[Source]:
    yield _source("aes128-gcm96", "aes_gcm", _aead("aes128-gcm96", 128, 96))
    yield _source("aes256-gcm96", "aes_gcm", _aead("aes256-gcm96", 256, 96))
    yield _source("chacha20-poly1305", "chacha20_poly1305", _aead("chacha20-poly1305", 256, 96))
    yield _source("xchacha20-poly1305", "xchacha20_poly1305", _aead("xchacha20-poly1305", 256, 192))
    for bits in _RSA_SIZES:
        yield _source(f"rsa-{bits}, OAEP", f"rsa_oaep_{bits}_sha256_mgf1sha256", _oaep)
        yield _source(f"rsa-{bits}, PKCS #1 v1.5 encryption", f"rsa_pkcs1_{bits}", _pkcs1v15_encryption)
    yield _source("rsa, OAEP", "rsa_oaep_misc", _oaep, _other_oaep)


def _others() -> Iterable[Source]:
    yield _source("hmac, SHA-1", "hmac_sha1", partial(_hmac, algorithm="sha1", bits=160))
    for name, algorithm, bits in _HMACS:
        yield _source(f"hmac, {algorithm}", f"hmac_{name}", partial(_hmac, algorithm=algorithm, bits=bits))
    for bits in (128, 192, 256):
        yield _source(f"aes{bits}-cmac", "aes_cmac", partial(_cmac, bits=bits))
    yield _source("HKDF-SHA256", "hkdf_sha256", _hkdf)
    for curve, type_name in _CURVES.items():
        yield _source(f"ECDH, {type_name}", f"ecdh_{curve}_pem", partial(_ecdh, type_name=type_name))
    yield _source("AES-KWP", "aes_kwp", _kwp)
    for bits, names in _AES_KEY.items():
        for name in names:
            file = f"rsa_oaep_{bits}_{name}_mgf1{name}"
            yield _source("wrapped imports, OAEP", file, _aes_key, way=Way.ENGINE)


SOURCES: Final = (*_signatures(), *_encryption(), *_others())
