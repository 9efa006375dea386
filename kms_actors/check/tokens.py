"""Tokens within one transaction: each with its accessor, its indices, and what it hangs on.

What is dead is no finding while the sweep has it to remove. What a backup has brought back of a token that was
revoked while it was read is one: `auth/token/tidy` removes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import Any, Final, NamedTuple

from kms_actors.actors.cluster.schedule import END, REVOKING
from kms_actors.actors.tenant.proofs import proof_key
from kms_actors.actors.tenant.token_records import (
    ACCESSOR,
    CHILD,
    LEASE,
    LEFT,
    SPENT,
    TOKEN,
    UNWRAPPED,
    USES,
    Place,
    lease_id,
)
from kms_actors.auth.service_token import ServiceToken
from kms_actors.check.findings import Kind, Page
from kms_actors.store.api import Reads
from kms_actors.store.keyspace import TenantKeys
from kms_actors.token.records import Accessor


class Grounds(NamedTuple):
    """What a check of tokens has: `quietly` decodes another record, if it can be."""

    tr: Reads
    keys: TenantKeys
    page: Page
    quietly: Callable[[bytes, bytes], Any]


async def examine(grounds: Grounds, key: bytes, parts: tuple[Any, ...], value: bytes, record: Any) -> None:
    """See that a record has those that belong to it; `record` is None where it could not be opened."""
    await _RULES[parts[0]](grounds, key, parts, value, record)


async def _accessor(grounds: Grounds, key: bytes, parts: tuple[Any, ...], _: bytes, record: Accessor | None) -> None:
    if record is None:
        return
    place, proof = grounds.keys.key(TOKEN, record.hash), proof_key(grounds.keys, record.proof)
    stored, proven = await grounds.tr.get_many([place, proof])
    if stored is None:
        grounds.page.add(Kind.MISSING, place, "an accessor names a token that is not there")
    token = None if stored is None else grounds.quietly(place, stored)
    if proven is None and not (isinstance(token, ServiceToken) and token.chosen):
        grounds.page.add(Kind.MISSING, proof, "a token has no proof")


async def _token(grounds: Grounds, key: bytes, parts: tuple[Any, ...], _: bytes, token: ServiceToken | None) -> None:
    if token is None or not token.indexed:  # of an older program, it gets the rest when it is used
        return
    keys, hash_ = grounds.keys, parts[1]
    place = keys.key(ACCESSOR, token.accessor)
    stored = await grounds.tr.get(place)
    accessor = None if stored is None else grounds.quietly(place, stored)
    if stored is None:
        grounds.page.add(Kind.MISSING, place, "a token has no accessor")
    elif isinstance(accessor, Accessor) and accessor.hash != hash_:
        grounds.page.add(Kind.CONTRADICTION, place, "an accessor names another token")
    needed = []
    if token.expires_at is not None:
        needed = [
            keys.key(END, ceil(token.expires_at), token.accessor),
            keys.key(LEASE, lease_id(Place(hash_, b""), token)),
        ]
    if token.line:
        needed.append(keys.key(CHILD, token.line[-1], token.accessor))
    if token.num_uses:
        needed.append(keys.key(USES, hash_))
    for index, found in zip(needed, await grounds.tr.get_many(needed), strict=True):
        if found is None:
            grounds.page.add(Kind.MISSING, index, "a token is not in one of its indices")


async def _child(grounds: Grounds, key: bytes, parts: tuple[Any, ...], _: bytes, __: Any) -> None:
    keys, (_, parent, child) = grounds.keys, parts
    own, *above = await grounds.tr.get_many(
        [
            keys.key(area, name)
            for area, name in ((ACCESSOR, child), (ACCESSOR, parent), (LEFT, parent), (REVOKING, parent))
        ]
    )
    if own is None:
        grounds.page.add(Kind.ORPHAN, key, "a child that is not there")
    elif not any(found is not None for found in above):
        grounds.page.add(Kind.ORPHAN, key, "the child of a token that is not there, and that nobody removes")


async def _end(grounds: Grounds, key: bytes, parts: tuple[Any, ...], value: bytes, _: Any) -> None:
    keys, (_, second, name) = grounds.keys, parts
    if value:
        remembered = await grounds.tr.get_many([keys.key(UNWRAPPED, value), keys.key(SPENT, value)])
        if all(each is None for each in remembered):
            grounds.page.add(Kind.ORPHAN, key, "the end of a token that was used up, of which nothing is remembered")
        return
    place = keys.key(ACCESSOR, name)
    stored, entry, unsealed = await grounds.tr.get_many([place, keys.key("due"), keys.key("unsealed")])
    accessor = None if stored is None else grounds.quietly(place, stored)
    if stored is None:
        grounds.page.add(Kind.ORPHAN, key, "the end of a token that is not there")
    elif isinstance(accessor, Accessor) and (accessor.expires_at is None or ceil(accessor.expires_at) != second):
        grounds.page.add(Kind.CONTRADICTION, key, "its token does not end then")
    if unsealed is not None and entry is None:
        grounds.page.add(Kind.MISSING, keys.key("due"), "the tenant is not looked at when a token ends")


async def _uses(grounds: Grounds, key: bytes, parts: tuple[Any, ...], _: bytes, __: Any) -> None:
    if await grounds.tr.get(grounds.keys.key(TOKEN, parts[1])) is None:
        grounds.page.add(Kind.ORPHAN, key, "uses of a token that is not there")


async def _left(grounds: Grounds, key: bytes, parts: tuple[Any, ...], _: bytes, __: Any) -> None:
    if not await grounds.tr.get_range(*grounds.keys.span(CHILD, parts[1]), limit=1):
        grounds.page.add(Kind.ORPHAN, key, "the mark of a token that has left no children")


async def _lease(grounds: Grounds, key: bytes, parts: tuple[Any, ...], _: bytes, __: Any) -> None:
    name = parts[1].rpartition("/h")[2]
    try:
        token = grounds.keys.key(TOKEN, bytes.fromhex(name))
    except ValueError:
        grounds.page.add(Kind.FORMAT, key, "a lease of no token")
        return
    if await grounds.tr.get(token) is None:
        grounds.page.add(Kind.ORPHAN, key, "the lease of a token that is not there")


_RULES: Final[Mapping[str, Callable[[Grounds, bytes, tuple[Any, ...], bytes, Any], Awaitable[None]]]] = {
    ACCESSOR: _accessor,
    TOKEN: _token,
    CHILD: _child,
    END: _end,
    USES: _uses,
    LEFT: _left,
    LEASE: _lease,
}
#: What is looked at here.
AREAS: Final = frozenset(_RULES)
