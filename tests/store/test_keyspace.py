from __future__ import annotations

from typing import Any
from uuid import UUID

import fdb.tuple
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kms_actors.store import keyspace
from kms_actors.store.keyspace import TenantKeys, after, node, pack, pack_behind, unpack, vault

PARTS = st.one_of(st.integers(-(2**40), 2**40), st.text(max_size=6), st.binary(max_size=6))
#: All that the tuple layer takes.
ANY = st.one_of(
    PARTS,
    st.uuids(),
    st.integers(-(2**80), 2**80),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False),
    st.tuples(PARTS),
)
TUPLES = st.lists(PARTS, max_size=4).map(tuple)
NUMBERS = st.integers(0, 2**63 - 1)


@given(TUPLES)
def test_keys_unpack_to_their_parts(parts: tuple[Any, ...]) -> None:
    assert unpack(pack(*parts)) == parts


@given(NUMBERS, TUPLES)
def test_tenant_keys_unpack_to_their_parts(number: int, parts: tuple[Any, ...]) -> None:
    keys = TenantKeys(number)
    assert keys.parts(keys.key(*parts)) == parts
    assert keys.key(*parts) == pack("t", number, *parts)


@given(st.lists(ANY, max_size=4).map(tuple))
@example((0, 1, 255, 256, 2**63, 2**64 - 1))
@example((2**64, -1, 2**200))
@example((b"\0", "\0", b"a\0b\0", "a\0\xff", b"\xff", ""))
@example((True, False, None, 1.5, ("a", (b"b", None))))
@example((UUID(int=0), UUID(int=2**128 - 1)))
def test_keys_are_those_of_the_tuple_layer(parts: tuple[Any, ...]) -> None:
    assert pack_behind(b"before", parts) == b"before" + fdb.tuple.pack(parts)


@pytest.mark.parametrize("parts", [("\ud800",), (1, "a\udfff"), (object(),)])
def test_what_the_tuple_layer_refuses_is_refused(parts: tuple[Any, ...]) -> None:
    with pytest.raises((ValueError, TypeError)):
        fdb.tuple.pack(parts)
    with pytest.raises((ValueError, TypeError)):
        pack_behind(b"", parts)


@given(st.lists(st.integers(-(2**63), 2**63)))
def test_integers_keep_their_order(numbers: list[int]) -> None:
    assert [unpack(key)[0] for key in sorted(pack(number) for number in numbers)] == sorted(numbers)


@given(st.lists(st.text()))
def test_texts_keep_the_order_of_their_bytes(texts: list[str]) -> None:
    assert [unpack(key)[0] for key in sorted(map(pack, texts))] == sorted(texts, key=str.encode)


@given(TUPLES, TUPLES)
def test_the_range_of_a_prefix_has_all_that_extends_it_and_nothing_else(
    prefix: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    begin, end = pack(*prefix), after(pack(*prefix))
    assert begin <= pack(*prefix, *other) < end
    assert (begin <= pack(*other) < end) == (_tagged(other[: len(prefix)]) == _tagged(prefix))


def _tagged(parts: tuple[Any, ...]) -> list[tuple[type, Any]]:
    return [(type(part), part) for part in parts]


@given(NUMBERS, NUMBERS, TUPLES)
def test_a_tenant_is_one_range(number: int, other: int, parts: tuple[Any, ...]) -> None:
    prefix = TenantKeys(number).prefix
    assert (prefix <= TenantKeys(other).key(*parts) < after(prefix)) == (number == other)


@pytest.mark.parametrize(
    ("key", "golden"),
    [
        (keyspace.HEADER, b"\x02ckms\x00\x02header\x00"),
        (keyspace.ALLOCATOR, b"\x02ckms\x00\x02allocator\x00"),
        (node("c1", "seal"), b"\x02ckms\x00\x02node\x00\x02c1\x00\x02seal\x00"),
        (vault("vault_1"), b"\x02ckms\x00\x02vault\x00\x02vault_1\x00"),
        (TenantKeys(300).key("kv", "a"), b"\x02ckms\x00\x02t\x00\x16\x01\x2c\x02kv\x00\x02a\x00"),
    ],
)
def test_keys_have_these_bytes(key: bytes, golden: bytes) -> None:
    assert key == golden
