"""Pages of a tenant's records in which groups are whole, each as it was at one moment."""

from __future__ import annotations

from typing import Final, NamedTuple

from kms_actors.backup.layout import (
    LOCK,
    RESTORED,
    Span,
    step,
)
from kms_actors.errors import InvalidRequest, TransactionConflict
from kms_actors.store import keyspace
from kms_actors.store.api import Entry, Priority, Store, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.store.pages import PAGE_BYTES, PAGE_ENTRIES, Page, read_page, size_of

#: A large secret that changes while it is read is read again, this often.
_ATTEMPTS: Final = 50


class Groups(NamedTuple):
    """Whole groups, and where to go on; None behind the last. `large` is a group that no one page holds.

    They are of the records that the restore `restored` has brought; empty: none has.
    """

    entries: list[Entry]
    next: bytes | None
    large: bytes | None = None
    restored: bytes = b""


async def read_groups(
    store: Store, vault: str, keys: TenantKeys, begin: bytes, restored: bytes | None = None
) -> Groups:
    """Return the first groups from `begin` on, in key order of their leading records; raises as `require_whole`."""

    async def body(tr: Transaction) -> Groups:
        found = await require_whole(tr, vault, keys, restored)
        return (await _page(tr, keys, begin))._replace(restored=found)

    page = await store.run(body, priority=Priority.BATCH)
    if page.large is None:
        return page
    entries = await _read_large(store, keys, page.large)
    return Groups(entries, step(keys, page.large).next, restored=page.restored)


async def require_whole(tr: Transaction, vault: str, keys: TenantKeys, restored: bytes | None = None) -> bytes:
    """Return which restore has brought the records of a vault.

    Raises:
        InvalidRequest: one is under way, so that it has some of what it was, or of what it will be; or there was one
            since `restored`, so that what was read before is of another vault than what would be read now.

    """
    lock, found = await tr.get_many((keys.key(LOCK), keys.key(RESTORED)))
    if lock is not None:
        raise InvalidRequest(f"{vault} is not wholly restored: end that first")
    if restored is not None and (found or b"") != restored:
        raise restored_meanwhile(vault)
    return found or b""


def restored_meanwhile(vault: str) -> InvalidRequest:
    """Return the error of a backup that would be of two states of a vault."""
    return InvalidRequest(f"{vault} was restored while it was backed up: --resume reads it from its beginning")


async def _page(tr: Transaction, keys: TenantKeys, begin: bytes) -> Groups:
    taken: list[Entry] = []
    size, end = 0, keyspace.after(keys.prefix)
    while True:
        # A short look ahead: what is skipped, or does not fit any more, was read for nothing.
        ahead, further = await read_page(tr, begin, end, most_entries=1)
        for key, value in ahead:
            here = step(keys, key)
            if here.taken:
                group = [(key, value)]
                for span in here.companions:
                    companions, rest = await read_page(tr, *span)
                    group += companions
                    if rest is not None:
                        return Groups(taken, key) if taken else Groups([], None, large=key)
                taken += group
                size += size_of(group)
            begin = here.next
            if size >= PAGE_BYTES or len(taken) >= PAGE_ENTRIES:
                return Groups(taken, begin)
            if not here.taken:
                break
        else:
            if further is None:
                return Groups(taken, None)


async def _read_large(store: Store, keys: TenantKeys, key: bytes) -> list[Entry]:
    """Read a group page by page, until its leading record was the same from first to last."""
    for _ in range(_ATTEMPTS):
        leader = await store.run(lambda tr: tr.get(key), priority=Priority.BATCH)
        if leader is None:
            return []
        group = [(key, leader)]
        for span in step(keys, key).companions:
            if not await _extend(store, group, span):
                break
        else:
            return group
    raise TransactionConflict("a large secret changed too often to be read")


async def _extend(store: Store, group: list[Entry], span: Span) -> bool:
    """Add all entries of `span`; False if the leading record changed meanwhile."""
    (key, leader), (begin, end) = group[0], span
    following: bytes | None = begin
    while following is not None:
        start = following

        async def body(tr: Transaction, start: bytes = start) -> tuple[bytes | None, Page]:
            return await tr.get(key), await read_page(tr, start, end)

        found, (entries, following) = await store.run(body, priority=Priority.BATCH)
        if found != leader:
            return False
        group += entries
    return True
