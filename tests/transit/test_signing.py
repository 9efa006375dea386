"""Signatures by every type that signs: made, verified, tampered with, and in the words of the API refused."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit.items import Signed, SignItem, VerifyItem
from kms_actors.transit.key import MISSING_CONTEXT, TransitKey
from kms_actors.transit.records import KeyPolicy, VersionRecord
from kms_actors.transit.signature import DEFAULT, HASHES, SignatureParameters, parameters
from kms_actors.transit.signing import sign, verify
from tests.transit.keys import SIGNING, Variant, key_of, make_key, public_only, variant_id

FOX = b"the quick brown fox"
CURVES = ["ecdsa-p256", "ecdsa-p384", "ecdsa-p521"]
HASH_NAMES = [name for name in HASHES if name != "none"]
each_variant = pytest.mark.parametrize("variant", SIGNING, ids=variant_id)


def signed(key: TransitKey, data: bytes, how: SignatureParameters = DEFAULT, **item: Any) -> Signed:
    (result,) = sign(key, [SignItem(data, **item)], how)
    assert isinstance(result, Signed), result
    return result


def verified(key: TransitKey, data: bytes, text: str, how: SignatureParameters = DEFAULT, **item: Any) -> Any:
    (result,) = verify(key, [VerifyItem(data, text, **item)], how)
    return str(result) if isinstance(result, InvalidRequest) else result


def body(text: str) -> bytes:
    return base64.b64decode(text.partition(":v")[2].partition(":")[2])


def text_of(signature: bytes, version: int = 1) -> str:
    return f"vault:v{version}:{base64.b64encode(signature).decode()}"


@each_variant
@pytest.mark.parametrize("marshaling", ["asn1", "jws"])
def test_every_signature_verifies_and_nothing_else_does(variant: Variant, marshaling: str) -> None:
    key, how = key_of(variant), parameters(marshaling_algorithm=marshaling)
    for data in (b"", FOX, bytes(100_000)):
        text = signed(key, data, how).signature
        assert text.startswith("vault:v1:")
        assert verified(key, data, text, how) is True
        assert verified(key, data + b"\0", text, how) is False
    assert "=" not in text or marshaling == "asn1"


@pytest.mark.parametrize("variant", [v for v in SIGNING if v[0] not in ("rsa-3072", "rsa-4096")], ids=variant_id)
def test_another_key_does_not_verify(variant: Variant) -> None:
    text = signed(key_of(variant, versions=2), FOX).signature
    assert verified(key_of(variant, versions=2), FOX, text) is True
    assert verified(key_of(variant), FOX, text.replace(":v2:", ":v1:")) is False


@settings(max_examples=150, deadline=None)
@given(data=st.data(), variant=st.sampled_from(SIGNING), message=st.binary(max_size=50))
def test_what_was_tampered_with_never_verifies(data: st.DataObject, variant: Variant, message: bytes) -> None:
    key = key_of(variant)
    signature = bytearray(body(signed(key, message).signature))
    change = data.draw(st.sampled_from(["flip", "cut", "add"]))
    place = len(signature) * data.draw(st.integers(0, 9999)) // 10_000  # signatures differ in length each time
    if change == "flip":
        signature[place] ^= data.draw(st.integers(1, 255))
    elif change == "cut":
        del signature[place:]
    else:
        signature[place:place] = data.draw(st.binary(min_size=1, max_size=3))
    result = verified(key, message, text_of(bytes(signature)))
    assert result is False or str(result).startswith("supplied signature ")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SIGNING), st.binary(max_size=200))
def test_random_bytes_never_verify(variant: Variant, signature: bytes) -> None:
    assert verified(key_of(variant), FOX, text_of(signature)) is not True


@pytest.mark.parametrize("type_name", [*CURVES, "rsa-2048"])
@pytest.mark.parametrize("hash_name", HASH_NAMES)
def test_prehashed_input_is_a_digest(type_name: str, hash_name: str) -> None:
    key = make_key(type_name)
    digest = hashlib.new(hash_name.replace("sha2-", "sha").replace("sha3-", "sha3_"), FOX).digest()
    whole, prehashed = parameters(hash_name), parameters(hash_name, prehashed=True)
    assert verified(key, FOX, signed(key, digest, prehashed).signature, whole) is True
    assert verified(key, digest, signed(key, FOX, whole).signature, prehashed) is True


@pytest.mark.parametrize("type_name", CURVES)
@pytest.mark.parametrize("size", [1, 20, 47, 65, 66, 200])
def test_ecdsa_takes_digests_of_any_length_and_counts_their_leftmost_bits(type_name: str, size: int) -> None:
    key, how = make_key(type_name), parameters(prehashed=True)
    digest = bytes(range(1, size + 1))
    text = signed(key, digest, how).signature
    assert verified(key, digest, text, how) is True
    order_bytes = {"ecdsa-p256": 32, "ecdsa-p384": 48, "ecdsa-p521": 66}[type_name]
    assert verified(key, digest[:order_bytes], text, how) is True
    assert verified(key, b"\x80" + digest, text, how) is False


@pytest.mark.parametrize("type_name", CURVES)
def test_a_digest_of_no_bits_has_no_signature(type_name: str) -> None:
    key, how = make_key(type_name), parameters(prehashed=True)
    (refused,) = sign(key, [SignItem(b"")], how)
    assert str(refused) == "ecdsa: hash cannot be empty"
    # With nothing signed, (x, x) is a signature by the public key (x, y): made without the private one.
    public = key.latest.public
    order = public.curve.group_order
    x = public.public_numbers().x % order
    assert verified(key, b"", text_of(encode_dss_signature(x, x)), how) is False


@pytest.mark.parametrize("type_name", ["ed25519", "ecdsa-p256"])
def test_parameters_of_rsa_play_no_part_for_others(type_name: str) -> None:
    key = make_key(type_name)
    how = parameters(signature_algorithm="nosuch", salt_length="9999")
    assert verified(key, FOX, signed(key, FOX, how).signature) is True


def test_ed25519_hashes_nothing_of_its_own_accord() -> None:
    key = make_key("ed25519")
    for how in (parameters("sha3-512"), parameters(prehashed=True), parameters("sha1", prehashed=True)):
        assert signed(key, FOX, how) == signed(key, FOX)


@pytest.mark.parametrize("variant", [v for v in SIGNING if v[0] in ("ml-dsa", "hybrid")], ids=variant_id)
def test_post_quantum_signatures_refuse_digests(variant: Variant) -> None:
    key, how = key_of(variant), parameters(prehashed=True)
    text = f"prehashed input is not supported for key type {variant[0]}"
    assert [str(error) for error in sign(key, [SignItem(FOX)], how)] == [text]
    assert verified(key, FOX, signed(key, FOX).signature, how) == text


@pytest.mark.parametrize("variant", [v for v in SIGNING if v[0] == "hybrid"], ids=variant_id)
def test_both_halves_of_a_hybrid_signature_must_be_good(variant: Variant) -> None:
    key = key_of(variant)
    one, other = body(signed(key, FOX).signature), body(signed(key, b"other").signature)
    size = {"44": 2420, "65": 3309, "87": 4627}[variant[1].parameter_set]
    assert verified(key, FOX, text_of(one[:size] + one[size:])) is True
    assert verified(key, FOX, text_of(one[:size] + other[size:])) is False
    assert verified(key, FOX, text_of(other[:size] + one[size:])) is False
    for half in (one[:size], one[size:]):
        assert verified(key, FOX, text_of(half)) is not True


# RSA.


@pytest.mark.parametrize("hash_name", HASH_NAMES)
@pytest.mark.parametrize("algorithm", ["pss", "pkcs1v15"])
def test_rsa_signs_with_every_hash(hash_name: str, algorithm: str) -> None:
    key, how = make_key("rsa-2048"), parameters(hash_name, signature_algorithm=algorithm)
    text = signed(key, FOX, how).signature
    assert verified(key, FOX, text, how) is True
    others = {"pss": "pkcs1v15", "pkcs1v15": "pss"}
    assert verified(key, FOX, text, parameters(hash_name, signature_algorithm=others[algorithm])) is False
    assert verified(key, FOX, text, parameters("sha2-384" if hash_name != "sha2-384" else "sha1")) is False


@pytest.mark.parametrize(
    ("salt", "size"), [("auto", 222), ("0", 222), ("hash", 32), ("-1", 32), ("1", 1), ("222", 222)]
)
def test_salts_have_the_length_asked_for(salt: str, size: int) -> None:
    key = make_key("rsa-2048")
    signature = body(signed(key, FOX, parameters(salt_length=salt)).signature)
    mask = padding.MGF1(HASHES["sha2-256"])  # type: ignore[arg-type]
    key.latest.public.verify(signature, FOX, padding.PSS(mask, size), HASHES["sha2-256"])
    assert verified(key, FOX, text_of(signature), parameters(salt_length="auto")) is True
    assert verified(key, FOX, text_of(signature), parameters(salt_length=str(size))) is True
    assert verified(key, FOX, text_of(signature), parameters(salt_length="8")) is False


@pytest.mark.parametrize("type_name", ["rsa-2048", "rsa-3072", "rsa-4096"])
@pytest.mark.parametrize("hash_name", ["sha1", "sha2-512"])
def test_the_longest_salt_fits_and_one_byte_more_does_not(type_name: str, hash_name: str) -> None:
    key = make_key(type_name)
    longest = int(type_name[4:]) // 8 - 2 - {"sha1": 20, "sha2-512": 64}[hash_name]
    how = parameters(hash_name, salt_length=str(longest))
    assert verified(key, FOX, signed(key, FOX, how).signature, how) is True
    longer = parameters(hash_name, salt_length=str(longest + 1))
    text = f"requested salt length {longest + 1} is invalid"
    assert [str(error) for error in sign(key, [SignItem(FOX)], longer)] == [text]
    assert verified(key, FOX, signed(key, FOX, how).signature, longer) == text


def test_without_a_hash_pkcs1v15_signs_the_bytes_as_they_are() -> None:
    key, how = make_key("rsa-2048"), parameters("none", prehashed=True, signature_algorithm="pkcs1v15")
    text = signed(key, FOX, how).signature
    recovered = key.latest.public.recover_data_from_signature(body(text), padding.PKCS1v15(), None)
    assert recovered == FOX
    assert verified(key, FOX, text, how) is True
    assert verified(key, b"other", text, how) is False
    assert verified(key, FOX, text, parameters(signature_algorithm="pkcs1v15")) is False
    assert [str(error) for error in sign(key, [SignItem(bytes(246))], how)] == [
        "crypto/rsa: message too long for RSA key size"
    ]


@pytest.mark.parametrize(
    ("algorithm", "text"),
    [
        ("pss", "crypto/rsa: input must be hashed with given hash"),
        ("pkcs1v15", "crypto/rsa: input must be hashed message"),
        ("nosuch", "unsupported rsa signature algorithm nosuch"),
    ],
)
def test_what_rsa_does_not_sign(algorithm: str, text: str) -> None:
    key, how = make_key("rsa-2048"), parameters(prehashed=True, signature_algorithm=algorithm)
    assert [str(error) for error in sign(key, [SignItem(bytes(31))], how)] == [text]
    expected = text if algorithm == "nosuch" else False
    assert verified(key, bytes(31), text_of(bytes(256)), how) == expected


# ECDSA.


@pytest.mark.parametrize("type_name", CURVES)
def test_jws_signatures_are_r_and_s_of_full_length(type_name: str) -> None:
    key, jws = make_key(type_name), parameters(marshaling_algorithm="jws")
    size = {"ecdsa-p256": 64, "ecdsa-p384": 96, "ecdsa-p521": 132}[type_name]
    text = signed(key, FOX, jws).signature
    raw = base64.urlsafe_b64decode(text.removeprefix("vault:v1:") + "==")
    assert len(raw) == size
    r, s = int.from_bytes(raw[: size // 2], "big"), int.from_bytes(raw[size // 2 :], "big")
    assert verified(key, FOX, text_of(encode_dss_signature(r, s))) is True
    longer = raw[: size // 2].rjust(size, b"\0") + raw[size // 2 :].rjust(size, b"\0")
    for other in (longer, raw[:-1], raw[1:], b""):
        encoded = base64.urlsafe_b64encode(other).rstrip(b"=").decode()
        assert verified(key, FOX, f"vault:v1:{encoded}", jws) is False


@pytest.mark.parametrize("type_name", CURVES)
def test_der_that_is_no_signature_is_told_from_one_that_is_wrong(type_name: str) -> None:
    key = make_key(type_name)
    der = body(signed(key, FOX).signature)
    r, s = decode_dss_signature(der)
    assert verified(key, FOX, text_of(der + b"\0")) == "supplied signature contains extra data"
    assert verified(key, FOX, text_of(b"\x30\x00" + der)) == "supplied signature is invalid"
    for other in (b"", b"\x30", der[:-1], b"\x31" + der[1:], der[:1] + b"\x80" + der[2:] + b"\0\0"):
        assert verified(key, FOX, text_of(other)) == "supplied signature is invalid"
    for wrong in (encode_dss_signature(s, r), encode_dss_signature(0, 0), encode_dss_signature(r, 1)):
        assert verified(key, FOX, text_of(wrong)) is False


EC_CURVES = {"ecdsa-p256": ec.SECP256R1(), "ecdsa-p384": ec.SECP384R1(), "ecdsa-p521": ec.SECP521R1()}

#: Curve, private scalar (hexadecimal) and a signature that OpenSSL made over the fox with SHA-256.
OPENSSL = [
    (
        "ecdsa-p256",
        "99e5569be8683a2691dfc560ca9dfa71e887867a3af60635a08a3e3655aba3ef",
        ("vault:v1:MEUCIAgnEl9V8P305EBAlz68Nq4jZng5fE8k6MactcnlUw9dAiEAvJVePg3dazW6MaW7lRAVtEz82QJDVmR98tXCl8Pc7DA="),
    ),
    (
        "ecdsa-p384",
        "3de3e4fd2ecbc490e956f41f5003a1e57a84763cec7b722fa3427cf461a1148ea4d5206023bcce0422289f6633730759",
        (
            "vault:v1:MGUCMHHZLRN/3ehWuWACfSCMLtFtNEAdx6Rkwon2Lx6FWCyXCXqH6A8Pz8er0Qkgvm2ElQIxAO922LmUeYzHmDSfC5is"
            "/TjFu3b4Fb+1XtoBXncc2u4t2vSuTAxEv7WMh2D2YDdxeA=="
        ),
    ),
    (
        "ecdsa-p521",
        (
            "1867d0fcd9bac4c5821b70a6b13117499438f8c274579c0aba254fbd85fa98892c3608576197d5534366a9aab0f904155bec"
            "46d800d23a57f7f053d91526568b09"
        ),
        (
            "vault:v1:MIGIAkIBYhspOgSs/K/NUWtlBN+CfYe1IVFpUbQNSqdjT7s+QKcr6GKmdGLIQAXw0q6K0elBgzi1wgLjxwdscwMeW7tm"
            "/QQCQgDzdITGlUEd9Z7DOfLCnDP4X8pGsfO60Tvsh/BN44drZsHLtXYBXLczB/XZfIWAsPMuI5F7ExwVNbmQP0FBVri/QQ=="
        ),
    ),
]


@pytest.mark.parametrize(("type_name", "scalar", "text"), OPENSSL)
def test_signatures_of_openssl_verify(type_name: str, scalar: str, text: str) -> None:
    public = ec.derive_private_key(int(scalar, 16), EC_CURVES[type_name]).public_key()
    key = public_only(type_name, public)
    assert verified(key, FOX, text) is True
    assert verified(key, FOX + b"x", text) is False


# Derived keys.

BASE = bytes.fromhex(
    "440960d865b0bc2c251cfde962aca8365501020726d1957d0dcddca610c525622b567c69b66b214208150fc2bb1a73c82df0ac8642c8af"
    "a15de4cd17396974f1"
)


def derived_key() -> TransitKey:
    stored = make_key("ed25519").latest.record.public_key
    policy = KeyPolicy("k", "ed25519", derived=True)
    return TransitKey(policy, {1: VersionRecord(BASE, bytes(32), 0, stored)})


def test_a_derived_key_signs_by_the_key_of_the_context() -> None:
    key = derived_key()
    result = signed(key, FOX, context=b"ctx-1")
    assert result.public_key == "IJ0X56SQj5v5rSJnJsBefT+Hha6g/VSvzSOM7XwuEs0="
    assert result.signature == (
        "vault:v1:mWKBu7Mb66/0gOuF5SmqpSAWO8opHxIA39nrBEP0J/BYTpxXPIj6W7SZLMXbXGqQRJKNVtgeEwNSLc0W1t3oCQ=="
    )
    assert verified(key, FOX, result.signature, context=b"ctx-1") is True
    assert verified(key, FOX, result.signature, context=b"ctx-2") is False


def test_a_derived_key_needs_a_context() -> None:
    key = derived_key()
    assert [str(error) for error in sign(key, [SignItem(FOX)], DEFAULT)] == [f"error deriving key: {MISSING_CONTEXT}"]
    assert str(verified(key, FOX, text_of(bytes(64)))) == f"error deriving key: {MISSING_CONTEXT}"


def test_a_key_that_is_not_derived_ignores_contexts() -> None:
    key = make_key("ed25519")
    assert signed(key, FOX, context=b"x") == signed(key, FOX)
    assert signed(key, FOX).public_key == ""


# Versions, batches, and what does not sign.


@pytest.mark.parametrize(
    ("version", "error"),
    [
        (-1, "requested version for signing is negative"),
        (6, "requested version for signing is higher than the latest key version"),
        (3, "requested version for signing is less than the minimum encryption key version"),
    ],
)
def test_versions_for_signing_are_bounded(version: int, error: str) -> None:
    key = make_key("ed25519", versions=5, min_encryption_version=4)
    assert [str(found) for found in sign(key, [SignItem(FOX)] * 2, DEFAULT, version)] == [error] * 2


def test_an_older_version_can_be_named_and_verifies() -> None:
    key = make_key("ed25519", versions=3)
    (result,) = sign(key, [SignItem(FOX)], DEFAULT, 2)
    assert isinstance(result, Signed)
    assert (result.key_version, result.signature[:9]) == (2, "vault:v2:")
    assert verified(key, FOX, result.signature) is True


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "invalid signature: no prefix"),
        ("vault:v", "invalid signature: wrong number of fields"),
        ("vault:v1", "invalid signature: wrong number of fields"),
        ("vault:vx:AAAA", "invalid signature: version number could not be decoded"),
        ("vault:v:AAAA", "invalid signature: version number could not be decoded"),
        ("vault:v4:AAAA", "invalid signature: version is too new"),
        ("vault:v99999999999999999999:AAAA", "invalid signature: version number could not be decoded"),
        ("vault:v1:AAAA", "ciphertext or signature version is disallowed by policy (too old)"),
        ("vault:v0:AAAA", "ciphertext or signature version is disallowed by policy (too old)"),
        ("vault:v-1:AAAA", "ciphertext or signature version is disallowed by policy (too old)"),
        ("vault:v2:AAA", "invalid base64 signature value"),
        ("vault:v2:A*==", "invalid base64 signature value"),
    ],
)
def test_malformed_signatures_are_refused_in_the_words_of_the_api(text: str, error: str) -> None:
    assert verified(make_key("ed25519", versions=3, min_decryption_version=2), FOX, text) == error


@pytest.mark.parametrize("text", ["AA==", "A+AA", "A/AA", "A", "AAAAA"])
def test_jws_signatures_are_base64url_without_padding(text: str) -> None:
    how = parameters(marshaling_algorithm="jws")
    assert verified(make_key("ed25519"), FOX, f"vault:v1:{text}", how) == "invalid base64 signature value"
    assert verified(make_key("ed25519"), FOX, "vault:v1:A-_A", how) is False


def test_a_version_without_a_private_part_verifies_and_does_not_sign() -> None:
    whole = make_key("rsa-2048")
    key = public_only("rsa-2048", whole.latest.public)
    assert verified(key, FOX, signed(whole, FOX).signature) is True
    assert [str(error) for error in sign(key, [SignItem(FOX)], DEFAULT)] == [
        "requested version for signing does not contain a private part"
    ]


def test_a_soft_deleted_key_fails_each_item() -> None:
    key = make_key("ed25519", soft_deleted=True)
    unreadable = InvalidRequest("missing input")
    results = sign(key, [SignItem(FOX), unreadable], DEFAULT)
    assert [str(result) for result in results] == ["refusing to use soft-deleted key", "missing input"]
    verified = verify(key, [VerifyItem(FOX, "vault:v1:AAAA"), unreadable], DEFAULT)
    assert [str(result) for result in verified] == ["refusing to use soft-deleted key", "missing input"]


def test_each_item_of_a_batch_has_its_own_result() -> None:
    key = make_key("ed25519")
    unreadable = InvalidRequest("missing input")
    results = sign(key, [SignItem(b"1"), unreadable, SignItem(b"2")], DEFAULT)
    assert results[1] is unreadable
    texts = [result.signature for result in results if isinstance(result, Signed)]
    items: list[VerifyItem | InvalidRequest]
    items = [VerifyItem(b"1", texts[0]), unreadable, VerifyItem(b"1", texts[1]), VerifyItem(b"2", "x")]
    found = verify(key, items, DEFAULT)
    assert found[:3] == [True, unreadable, False]
    assert str(found[3]) == "invalid signature: no prefix"
