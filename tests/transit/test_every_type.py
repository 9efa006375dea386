"""Each type of key with each option and each operation: all answer, or refuse in words; none fails otherwise."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.transit import macs, signing
from kms_actors.transit import policy as policies
from kms_actors.transit.items import (
    CmacItem,
    DecryptItem,
    EncryptItem,
    HmacItem,
    MacItem,
    RewrapItem,
    Signed,
    SignItem,
    VerifyItem,
)
from kms_actors.transit.key import TransitKey
from kms_actors.transit.key_info import describe
from kms_actors.transit.key_types import KEY_TYPES, Parameters
from kms_actors.transit.signature import SignatureParameters, parameters
from tests.transit.keys import VARIANTS, Variant, key_of, variant_id

HOWS = [
    parameters(),
    parameters(marshaling_algorithm="jws"),
    parameters("sha3-512", prehashed=True),
    parameters(signature_algorithm="pkcs1v15"),
    parameters(signature_algorithm="nosuch", salt_length="hash"),
    parameters("none", prehashed=True, signature_algorithm="pkcs1v15"),
    parameters("sha1", salt_length="9999"),
]
#: What the table allows, and no more: encryption, signing, HMAC, CMAC, derivation, convergent encryption.
ALLOWED = {
    "aes128-gcm96": "e h d c",
    "aes256-gcm96": "e h d c",
    "chacha20-poly1305": "e h d c",
    "xchacha20-poly1305": "e h d c",
    "ed25519": "s h d",
    **dict.fromkeys(("mldsa-44", "mldsa-65", "mldsa-87"), "s h"),
    "ecdsa-p256": "s h",
    "ecdsa-p384": "s h",
    "ecdsa-p521": "s h",
    "rsa-2048": "e s h",
    "rsa-3072": "e s h",
    "rsa-4096": "e s h",
    "hmac": "h",
    "aes128-cmac": "m",
    "aes192-cmac": "m",
    "aes256-cmac": "m",
    "ml-dsa": "s h",
    "hybrid": "s h",
}


def test_the_table_says_what_each_type_does() -> None:
    assert set(ALLOWED) >= set(KEY_TYPES)
    for name, key_type in KEY_TYPES.items():
        flags = {
            "e": key_type.encryption,
            "s": key_type.signing,
            "h": key_type.hmac,
            "m": key_type.cmac,
            "d": key_type.derivation,
            "c": key_type.convergent,
        }
        assert {letter for letter, allowed in flags.items() if allowed} == set(ALLOWED[name].split()), name


def answers(use: Callable[[], Sequence[object]]) -> object:
    """Return the one result of an operation, or its refusal."""
    try:
        (result,) = use()
    except InvalidRequest as error:
        return error
    return result


def operations(key: TransitKey, context: bytes, how: SignatureParameters) -> dict[str, object]:
    """Run every operation once."""
    text, data = "vault:v1:" + "A" * 80, bytes(64)
    return {
        "encrypt": answers(lambda: key.encrypt([EncryptItem(data, context)])),
        "decrypt": answers(lambda: key.decrypt([DecryptItem(text, context)])),
        "rewrap": answers(lambda: key.rewrap([RewrapItem(text, context)])),
        "sign": answers(lambda: signing.sign(key, [SignItem(data, context)], how)),
        "verify": answers(lambda: signing.verify(key, [VerifyItem(data, text, context)], how)),
        "hmac": answers(lambda: macs.make_hmacs(key, [HmacItem(data)], "sha2-256")),
        "verify hmac": answers(lambda: macs.verify_hmacs(key, [MacItem(data, text)], "sha2-256")),
        "cmac": answers(lambda: macs.make_cmacs(key, [CmacItem(data)])),
        "verify cmac": answers(lambda: macs.verify_cmacs(key, [MacItem(data, text)])),
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=variant_id)
def test_no_operation_crashes(variant: Variant) -> None:
    key_type = KEY_TYPES[variant[0]]
    for derived, convergent in ((False, False), (True, False), (True, True)):
        if (derived and not key_type.derivation) or (convergent and not key_type.convergent):
            continue
        key = key_of(variant, derived=derived, convergent=convergent)
        for context, how in itertools.product((b"", b"ctx"), HOWS):
            found = operations(key, context, how)
            usable = bool(context) or not derived
            assert isinstance(found["encrypt"], tuple) is (key_type.encryption and usable)
            assert isinstance(found["hmac"], str) is key_type.hmac
            assert isinstance(found["cmac"], str) is key_type.cmac
            assert found["verify hmac"] is False or not key_type.hmac
            assert found["verify cmac"] is False or not key_type.cmac
            assert isinstance(found["decrypt"], InvalidRequest)
            assert isinstance(found["rewrap"], InvalidRequest)
            assert isinstance(found["sign"], Signed | InvalidRequest)
            assert found["verify"] is False or isinstance(found["verify"], InvalidRequest)
            if not key_type.signing:
                assert str(found["sign"]) == f"key type {variant[0]} does not support signing"
                assert str(found["verify"]) == f"key type {variant[0]} does not support verification"


@pytest.mark.parametrize("type_name", KEY_TYPES)
def test_options_that_do_not_go_together_are_refused_and_others_make_keys(type_name: str) -> None:
    key_type = KEY_TYPES[type_name]
    first = next(iter(key_type.schemes), Parameters())
    for derived, convergent, size in itertools.product((False, True), (False, True), (0, 16, 32, 513)):
        options = policies.KeyOptions(type_name, derived, convergent, key_size=size, **first._asdict())
        possible = (
            (not derived or key_type.derivation)
            and (not convergent or (derived and key_type.convergent))
            and (size == 0 or size in key_type.key_size)
        )
        try:
            policy = policies.new_policy("k", options)
        except InvalidRequest:
            assert not possible
        else:
            assert possible
            assert policy.type == type_name


@pytest.mark.parametrize("type_name", KEY_TYPES)
def test_parameters_are_taken_where_they_mean_something(type_name: str) -> None:
    schemes = list(KEY_TYPES[type_name].schemes) or [Parameters()]
    sets, pqcs, curves = ("", "44", "65", "87", "128"), ("", "ml-dsa", "x"), ("", "ed25519", "ecdsa-p384", "rsa-2048")
    for given in itertools.starmap(Parameters, itertools.product(sets, pqcs, curves)):
        options = policies.KeyOptions(type_name, **given._asdict())
        if given in schemes:
            assert policies.new_policy("k", options).parameter_set == given.parameter_set
            continue
        with pytest.raises(InvalidRequest, match="|".join(Parameters._fields)):
            policies.new_policy("k", options)


@pytest.mark.parametrize("variant", VARIANTS, ids=variant_id)
@pytest.mark.parametrize("context", [b"", b"ctx"])
def test_every_key_can_be_shown(variant: Variant, context: bytes) -> None:
    key_type = KEY_TYPES[variant[0]]
    for derived in {False, key_type.derivation}:
        info = describe(key_of(variant, derived=derived), context)
        shown = info.versions[1]
        assert bool(shown.algorithm) is bool(key_type.schemes)
        assert bool(shown.public_key) is (bool(key_type.schemes) and (bool(context) or not derived))
