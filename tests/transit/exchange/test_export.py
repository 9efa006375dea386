"""Exported key material: every kind in every form, read back by the library; and every refusal."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from kms_actors.errors import InvalidRequest
from kms_actors.transit.exchange.exporting import (
    FORMATS,
    export,
)
from kms_actors.transit.items import SignItem, VerifyItem
from kms_actors.transit.key_types import KEY_TYPES
from kms_actors.transit.signature import DEFAULT
from kms_actors.transit.signing import sign, verify
from tests.transit.keys import SIGNING, VARIANTS, Variant, key_of, make_key, public_only, variant_id

KINDS = ["encryption-key", "signing-key", "hmac-key", "cmac-key", "public-key", "certificate-chain"]
SINGLE_PAIRS = [variant for variant in SIGNING if variant[0] != "hybrid"]
HEADERS = {"rsa": "RSA PRIVATE KEY", "ec": "EC PRIVATE KEY", "ml-dsa": "PRIVATE KEY"}


def refused(*arguments: Any) -> str:
    with pytest.raises(InvalidRequest) as raised:
        export(*arguments)
    return str(raised.value)


@pytest.mark.parametrize("type_name", ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"])
@pytest.mark.parametrize("form", ["", "raw"])
def test_symmetric_keys_are_base64(type_name: str, form: str) -> None:
    key = make_key(type_name, exportable=True)
    exported = {kind: base64.b64decode(export(key, kind, form=form)[1]) for kind in ("encryption-key", "hmac-key")}
    assert exported == {"encryption-key": key.latest.record.key, "hmac-key": key.latest.record.hmac_key}


def test_keys_for_macs_are_the_keys_themselves() -> None:
    for type_name, kind in (("hmac", "hmac-key"), ("aes192-cmac", "cmac-key")):
        key = make_key(type_name, exportable=True)
        assert base64.b64decode(export(key, kind)[1]) == key.latest.record.key


@pytest.mark.parametrize("variant", SINGLE_PAIRS, ids=variant_id)
def test_private_keys_sign_what_the_key_verifies(variant: Variant) -> None:
    key = key_of(variant, exportable=True)
    assert key.scheme is not None
    texts = {form: export(key, "signing-key", form=form)[1] for form in ("", "der", "pem")}
    loaded = [
        load_der_private_key(base64.b64decode(texts["der"]), None),
        load_pem_private_key(texts["pem"].encode(), None),
    ]
    if key.scheme.bare:
        raw = base64.b64decode(texts[""])
        assert raw == key.latest.record.key
        assert raw[32:] in (b"", key.latest.public.public_bytes_raw())
    else:
        assert texts[""].startswith(f"-----BEGIN {HEADERS[key.scheme.family]}-----\n")
        loaded.append(load_pem_private_key(texts[""].encode(), None))
    assert texts["pem"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert texts["pem"].endswith("\n") is (key.scheme.family == "rsa")
    for private in loaded:
        signature = base64.b64encode(key.scheme.sign(private, b"x", DEFAULT)).decode()
        assert verify(key, [VerifyItem(b"x", f"vault:v1:{signature}")], DEFAULT) == [True]


@pytest.mark.parametrize("variant", SINGLE_PAIRS, ids=variant_id)
def test_public_keys_need_no_permission_and_verify(variant: Variant) -> None:
    key = key_of(variant)
    assert key.scheme is not None
    texts = {form: export(key, "public-key", form=form)[1] for form in ("", "der", "pem")}
    public = load_pem_public_key(texts["pem"].encode())
    assert load_der_public_key(base64.b64decode(texts["der"])) == public
    if key.scheme.bare:
        assert texts[""] == key.scheme.show(key.latest.record.public_key)
    else:
        assert texts[""] == texts["pem"]
    assert texts["pem"].endswith("\n") is (key.scheme.family == "rsa")
    (signed,) = sign(key, [SignItem(b"x")], DEFAULT)
    assert not isinstance(signed, InvalidRequest)
    other = public_only(variant[0], public) if variant[0] != "ml-dsa" else key
    assert verify(other, [VerifyItem(b"x", signed.signature)], DEFAULT) == [True]


@pytest.mark.parametrize("variant", [v for v in SIGNING if v[0] == "hybrid"], ids=variant_id)
def test_hybrid_keys_are_two_pems(variant: Variant) -> None:
    key = key_of(variant, exportable=True)
    assert export(key, "signing-key")[1].count("-----BEGIN PRIVATE KEY-----") == 2
    assert export(key, "public-key")[1].count("-----BEGIN PUBLIC KEY-----") == 2


@pytest.mark.parametrize("type_name", ["rsa-2048", "rsa-4096"])
def test_rsa_gives_one_key_for_both_uses(type_name: str) -> None:
    key = make_key(type_name, exportable=True)
    assert export(key, "encryption-key") == export(key, "signing-key")


@pytest.mark.parametrize(
    ("version", "numbers"), [("", [2, 3, 4]), ("latest", [4]), ("3", [3]), ("v3", [3]), ("+3", [3]), ("03", [3])]
)
def test_versions_can_be_chosen(version: str, numbers: list[int]) -> None:
    key = make_key(versions=4, min_decryption_version=2, exportable=True)
    assert list(export(key, "encryption-key", version)) == numbers


@pytest.mark.parametrize(
    ("version", "error"),
    [
        ("1", "version for export is below minimum decryption version"),
        ("0", "version for export is below minimum decryption version"),
        ("-1", "version for export is below minimum decryption version"),
        ("5", "version does not exist or cannot be found"),
        ("x", "invalid key version"),
        ("vv1", "invalid key version"),
        ("LATEST", "invalid key version"),
    ],
)
def test_versions_that_are_not_there(version: str, error: str) -> None:
    key = make_key(versions=4, min_decryption_version=2, exportable=True)
    assert refused(key, "encryption-key", version) == error


def test_private_material_needs_permission() -> None:
    for kind in ("encryption-key", "signing-key", "hmac-key", "cmac-key"):
        assert refused(make_key("rsa-2048"), kind) == "private key material is not exportable"


def test_requests_that_make_no_sense() -> None:
    key = make_key("rsa-2048", exportable=True)
    assert refused(key, "nosuch") == "invalid export type: nosuch"
    assert refused(key, "hmac-key", "", "nosuch") == "invalid format: nosuch"
    assert refused(make_key(soft_deleted=True, exportable=True), "hmac-key") == "refusing to use soft-deleted key"


def test_the_base_of_derived_keys_has_no_public_key_to_give() -> None:
    text = "public-key export is not supported for keys with derivation enabled"
    assert refused(make_key("ed25519", derived=True), "public-key") == text


def test_a_version_without_a_private_part_exports_nothing_private() -> None:
    whole = make_key("rsa-2048")
    key = public_only("rsa-2048", whole.latest.public)
    assert export(key, "public-key") == export(whole, "public-key")
    key = type(key)(make_key("rsa-2048", exportable=True).policy, {1: key.latest.record})
    assert export(key, "signing-key") == {1: ""}


REFUSALS = {
    "encryption-key": "encryption not supported for the key",
    "signing-key": "signing not supported for the key",
    "hmac-key": "HMAC not supported for the key",
    "cmac-key": "CMAC not supported for the key",
    "certificate-chain": "certificate chain not supported for keys that do not support signing",
}
NO_CHAIN = "selected key version does not have a certificate chain imported"
NO_RAW = "unknown key format for {} key; supported values are ``, `der`, or `pem`"
RAW_ONLY = "unknown format for HMAC key; supported values are `` or `raw`"


@pytest.mark.parametrize("variant", VARIANTS, ids=variant_id)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMATS)
def test_each_kind_of_each_type_in_each_form(variant: Variant, kind: str, form: str) -> None:
    key = key_of(variant, exportable=True)
    key_type = KEY_TYPES[variant[0]]
    has = {
        "encryption-key": key_type.encryption,
        "signing-key": key_type.signing,
        "hmac-key": key_type.hmac,
        "cmac-key": key_type.cmac,
        "public-key": bool(key_type.schemes),
        "certificate-chain": key_type.signing,
    }[kind]
    if not has:
        unknown = f"unknown key type {variant[0]} for export type public-key"
        assert refused(key, kind, "", form) == REFUSALS.get(kind, unknown)
        return
    pair = key.scheme is not None and kind != "hmac-key"
    if kind == "certificate-chain":
        assert refused(key, kind, "", form) == NO_CHAIN
    elif pair and form == "raw" and key.scheme is not None and not key.scheme.bare:
        assert refused(key, kind, "", form) == NO_RAW.format(key.scheme.family)
    elif not pair and form in ("der", "pem"):
        assert refused(key, kind, "", form) == RAW_ONLY
    else:
        assert export(key, kind, "", form)[1]
