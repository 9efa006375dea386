"""Names that are the last part of keys, listed as far as they go."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.listing import PAGE, Names, list_names
from kms_actors.errors import NotFound
from kms_actors.store.api import Reads


async def list_keys(context: TenantContext, above: tuple[Any, ...], after: str = "", limit: int = 0) -> list[str]:
    """Return what follows (area, …) `above` in keys, in order, from behind `after`, `limit` of them if that is not 0.

    Raises:
        NotFound: there are none.

    """
    begin, end = context.keys.span(*above)

    async def page(tr: Reads, after: str, limit: int) -> Names:
        first = context.keys.key(*above, after) + b"\0" if after else begin
        most = min(limit, PAGE) if limit else PAGE
        keys = await tr.get_keys(first, end, limit=most)
        return Names([context.keys.parts(key)[-1] for key in keys], len(keys) == most)

    def read(after: str, limit: int, _: bool) -> Awaitable[Names]:
        return context.store.read(lambda tr: page(tr, after, limit))

    rest = partial(context.turns.turn, context.vault_id)
    names = await list_names(read, after, limit, context.long_reads, rest)
    if not names:
        raise NotFound
    return names
