"""Shares: the field, splitting and combining, the two published sample sets, the text form."""

from __future__ import annotations

import base64
import itertools
import os
import time
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring import shamir
from kms_actors.keyring.check_value import key_check_value
from kms_actors.secret import SecretBytes

MASTER_SAMPLE = (
    "AX0/zTf+FLouvPIldi96WnUAPfunNJEeXD+KmWvys4K0",
    "AuZGhgA0qiloj5h4Brrckj4HVcJvaFfyEpFCvWg2TT8O",
    "A7VjcxfTNBAw9SF5DBqRbXyUPFtB7tBgfKEGVdh7hb7v",
    "BAb6YFiczo3Imjr5LVglvCsgPTmKEMFxpfHb8L/8wffJ",
    "BVXflU97ULSQ4IP4J/hoQ2mzVKCklkbjy8GfGA+xCXYo",
)
TENANT_SAMPLE = (
    "ASRzXqCk2BmDTQNrZb84LTrmGxefjboqTo7WL3tFVqwN",
    "Aqg+5IT7KYHhzIV+n1t8ObGWYsxgoWYEgqBMayt8ojcq",
    "AykO/19ITYxQDSc/1sTHKW8ZTP1ULpcMUUvbwP2oU3tR",
    "BPfNfNW04iUDVwD906sKpbldt/WW4362Ccqj7WArYnJc",
    "BXb9Zw4HhiiylqK8mjSxtWfSmcSibI++2iE0Rrb/kz4n",
)
SAMPLES = pytest.mark.parametrize(
    ("texts", "check_value"),
    [
        (MASTER_SAMPLE, "2b71d5c7dce4d4854fa7375719a307d4"),
        (TENANT_SAMPLE, "1740513d1d5a79850b34e3c728ca697b"),
    ],
    ids=["master", "tenant"],
)

secrets = st.binary(min_size=32, max_size=32).map(SecretBytes)
elements = st.integers(0, 255)


def reference_multiply(a: int, b: int) -> int:
    """Schoolbook: multiply as polynomials, then divide by 0x11d."""
    product = 0
    for bit in range(8):
        if b >> bit & 1:
            product ^= a << bit
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11D << (bit - 8)
    return product


def reference_evaluate(coefficients: list[bytes], x: int, position: int) -> int:
    """Evaluate secret + c1 x + c2 x^2 …, coefficients given highest first and the secret last."""
    value, power = 0, 1
    for coefficient in reversed(coefficients):
        value ^= reference_multiply(coefficient[position], power)
        power = reference_multiply(power, x)
    return value


def multiply(a: int, b: int) -> int:
    return shamir._multiply(a, b, 1)


def test_the_field_multiplies_like_the_reference_for_every_pair() -> None:
    pairs = list(itertools.product(range(256), repeat=2))
    a, b = bytes(a for a, _ in pairs), bytes(b for _, b in pairs)
    ones = shamir._ones(len(pairs))
    products = shamir._multiply(shamir._vector([a]), shamir._vector([b]), ones).to_bytes(len(pairs), "little")
    assert products == bytes(reference_multiply(x, y) for x, y in pairs)


@pytest.mark.parametrize(
    ("a", "b", "product"), [(2, 0x80, 0x1D), (2, 0x8E, 1), (3, 7, 9), (0x80, 0x80, 0x13), (0xFF, 0xFF, 0xE2)]
)
def test_known_products_of_the_field_0x11d(a: int, b: int, product: int) -> None:
    assert multiply(a, b) == product
    assert multiply(b, a) == product


@given(elements, elements, elements)
def test_the_field_axioms_hold(a: int, b: int, c: int) -> None:
    assert multiply(a, b) == multiply(b, a)
    assert multiply(a, multiply(b, c)) == multiply(multiply(a, b), c)
    assert multiply(a, b ^ c) == multiply(a, b) ^ multiply(a, c)
    assert multiply(a, 1) == a
    assert multiply(a, 0) == 0


def test_every_element_but_zero_has_its_inverse() -> None:
    everything = bytes(range(1, 256))
    ones = shamir._ones(255)
    inverses = shamir._inverse(shamir._vector([everything]), ones).to_bytes(255, "little")
    assert all(reference_multiply(a, b) == 1 for a, b in zip(everything, inverses, strict=True))


