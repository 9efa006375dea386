"""Keys wrapped for a journey: the layout, the texts, and that nothing changed on the way is taken."""

from __future__ import annotations

from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding, aes_key_wrap_with_padding
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.transit.exchange.wrapping import (
    check_hash,
    unwrap,
    wrap,
)

KEY = bytes(range(32))


@cache
def pair() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def blob() -> bytes:
    return wrap(pair().public_key(), KEY)


def oaep(algorithm: HashAlgorithm) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(algorithm), algorithm, None)


def by_hand(wrapped: bytes, ephemeral: bytes = KEY, algorithm: HashAlgorithm | None = None) -> bytes:
    """Return what the `vault` command line makes, around any wrapped bytes."""
    return pair().public_key().encrypt(ephemeral, oaep(algorithm or SHA256())) + wrapped


def refused(data: bytes, hash_name: str = "SHA256") -> str:
    with pytest.raises(InvalidRequest) as raised:
        unwrap(pair(), data, hash_name)
    return str(raised.value)


def test_the_layout() -> None:
    ephemeral = pair().decrypt(blob()[:256], oaep(SHA256()))
    assert len(ephemeral) == 32
    assert aes_key_unwrap_with_padding(ephemeral, blob()[256:]) == KEY


@pytest.mark.parametrize("name", ["SHA1", "sha224", "Sha256", "SHA384", "SHA512"])
def test_every_hash_function_in_any_case(name: str) -> None:
    check_hash(name)
    assert unwrap(pair(), wrap(pair().public_key(), KEY, name), name) == KEY


@pytest.mark.parametrize(("name", "algorithm"), [("SHA1", SHA1()), ("SHA384", SHA384())])
def test_the_hash_function_is_that_of_the_mask_too(name: str, algorithm: HashAlgorithm) -> None:
    made = by_hand(aes_key_wrap_with_padding(KEY, b"target key bytes"), algorithm=algorithm)
    assert unwrap(pair(), made, name) == b"target key bytes"
    assert refused(made) == "crypto/rsa: decryption error"


@given(key=st.binary(min_size=16, max_size=200))
@settings(max_examples=20, deadline=None)
def test_what_was_wrapped_is_unwrapped(key: bytes) -> None:
    assert unwrap(pair(), wrap(pair().public_key(), key)) == key


@given(place=st.integers(0, 256 + 40 - 1), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_what_was_changed_is_never_taken(place: int, bit: int) -> None:
    changed = bytearray(blob())
    changed[place] ^= 1 << bit
    assert refused(bytes(changed)) in ("crypto/rsa: decryption error", "kwp: unwrap failed integrity check")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "provided ciphertext is too short"),
        (bytes(256), "provided ciphertext is too short"),
        (bytes(300), "crypto/rsa: decryption error"),
    ],
)
def test_what_is_no_blob(data: bytes, text: str) -> None:
    assert refused(data) == text


def test_wrapped_keys_that_cannot_be() -> None:
    assert refused(by_hand(bytes(40), b"x" * 16)) == "expected ephemeral AES key to be 256-bit"
    assert refused(by_hand(aes_key_wrap_with_padding(KEY, b"short"))) == "kwp: wrapped key size too small"
    assert refused(by_hand(bytes(8208))) == "kwp: wrapped key size too large"
    assert refused(by_hand(bytes(41))) == "kwp: wrapped key size must be a multiple of 8 bytes"
    assert refused(by_hand(bytes(40))) == "kwp: unwrap failed integrity check"


def test_unknown_hash_functions() -> None:
    with pytest.raises(InvalidRequest, match="unknown hash function: MD5"):
        check_hash("MD5")
