"""Convergent encryption, version 3: known answers, and what associated data changes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit.items import DecryptItem, EncryptItem
from kms_actors.transit.key import TransitKey
from kms_actors.transit.records import KeyPolicy, VersionRecord

PLAINTEXT = b"the quick brown fox"
CONTEXT = b"ctx-1"

#: Key type, key, ciphertext without associated data, ciphertext made elsewhere with associated data `ad`.
KNOWN = [
    (
        "aes128-gcm96",
        "a9b0c23957859ca142910608d3427bb2",
        "vault:v1:tzACjAt0QfDWp5GbEcWosSi+flBTuOlXdcxGLUJdad3nMWNXG8g2UOzksCWxmx0=",
        "vault:v1:tzACjAt0QfDWp5GbEcWosSi+flBTuOlXdcxGLUJdaZkd+ma/mvozr8KRwUeYwP4=",
    ),
    (
        "aes256-gcm96",
        "6ca7329eeaa5f9a55371ffb25004408ed7e32fb30feee231311deb41e676469f",
        "vault:v1:reWcwBhDr41vljJSNgNaUTpRy5NJ3la8zwfU+eU0Us7zL56oBm2Hg6w6ZHe9DYE=",
        "vault:v1:reWcwBhDr41vljJSNgNaUTpRy5NJ3la8zwfU+eU0UplAP9uTuosgHdS0WCh0CXg=",
    ),
    (
        "chacha20-poly1305",
        "615dd6521ed5e9e910e180f112291689266a95723fae1e6a35c47277a334849c",
        "vault:v1:uvtZEmL2vmV3NOcHGhk9VjUIBdD0q9H0ztHF6zia9zyC4lzIEpzUKUtJaDY4SbE=",
        "vault:v1:uvtZEmL2vmV3NOcHGhk9VjUIBdD0q9H0ztHF6zia92C6JfRvLZhSR725dd5KCWI=",
    ),
    (
        "xchacha20-poly1305",
        "e019b82833f1e5de906195dc115ca6f1f954c7e51e36d455af6be7c1c5c6cf97",
        "vault:v1:cf3ozbXcQl/qFvwGdWRXnG9ZJyb5domlSKNSjJgejWKKjM9kN16glbAJHyWlBfjy4PLeMdWUB8eIh+g=",
        None,
    ),
]


def convergent_key(type_name: str, key: bytes) -> TransitKey:
    policy = KeyPolicy("k", type_name, derived=True, convergent=True)
    return TransitKey(policy, {1: VersionRecord(key, bytes(32), 0)})


KEY = convergent_key("aes256-gcm96", bytes(range(32)))


def nonce_of(key: TransitKey, item: EncryptItem) -> bytes:
    (result,) = key.encrypt([item])
    assert not isinstance(result, InvalidRequest)
    return base64.b64decode(result[0].removeprefix("vault:v1:"))[:12]


@pytest.mark.parametrize(("type_name", "key", "expected", "_"), KNOWN)
def test_equals_the_known_answer(type_name: str, key: str, expected: str, _: str | None) -> None:
    transit_key = convergent_key(type_name, bytes.fromhex(key))
    assert transit_key.encrypt([EncryptItem(PLAINTEXT, CONTEXT)]) == [(expected, 1)]
    assert transit_key.decrypt([DecryptItem(expected, CONTEXT)]) == [PLAINTEXT]


@pytest.mark.parametrize(("type_name", "key", "_", "with_data"), KNOWN[:3])
def test_opens_what_was_made_with_associated_data_elsewhere(type_name: str, key: str, _: str, with_data: str) -> None:
    transit_key = convergent_key(type_name, bytes.fromhex(key))
    assert transit_key.decrypt([DecryptItem(with_data, CONTEXT, b"ad")]) == [PLAINTEXT]


def test_equal_inputs_give_equal_ciphertexts() -> None:
    item = EncryptItem(PLAINTEXT, CONTEXT, b"ad")
    assert KEY.encrypt([item]) == KEY.encrypt([item])


def test_empty_associated_data_is_none() -> None:
    assert KEY.encrypt([EncryptItem(PLAINTEXT, CONTEXT, b"")]) == KEY.encrypt([EncryptItem(PLAINTEXT, CONTEXT)])


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=20))
def test_a_nonce_never_serves_two_messages(one: bytes, other: bytes, data: bytes, other_data: bytes) -> None:
    if (one, data) == (other, other_data):
        return
    nonces = {
        nonce_of(KEY, EncryptItem(one, CONTEXT, data)),
        nonce_of(KEY, EncryptItem(other, CONTEXT, other_data)),
    }
    assert len(nonces) == 2


def test_a_plaintext_that_imitates_associated_data_has_another_nonce() -> None:
    imitation = (2).to_bytes(8, "big") + b"ad" + PLAINTEXT
    assert nonce_of(KEY, EncryptItem(imitation, CONTEXT)) != nonce_of(KEY, EncryptItem(PLAINTEXT, CONTEXT, b"ad"))
