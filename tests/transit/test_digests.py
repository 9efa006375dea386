"""Hashes and HMACs: known answers, and the algorithms that are refused."""

from __future__ import annotations

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.transit.digests import hash_of
from kms_actors.transit.items import HmacItem
from kms_actors.transit.key import TransitKey
from kms_actors.transit.macs import make_hmacs
from kms_actors.transit.records import KeyPolicy, VersionRecord

MESSAGE = b"the quick brown fox"
KEY = b"01234567890123456789012345678901"

HMACS = {
    "sha2-224": "3p+ZWVquYDvu2dSTCa65Y3fgoMfIAc6fNaBbtg==",
    "sha2-256": "UcBvm5VskkukzZHlPgm3p5P/Yr/PV6xpuOGZISya3A4=",
    "sha2-384": "jDB9YXdPjpmr29b1JCIEJO93IydlKVfD9mA2EO9OmJtJQg3QAV5tcRRRb7IQGW9p",
    "sha2-512": "PSXLXvkvKF4CpU65e2bK1tGBZQpcpCEM32fq2iUoiTyQQCfBcGJJItQ+60tMwWXAPQrC290AzTrNJucGrr4GFA==",
    "sha3-224": "TGipmKH8LR/BkMolYpDYy0BJCIhTtGPDhV2VkQ==",
    "sha3-256": "+px9V/7QYLfdK808zPESC2T/L33uFf4Blzsn9Jy838o=",
    "sha3-384": "YGoRwN4UdTRYZeOER86jsQOB8piWenzLDzJ2wJQK/Jq59rAsY8lh7SCdqqCyFg70",
    "sha3-512": "GrNA8sU88naMPEQ7UZGj9EJl7YJhl03AFHfxcEURFrtvnobdea9ZlZHePpxAx/oCaC7R2HkrAO+Tu3uXPIl3lg==",
}
HASHES = {
    "sha2-224": "ea074a96cabc5a61f8298a2c470f019074642631a49e1c5e2f560865",
    "sha2-256": "9ecb36561341d18eb65484e833efea61edc74b84cf5e6ae1b81c63533e25fc8f",
    "sha2-384": "15af9ec8be783f25c583626e9491dbf129dd6dd620466fdf05b3a1d0bb8381d30f4d3ec29f923ff1e09a0f6b337365a6",
    "sha2-512": "d9d380f29b97ad6a1d92e987d83fa5a02653301e1006dd2bcd51afa59a9147e9"
    "caedaf89521abc0f0b682adcd47fb512b8343c834a32f326fe9bef00542ce887",
    "sha3-224": "ced91e69d89c837e87cff960bd64fd9b9f92325fb9add8988d33d007",
    "sha3-256": "e4bd866ec3fa52df3b7842aa97b448bc859a7606cefcdad1715847f4b82a6c93",
    "sha3-384": "715cd38cbf8d0bab426b6a084d649760be555dd64b34de6db148a3fbf2cd2aa5d8b03eb6eda73a3e9a8769c00b4c2113",
    "sha3-512": "f7cac5ad830422a5408b36a60a60620687be180765a3e2895bc3bdbd857c9e08"
    "246c83064d4e3612f0cb927f3ead208413ab98624bf7b0617af0f03f62080976",
}


@pytest.mark.parametrize("algorithm", HASHES)
def test_hash_gives_the_known_answer(algorithm: str) -> None:
    assert hash_of(algorithm, MESSAGE).hex() == HASHES[algorithm]


@pytest.mark.parametrize("algorithm", HMACS)
def test_hmac_gives_the_known_answer_for_both_kinds_of_keys(algorithm: str) -> None:
    expected = [f"vault:v1:{HMACS[algorithm]}"]
    by_hmac_key = TransitKey(KeyPolicy("k", "aes256-gcm96"), {1: VersionRecord(bytes(32), KEY, 0)})
    by_key_itself = TransitKey(KeyPolicy("k", "hmac", key_size=32), {1: VersionRecord(KEY, bytes(32), 0)})
    assert make_hmacs(by_hmac_key, [HmacItem(MESSAGE)], algorithm) == expected
    assert make_hmacs(by_key_itself, [HmacItem(MESSAGE)], algorithm) == expected


def test_sha1_is_for_hmacs_only() -> None:
    key = TransitKey(KeyPolicy("k", "hmac"), {1: VersionRecord(KEY, bytes(32), 0)})
    assert make_hmacs(key, [HmacItem(MESSAGE)], "sha1")
    with pytest.raises(InvalidRequest, match=r"^unsupported algorithm sha1$"):
        hash_of("sha1", MESSAGE)


def test_none_is_no_algorithm() -> None:
    key = TransitKey(KeyPolicy("k", "hmac"), {1: VersionRecord(KEY, bytes(32), 0)})
    with pytest.raises(InvalidRequest, match=r'^unsupported algorithm "none"$'):
        make_hmacs(key, [HmacItem(MESSAGE)], "none")
