"""HMACs and CMACs by a loaded key: known answers, versions, lengths, tampering, and the words of refusals."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit.digests import HMAC_HASHES
from kms_actors.transit.items import CmacItem, HmacItem, MacItem
from kms_actors.transit.key import TransitKey
from kms_actors.transit.macs import make_cmacs, make_hmacs, verify_cmacs, verify_hmacs
from kms_actors.transit.records import KeyPolicy, VersionRecord
from tests.transit.keys import VARIANTS, Variant, key_of, make_key, variant_id

FOX = b"the quick brown fox"
HMACS = [variant for variant in VARIANTS if not variant[0].endswith("-cmac")]
CMACS = [variant[0] for variant in VARIANTS if variant[0].endswith("-cmac")]


def hmac(key: TransitKey, data: bytes, algorithm: str = "sha2-256", version: int = 0) -> str:
    (result,) = make_hmacs(key, [HmacItem(data)], algorithm, version)
    assert isinstance(result, str), result
    return result


def cmac(key: TransitKey, data: bytes, length: int = 0) -> Any:
    (result,) = make_cmacs(key, [CmacItem(data, length)])
    return str(result)


def hmac_valid(key: TransitKey, data: bytes, text: str, algorithm: str = "sha2-256") -> Any:
    (result,) = verify_hmacs(key, [MacItem(data, text)], algorithm)
    return str(result) if isinstance(result, InvalidRequest) else result


def cmac_valid(key: TransitKey, data: bytes, text: str, length: int = 0) -> Any:
    (result,) = verify_cmacs(key, [MacItem(data, text, length)])
    return str(result) if isinstance(result, InvalidRequest) else result


@pytest.mark.parametrize("variant", HMACS, ids=variant_id)
def test_every_type_but_cmac_has_hmacs(variant: Variant) -> None:
    key = key_of(variant)
    for algorithm in HMAC_HASHES:
        text = hmac(key, FOX, algorithm)
        assert text.startswith("vault:v1:")
        assert hmac_valid(key, FOX, text, algorithm) is True
        assert hmac_valid(key, FOX + b"x", text, algorithm) is False


@pytest.mark.parametrize("type_name", ["aes256-gcm96", "hmac", "ecdsa-p256"])
def test_each_version_has_its_own_hmacs(type_name: str) -> None:
    key = make_key(type_name, versions=2)
    text = hmac(key, FOX)
    assert text.startswith("vault:v2:")
    assert hmac_valid(key, FOX, text) is True
    assert hmac_valid(key, FOX, text.replace(":v2:", ":v1:")) is False


def test_an_hmac_with_another_hash_is_wrong() -> None:
    key = make_key()
    assert hmac_valid(key, FOX, hmac(key, FOX, "sha2-512"), "sha2-256") is False


KEY = b"01234567890123456789012345678901"
KNOWN = {
    "sha2-224": "3p+ZWVquYDvu2dSTCa65Y3fgoMfIAc6fNaBbtg==",
    "sha2-256": "UcBvm5VskkukzZHlPgm3p5P/Yr/PV6xpuOGZISya3A4=",
    "sha3-256": "+px9V/7QYLfdK808zPESC2T/L33uFf4Blzsn9Jy838o=",
    "sha3-384": "YGoRwN4UdTRYZeOER86jsQOB8piWenzLDzJ2wJQK/Jq59rAsY8lh7SCdqqCyFg70",
}


@pytest.mark.parametrize("algorithm", KNOWN)
def test_known_hmacs_verify(algorithm: str) -> None:
    key = TransitKey(KeyPolicy("k", "hmac", key_size=32), {1: VersionRecord(KEY, bytes(32), 0)})
    assert hmac_valid(key, FOX, f"vault:v1:{KNOWN[algorithm]}", algorithm) is True


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("AAAA", "invalid HMAC to verify: no prefix"),
        ("vault:v1", "invalid HMAC: wrong number of fields"),
        ("vault:vx:AAAA", "invalid HMAC: version number could not be decoded"),
        ("vault:v4:AAAA", "invalid HMAC: version is too new"),
        ("vault:v1:AAAA", "cannot verify HMAC: version is too old (disallowed by policy)"),
        ("vault:v0:AAAA", "cannot verify HMAC: version is too old (disallowed by policy)"),
        ("vault:v2:AAA", "unable to decode verification HMAC as base64: illegal base64 data at input byte 0"),
        ("vault:v2:AA*A", "unable to decode verification HMAC as base64: illegal base64 data at input byte 2"),
    ],
)
def test_malformed_hmacs_are_refused_in_the_words_of_the_api(text: str, error: str) -> None:
    assert hmac_valid(make_key(versions=3, min_decryption_version=2), FOX, text) == error


@pytest.mark.parametrize("algorithm", ["none", "", "SHA2-256", "md5"])
def test_unknown_hashes_are_refused(algorithm: str) -> None:
    for use in (
        lambda: make_hmacs(make_key(), [HmacItem(FOX)], algorithm),
        lambda: verify_hmacs(make_key(), [MacItem(FOX, "vault:v1:AAAA")], algorithm),
    ):
        with pytest.raises(InvalidRequest) as raised:
            use()
        assert str(raised.value) == f'unsupported algorithm "{algorithm}"'


@pytest.mark.parametrize("type_name", CMACS)
def test_cmacs_verify_at_the_length_asked_for_and_no_other(type_name: str) -> None:
    key = make_key(type_name)
    whole = cmac(key, FOX)
    assert len(base64.b64decode(whole.removeprefix("vault:v1:"))) == 16
    assert cmac(key, FOX, 16) == whole
    for length in (8, 9, 15):
        short = cmac(key, FOX, length)
        blob = base64.b64decode(short.removeprefix("vault:v1:"))
        assert blob == base64.b64decode(whole.removeprefix("vault:v1:"))[:length]
        assert cmac_valid(key, FOX, short, length) is True
        assert cmac_valid(key, FOX, short) is False
        assert cmac_valid(key, FOX, whole, length) is False
    assert cmac_valid(key, FOX, whole) is True
    assert cmac_valid(key, FOX, "vault:v1:") is False


@pytest.mark.parametrize("length", [-1, 1, 7, 17, 10**30])
def test_no_cmac_is_longer_than_a_block_or_short_enough_to_be_found_by_trial(length: int) -> None:
    key = make_key("aes128-cmac")
    text = "invalid mac_length; must be 0, or between 8 and 16"
    assert cmac(key, FOX, length) == text
    assert cmac_valid(key, FOX, cmac(key, FOX), length) == text


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([*CMACS, "hmac", "aes256-gcm96"]), st.binary(max_size=70))
def test_what_was_tampered_with_never_verifies(data: st.DataObject, type_name: str, message: bytes) -> None:
    key = make_key(type_name)
    made, valid = (cmac, cmac_valid) if type_name in CMACS else (hmac, hmac_valid)
    text = made(key, message)
    blob = bytearray(base64.b64decode(text.removeprefix("vault:v1:")))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    tampered = f"vault:v1:{base64.b64encode(blob).decode()}"
    assert valid(key, message, text) is True
    assert valid(key, message, tampered) is False
    assert valid(key, message + b"\0", text) is False


@pytest.mark.parametrize("variant", VARIANTS, ids=variant_id)
def test_types_without_a_mac_say_so(variant: Variant) -> None:
    key = key_of(variant)
    kind = "HMAC" if variant[0] in CMACS else "CMAC"
    uses = {
        "HMAC": (lambda: make_hmacs(key, [HmacItem(FOX)], "sha2-256"), lambda: verify_hmacs(key, [], "sha2-256")),
        "CMAC": (lambda: make_cmacs(key, [CmacItem(FOX)]), lambda: verify_cmacs(key, [])),
    }[kind]
    for use in uses:
        with pytest.raises(InvalidRequest) as raised:
            use()
        assert str(raised.value) == f"key type {variant[0]} does not support {kind}"


@pytest.mark.parametrize(
    ("version", "error"),
    [
        (3, "cannot generate {}: version is too old (disallowed by policy)"),
        (-1, "cannot generate {}: version is too old (disallowed by policy)"),
        (6, "key version does not exist; latest key version is 5"),
    ],
)
def test_versions_are_bounded(version: int, error: str) -> None:
    limits: dict[str, Any] = {"versions": 5, "min_encryption_version": 4}
    uses: dict[str, Callable[[], object]]
    uses = {
        "HMAC": lambda: make_hmacs(make_key(**limits), [HmacItem(FOX)], "sha2-256", version),
        "CMAC": lambda: make_cmacs(make_key("aes256-cmac", **limits), [CmacItem(FOX)], version),
    }
    for kind, use in uses.items():
        with pytest.raises(InvalidRequest) as raised:
            use()
        assert str(raised.value) == error.format(kind)


def test_versions_are_there_and_not_negative() -> None:
    key = make_key(versions=5, min_decryption_version=2)
    with pytest.raises(InvalidRequest, match=r"^key version does not exist \(cannot be negative\)$"):
        hmac(key, FOX, version=-1)
    with pytest.raises(InvalidRequest, match=r"^no such key version$"):
        hmac(key, FOX, version=1)
    assert hmac(key, FOX, version=5) == hmac(key, FOX)
    assert hmac(key, FOX, version=4) != hmac(key, FOX)


def test_items_that_could_not_be_read_come_out_as_they_went_in() -> None:
    unreadable = InvalidRequest("missing input")
    key, short = make_key(), make_key("aes128-cmac")
    assert make_hmacs(key, [unreadable], "sha2-256") == [unreadable]
    assert verify_hmacs(key, [unreadable], "sha2-256") == [unreadable]
    assert make_cmacs(short, [unreadable]) == [unreadable]
    assert verify_cmacs(short, [unreadable]) == [unreadable]


def test_soft_deleted_keys_refuse() -> None:
    key = make_key("hmac", soft_deleted=True)
    with pytest.raises(InvalidRequest, match=r"^refusing to use soft-deleted key$"):
        hmac(key, FOX)
    unreadable = InvalidRequest("unreadable")
    for results in (
        verify_hmacs(key, [MacItem(FOX, "vault:v1:AAAA"), unreadable], "sha2-256"),
        verify_cmacs(key, [MacItem(FOX, "vault:v1:AAAA"), unreadable]),
    ):
        assert [str(result) for result in results] == ["refusing to use soft-deleted key", "unreadable"]
