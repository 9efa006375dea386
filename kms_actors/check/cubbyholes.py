"""Cubbyholes and wrapped answers within one transaction: each belongs to a token, and is whole."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from kms_actors.actors.tenant.cubbyholes import CUBBYHOLE
from kms_actors.actors.tenant.token_records import ACCESSOR
from kms_actors.check.findings import Kind, Page
from kms_actors.store.api import Reads
from kms_actors.store.keyspace import TenantKeys

#: Of a wrapped answer, each needs the other.
_HALVES: Final = {"info": "answer", "answer": "info"}


async def examine(tr: Reads, keys: TenantKeys, page: Page, parts: tuple[Any, ...]) -> None:
    """See that a record has the token it is of, and those that belong to it."""
    _, accessor, *rest = parts
    place = keys.key(CUBBYHOLE, accessor)
    token, held = await asyncio.gather(tr.get(keys.key(ACCESSOR, accessor)), tr.get(place))
    if token is None:
        page.add(Kind.ORPHAN, place, "what a token keeps that is not there")
    if held is None:
        page.add(Kind.MISSING, place, "how much a token keeps is not told")
    other = _HALVES.get(rest[0]) if len(rest) == 1 else None
    if other is not None and await tr.get(keys.key(CUBBYHOLE, accessor, other)) is None:
        page.add(Kind.MISSING, keys.key(CUBBYHOLE, accessor, other), "a wrapped answer is not whole")
