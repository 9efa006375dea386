"""Cubbyholes in a tenant actor: nothing is cached, each request is one transaction.

A token's cubbyhole is there as long as the token is. So each change of one reads the token's accessor: a change that
comes with the token's end, on whichever node, is refused. Where the uses of a token are counted, the use is part of
the transaction, so that the last one still finds what the token keeps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from kms_actors.actors.cubbyhole.room import Room
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.actors.tenant.cubbyholes import Cubbyholes
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.actors.token.using import Using
from kms_actors.cubbyhole import entries
from kms_actors.cubbyhole.messages import DeleteEntry, ListEntries, OfCubbyhole, ReadEntry, WriteEntry
from kms_actors.errors import AuthenticationFailed, NotFound, PermissionDenied
from kms_actors.messages import Message
from kms_actors.store.api import Transaction

T = TypeVar("T")

#: What a `CubbyholeController` handles.
CUBBYHOLE_MESSAGES: Final[tuple[type[Message], ...]] = (ReadEntry, ListEntries, WriteEntry, DeleteEntry)


class CubbyholeController:
    """Runs each message's work in a transaction."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._tokens = TokenRecords(context.keys, context.keyring)
        self._using = Using(context, self._tokens)
        self._cubbyholes = Cubbyholes(context.keys, context.keyring)
        self._room = Room(context, self._cubbyholes)

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            ReadEntry: lambda message: self._spawn(self._read(message)),
            ListEntries: lambda message: self._spawn(self._list(message)),
            WriteEntry: lambda message: self._spawn(self._write(message)),
            DeleteEntry: lambda message: self._spawn(self._delete(message)),
        }

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        return self._context.spawn(work)

    async def _read(self, message: ReadEntry) -> bytes:
        async def look(tr: Transaction) -> bytes | None:
            return await self._cubbyholes.entry(tr, message.accessor, message.path)

        found = await self._look(message, look)
        if found is None:
            raise NotFound
        return found

    async def _list(self, message: ListEntries) -> list[str]:
        async def look(tr: Transaction) -> list[str]:
            return await self._cubbyholes.paths(tr, message.accessor, message.path, entries.MOST_ENTRIES)

        found = entries.names(await self._look(message, look), message.path)
        if not found:
            raise NotFound
        return found

    async def _write(self, message: WriteEntry) -> None:
        size = entries.size_of(message.path, message.document)
        await self._room.find()

        async def body(tr: Transaction) -> None:
            held, before = await asyncio.gather(
                self._cubbyholes.held(tr, message.accessor),
                self._cubbyholes.entry(tr, message.accessor, message.path),
            )
            if not (message.grants.create if before is None else message.grants.update):
                raise PermissionDenied
            after = entries.written(held, _size(message, before), size)
            self._cubbyholes.set_entry(tr, message.accessor, message.path, message.document)
            self._cubbyholes.hold(tr, message.accessor, held, after)

        await self._change(message, body)

    async def _delete(self, message: DeleteEntry) -> None:
        async def body(tr: Transaction) -> None:
            held, before = await asyncio.gather(
                self._cubbyholes.held(tr, message.accessor),
                self._cubbyholes.entry(tr, message.accessor, message.path),
            )
            size = _size(message, before)
            if size is not None:
                self._cubbyholes.clear_entry(tr, message.accessor, message.path)
                self._cubbyholes.hold(tr, message.accessor, held, entries.removed(held, size))

        await self._change(message, body)

    async def _look(self, message: OfCubbyhole, look: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run what only looks; for a token whose uses are counted, in a change that counts one."""
        if message.counted:
            return await self._change(message, look)
        return await self._context.store.read(look)  # type: ignore[arg-type]  # it reads alone

    async def _change(self, message: OfCubbyhole, body: Callable[[Transaction], Awaitable[T]]) -> T:
        accessor, now = message.accessor, self._context.clock() / 1e9
        place = self._tokens.place(message.counted) if message.counted else None

        async def of_token(tr: Transaction) -> T:
            found, result = await asyncio.gather(self._tokens.accessor(tr, accessor), body(tr))
            if found is None:
                raise AuthenticationFailed("token was revoked")
            if place is not None:
                await self._using.use(tr, place, now)
            return result

        return await self._context.store.change(of_token, mount=None)


def _size(message: OfCubbyhole, document: bytes | None) -> int | None:
    return None if document is None else entries.size_of(message.path, document)
