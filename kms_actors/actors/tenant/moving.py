"""Mounts that got another path: which paths they may get, and what is told of it later.

(`remount`, nanoseconds since 1970, id)   Moved, sealed; the oldest of many are forgotten

A move is one transaction, so whoever asks for one that is known hears that it is done.

Source: Vault's API page `sys/remount`.
"""

from __future__ import annotations

from typing import Final

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.keyring import stored
from kms_actors.messages import Moved
from kms_actors.mounts import LOGINS, TOKENS, check_path
from kms_actors.store.api import Reads, Transaction

AREA: Final = "remount"
#: Moves that are told of.
KEPT: Final = 100

#: What no mount lies at, above or below, but those that every vault has.
RESERVED: Final = ("sys/", "cubbyhole/", "identity/", "audit/")
#: Likewise, of logins: tokens of the vault itself.


def check_paths(source: str, target: str) -> None:
    """Raise InvalidRequest for a move that no mount can make."""
    if source.startswith((*RESERVED, TOKENS)):
        raise InvalidRequest(f'cannot remount "{source}"')
    if target.startswith((*RESERVED, TOKENS)):
        raise InvalidRequest(f'cannot remount to destination "{target}"')
    if source.startswith(LOGINS) and not target.startswith(LOGINS):
        raise InvalidRequest(f'cannot remount auth mount to non-auth mount "{target}"')
    if target == LOGINS or target.startswith(LOGINS) != source.startswith(LOGINS):
        raise InvalidRequest(f'cannot remount to destination "{target}"')
    check_path(target)


async def note(tr: Transaction, context: TenantContext, migration: str, moved: Moved) -> None:
    """Write what is told of a move, in the transaction that makes it."""
    keys = context.keys
    known = await tr.get_keys(*keys.span(AREA), limit=2 * KEPT)
    for key in known[: max(0, len(known) + 1 - KEPT)]:
        tr.clear(key)
    place = keys.key(AREA, context.clock(), migration)
    tr.set(place, context.keyring.seal(place, stored.encode(moved)))


async def read(context: TenantContext, migration: str) -> Moved:
    """Return what is known of a move; raises NotFound."""

    async def look(tr: Reads) -> tuple[bytes, bytes]:
        for key, record in await tr.get_range(*context.keys.span(AREA), limit=2 * KEPT):
            if context.keys.parts(key)[2] == migration:
                return key, record
        raise NotFound

    key, record = await context.store.read(look)
    return stored.decode(context.keyring.open(key, record), Moved, "record of a move")
