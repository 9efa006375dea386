"""Root tokens as they are handed out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth.service_token import new_service_token
from kms_actors.ceremony import root
from kms_actors.ceremony.root import OTP_LENGTH, RootGeneration, check_otp, decode_token, encode_token, new_otp
from kms_actors.errors import InvalidRequest


def test_a_known_answer_of_vault() -> None:
    assert encode_token("s.d20rjMORafPrMe4LX0NZ1Bku", "GySMY0Z85lyQYskG3CCo1CaIbx") == (
        "NFc3f2lCMHV6Phg3CQEmIgcPG19/GVALCQ0"
    )
    assert decode_token("NFc3f2lCMHV6Phg3CQEmIgcPG19/GVALCQ0", "GySMY0Z85lyQYskG3CCo1CaIbx") == (
        "s.d20rjMORafPrMe4LX0NZ1Bku"
    )


@given(st.integers(0, 62**6 - 1))
def test_who_has_the_password_gets_the_token(tenant: int) -> None:
    token, otp = new_service_token(tenant), new_otp()
    assert len(otp) == len(token) == OTP_LENGTH
    check_otp(otp)
    assert decode_token(encode_token(token, otp), otp) == token


def test_passwords_are_drawn_uniformly_from_62_characters() -> None:
    drawn = "".join(new_otp() for _ in range(2000))
    counts = {character: drawn.count(character) for character in set(drawn)}
    assert len(counts) == 62
    assert max(counts.values()) < 1.3 * len(drawn) / 62
    assert new_otp(lambda length: bytes(range(length)))[:3] == "012"


@pytest.mark.parametrize("otp", ["", "A" * 27, "A" * 29, "é" * 27])
def test_a_password_of_another_length_is_refused(otp: str) -> None:
    with pytest.raises(InvalidRequest, match="OTP string has incorrect length"):
        check_otp(otp)


@pytest.mark.parametrize(("encoded", "otp"), [("AAAA", "abcd"), ("!!", "a"), ("//8", "ab"), ("AAAA", "")])
def test_what_does_not_belong_together_is_refused(encoded: str, otp: str) -> None:
    with pytest.raises(InvalidRequest, match="do not belong together"):
        decode_token(encoded, otp)


def test_what_is_longer_than_any_token_is_not_looked_at() -> None:
    """Else a large body would hold the loop."""
    with pytest.raises(InvalidRequest, match="do not belong together"):
        decode_token("AAAA" * 1365, "A" * 4095)
    with pytest.raises(InvalidRequest, match="do not belong together"):
        decode_token("AAAA" * 1025, "\0" * 3075)
    assert decode_token(encode_token("t" * 3000, "o" * 3000), "o" * 3000) == "t" * 3000


def test_shares_count_once_and_for_their_attempt() -> None:
    attempt = RootGeneration(nonce="n", touched=1.0)
    with pytest.raises(InvalidRequest, match="no root generation in progress"):
        root.give(None, b"s", "n", 1.0)
    with pytest.raises(InvalidRequest, match='nonce for this root generation operation is "n"'):
        root.give(attempt, b"s", "m", 1.0)
    attempt = root.give(attempt, b"s", "n", 2.0)
    with pytest.raises(InvalidRequest, match="already been provided"):
        root.give(attempt, b"s", "n", 3.0)
    assert (attempt.parts, attempt.touched) == ((b"s",), 2.0)


def test_the_stored_form_is_read_back_and_shown_to_nobody() -> None:
    attempt = RootGeneration(nonce="n", touched=1.0, otp="secret", parts=(b"share",))
    assert RootGeneration.decode(attempt.encode()) == attempt
    assert repr(attempt) == "<RootGeneration>"
