"""Identities of a tenant: entities, aliases and groups, and who bearers of tokens are.

What an entity may do is kept in memory, in front of the store; who changes something says so in the change log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

from kms_actors.actors.identity.resolving import IdentityChanged, resolve
from kms_actors.actors.identity.storage import IdentityReader
from kms_actors.actors.tenant.authorities import AuthoritiesChanged
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.actors.tenant.loading import LoadEnded, LoadingCache
from kms_actors.cache import ByteCache
from kms_actors.errors import NotFound
from kms_actors.identity.messages import Resolved, ResolveEntity
from kms_actors.messages import Message

#: Bytes of the resolved entities that a tenant keeps, and of each beside its texts.
_CACHE_BYTES: Final = 8 << 20
_ENTITY_BYTES: Final = 1_500


class EntityLoaded(LoadEnded, frozen=True):
    """A load of what an entity may do has ended."""


#: What an `IdentityController` handles.
IDENTITY_MESSAGES: Final[tuple[type[Message], ...]] = (ResolveEntity, EntityLoaded, IdentityChanged)


class IdentityController:
    """Resolves entities from a cache in front of the store."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        kept: ByteCache[str, Resolved] = ByteCache(_CACHE_BYTES, _size, account=context.account)
        self._cache = LoadingCache(kept, context, EntityLoaded)

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            ResolveEntity: self._resolve,
            EntityLoaded: self._loaded,
            IdentityChanged: self._changed,
        }

    def _resolve(self, message: ResolveEntity) -> Resolved | asyncio.Task[Resolved]:
        kept = self._cache.get(message.entity_id)
        if kept is not None:
            return kept
        load = self._cache.load(message.entity_id, partial(self._load, message.entity_id))
        return self._context.spawn(self._cache.wait(load))

    async def _load(self, entity_id: str) -> Resolved:
        context = self._context
        found = await context.store.read(
            lambda tr: resolve(IdentityReader(tr, context.keys, context.keyring), entity_id)
        )
        if found is None:
            raise NotFound
        return found

    def _loaded(self, event: EntityLoaded) -> None:
        if event.value is not None and event.value.entity_id != event.key:
            # Asked for by the id of one that was merged: a change is told by the id it has now.
            event = msgspec.structs.replace(event, value=None)
        self._cache.loaded(event)

    def _changed(self, event: IdentityChanged) -> None:
        if event.entity_id:
            self._cache.changed(event.entity_id)
        else:
            self._cache.changed_all()
        self._context.notify(AuthoritiesChanged(event.entity_id))


def _size(_: str, found: Resolved) -> int:
    return _ENTITY_BYTES + 2 * len(found.subject.key) + sum(map(len, found.policies))
