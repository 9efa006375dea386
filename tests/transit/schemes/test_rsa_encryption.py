"""Encryption by RSA keys: both paddings, limits, tampering, and what such keys refuse."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit.items import DecryptItem, EncryptItem, RewrapItem
from kms_actors.transit.key import TransitKey
from tests.transit.keys import make_key, public_only

TYPES = ["rsa-2048", "rsa-3072", "rsa-4096"]
TOO_LONG = "failed to RSA encrypt the plaintext: crypto/rsa: message too long for RSA key size"
WRONG = "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error"


def encrypted(key: TransitKey, plaintext: bytes, padding_scheme: str = "", **item: Any) -> str:
    (result,) = key.encrypt([EncryptItem(plaintext, padding_scheme=padding_scheme, **item)])
    return str(result) if isinstance(result, InvalidRequest) else result[0]


def decrypted(key: TransitKey, text: str, padding_scheme: str = "", **item: Any) -> bytes | str:
    (result,) = key.decrypt([DecryptItem(text, padding_scheme=padding_scheme, **item)])
    return str(result) if isinstance(result, InvalidRequest) else result


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(("scheme", "overhead"), [("", 66), ("oaep", 66), ("pkcs1v15", 11)])
def test_what_fits_comes_back_and_one_byte_more_does_not(type_name: str, scheme: str, overhead: int) -> None:
    key = make_key(type_name)
    size = int(type_name[4:]) // 8
    for plaintext in (b"", b"x", bytes(size - overhead)):
        text = encrypted(key, plaintext, scheme)
        assert len(base64.b64decode(text.removeprefix("vault:v1:"))) == size
        assert decrypted(key, text, scheme) == plaintext
    assert encrypted(key, bytes(size - overhead + 1), scheme) == TOO_LONG


def test_oaep_is_with_sha256_for_both_hashes_and_no_label() -> None:
    key = make_key("rsa-2048")
    blob = base64.b64decode(encrypted(key, b"secret").removeprefix("vault:v1:"))
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    assert key.latest.private.decrypt(blob, oaep) == b"secret"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 255), st.integers(1, 255), st.binary(max_size=190))
def test_a_tampered_ciphertext_never_decrypts(place: int, change: int, plaintext: bytes) -> None:
    key = make_key("rsa-2048")
    blob = bytearray(base64.b64decode(encrypted(key, plaintext).removeprefix("vault:v1:")))
    blob[place] ^= change
    assert decrypted(key, f"vault:v1:{base64.b64encode(blob).decode()}") == WRONG


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 255), st.integers(1, 255))
def test_a_tampered_ciphertext_of_pkcs1v15_never_gives_the_plaintext(place: int, change: int) -> None:
    key, plaintext = make_key("rsa-2048"), b"sixteen byte key"
    blob = bytearray(base64.b64decode(encrypted(key, plaintext, "pkcs1v15").removeprefix("vault:v1:")))
    blob[place] ^= change
    assert decrypted(key, f"vault:v1:{base64.b64encode(blob).decode()}", "pkcs1v15") != plaintext


@pytest.mark.parametrize("size", [0, 1, 255, 257])
@pytest.mark.parametrize("scheme", ["oaep", "pkcs1v15"])
def test_ciphertexts_are_as_long_as_the_key(size: int, scheme: str) -> None:
    text = f"vault:v1:{base64.b64encode(bytes(size)).decode()}"
    assert decrypted(make_key("rsa-2048"), text, scheme) == WRONG


def test_the_paddings_do_not_open_each_other() -> None:
    key = make_key("rsa-2048")
    assert decrypted(key, encrypted(key, b"secret", "pkcs1v15"), "oaep") == WRONG
    assert decrypted(key, encrypted(key, b"secret", "oaep"), "pkcs1v15") != b"secret"


def test_unknown_paddings_are_refused() -> None:
    key = make_key("rsa-2048")
    text = "unsupported padding_scheme; must be one of oaep, pkcs1v15"
    assert encrypted(key, b"x", "OAEP") == text
    assert decrypted(key, encrypted(key, b"x"), "none") == text


def test_only_rsa_takes_a_padding() -> None:
    key = make_key()
    text = "padding_scheme is not valid for key type aes256-gcm96"
    assert encrypted(key, b"x", "oaep") == text
    assert decrypted(key, encrypted(key, b"x"), "oaep") == text


def test_associated_data_is_for_aeads_and_the_item_is_named() -> None:
    key = make_key("rsa-2048")
    text = "'[7].associated_data' provided for non-AEAD cipher suite rsa-2048"
    assert encrypted(key, b"x", associated_data=b"ad", index=7) == text
    assert decrypted(key, encrypted(key, b"x"), associated_data=b"ad", index=7) == text
    (result,) = key.rewrap([RewrapItem(encrypted(key, b"x"), associated_data=b"ad", index=7)])
    assert str(result) == text
    assert encrypted(key, b"x", context=b"ignored").startswith("vault:v1:")


def test_rewrap_can_change_the_padding() -> None:
    key = make_key("rsa-2048", versions=2)
    (made,) = key.encrypt([EncryptItem(b"secret", key_version=1, padding_scheme="pkcs1v15")])
    assert not isinstance(made, InvalidRequest)
    (result,) = key.rewrap([RewrapItem(made[0], padding_scheme="pkcs1v15", new_padding_scheme="oaep")])
    assert not isinstance(result, InvalidRequest)
    assert result[1] == 2
    assert decrypted(key, result[0]) == b"secret"


def test_data_keys_are_encrypted_with_the_padding_asked_for() -> None:
    key = make_key("rsa-2048")
    (text, version), plaintext = key.data_key(32, EncryptItem(b"", padding_scheme="pkcs1v15"))
    assert (version, len(plaintext)) == (1, 32)
    assert decrypted(key, text, "pkcs1v15") == plaintext


def test_a_version_without_a_private_part_encrypts_only() -> None:
    whole = make_key("rsa-2048")
    key = public_only("rsa-2048", whole.latest.public)
    text = encrypted(key, b"secret")
    assert decrypted(whole, text) == b"secret"
    assert decrypted(key, text) == "cannot decrypt ciphertext, key version does not have a private counterpart"


@pytest.mark.parametrize(
    ("version", "error"),
    [(-1, "is negative"), (3, "is higher than the latest key version"), (1, "is less than the minimum")],
)
def test_versions_for_encryption_are_bounded(version: int, error: str) -> None:
    key = make_key("rsa-2048", versions=2, min_encryption_version=2)
    assert error in encrypted(key, b"x", key_version=version)