@given(secrets, st.integers(1, 6), st.integers(0, 4), st.randoms(use_true_random=False))
def test_shares_lie_on_the_polynomial_of_the_random_coefficients(
    secret: SecretBytes, threshold: int, more: int, random: Random
) -> None:
    drawn: list[bytes] = []

    def draw(length: int) -> bytes:
        drawn.append(random.randbytes(length))
        return drawn[-1]

    shares = shamir.split(secret, threshold + more, threshold, draw)
    assert [share[0] for share in shares] == list(range(1, threshold + more + 1))
    coefficients = [*drawn, secret.reveal()]
    assert len(coefficients) == threshold
    for share in shares:
        expected = bytes(reference_evaluate(coefficients, share[0], i) for i in range(32))
        assert share[1:] == expected


@settings(deadline=None)
@given(st.data(), secrets, st.integers(1, 12), st.integers(0, 12))
def test_any_quorum_in_any_order_gives_the_secret(
    data: st.DataObject, secret: SecretBytes, threshold: int, more: int
) -> None:
    shares = shamir.split(secret, threshold + more, threshold)
    quorum = data.draw(st.permutations(shares))[: data.draw(st.integers(threshold, threshold + more))]
    assert shamir.combine(quorum) == secret


@settings(deadline=None)
@given(st.data(), secrets, st.integers(2, 8))
def test_one_share_too_few_gives_something_else(data: st.DataObject, secret: SecretBytes, threshold: int) -> None:
    shares = shamir.split(secret, threshold + 2, threshold)
    few = data.draw(st.permutations(shares))[: threshold - 1]
    assert shamir.combine(few) != secret


@settings(deadline=None)
@given(secrets, st.integers(2, 6))
def test_shares_of_two_splits_do_not_mix(secret: SecretBytes, threshold: int) -> None:
    one, other = (shamir.split(secret, threshold, threshold) for _ in range(2))
    assume(one[0] != other[0])
    assert shamir.combine((*one[:-1], other[-1])) != secret


def test_too_few_shares_leave_every_secret_possible() -> None:
    secret = SecretBytes(bytes(32))
    first = {shamir.split(secret, 2, 2)[0][1] for _ in range(10_000)}
    assert len(first) == 256


@SAMPLES
def test_each_triple_of_a_sample_gives_the_one_key(texts: tuple[str, ...], check_value: str) -> None:
    shares = [shamir.parse_share(text) for text in texts]
    keys = [shamir.combine(triple) for triple in itertools.combinations(shares, 3)]
    assert len(keys) == 10
    assert {key_check_value(key) for key in keys} == {check_value}
    assert shamir.combine(shares) == keys[0]


@SAMPLES
def test_pairs_of_a_sample_do_not_give_its_key(texts: tuple[str, ...], check_value: str) -> None:
    shares = [shamir.parse_share(text) for text in texts]
    assert all(key_check_value(shamir.combine(pair)) != check_value for pair in itertools.combinations(shares, 2))


def test_samples_do_not_mix() -> None:
    mixed = [shamir.parse_share(text) for text in (*MASTER_SAMPLE[:2], TENANT_SAMPLE[2])]
    assert key_check_value(shamir.combine(mixed)) not in {
        "2b71d5c7dce4d4854fa7375719a307d4",
        "1740513d1d5a79850b34e3c728ca697b",
    }


def test_a_single_share_is_the_secret_behind_its_coordinate() -> None:
    secret = SecretBytes(os.urandom(32))
    (share,) = shamir.split(secret, 1, 1)
    assert share == b"\x01" + secret.reveal()
    assert shamir.combine([share]) == secret


def test_the_largest_splits_are_quick() -> None:
    secret = SecretBytes(os.urandom(32))
    start = time.process_time()
    shares = shamir.split(secret, 255, 5)
    assert shamir.combine(shares[100:105]) == secret
    assert time.process_time() - start < 0.05
    assert shamir.combine(shamir.split(secret, 255, 255)) == secret


