"""When a keyring is rotated by itself: the bounds of its configuration, and what is due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.ceremony.rotation import (
    LEAST_INTERVAL,
    LEAST_OPERATIONS,
    MOST_OPERATIONS,
    RotateConfig,
    due_at,
    is_due,
    validate,
)
from kms_actors.errors import InvalidRequest

SECOND = 10**9


@pytest.mark.parametrize("operations", [-5, 0, LEAST_OPERATIONS - 1, MOST_OPERATIONS + 1])
def test_numbers_of_records_beyond_the_bounds_are_refused(operations: int) -> None:
    with pytest.raises(InvalidRequest, match="max_operations must be in the range"):
        validate(RotateConfig(max_operations=operations))


def test_an_interval_below_a_day_is_refused_and_none_is_not() -> None:
    with pytest.raises(InvalidRequest, match="24h0m0s"):
        validate(RotateConfig(interval=LEAST_INTERVAL - 1))
    validate(RotateConfig(interval=LEAST_INTERVAL))
    validate(RotateConfig())


def test_what_is_not_enabled_is_never_due() -> None:
    config = RotateConfig(interval=LEAST_INTERVAL, enabled=False)
    assert due_at(config, 0.0) is None
    assert not is_due(config, 0.0, MOST_OPERATIONS, 10**18)


def test_a_keyring_is_due_by_records_without_an_interval() -> None:
    config = RotateConfig(max_operations=LEAST_OPERATIONS)
    assert due_at(config, 5.0) is None
    assert not is_due(config, 5.0, LEAST_OPERATIONS - 1, 10**18)
    assert is_due(config, 5.0, LEAST_OPERATIONS, 0)


@given(
    since=st.integers(0, 2**31),
    interval=st.integers(LEAST_INTERVAL, 400 * LEAST_INTERVAL),
    passed=st.integers(0, 800 * LEAST_INTERVAL),
)
def test_a_keyring_is_due_by_time_just_when_its_interval_is_over(since: int, interval: int, passed: int) -> None:
    config = RotateConfig(interval=interval)
    assert is_due(config, float(since), 0, since * SECOND + passed) == (passed >= interval)


def test_the_stored_form_is_read_back() -> None:
    config = RotateConfig(LEAST_OPERATIONS, LEAST_INTERVAL, enabled=False)
    assert RotateConfig.decode(config.encode()) == config
    assert config.encode() == (b'{"max_operations":1000000,"interval":86400000000000,"enabled":false,"format":1}')
