"""A sorted dict as the model of a transaction: random operations, each answer compared."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from kms_actors.store.api import Entry, Store, Transaction
from tests.store.access import get_all, replace_all

KEYS = st.builds(bytes, st.lists(st.sampled_from(b"\0abc\xfd"), max_size=3))
VALUES = st.binary(max_size=10)
DELTAS = st.integers(-(2**63), 2**63 - 1)
INITIAL = st.dictionaries(KEYS, VALUES, max_size=12)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, VALUES),
        st.tuples(st.just("clear"), KEYS),
        st.tuples(st.just("clear_range"), KEYS, KEYS),
        st.tuples(st.just("add"), KEYS, DELTAS),
        st.tuples(st.just("get"), KEYS),
        st.tuples(st.just("get_range"), KEYS, KEYS, st.integers(0, 5), st.booleans()),
    ),
    max_size=20,
)


class Model(dict[bytes, bytes]):
    """What a transaction must show."""

    def set(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def clear_key(self, key: bytes) -> None:
        self.pop(key, None)

    def clear_range(self, begin: bytes, end: bytes) -> None:
        for key in [key for key in self if begin <= key < end]:
            del self[key]

    def add(self, key: bytes, delta: int) -> None:
        old = int.from_bytes(self.get(key, b"")[:8].ljust(8, b"\0"), "little", signed=True)
        total = (old + delta + 2**63) % 2**64 - 2**63
        self[key] = total.to_bytes(8, "little", signed=True)

    def range(self, begin: bytes, end: bytes, limit: int, reverse: bool) -> list[Entry]:
        entries = sorted((item for item in self.items() if begin <= item[0] < end), reverse=reverse)
        return entries[:limit] if limit else entries


async def check_against_model(store: Store, initial: dict[bytes, bytes], steps: list[tuple[Any, ...]]) -> None:
    """Run `steps` in one transaction over `initial`, and compare each read and the outcome with the model."""
    await replace_all(store, initial)
    model = Model()

    async def body(transaction: Transaction) -> None:
        model.clear()
        model.update(initial)
        for name, *arguments in steps:
            await _step(transaction, model, name, arguments)

    await store.run(body)
    assert await get_all(store) == sorted(model.items())


async def _step(transaction: Transaction, model: Model, name: str, arguments: list[Any]) -> None:
    match name, arguments:
        case "get", [key]:
            assert await transaction.get(key) == model.get(key)
        case "get_range", [begin, end, limit, reverse]:
            found = await transaction.get_range(begin, end, limit=limit, reverse=reverse)
            assert found == model.range(begin, end, limit, reverse)
        case "clear", [key]:
            transaction.clear(key)
            model.clear_key(key)
        case _:
            getattr(transaction, name)(*arguments)
            getattr(model, name)(*arguments)