@pytest.mark.parametrize(
    ("length", "shares", "threshold"),
    [(31, 5, 3), (33, 5, 3), (32, 0, 0), (32, 5, 0), (32, 3, 4), (32, 256, 3), (32, 5, -1)],
)
def test_impossible_splits_are_refused(length: int, shares: int, threshold: int) -> None:
    with pytest.raises(ValueError, match="needed"):
        shamir.split(SecretBytes(bytes(length)), shares, threshold)


GOOD = b"\x01" + bytes(32)
OTHER = b"\x02" + b"secret-looking-bytes-of-one-part"


@pytest.mark.parametrize(
    "shares",
    [
        [],
        [b""],
        [GOOD, OTHER[:-1]],
        [GOOD, OTHER + b"\x00"],
        [GOOD[:-1], OTHER[:-1]],
        [GOOD, b"\x00" + OTHER[1:]],
        [OTHER, OTHER],
        [GOOD, OTHER, b"\x01" + OTHER[1:]],
    ],
    ids=["none", "empty", "short", "long", "all short", "zero", "repeated", "repeated coordinate"],
)
def test_shares_that_cannot_be_are_refused_without_saying_which(shares: list[bytes]) -> None:
    with pytest.raises(InvalidShares) as raised:
        shamir.combine(shares)
    assert str(raised.value) in {
        "shares must be 33 bytes long",
        "shares must have different coordinates other than zero",
    }


@given(st.binary(min_size=33, max_size=33))
def test_each_text_form_of_a_share_is_read_back(share: bytes) -> None:
    texts = (
        shamir.encode_share(share),
        share.hex(),
        share.hex().upper(),
        base64.b64encode(share).decode(),
        base64.urlsafe_b64encode(share).decode(),
    )
    assert [shamir.parse_share(text) for text in texts] == [share] * 5


def test_base64_that_could_be_hex_is_read_as_base64() -> None:
    assert shamir.parse_share("ab" * 22) == base64.b64decode("ab" * 22)


NOT_A_TEXT = "'key' must be a valid hex or base64 string"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!!!", NOT_A_TEXT),
        ("zz", NOT_A_TEXT),
        ("ab", NOT_A_TEXT),
        ("g" * 66, NOT_A_TEXT),
        ("é" * 66, NOT_A_TEXT),
        ("é" * 44, NOT_A_TEXT),
        (" " + "ab" * 32 + " ", "invalid key: key is longer than maximum 33 bytes"),
        ("ab " * 22, NOT_A_TEXT),
        ("A" * 43 + "\n", NOT_A_TEXT),
        ("A" * 43, NOT_A_TEXT),
        ("A" * 41 + "=AA", NOT_A_TEXT),
        ("=" * 44, NOT_A_TEXT),
        ("abcd", "invalid key: key is shorter than minimum 16 bytes"),
        ("ab" * 70, "invalid key: key is longer than maximum 33 bytes"),
        ("ab" * 32, "invalid key: key is longer than maximum 33 bytes"),
        ("A" * 43 + "=", "invalid key: key must be 33 bytes"),
    ],
)
def test_other_texts_are_refused_in_the_words_of_vault(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        shamir.parse_share(text)
    assert str(raised.value) == message
    assert raised.value.__cause__ is None


@given(st.text(max_size=80) | st.text("abcdefABCDEF0123456789+/-_=", min_size=40, max_size=70))
def test_any_text_is_a_share_or_refused(text: str) -> None:
    try:
        share = shamir.parse_share(text)
    except InvalidRequest:
        return
    assert len(share) == 33
    assert len(text) in {44, 66}


@pytest.mark.parametrize("form", [shamir.encode_share, bytes.hex])
@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "{} ", " {}", "\t{}\n"])
def test_space_around_a_share_does_not_count(form: Callable[[bytes], str], around: str) -> None:
    share = b"\1" + bytes(range(32))
    assert shamir.parse_share(around.format(form(share))) == share


def test_a_share_may_be_broken_into_lines() -> None:
    share = b"\1" + bytes(range(32))
    text = shamir.encode_share(share)
    assert shamir.parse_share(f"{text[:20]}\r\n{text[20:]}") == share
