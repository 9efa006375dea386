"""Key check values."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from kms_actors.keyring.check_value import has_check_value, key_check_value
from kms_actors.secret import SecretBytes

KEY = SecretBytes(bytes(range(32)))
VALUE = "7f0584d469bd6f7a6b54fd38ee4e35e2"


def test_the_value_is_stable() -> None:
    assert key_check_value(KEY) == VALUE
    mac = hmac.new(bytes(range(32)), b"clever-kms key check value v1", hashlib.sha256)
    assert mac.hexdigest()[:32] == VALUE


def test_the_right_value_matches_in_either_case() -> None:
    assert has_check_value(KEY, VALUE)
    assert has_check_value(KEY, VALUE.upper())


def test_other_texts_do_not_match() -> None:
    for text in ("", VALUE[:-1], VALUE + "0", VALUE.replace("7", "8"), "é" * 32):
        assert not has_check_value(KEY, text)


@given(st.binary(min_size=32, max_size=32))
def test_another_key_does_not_match(key: bytes) -> None:
    assert has_check_value(SecretBytes(key), VALUE) == (key == KEY.reveal())
