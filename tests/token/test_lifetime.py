"""How long tokens live: the cases of Vault's documentation, and what holds for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.mounts import SYSTEM_LEASE_TTL, MountConfig
from kms_actors.token.lifetime import Granted, Limits, grant, words

DAY = 86_400
SYSTEM = Limits()


def test_who_asks_for_nothing_gets_the_default() -> None:
    assert grant(SYSTEM) == Granted(SYSTEM_LEASE_TTL)
    assert grant(Limits(600, 3600)) == Granted(600)


def test_a_mount_says_less_than_the_system() -> None:
    assert Limits.of(None) == SYSTEM
    assert Limits.of(MountConfig(default_lease_ttl=60, max_lease_ttl=600)) == (60, 600)
    assert Limits.of(MountConfig(max_lease_ttl=600)) == (SYSTEM_LEASE_TTL, 600)
    granted = grant(
        Limits.of(MountConfig(max_lease_ttl=600))
    )  # as the reference, it tells of what nobody has asked for
    assert (granted.ttl, len(granted.warnings)) == (600, 1)
    assert Limits.of(MountConfig(default_lease_ttl=60)) == (60, SYSTEM_LEASE_TTL)
    assert SYSTEM.within(60) == (60, 60)
    assert SYSTEM.within(0) == SYSTEM


def test_more_than_the_maximum_is_cut_and_told() -> None:
    granted = grant(SYSTEM, ttl=1000 * 3600)
    assert granted.ttl == SYSTEM_LEASE_TTL
    assert granted.warnings == (
        'TTL of "1000h" exceeded the effective max_ttl of "768h"; TTL value is capped accordingly',
    )


def test_an_explicit_maximum_counts_from_the_beginning() -> None:
    assert grant(SYSTEM, ttl=600, explicit_max_ttl=900).ttl == 600
    assert grant(SYSTEM, ttl=600, explicit_max_ttl=900, age=600).ttl == 300
    with pytest.raises(InvalidRequest, match="past the max TTL, cannot renew"):
        grant(SYSTEM, ttl=600, explicit_max_ttl=900, age=900)


def test_a_period_lives_on_past_every_maximum_but_an_explicit_one() -> None:
    assert grant(SYSTEM, ttl=1, period=DAY, age=400 * DAY) == Granted(DAY)
    assert grant(SYSTEM, period=DAY, explicit_max_ttl=3 * DAY, age=int(2.5 * DAY)).ttl == DAY // 2
    granted = grant(Limits(60, 600), period=DAY)
    assert granted.ttl == 600
    assert granted.warnings == (
        'period of "24h" exceeded the effective max_ttl of "10m"; period value is capped accordingly',
    )


_SECONDS = st.integers(0, 100 * DAY)


@given(_SECONDS, _SECONDS, _SECONDS, st.integers(1, 40 * DAY), st.integers(0, 100 * DAY))
def test_nothing_lives_past_its_maximum(ttl: int, period: int, explicit: int, most: int, age: int) -> None:
    try:
        granted = grant(Limits(min(60, most), most), ttl=ttl, period=period, explicit_max_ttl=explicit, age=age)
    except InvalidRequest:
        assert age >= min(most, explicit or most) or age >= explicit > 0
        return
    assert 0 < granted.ttl <= most
    if not period:
        assert age + granted.ttl <= most
    if explicit:
        assert age + granted.ttl <= explicit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (61, "1m1s"), (3600, "1h"), (2_764_799, "767h59m59s")],
)
def test_durations_are_written_as_go_writes_them(seconds: int, text: str) -> None:
    assert words(seconds) == text
