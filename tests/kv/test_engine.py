"""The rules of versions, against a plain model and one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kms_actors.errors import InvalidRequest
from kms_actors.kv import engine
from kms_actors.kv.records import Config, KeyMetadata

SECOND = 10**9
T0 = 1_700_000_000 * SECOND
MISMATCH = "check-and-set parameter did not match the current version"


def versions_of(metadata: KeyMetadata) -> list[int]:
    return sorted(metadata.versions)


def made(count: int, config: Config | None = None) -> KeyMetadata:
    metadata = engine.put(None, config or Config(), None, T0)
    for step in range(1, count):
        metadata = engine.put(metadata, config or Config(), None, T0 + step)
    return metadata


def test_first_put_makes_version_one() -> None:
    metadata = engine.put(None, Config(), 0, T0)
    assert (metadata.created, metadata.updated, metadata.current_version, metadata.oldest_version) == (T0, T0, 1, 0)
    assert metadata.versions[1].created == T0
    assert metadata.versions[1].deletion == 0


def test_ten_versions_are_kept_by_default() -> None:
    assert versions_of(made(10)) == list(range(1, 11))
    assert made(9).oldest_version == 0
    assert made(10).oldest_version == 1  # as many as are kept
    trimmed = made(12)
    assert versions_of(trimmed) == list(range(3, 13))
    assert trimmed.oldest_version == 3


@pytest.mark.parametrize(("of_key", "of_mount", "kept"), [(3, 0, 3), (0, 4, 4), (3, 5, 5), (6, 2, 6)])
def test_the_larger_of_both_limits_counts(of_key: int, of_mount: int, kept: int) -> None:
    metadata = replace(made(9), max_versions=of_key)
    after = engine.put(metadata, Config(max_versions=of_mount), None, T0)
    assert versions_of(after) == list(range(10 - kept + 1, 11))


def test_cas_zero_fails_once_there_was_a_version_even_a_deleted_one() -> None:
    deleted = engine.delete(made(1), [1], T0 + 1)
    with pytest.raises(InvalidRequest, match=MISMATCH):
        engine.put(deleted, Config(), 0, T0 + 2)
    assert engine.put(deleted, Config(), 1, T0 + 2).current_version == 2


@pytest.mark.parametrize("cas", [1, -1, 2**63])
def test_cas_on_nothing_must_be_zero(cas: int) -> None:
    with pytest.raises(InvalidRequest, match=MISMATCH):
        engine.put(None, Config(), cas, T0)


def test_cas_is_required_where_mount_or_key_say_so() -> None:
    with pytest.raises(InvalidRequest, match="check-and-set parameter required for this call"):
        engine.put(None, Config(cas_required=True), None, T0)
    with pytest.raises(InvalidRequest, match="check-and-set parameter required for this call"):
        engine.put(replace(made(1), cas_required=True), Config(), None, T0)


@pytest.mark.parametrize(
    ("of_mount", "of_key", "lifetime"),
    [(0, 0, 0), (5, 0, 5), (0, 7, 7), (5, 7, 5), (9, 7, 7), (-1, 7, 0)],
)
def test_the_shorter_lifetime_counts_and_a_negative_one_of_the_mount_ends_all(
    of_mount: int, of_key: int, lifetime: int
) -> None:
    key = replace(made(1), delete_version_after=of_key * SECOND)
    after = engine.put(key, Config(delete_version_after=of_mount * SECOND), None, T0)
    assert after.versions[2].deletion == (T0 + lifetime * SECOND if lifetime else 0)


def test_a_version_is_readable_until_its_deletion_time() -> None:
    version = made(1, Config(delete_version_after=SECOND)).versions[1]
    assert version.readable(T0 + SECOND - 1)
    assert not version.readable(T0 + SECOND)


def test_delete_brings_a_deletion_ahead_forward_but_keeps_one_that_was() -> None:
    ahead = made(1, Config(delete_version_after=SECOND))
    deleted = engine.delete(ahead, [1], T0 + 5)
    assert deleted.versions[1].deletion == T0 + 5
    assert deleted.updated == T0 + 5
    assert engine.delete(deleted, [1], T0 + 9) is deleted


def test_undelete_restarts_the_lifetime() -> None:
    config = Config(delete_version_after=SECOND)
    deleted = engine.delete(made(1), [1], T0 + 5)
    assert engine.undelete(deleted, Config(), [1], T0 + 6).versions[1].deletion == 0
    assert engine.undelete(deleted, config, [1], T0 + 6).versions[1].deletion == T0 + 6 + SECOND


def test_destroyed_versions_stay_as_they_are() -> None:
    destroyed = engine.destroy(made(2), [1], T0 + 5)
    assert destroyed.versions[1].destroyed
    assert destroyed.updated == T0 + 5
    assert engine.undelete(destroyed, Config(), [1], T0 + 6) is destroyed
    assert engine.delete(destroyed, [1], T0 + 6) is destroyed
    assert engine.destroy(destroyed, [1], T0 + 6) is destroyed


def test_unknown_versions_change_nothing() -> None:
    metadata = made(2)
    for after in (
        engine.delete(metadata, [0, 3, -1, 2**80], T0 + 9),
        engine.undelete(metadata, Config(), [99], T0 + 9),
        engine.destroy(metadata, [], T0 + 9),
    ):
        assert after is metadata


numbers = st.lists(st.integers(-1, 14), max_size=4)
limits = st.integers(0, 5)
steps = st.one_of(
    st.tuples(st.just("put"), limits, st.none() | st.integers(0, 12)),
    st.tuples(st.sampled_from(["delete", "undelete", "destroy"]), numbers, st.none()),
)


@given(st.lists(steps, max_size=30), limits)
def test_versions_behave_as_a_plain_model(script: list[tuple[str, object, int | None]], key_limit: int) -> None:
    metadata = KeyMetadata(created=T0, updated=T0, max_versions=key_limit)
    current, states = 0, dict[int, str]()
    for now, (step, argument, cas) in enumerate(script, start=T0 + 1):
        if step == "put":
            assert isinstance(argument, int)
            config = Config(max_versions=argument)
            if cas is not None and cas != current:
                with pytest.raises(InvalidRequest):
                    engine.put(metadata, config, cas, now)
                continue
            metadata = engine.put(metadata, config, cas, now)
            current += 1
            states[current] = "there"
            for old in sorted(states)[: -(max(key_limit, argument) or 10)]:
                del states[old]
        else:
            assert isinstance(argument, list)
            if step == "undelete":
                metadata = engine.undelete(metadata, Config(), argument, now)
            else:
                metadata = getattr(engine, step)(metadata, argument, now)
            goal = {"delete": "deleted", "undelete": "there", "destroy": "destroyed"}[step]
            states.update({n: goal for n in argument if states.get(n, "destroyed") != "destroyed"})
        shown = {
            n: "destroyed" if v.destroyed else "there" if v.readable(now) else "deleted"
            for n, v in metadata.versions.items()
        }
        assert shown == states
        assert metadata.current_version == current
        assert metadata.oldest_version in (0, min(states, default=0))
