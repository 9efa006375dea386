"""Times that are set from without: they are told as they were sent, and make nothing readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kms_actors.errors import InvalidRequest
from kms_actors.kv import engine
from kms_actors.kv.records import Config, KeyMetadata
from kms_actors.kv.times import Times, VersionTimes, timed

NOW = 1_700_000_000 * 10**9
INSTANTS = st.integers(0, 2 * NOW)


def made() -> KeyMetadata:
    """Return what has a version that is readable, one that is deleted, and one that is destroyed."""
    metadata = None
    for _ in range(3):
        metadata = engine.put(metadata, Config(), None, NOW - 9)
    assert metadata is not None
    return engine.destroy(engine.delete(metadata, [2], NOW - 5), [3], NOW - 4)


def test_what_is_not_named_stays() -> None:
    before = made()
    assert timed(before, Times(), NOW) == before
    after = timed(before, Times(updated=7, versions={1: VersionTimes(created=5)}), NOW)
    assert after == replace(
        before, updated=7, versions={**before.versions, 1: replace(before.versions[1], created=5)}
    )


def test_a_time_may_delete_and_never_undeletes() -> None:
    before = made()
    for past in (1, NOW):
        assert not timed(before, Times(versions={1: VersionTimes(deletion=past)}), NOW).versions[1].readable(NOW)
    for ahead in (0, NOW + 1):
        with pytest.raises(InvalidRequest, match="version 2 is deleted, and no time undeletes it"):
            timed(before, Times(versions={2: VersionTimes(deletion=ahead)}), NOW)


def test_a_version_that_is_not_there_is_told() -> None:
    with pytest.raises(InvalidRequest, match="there is no version 4"):
        timed(made(), Times(versions={1: VersionTimes(created=1), 4: VersionTimes(created=1)}), NOW)


@given(
    created=st.none() | INSTANTS,
    updated=st.none() | INSTANTS,
    versions=st.dictionaries(
        st.integers(1, 3), st.builds(VersionTimes, created=st.none() | INSTANTS, deletion=st.none() | INSTANTS)
    ),
)
def test_nothing_but_times_changes_and_nothing_becomes_readable(
    created: int | None, updated: int | None, versions: dict[int, VersionTimes]
) -> None:
    before = made()
    try:
        after = timed(before, Times(created, updated, versions), NOW)
    except InvalidRequest:
        assert 2 in versions
        return
    for number, version in after.versions.items():
        assert before.versions[number].readable(NOW) or not version.readable(NOW)
        assert version.destroyed == before.versions[number].destroyed
        assert version.size == before.versions[number].size
    plain = replace(after, created=before.created, updated=before.updated, versions=before.versions)
    assert plain == before
