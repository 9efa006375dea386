"""The rules of a rekey, and its stored form."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.ceremony.rekey import LIFETIME, REKEY, ROTATION, NewKey, Rekey, check, give, key_of, verified, verify
from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring.seal import make_key
from kms_actors.keyring.shamir import combine

NOW = 1_000_000.0


def begun(shares: int = 5, threshold: int = 3) -> Rekey:
    return Rekey(nonce="n", shares=shares, threshold=threshold, touched=NOW)


@given(st.data(), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_any_quorum_in_any_order_gives_the_key_and_a_smaller_one_does_not(data: st.DataObject, shares: int) -> None:
    threshold = data.draw(st.integers(min(2, shares), shares))
    key, parts, seal = make_key(shares, threshold, NOW)
    order = data.draw(st.permutations(parts))
    rekey = begun()
    for number, share in enumerate(order[:threshold], 1):
        rekey = give(rekey, share, "n", REKEY, NOW)
        assert (key_of(rekey.parts, seal) is None) == (number < threshold)
    assert key_of(rekey.parts, seal) == key


@given(st.integers(2, 6), st.data())
@settings(max_examples=40, deadline=None)
def test_shares_of_another_key_never_make_a_quorum(threshold: int, data: st.DataObject) -> None:
    _, parts, seal = make_key(threshold, threshold, NOW)
    _, others, _ = make_key(threshold, threshold, NOW)
    place = data.draw(st.integers(0, threshold - 1))
    mixed = (*parts[:place], others[place], *parts[place + 1 :])
    with pytest.raises(InvalidShares) as refused:
        key_of(mixed, seal)
    assert "progress was reset" in str(refused.value)


def test_every_pair_of_shares_that_differ_counts_as_two() -> None:
    _, parts, _ = make_key(4, 2, NOW)
    for one, other in itertools.permutations(parts, 2):
        rekey = give(give(begun(), one, "n", REKEY, NOW), other, "n", REKEY, NOW)
        assert rekey.parts == (one, other)
        with pytest.raises(InvalidRequest, match="already been provided during this generation operation"):
            give(rekey, one, "n", REKEY, NOW)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (REKEY, 'incorrect nonce supplied; nonce for this rekey operation is "n"'),
        (ROTATION, 'incorrect nonce supplied; nonce for rotation is "n"'),
    ],
)
def test_a_wrong_nonce_is_refused_in_the_words_it_was_asked_in(words: object, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        give(begun(), b"s", "é", words, NOW)  # type: ignore[arg-type]
    assert str(refused.value) == text


def test_counts_that_cannot_be_are_refused_in_vaults_words() -> None:
    for words, beginning in ((REKEY, "invalid rekey seal"), (ROTATION, "invalid rotate seal")):
        with pytest.raises(InvalidRequest, match=f"{beginning} configuration: shares must be at least one"):
            check(0, 0, words)
    check(1, 1, REKEY)


def test_a_new_key_is_verified_by_its_own_shares_alone() -> None:
    key, parts, seal = make_key(3, 2, NOW)
    _, others, _ = make_key(3, 2, NOW)
    rekey = Rekey("n", 3, 2, NOW, new=NewKey(key.reveal(), seal, "v"))
    with pytest.raises(InvalidRequest, match="verification must be performed"):
        give(rekey, parts[0], "n", REKEY, NOW)
    with pytest.raises(InvalidRequest, match='nonce for this verify operation is "v"'):
        verify(rekey, parts[0], "n", REKEY, NOW)
    rekey, new = verify(rekey, parts[0], "v", REKEY, NOW)
    assert not verified(new)
    with pytest.raises(InvalidRequest, match="during this verify operation"):
        verify(rekey, parts[0], "v", REKEY, NOW)
    assert verified(verify(rekey, parts[2], "v", REKEY, NOW)[1])
    with pytest.raises(InvalidShares, match="rekey verification failed; incorrect key shares supplied"):
        verified(verify(rekey, others[1], "v", REKEY, NOW)[1])


def test_an_attempt_lives_for_an_hour_and_one_of_a_clock_ahead_does_not() -> None:
    assert begun().lives(NOW + LIFETIME - 1)
    assert not begun().lives(NOW + LIFETIME)
    assert not begun().lives(NOW - LIFETIME - 1)


def test_the_stored_form_is_read_back_and_shown_to_nobody() -> None:
    key, parts, seal = make_key(3, 2, NOW)
    rekey = Rekey(
        "n", 3, 2, NOW, ("a" * 60_000,), ("f",), True, True, parts[:1], NewKey(key.reveal(), seal, "v", parts[1:])
    )
    found = Rekey.decode(rekey.encode())
    assert found == rekey
    assert found.new is not None
    assert combine(found.new.parts) == key
    assert (repr(found), repr(found.new)) == ("<Rekey>", "<NewKey>")


def test_stored_bytes_of_older_programs_stay_readable() -> None:
    raw = (
        b'{"nonce":"n","shares":3,"threshold":2,"touched":1.5,"pgp_keys":[],"fingerprints":[],"backup":false,'
        b'"require_verification":false,"parts":["AQID"],"new":null,"format":1}'
    )
    assert Rekey.decode(raw) == Rekey("n", 3, 2, 1.5, parts=(b"\x01\x02\x03",))
    assert Rekey("n", 3, 2, 1.5, parts=(b"\x01\x02\x03",)).encode() == raw
