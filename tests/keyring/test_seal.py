"""Seals: counts, progress towards a quorum, and the one answer to every wrong quorum."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.errors import FormatError, InvalidRequest, InvalidShares
from kms_actors.keyring import shamir
from kms_actors.keyring.check_value import key_check_value
from kms_actors.keyring.seal import SealConfig, UnsealProgress, add_share, complete, validate_counts
from kms_actors.secret import SecretBytes

KEY = SecretBytes(bytes(range(32)))
SHARES = shamir.split(KEY, 5, 3)
FOREIGN = shamir.split(SecretBytes(os.urandom(32)), 5, 3)
CONFIG = SealConfig(5, 3, key_check_value(KEY), 1700000000.0)
NOW = 1700000100.0
WRONG = "invalid key: the shares do not give the key; unseal progress was reset"


def given_shares(*shares: bytes, config: SealConfig = CONFIG) -> UnsealProgress:
    progress = None
    for number, share in enumerate(shares):
        progress = add_share(progress, share, config, NOW + number, f"nonce-{number}")
    assert progress is not None
    return progress


@pytest.mark.parametrize(
    ("shares", "threshold", "text"),
    [
        (0, 0, "shares must be at least one"),
        (-1, -1, "shares must be at least one"),
        (5, 0, "threshold must be at least one"),
        (2, 0, "threshold must be at least one"),
        (5, 1, "threshold must be greater than one for multiple shares"),
        (256, 3, "shares must be less than 256"),
        (255, 256, "threshold must be less than 256"),
        (5, 6, "threshold cannot be larger than shares"),
        (1, 2, "threshold cannot be larger than shares"),
    ],
)
def test_wrong_counts_are_refused_in_the_words_of_vault(shares: int, threshold: int, text: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        validate_counts(shares, threshold)
    assert str(raised.value) == f"invalid seal configuration: {text}"


@pytest.mark.parametrize(("shares", "threshold"), [(1, 1), (2, 2), (5, 3), (255, 2), (255, 255)])
def test_possible_counts_pass(shares: int, threshold: int) -> None:
    validate_counts(shares, threshold)


def test_a_first_share_starts_an_attempt() -> None:
    progress = add_share(None, SHARES[0], CONFIG, NOW, "nonce", lifetime=60.0)
    assert progress == UnsealProgress("nonce", (SHARES[0],), NOW, NOW + 60.0)
    assert add_share(None, SHARES[0], CONFIG, NOW, "nonce").expires == NOW + 600.0


def test_further_shares_keep_nonce_and_times() -> None:
    progress = given_shares(*SHARES[:3])
    assert progress == UnsealProgress("nonce-0", SHARES[:3], NOW, NOW + 600.0)


def test_a_share_given_again_changes_nothing() -> None:
    progress = given_shares(*SHARES[:2])
    for share in SHARES[:2]:
        assert add_share(progress, share, CONFIG, NOW + 5, "other") is progress


def test_an_expired_attempt_starts_anew() -> None:
    progress = given_shares(*SHARES[:2])
    assert len(add_share(progress, SHARES[2], CONFIG, NOW + 599.9, "new").parts) == 3
    assert add_share(progress, SHARES[2], CONFIG, NOW + 600.0, "new") == UnsealProgress(
        "new", (SHARES[2],), NOW + 600.0, NOW + 1200.0
    )


def test_progress_never_grows_past_the_threshold() -> None:
    full = given_shares(*SHARES[:3])
    assert add_share(full, SHARES[3], CONFIG, NOW + 9, "new").parts == (SHARES[3],)


def test_every_quorum_gives_the_key_at_its_last_share() -> None:
    for triple in itertools.permutations(SHARES, 3):
        assert complete(given_shares(*triple[:1]), CONFIG) is None
        assert complete(given_shares(*triple[:2]), CONFIG) is None
        assert complete(given_shares(*triple), CONFIG) == KEY


def wrong_quorums() -> list[tuple[bytes, ...]]:
    flipped = bytes([SHARES[1][0], SHARES[1][1] ^ 1]) + SHARES[1][2:]
    moved = b"\x05" + SHARES[1][1:]
    zero = b"\x00" + SHARES[1][1:]
    return [
        quorum
        for wrong in (flipped, FOREIGN[1], moved, zero)
        for quorum in itertools.permutations((SHARES[0], wrong, SHARES[2]))
    ] + [FOREIGN[:3]]


@pytest.mark.parametrize("quorum", wrong_quorums())
def test_a_wrong_quorum_has_one_answer(quorum: tuple[bytes, ...]) -> None:
    with pytest.raises(InvalidShares) as raised:
        complete(given_shares(*quorum), CONFIG)
    assert str(raised.value) == WRONG
    assert raised.value.__cause__ is None


def test_another_share_of_a_given_coordinate_counts_until_the_threshold() -> None:
    progress = add_share(given_shares(SHARES[0]), FOREIGN[0], CONFIG, NOW, "nonce")
    assert len(progress.parts) == 2
    assert complete(progress, CONFIG) is None
    assert len(add_share(progress, SHARES[0], CONFIG, NOW, "nonce").parts) == 2
    progress = add_share(progress, SHARES[1], CONFIG, NOW, "nonce")
    with pytest.raises(InvalidShares) as raised:
        complete(progress, CONFIG)
    assert str(raised.value) == WRONG


def test_a_share_of_the_wrong_length_has_the_same_answer() -> None:
    with pytest.raises(InvalidShares, match=f"^{WRONG}$"):
        complete(given_shares(SHARES[0], SHARES[1][:-1], SHARES[2]), CONFIG)


def test_a_key_made_elsewhere_needs_only_its_check_value() -> None:
    sample = (
        "AX0/zTf+FLouvPIldi96WnUAPfunNJEeXD+KmWvys4K0",
        "BAb6YFiczo3Imjr5LVglvCsgPTmKEMFxpfHb8L/8wffJ",
        "BVXflU97ULSQ4IP4J/hoQ2mzVKCklkbjy8GfGA+xCXYo",
    )
    shares = [shamir.parse_share(text) for text in sample]
    configured = SealConfig(5, 3, "2B71D5C7DCE4D4854FA7375719A307D4", 0.0)
    key = complete(given_shares(*shares, config=configured), configured)
    assert key is not None
    assert key_check_value(key) == "2b71d5c7dce4d4854fa7375719a307d4"
    with pytest.raises(InvalidShares, match=f"^{WRONG}$"):
        complete(given_shares(*shares[:2], FOREIGN[2], config=configured), configured)


@settings(deadline=None)
@given(st.data(), st.binary(min_size=32, max_size=32), st.integers(2, 7), st.integers(0, 5))
def test_any_quorum_of_any_seal_completes(data: st.DataObject, key: bytes, threshold: int, more: int) -> None:
    secret = SecretBytes(key)
    config = SealConfig(threshold + more, threshold, key_check_value(secret), 0.0)
    quorum = data.draw(st.permutations(shamir.split(secret, threshold + more, threshold)))[:threshold]
    progress = given_shares(*quorum[:-1], config=config)
    assert complete(progress, config) is None
    assert complete(add_share(progress, quorum[-1], config, NOW, "nonce"), config) == secret


def test_a_single_share_completes_at_once() -> None:
    config = SealConfig(1, 1, key_check_value(KEY), 0.0)
    (share,) = shamir.split(KEY, 1, 1)
    assert complete(given_shares(share, config=config), config) == KEY


SEAL_RECORD = (
    b'{"shares":5,"threshold":3,"key_check_value":"7f0584d469bd6f7a6b54fd38ee4e35e2",'
    b'"created":1700000000.0,"format":1}'
)
PROGRESS = UnsealProgress("3953076f-19eb-3bef-c1a2-eccdcdde6ff4", (b"\x01" * 33, b"\x02" * 33), 1.0, 601.0)
PROGRESS_RECORD = (
    b'{"nonce":"3953076f-19eb-3bef-c1a2-eccdcdde6ff4","parts":["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",'
    b'"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"],"started":1.0,"expires":601.0,"format":1}'
)


def test_stored_forms_are_stable_and_read_back() -> None:
    assert CONFIG.encode() == SEAL_RECORD
    assert SealConfig.decode(SEAL_RECORD) == CONFIG
    assert PROGRESS.encode() == PROGRESS_RECORD
    assert UnsealProgress.decode(PROGRESS_RECORD) == PROGRESS


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        SEAL_RECORD[:-1],
        SEAL_RECORD.replace(b"7f", b"\xff\xfe"),
        SEAL_RECORD.replace(b'"threshold":3', b'"threshold":0'),
        SEAL_RECORD.replace(b'"threshold":3', b'"threshold":256'),
        SEAL_RECORD.replace(b'"shares":5', b'"shares":true'),
        SEAL_RECORD.replace(b'"shares":5', b'"extra":1,"shares":5'),
        PROGRESS_RECORD,
    ],
)
def test_a_damaged_seal_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError, match=r"^seal config is damaged$"):
        SealConfig.decode(raw)


def test_records_of_a_newer_format_say_so() -> None:
    with pytest.raises(FormatError, match="seal config is of format 2; this program reads format 1"):
        SealConfig.decode(SEAL_RECORD.replace(b'"format":1', b'"format":2,"more":[]'))
    with pytest.raises(FormatError, match="unseal progress is of format 2"):
        UnsealProgress.decode(PROGRESS_RECORD.replace(b'"format":1', b'"format":2'))


def test_progress_shows_nothing_of_its_shares() -> None:
    assert repr(PROGRESS) == str(PROGRESS) == f"{PROGRESS}" == "<UnsealProgress>"
