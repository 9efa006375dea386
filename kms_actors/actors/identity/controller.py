"""Identities of a tenant: entities, aliases and groups, and who bearers of tokens are.

What an entity may do is kept in memory, in front of the store; who changes something says so in the change log.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from kms_actors.actors.cluster.changes import IDENTITY
from kms_actors.actors.identity import aliases, duties, entities, group_aliases, groups, lists
from kms_actors.actors.identity.outcome import Given, Outcome
from kms_actors.actors.identity.resolving import IdentityChanged, draw, resolve
from kms_actors.actors.identity.storage import IdentityReader, IdentityRecords
from kms_actors.actors.tenant.authorities import DutyLeft, note_change
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.actors.tenant.loading import LoadEnded, LoadingCache
from kms_actors.cache import ByteCache
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.identity.limits import MAX_DELETED
from kms_actors.identity.messages import (
    CountEntities,
    DeleteAlias,
    DeleteEntities,
    DeleteGroup,
    DeleteGroupAlias,
    FindAlias,
    FindEntity,
    FindGroup,
    FindGroupAlias,
    ListAliases,
    ListEntities,
    ListGroups,
    MergeEntities,
    Resolved,
    ResolveEntity,
    WriteAlias,
    WriteEntity,
    WriteGroup,
    WriteGroupAlias,
)
from kms_actors.messages import Message
from kms_actors.store.api import Transaction

Look = Callable[[IdentityReader, Any], Awaitable[Any]]
Work = Callable[[IdentityRecords, Any, Given], Awaitable[Outcome]]
List = Callable[[TenantContext, Any], Awaitable[list[Any]]]

#: Bytes of the resolved entities that a tenant keeps, and of each beside its texts.
_CACHE_BYTES: Final = 8 << 20
_ENTITY_BYTES: Final = 1_500
#: Entities removed in one transaction.
_DELETED_AT_ONCE: Final = 25
#: Seconds after which a node looks whether another has done what was left to be removed, and as many more by chance.
_LOOK_SECONDS: Final = 30.0


class EntityLoaded(LoadEnded, frozen=True):
    """A load of what an entity may do has ended."""


class IdentityController:
    """Runs each message's work in a transaction, and resolves entities from a cache in front of the store."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        kept: ByteCache[str, Resolved] = ByteCache(_CACHE_BYTES, _size, account=context.account)
        self._cache = LoadingCache(kept, context, EntityLoaded)
        self._doing: asyncio.Task[int] | None = None
        self._looks = False
        self._look_later()  # a node may have ended over it

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            **{kind: partial(self._look, look) for kind, look in _QUERIES.items()},
            **{kind: partial(self._list, read) for kind, read in _LISTS.items()},
            CountEntities: lambda message: self._context.spawn(lists.count_entities(self._context, message)),
            **{kind: partial(self._command, work) for kind, work in _COMMANDS.items()},
            DeleteEntities: lambda message: self._context.spawn(self._delete(message)),
            ResolveEntity: self._resolve,
            EntityLoaded: self._loaded,
            IdentityChanged: self._changed,
            DutyLeft: self._do,
        }

    def _look(self, look: Look, message: Any) -> asyncio.Task[Any]:
        context = self._context
        return context.spawn(
            context.store.read(lambda tr: look(IdentityReader(tr, context.keys, context.keyring), message))
        )

    def _list(self, read: List, message: Any) -> asyncio.Task[list[Any]]:
        return self._context.spawn(self._listed(read, message))

    async def _listed(self, read: List, message: Any) -> list[Any]:
        found = await read(self._context, message)
        if not found:
            raise NotFound
        return found

    def _command(self, work: Work, message: Any) -> asyncio.Task[Any]:
        return self._context.spawn(self._commit(work, message))

    async def _commit(self, work: Work, message: Any) -> Any:
        context = self._context
        given = Given(draw(), context.clock())
        mount = getattr(message, "mount", None)

        async def body(tr: Transaction) -> Outcome:
            done = await work(IdentityRecords(tr, context.keys, context.keyring), message, given)
            for entity in done.changed:
                context.record(tr, IDENTITY, entity)
            if done.changed:
                note_change(tr, context.keys)
            return done

        # What the caller may change may be what allows him to.
        done = await context.store.change(body, mount=None if mount is None else mount.number, of_grounds=True)
        # Asked, not told: nobody is answered by what was kept before, once this is.
        for entity in done.changed:
            await context.ask(IdentityChanged(entity))
        if done.left:
            context.notify(DutyLeft())
        return done.answer

    async def _delete(self, message: DeleteEntities) -> None:
        if len(message.ids) > MAX_DELETED:
            raise InvalidRequest(f"entity_ids has more than {MAX_DELETED} entries")
        if message.name:
            await self._commit(entities.delete_entities, message)
        for start in range(0, len(message.ids), _DELETED_AT_ONCE):
            some = message.ids[start : start + _DELETED_AT_ONCE]
            await self._commit(entities.delete_entities, DeleteEntities(some))

    # What an entity may do.

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
            self._look_later()

    # What is left to be removed.

    def _look_later(self) -> None:
        if not self._looks:
            self._looks = True
            delay = _LOOK_SECONDS * (1 + random.random())  # noqa: S311  # spreads work, no secret
            asyncio.get_running_loop().call_later(delay, self._context.notify, DutyLeft())

    def _do(self, _: DutyLeft) -> None:
        self._looks = False
        if self._doing is None or self._doing.done():
            self._doing = self._context.spawn_apart(duties.do_all(self._context))


def _size(_: str, found: Resolved) -> int:
    return _ENTITY_BYTES + 2 * len(found.subject.key) + sum(map(len, found.policies))


_QUERIES: Final[Mapping[type[Message], Look]] = {
    FindEntity: entities.find_entity,
    FindAlias: aliases.find_alias,
    FindGroup: groups.find_group,
    FindGroupAlias: group_aliases.find_group_alias,
}
_LISTS: Final[Mapping[type[Message], List]] = {
    ListEntities: lists.list_entities,
    ListAliases: lists.list_aliases,
    ListGroups: lists.list_groups,
}
_COMMANDS: Final[Mapping[type[Message], Work]] = {
    WriteEntity: entities.write_entity,
    MergeEntities: entities.merge_entities,
    WriteAlias: aliases.write_alias,
    DeleteAlias: aliases.delete_alias,
    WriteGroup: groups.write_group,
    DeleteGroup: groups.delete_group,
    WriteGroupAlias: group_aliases.write_group_alias,
    DeleteGroupAlias: group_aliases.delete_group_alias,
}

#: What an `IdentityController` handles.
IDENTITY_MESSAGES: Final[tuple[type[Message], ...]] = (
    *_QUERIES,
    *_LISTS,
    CountEntities,
    *_COMMANDS,
    DeleteEntities,
    ResolveEntity,
    EntityLoaded,
    IdentityChanged,
    DutyLeft,
)
