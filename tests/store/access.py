"""Single-step transactions, for tests to prepare and look at data."""

from __future__ import annotations

from kms_actors.store.api import Entry, Store, Transaction

END = b"\xfe"


async def get(store: Store, key: bytes) -> bytes | None:
    return await store.run(lambda transaction: transaction.get(key))


async def get_all(store: Store) -> list[Entry]:
    return await store.run(lambda transaction: transaction.get_range(b"", END))


async def put(store: Store, *entries: Entry) -> None:
    async def body(transaction: Transaction) -> None:
        for key, value in entries:
            transaction.set(key, value)

    await store.run(body)


async def clear(store: Store, key: bytes) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.clear(key)

    await store.run(body)


async def replace_all(store: Store, entries: dict[bytes, bytes]) -> None:
    async def body(transaction: Transaction) -> None:
        transaction.clear_range(b"", END)
        for key, value in entries.items():
            transaction.set(key, value)

    await store.run(body)


async def increment(store: Store, key: bytes) -> None:
    """Read the decimal number at `key` and write the next."""

    async def body(transaction: Transaction) -> None:
        transaction.set(key, b"%d" % (int(await transaction.get(key) or 0) + 1))

    await store.run(body)
