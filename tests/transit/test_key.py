"""A loaded key at work: every type, every operation, versions, contexts, associated data, tampering."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit import policy as policies
from kms_actors.transit.items import DecryptItem, DecryptResult, EncryptItem, EncryptResult, RewrapItem
from kms_actors.transit.key import MISSING_CONTEXT, TransitKey
from kms_actors.transit.key_types import KEY_TYPES
from tests.transit.keys import make_key

CIPHERS = [name for name, key_type in KEY_TYPES.items() if key_type.cipher]
FORGERY = {
    "aes128-gcm96": "cipher: message authentication failed",
    "aes256-gcm96": "cipher: message authentication failed",
    "chacha20-poly1305": "chacha20poly1305: message authentication failed",
    "xchacha20-poly1305": "chacha20poly1305: message authentication failed",
}


def encrypted(key: TransitKey, item: EncryptItem) -> tuple[str, int]:
    (result,) = key.encrypt([item])
    assert not isinstance(result, InvalidRequest), result
    return result


def refused(results: list[EncryptResult] | list[DecryptResult]) -> str:
    (result,) = results
    assert isinstance(result, InvalidRequest)
    return str(result)


@pytest.mark.parametrize("type_name", CIPHERS)
@pytest.mark.parametrize("flags", [{}, {"derived": True}, {"derived": True, "convergent": True}])
def test_every_cipher_gives_back_what_it_took(type_name: str, flags: dict[str, bool]) -> None:
    key = make_key(type_name, **flags)
    for plaintext in (b"", b"x", bytes(1000)):
        for data in (None, b"ad"):
            text, version = encrypted(key, EncryptItem(plaintext, b"ctx", data))
            assert version == 1
            assert key.decrypt([DecryptItem(text, b"ctx", data)]) == [plaintext]


@pytest.mark.parametrize("type_name", CIPHERS)
def test_blob_is_nonce_ciphertext_and_tag(type_name: str) -> None:
    text, _ = encrypted(make_key(type_name), EncryptItem(b"12345"))
    assert len(base64.b64decode(text.removeprefix("vault:v1:"))) == KEY_TYPES[type_name].nonce_bytes + 5 + 16


@pytest.mark.parametrize("operation", ["encryption", "decryption"])
def test_a_key_for_hmacs_does_not_encrypt(operation: str) -> None:
    key = make_key("hmac")
    text = f"message {operation} not supported for key type hmac"
    if operation == "encryption":
        assert refused(key.encrypt([EncryptItem(b"x")])) == text
    else:
        assert refused(key.decrypt([DecryptItem("vault:v1:AAAA")])) == text
        assert refused(key.rewrap([RewrapItem("vault:v1:AAAA")])) == text


@settings(max_examples=60, deadline=None)
@given(data=st.data(), type_name=st.sampled_from(CIPHERS), plaintext=st.binary(max_size=60))
def test_what_was_tampered_with_never_decrypts(data: st.DataObject, type_name: str, plaintext: bytes) -> None:
    key = make_key(type_name)
    text, _ = encrypted(key, EncryptItem(plaintext, associated_data=b"ad"))
    blob = bytearray(base64.b64decode(text.removeprefix("vault:v1:")))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    tampered = "vault:v1:" + base64.b64encode(blob).decode()
    assert refused(key.decrypt([DecryptItem(tampered, associated_data=b"ad")])) == FORGERY[type_name]


@pytest.mark.parametrize("data", [None, b"", b"AD", b"ad "])
def test_other_associated_data_does_not_decrypt(data: bytes | None) -> None:
    key = make_key()
    text, _ = encrypted(key, EncryptItem(b"x", associated_data=b"ad"))
    assert refused(key.decrypt([DecryptItem(text, associated_data=data)])) == FORGERY["aes256-gcm96"]


def test_other_contexts_and_other_keys_do_not_decrypt() -> None:
    key = make_key(derived=True)
    text, _ = encrypted(key, EncryptItem(b"x", b"one"))
    assert refused(key.decrypt([DecryptItem(text, b"two")])) == FORGERY["aes256-gcm96"]
    assert refused(make_key(derived=True).decrypt([DecryptItem(text, b"one")])) == FORGERY["aes256-gcm96"]


def test_a_derived_key_needs_a_context() -> None:
    key = make_key(derived=True)
    text, _ = encrypted(key, EncryptItem(b"x", b"ctx"))
    assert refused(key.encrypt([EncryptItem(b"x")])) == MISSING_CONTEXT
    assert refused(key.decrypt([DecryptItem(text)])) == MISSING_CONTEXT


def test_a_key_that_is_not_derived_ignores_contexts() -> None:
    key = make_key()
    text, _ = encrypted(key, EncryptItem(b"x", b"ctx"))
    assert key.decrypt([DecryptItem(text)]) == [b"x"]


@pytest.mark.parametrize("body", ["", "AAAA", base64.b64encode(bytes(11)).decode()])
def test_a_blob_shorter_than_a_nonce_has_an_invalid_length(body: str) -> None:
    assert refused(make_key().decrypt([DecryptItem(f"vault:v1:{body}")])) == "invalid ciphertext length"


def test_a_blob_shorter_than_nonce_and_tag_is_not_authentic() -> None:
    text = "vault:v1:" + base64.b64encode(bytes(12)).decode()
    for type_name in ("aes256-gcm96", "chacha20-poly1305"):
        assert refused(make_key(type_name).decrypt([DecryptItem(text)])) == FORGERY[type_name]


def test_old_keys_of_the_counter_mode_work_at_32_bytes_only() -> None:
    key = make_key(derived=True, kdf="hmac-sha256-counter")
    text, _ = encrypted(key, EncryptItem(b"x", b"ctx"))
    assert key.decrypt([DecryptItem(text, b"ctx")]) == [b"x"]
    short = make_key("aes128-gcm96", derived=True, kdf="hmac-sha256-counter")
    assert refused(short.encrypt([EncryptItem(b"x", b"c")])) == "could not derive enc key, length not correct"


@pytest.mark.parametrize(
    ("version", "error"),
    [
        (-1, "requested version for encryption is negative"),
        (6, "requested version for encryption is higher than the latest key version"),
        (10**30, "requested version for encryption is higher than the latest key version"),
        (3, "requested version for encryption is less than the minimum encryption key version"),
    ],
)
def test_versions_for_encryption_are_bounded(version: int, error: str) -> None:
    key = make_key(versions=5, min_encryption_version=4)
    assert refused(key.encrypt([EncryptItem(b"x", key_version=version)])) == error


def test_a_version_below_the_minimum_for_decryption_is_not_there() -> None:
    key = make_key(versions=3, min_decryption_version=2)
    assert refused(key.encrypt([EncryptItem(b"x", key_version=1)])) == "no such key version"
    assert refused(key.decrypt([DecryptItem("vault:v1:AAAA")])).endswith("(too old)")


def test_zero_is_the_latest_version_and_older_ones_can_be_named() -> None:
    key = make_key(versions=3)
    assert encrypted(key, EncryptItem(b"x"))[1] == 3
    text, version = encrypted(key, EncryptItem(b"x", key_version=2))
    assert (version, text[:9]) == (2, "vault:v2:")
    assert key.decrypt([DecryptItem(text)]) == [b"x"]


def test_rewrap_moves_to_the_latest_or_the_named_version() -> None:
    key = make_key(versions=3)
    old, _ = encrypted(key, EncryptItem(b"x", associated_data=b"ad", key_version=1))
    for wanted, expected in ((0, 3), (2, 2), (1, 1)):
        (result,) = key.rewrap([RewrapItem(old, associated_data=b"ad", key_version=wanted)])
        assert not isinstance(result, InvalidRequest)
        assert result[1] == expected
        assert result[0] != old
        assert key.decrypt([DecryptItem(result[0], associated_data=b"ad")]) == [b"x"]


def test_each_item_of_a_batch_has_its_own_result() -> None:
    key = make_key(versions=2)
    unreadable = InvalidRequest("illegal base64 data at input byte 0")
    results = key.encrypt([EncryptItem(b"1"), unreadable, EncryptItem(b"2", key_version=9), EncryptItem(b"3")])
    assert results[1] is unreadable
    assert str(results[2]) == "requested version for encryption is higher than the latest key version"
    texts = [result[0] for result in (results[0], results[3]) if not isinstance(result, InvalidRequest)]
    bad = DecryptItem("bad")
    opened = key.decrypt([DecryptItem(texts[0]), bad, unreadable, DecryptItem(texts[1])])
    assert opened[0] == b"1"
    assert str(opened[1]) == "invalid ciphertext: no prefix"
    assert opened[2] is unreadable
    assert opened[3] == b"3"


def test_errors_of_items_hold_no_frames() -> None:
    (error,) = make_key().decrypt([DecryptItem("vault:v1:" + base64.b64encode(bytes(40)).decode())])
    assert isinstance(error, InvalidRequest)
    assert error.__traceback__ is None
    assert error.__context__ is None


def test_no_nonce_repeats_within_a_batch() -> None:
    results = make_key().encrypt([EncryptItem(b"same")] * 500)
    assert len({result[0] for result in results if not isinstance(result, InvalidRequest)}) == 500


def test_data_keys_are_random_and_encrypted() -> None:
    key = make_key()
    (text, version), plaintext = key.data_key(64, EncryptItem(b"", b"", b"ad"))
    assert (len(plaintext), version) == (64, 1)
    assert key.decrypt([DecryptItem(text, associated_data=b"ad")]) == [plaintext]
    assert key.data_key(64, EncryptItem(b"", b"", None))[1] != plaintext


def test_data_keys_need_a_cipher_and_a_context() -> None:
    with pytest.raises(InvalidRequest, match=r"^message encryption not supported for key type hmac$"):
        make_key("hmac").data_key(32, EncryptItem(b"", b"", None))
    with pytest.raises(InvalidRequest, match=r"^missing 'context'"):
        make_key(derived=True).data_key(32, EncryptItem(b"", b"", None))


def test_a_soft_deleted_key_refuses_every_use() -> None:
    key, unreadable = make_key(soft_deleted=True), InvalidRequest("unreadable")
    for results in (
        key.encrypt([EncryptItem(b"x"), unreadable]),
        key.decrypt([DecryptItem("vault:v1:AAAA"), unreadable]),
        key.rewrap([RewrapItem("vault:v1:AAAA"), unreadable]),
    ):
        assert [str(result) for result in results] == ["refusing to use soft-deleted key", "unreadable"]
    with pytest.raises(InvalidRequest, match=r"^refusing to use soft-deleted key$"):
        key.data_key(32, EncryptItem(b"", b"", None))


def test_nothing_secret_shows() -> None:
    key = make_key()
    record = policies.new_version(key.policy, 0)
    shown = [repr(key), repr(record), repr(EncryptItem(b"canary")), repr(DecryptItem("canary"))]
    assert shown == ["<TransitKey k>", "<VersionRecord>", "<EncryptItem>", "<DecryptItem>"]
