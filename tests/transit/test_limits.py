"""How many messages one key may encrypt: which keys that concerns, what counts, and what is told."""

from __future__ import annotations

import pytest

from kms_actors.transit.limits import MOST, NEAR, WORN, is_bounded, messages, warnings
from kms_actors.transit.policy import KeyOptions, new_policy
from kms_actors.transit.usage import CMAC, DATA_KEY, DECRYPT, ENCRYPT, HMAC, Use


@pytest.mark.parametrize(
    ("options", "bounded"),
    [
        (KeyOptions("aes128-gcm96"), True),
        (KeyOptions("aes256-gcm96"), True),
        (KeyOptions("chacha20-poly1305"), True),
        (KeyOptions("xchacha20-poly1305"), False),
        (KeyOptions("aes256-gcm96", derived=True), False),
        (KeyOptions("aes256-gcm96", derived=True, convergent_encryption=True), False),
        (KeyOptions("ed25519"), False),
        (KeyOptions("rsa-2048"), False),
        (KeyOptions("hmac"), False),
    ],
)
def test_keys_that_draw_short_nonces_encrypt_a_bounded_number(options: KeyOptions, bounded: bool) -> None:
    assert is_bounded(new_policy("k", options)) == bounded


def test_what_takes_a_nonce_counts_and_nothing_else() -> None:
    uses = {ENCRYPT: Use(5, 0), DATA_KEY: Use(2, 0), DECRYPT: Use(100, 0), HMAC: Use(100, 0), CMAC: Use(100, 0)}
    assert messages(uses) == 7
    assert messages({}) == 0


@pytest.mark.parametrize(("count", "told"), [(0, 0), (NEAR - 1, 0), (NEAR, 1), (WORN, 1), (MOST, 1)])
def test_who_looks_at_a_key_is_told_from_half_of_it_on(count: int, told: int) -> None:
    policy = new_policy("k", KeyOptions())
    found = warnings(policy, {1: {ENCRYPT: Use(count, 0)}})
    assert len(found) == told
    assert all(str(count) in text and str(2**32) in text and "rotate" in text for text in found)
    assert warnings(new_policy("k", KeyOptions("xchacha20-poly1305")), {1: {ENCRYPT: Use(count, 0)}}) == ()


def test_the_limits_are_in_order() -> None:
    assert NEAR < WORN < MOST == 4_294_967_296
