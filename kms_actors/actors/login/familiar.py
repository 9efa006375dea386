"""Entities as earlier logins found them: what the same records say again need not be worked out again.

A login that finds the index of its alias and the entity byte for byte as they were, and the entity in no group, has
found the same entity. All of it is read in one go, within the login's transaction, so nothing here can be out of
date: it only spares the opening of records, and waiting for one after the other.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kms_actors.actors.identity import places
from kms_actors.actors.identity.places import IdentityKeys
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.cache import ByteCache
from kms_actors.identity.messages import Resolved
from kms_actors.login.outcome import Outcome
from kms_actors.mounts import Mount
from kms_actors.store.api import Transaction

#: Bytes that all entries of a vault may take, and what one takes beside its records, as they are estimated.
_CACHE_BYTES: Final = 512 * 1024
_ENTRY_BYTES: Final = 2_000


class Places(NamedTuple):
    """Where the records of an entity lie, and where none may be."""

    keys: tuple[bytes, bytes]
    members: tuple[bytes, bytes]


class _Seen(NamedTuple):
    """What a login has found, and the records that said so."""

    metadata: dict[str, str]
    keys: tuple[bytes, bytes]
    records: list[bytes | None]
    members: tuple[bytes, bytes]
    entity: Resolved


class Familiar:
    """The entities of one vault that log in again and again."""

    def __init__(self, context: TenantContext) -> None:
        self._keys = IdentityKeys(context.keys, context.keyring)
        self._seen: ByteCache[tuple[int, str], _Seen] = ByteCache(_CACHE_BYTES, _size, account=context.account)

    def look_ahead(self, tr: Transaction, mount: Mount, alias: str) -> None:
        """Have what `find` reads be read with what else is, where a login says itself who comes."""
        seen = self._seen.get((mount.number, alias))
        if seen is not None:
            tr.get_many(seen.keys)

    async def find(self, tr: Transaction, mount: Mount, outcome: Outcome) -> Resolved | None:
        """Return who logs in, if that is as it was; None where it has to be worked out."""
        seen = self._seen.get((mount.number, outcome.alias))
        if seen is None or outcome.groups or seen.metadata != outcome.alias_metadata:
            return None
        reading = tr.get_many(seen.keys)
        members = await tr.get_keys(*seen.members, limit=1)
        return seen.entity if await reading == seen.records and not members else None

    def places(self, mount: Mount, outcome: Outcome, entity: Resolved) -> Places | None:
        """Return the places that say who somebody is; None of one of whom more is to be looked at."""
        if outcome.groups or entity.groups or entity.changed:
            return None
        index = self._keys.by_alias(places.ALIAS_NAME, mount.accessor, outcome.alias)
        members = self._keys.links(places.MEMBER_OF, entity.entity_id)
        return Places((index, self._keys.entity(entity.entity_id)), members)

    async def learn(self, tr: Transaction, mount: Mount, outcome: Outcome, entity: Resolved) -> None:
        """Take in who has logged in, within the same transaction; should that not commit, the records will differ."""
        found = self.places(mount, outcome, entity)
        if found is None:
            return
        records = await tr.get_many(found.keys)
        seen = _Seen(dict(outcome.alias_metadata), found.keys, records, found.members, entity)
        self._seen.put((mount.number, outcome.alias), seen)


def _size(_: tuple[int, str], seen: _Seen) -> int:
    return _ENTRY_BYTES + sum(len(record) for record in seen.records if record is not None)
