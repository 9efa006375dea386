"""Settings of mounts and secrets, and the limits of custom metadata."""

from __future__ import annotations

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.kv import custom_metadata
from kms_actors.kv.records import Config, KeyMetadata
from kms_actors.kv.settings import MOST_VERSIONS, Settings, applied, configured

T0 = 1_700_000_000 * 10**9
KEY = KeyMetadata(created=T0, updated=T0, max_versions=4, custom_metadata={"a": "1", "b": "2"})


def test_only_what_is_set_changes() -> None:
    assert configured(Config(3, True, 5), Settings(cas_required=False)) == Config(3, False, 5)
    assert applied(KEY, Settings(delete_version_after=9), T0 + 1).max_versions == 4
    assert applied(KEY, Settings(), T0 + 1) is KEY


def test_a_secret_without_versions_is_made() -> None:
    made = applied(None, Settings(max_versions=2), T0)
    assert (made.created, made.current_version, made.versions, made.max_versions) == (T0, 0, {}, 2)


@pytest.mark.parametrize("number", [-1, MOST_VERSIONS + 1, 2**32])
def test_max_versions_out_of_bounds_is_refused(number: int) -> None:
    with pytest.raises(InvalidRequest, match="max_versions must be between 0 and 10000"):
        configured(Config(), Settings(max_versions=number))
    with pytest.raises(InvalidRequest, match="max_versions must be between 0 and 10000"):
        applied(KEY, Settings(max_versions=number), T0)


def test_custom_metadata_is_replaced_or_merged() -> None:
    change = {"b": "3", "c": "4"}
    assert applied(KEY, Settings(custom_metadata=change), T0).custom_metadata == change
    merged = applied(KEY, Settings(custom_metadata={"a": None, **change}, merge=True), T0)
    assert merged.custom_metadata == change
    assert applied(KEY, Settings(custom_metadata=None, merge=True), T0).custom_metadata == {}


def test_merging_cannot_pass_the_limit_of_keys() -> None:
    full = applied(KEY, Settings(custom_metadata={f"k{n}": "v" for n in range(64)}), T0)
    with pytest.raises(InvalidRequest, match="payload must contain at most 64 keys, provided 65"):
        applied(full, Settings(custom_metadata={"one more": "v"}, merge=True), T0)


def test_custom_metadata_texts() -> None:
    prefix = "custom_metadata validation failed: "
    with pytest.raises(InvalidRequest) as raised:
        custom_metadata.check({f"k{n}": "1" for n in range(65)})
    assert (
        str(raised.value) == f"1 error occurred:\n\t* {prefix}payload must contain at most 64 keys, provided 65\n\n"
    )
    with pytest.raises(InvalidRequest) as raised:
        custom_metadata.check({"a" * 129: "1", "b": "", "c": "x\x07"})
    long_key = '"' + "a" * 129 + '"'
    assert str(raised.value) == (
        "3 errors occurred:\n"
        f"\t* {prefix}length of key {long_key} is 129 but must be 0 < len(key) <= 128\n"
        f'\t* {prefix}length of value for key "b" is 0 but must be 0 < len(value) <= 512\n'
        f'\t* {prefix}value for key "c" contains unprintable characters\n\n'
    )


def test_custom_metadata_errors_hold_no_values_and_lengths_are_bytes() -> None:
    custom_metadata.check({"é" * 64: "é" * 256})
    for value in ("s3cr3t" * 100, "s3cr3t\n"):
        with pytest.raises(InvalidRequest) as raised:
            custom_metadata.check({"é" * 65: value})
        assert "s3cr3t" not in str(raised.value)
