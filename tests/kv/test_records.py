"""Stored forms: keys are tuples, records keep their bytes."""

from __future__ import annotations

import fdb.tuple
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import FormatError, InvalidRequest
from kms_actors.kv import records
from kms_actors.kv.keys import MAX_PATH, MountKeys
from kms_actors.kv.records import Config, Head, KeyMetadata, Version
from kms_actors.store.keyspace import TenantKeys

TENANT = TenantKeys(7)
KEYS = MountKeys(TENANT, 3)
paths = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

HEAD = Head(KeyMetadata(1, 2, 3, 2, 5, True, 60, {"k": "v"}, {2: Version(1, 9, True), 3: Version(2)}), b'{"a":1}')
SIZED = msgspec.structs.replace(
    HEAD.metadata,
    metadata_version=7,
    metadata_cas_required=True,
    versions={2: Version(1, 9, True, 12), 3: Version(2)},
)
#: Written by format 1 of the records: they must decode for ever.
GOLDEN = {
    bytes.fromhex("9405c33cc3"): Config(5, True, 60, True),
    bytes.fromhex(
        "929b0102030205c33c81a16ba17682029401" + "09c30c0394" + "0200c200" + "07c3" + "c4077b2261223a317d"
    ): Head(SIZED, HEAD.inline),
}
#: Before metadata had a version, and before versions had sizes.
OLDER = {
    bytes.fromhex("929b0102030205c33c81a16ba17682029301" + "09c303930200c2" + "07c3" + "c4077b2261223a317d"): Head(
        msgspec.structs.replace(HEAD.metadata, metadata_version=7, metadata_cas_required=True), HEAD.inline
    ),
    bytes.fromhex("9305c33c"): Config(5, True, 60),
    bytes.fromhex("92990102030205c33c81a16ba17682029301" + "09c303930200c2" + "c4077b2261223a317d"): HEAD,
}


@pytest.mark.parametrize(("data", "record"), GOLDEN.items())
def test_stored_bytes_stay_readable(data: bytes, record: Config | Head) -> None:
    assert records.encode(record) == data
    assert records.decode(data, type(record)) == record


@pytest.mark.parametrize(("data", "record"), OLDER.items())
def test_stored_bytes_of_older_programs_stay_readable(data: bytes, record: Config | Head) -> None:
    assert records.decode(data, type(record)) == record


def test_records_of_fewer_fields_take_the_defaults() -> None:
    assert records.decode(bytes.fromhex("90"), Config) == Config()


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x93", bytes.fromhex("93a161c33c"), b"{}"])
def test_damaged_records_are_format_errors(data: bytes) -> None:
    kinds: tuple[type[Config | Head], ...] = (Config, Head)
    for kind in kinds:
        with pytest.raises(FormatError):
            records.decode(data, kind)


def test_records_show_nothing_of_what_they_hold() -> None:
    assert repr(HEAD) == "<Head at version 3>"
    assert repr(HEAD.metadata) == "<KeyMetadata at version 3>"


@given(paths, st.integers(1, 2**40))
def test_keys_are_tuples_of_the_tenant(path: str, version: int) -> None:
    assert KEYS.config == TENANT.key("kv", 3, "config")
    assert KEYS.head(path) == TENANT.key("kv", 3, "meta", path)
    assert KEYS.data(path, version) == TENANT.key("kv", 3, "data", path, version)
    assert KEYS.name(path) == TENANT.key("kv", 3, "list", path)
    assert KEYS.path(KEYS.name(path)) == path
    begin, end = KEYS.all_data(path)
    assert begin < KEYS.data(path, version) < end


@given(paths, paths)
def test_the_range_of_a_folder_holds_exactly_what_begins_with_it(folder: str, path: str) -> None:
    begin, end = KEYS.names(folder)
    assert (begin <= KEYS.name(path) < end) == path.startswith(folder)
    assert begin <= KEYS.name(folder + path) < end


@given(paths, paths)
def test_names_sort_as_their_bytes(one: str, other: str) -> None:
    assert (KEYS.name(one) < KEYS.name(other)) == (one.encode() < other.encode())


def test_odd_paths_are_refused() -> None:
    assert fdb.tuple.unpack(KEYS.head("é" * (MAX_PATH // 2)))[-1] == "é" * (MAX_PATH // 2)
    with pytest.raises(InvalidRequest, match="the path is longer than 4096 bytes"):
        KEYS.head("é" * (MAX_PATH // 2) + "x")
    with pytest.raises(InvalidRequest, match="the path is not UTF-8"):
        KEYS.head("\udcff")
