"""KV version 2 in a tenant actor. Nothing is cached: each request is one transaction, so reads are always fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final

from kms_actors import request_context
from kms_actors.actors.kv.queue import (
    COMPANY_SECONDS,
    MOST_BYTES,
    Answer,
    SecretId,
    SecretQueues,
    Waiting,
)
from kms_actors.actors.kv.storage import MountReader, MountStorage
from kms_actors.actors.tenant.context import (
    Handler,
    TenantContext,
)
from kms_actors.actors.tenant.listing import Names, list_names
from kms_actors.errors import (
    AuthenticationFailed,
    KmsError,
    NotFound,
    PermissionDenied,
    StoreError,
    TransactionTooLarge,
    Unavailable,
)
from kms_actors.kv import documents, engine, settings
from kms_actors.kv.keys import MountKeys
from kms_actors.kv.messages import (
    DeleteMetadata,
    DeleteVersions,
    DestroyVersions,
    ListSecrets,
    MetadataWritten,
    PatchMetadata,
    PatchSecret,
    ReadConfig,
    ReadMetadata,
    ReadSecret,
    ReadSubkeys,
    SecretVersion,
    UndeleteVersions,
    WriteConfig,
    WriteMetadata,
    WriteSecret,
)
from kms_actors.kv.records import Config, Head, KeyMetadata
from kms_actors.messages import (
    Event,
    Grants,
    Message,
)
from kms_actors.store.api import Transaction

Look = Callable[[MountReader, Any, int], Awaitable[Any]]
Work = Callable[[MountStorage, Any, int], Awaitable[Any]]


#: Bytes of a document from which merging it takes long enough to let others go on in between.
_LARGE: Final = 64 * 1024


class SecretFree(Event, frozen=True):
    """The commands for one secret that were under way have ended; `go_on` starts those that wait.

    It leads to the queue they are in, also where that is of a controller from before a seal: all must be answered.
    """

    go_on: Callable[[], None]


class KvController:
    """Runs each message's work in a transaction. Work may run again on conflict; its time is taken before.

    Commands for one secret never compete with each other: see `kv_queue`.
    """

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._keys: dict[int, MountKeys] = {}
        self._queues = SecretQueues()

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            **{kind: partial(self._look, look) for kind, look in _QUERIES.items()},
            ListSecrets: lambda message: self._context.spawn(self._list(message)),
            WriteConfig: lambda message: self._context.spawn(self._write_config(message)),
            **dict.fromkeys(_COMMANDS, self._queue),
            SecretFree: lambda event: event.go_on(),
        }

    def _look(self, look: Look, message: Any) -> asyncio.Task[Any]:
        keys, keyring, now = self._keys_of(message.mount), self._context.keyring, self._context.clock()
        return self._context.spawn(
            self._context.store.read(lambda tr: look(MountReader(tr, keys, keyring), message, now))
        )

    async def _list(self, message: ListSecrets) -> list[str]:
        context, keys = self._context, self._keys_of(message.mount)

        def read(after: str, limit: int, goes_on: bool) -> Awaitable[Names]:
            return context.store.read(
                lambda tr: MountReader(tr, keys, context.keyring).names(message.folder, after, limit, goes_on=goes_on)
            )

        rest = partial(context.turns.turn, context.vault_id)
        names = await list_names(read, message.after, message.limit, context.long_reads, rest)
        if not names:
            raise NotFound
        return names

    async def _write_config(self, message: WriteConfig) -> None:
        now = self._context.clock()
        body = partial(self._work, _write_config, message, now)
        await self._context.store.change(body, mount=message.mount)

    def _work(self, work: Work, message: Any, now: int, transaction: Transaction) -> Awaitable[Any]:
        return work(MountStorage(transaction, self._keys_of(message.mount), self._context.keyring), message, now)

    def _keys_of(self, mount: int) -> MountKeys:
        keys = self._keys.get(mount)
        if keys is None:
            keys = self._keys[mount] = MountKeys(self._context.keys, mount)
        return keys

    def _queue(self, command: Any) -> Answer:
        return self._queues.add(command, (command.mount, command.path), self._context.clock(), self._start_commands)

    def _start_commands(self, secret: SecretId, commands: Sequence[Waiting]) -> None:
        self._context.spawn(self._run_commands(secret, commands))

    async def _run_commands(self, secret: SecretId, commands: Sequence[Waiting]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        outcomes: list[Any] = [Unavailable("stopped before the outcome was known")] * len(commands)
        try:
            outcomes = await self._commit(secret, commands)
        except (TransactionTooLarge, AuthenticationFailed) as error:
            # Each may be small enough by itself, or by another token, and none may suffer for another.
            outcomes = [error] if len(commands) == 1 else await self._one_by_one(secret, commands)
        except KmsError as error:
            outcomes = [error] * len(commands)
        finally:
            answer(commands[: len(outcomes)], outcomes)
            done = partial(self._queues.done, secret, self._start_commands, commands[len(outcomes) :])
            free = partial(self._context.notify, SecretFree(done))
            if len(commands) > 1 or self._queues.waits(secret):
                loop.call_later(min(loop.time() - started, COMPANY_SECONDS), free)
            else:
                free()

    async def _one_by_one(self, secret: SecretId, commands: Sequence[Waiting]) -> list[Any]:
        outcomes: list[Any] = []
        for waiting in commands:
            try:
                outcomes += await self._commit(secret, (waiting,))
            except KmsError as error:
                outcomes.append(error)
        return outcomes

    async def _commit(self, secret: SecretId, commands: Sequence[Waiting]) -> list[Any]:
        async def body(transaction: Transaction) -> list[Any]:
            outcomes: list[Any] = []
            for waiting in commands:
                outcomes.append(await self._outcome(waiting, transaction))
                if transaction.size > MOST_BYTES:  # each has written the head anew, however large that is
                    break
            return outcomes

        if len(commands) == 1:
            request_context.enter(commands[0].request)
        else:
            request_context.enter(min((waiting.request for waiting in commands), key=attrgetter("ends")))
        bearers = {waiting.request.bearer for waiting in commands if waiting.request.bearer is not None}
        return await self._context.store.change(body, mount=secret[0], bearers=bearers)

    async def _outcome(self, waiting: Waiting, transaction: Transaction) -> Any:
        """Return a command's answer, or the error that is its answer alone: it was raised before any write."""
        try:
            return await self._work(_COMMANDS[type(waiting.command)], waiting.command, waiting.now, transaction)
        except StoreError:
            raise
        except KmsError as error:
            return error.with_traceback(None)  # whose frames hold what holds the error


def answer(commands: Sequence[Waiting], outcomes: Sequence[Any]) -> None:
    """Answer each command with its outcome."""
    for waiting, outcome in zip(commands, outcomes, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(outcome, KmsError):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)


async def _read_config(storage: MountReader, _: ReadConfig, __: int) -> Config:
    return await storage.config()


async def _write_config(storage: MountStorage, message: WriteConfig, _: int) -> None:
    storage.write_config(settings.configured(await storage.config(), message.settings))


async def _read_secret(storage: MountReader, message: ReadSecret | ReadSubkeys, now: int) -> SecretVersion:
    if message.version > 0:
        head = await storage.head_beside_data(message.path, message.version)
    else:
        head = await storage.head(message.path)
    if head is None:
        raise NotFound
    number = message.version if message.version > 0 else head.metadata.current_version
    if number not in head.metadata.versions:
        raise NotFound
    readable = head.metadata.versions[number].readable(now)
    data = await storage.data(message.path, head, number) if readable else None
    return _version(head.metadata, number, now, data)


async def _read_subkeys(storage: MountReader, message: ReadSubkeys, now: int) -> SecretVersion:
    found = await _read_secret(storage, message, now)
    if found.data is None:
        return found
    names = documents.subkeys(found.data, message.depth)
    return SecretVersion(found.number, found.version, found.custom_metadata, found.readable, names)


async def _write_secret(storage: MountStorage, message: WriteSecret, now: int) -> SecretVersion:
    head, config = await storage.head_and_config(message.path)
    _authorise(message.grants, head)
    metadata = engine.put(head.metadata if head else None, config, message.cas, now)
    storage.add_version(message.path, head, metadata, message.data)
    return _version(metadata, metadata.current_version, now)


async def _patch_secret(storage: MountStorage, message: PatchSecret, now: int) -> SecretVersion | None:
    head, config = await storage.head_and_config(message.path)
    if head is None:
        return None
    engine.check_and_set(head.metadata, config, message.cas)  # first, also where nothing can be patched
    if not head.metadata.versions:
        return None
    current = _version(head.metadata, head.metadata.current_version, now)
    if not current.readable:
        return current
    metadata = engine.put(head.metadata, config, message.cas, now)
    data = documents.merge(await storage.data(message.path, head, current.number), message.patch)
    storage.add_version(message.path, head, metadata, data)
    if len(data) > _LARGE:
        await asyncio.sleep(0)  # others of the same transaction may be as large
    return _version(metadata, metadata.current_version, now)


async def _delete_versions(storage: MountStorage, message: DeleteVersions, now: int) -> None:
    head = await storage.head(message.path)
    if head is not None:
        numbers = (head.metadata.current_version,) if message.versions is None else message.versions
        storage.update(message.path, head, engine.delete(head.metadata, numbers, now))


async def _undelete_versions(storage: MountStorage, message: UndeleteVersions, now: int) -> None:
    head, config = await storage.head_and_config(message.path)
    if head is not None:
        storage.update(message.path, head, engine.undelete(head.metadata, config, message.versions, now))


async def _destroy_versions(storage: MountStorage, message: DestroyVersions, now: int) -> None:
    head = await storage.head(message.path)
    if head is not None:
        storage.update(message.path, head, engine.destroy(head.metadata, message.versions, now))


async def _read_metadata(storage: MountReader, message: ReadMetadata, _: int) -> KeyMetadata:
    head = await storage.head(message.path)
    if head is None:
        raise NotFound
    return head.metadata


async def _write_metadata(storage: MountStorage, message: WriteMetadata, now: int) -> MetadataWritten:
    head, config = await storage.head_and_config(message.path)
    _authorise(message.grants, head)
    return _apply(storage, message, head, config, now)


async def _patch_metadata(storage: MountStorage, message: PatchMetadata, now: int) -> MetadataWritten | None:
    head, config = await storage.head_and_config(message.path)
    if head is not None:
        return _apply(storage, message, head, config, now)
    settings.applied(None, message.settings, now)  # a mistake is told first
    return MetadataWritten() if message.settings.empty else None


async def _delete_metadata(storage: MountStorage, message: DeleteMetadata, _: int) -> None:
    storage.remove(message.path)


#: Settings of a secret that its mount may demand.
_MANDATED: Final = ("cas_required", "metadata_cas_required")


def _apply(
    storage: MountStorage, message: WriteMetadata | PatchMetadata, head: Head | None, config: Config, now: int
) -> MetadataWritten:
    sent = message.settings
    if not sent.empty:
        metadata = head.metadata if head else None
        after = settings.applied(metadata, sent, now)  # a mistake is told first
        settings.check_and_set(metadata, config, sent)
        storage.update(message.path, head, after)
    still = (name for name in _MANDATED if getattr(config, name) and getattr(sent, name) is False)
    return MetadataWritten(tuple(still))


def _authorise(grants: Grants, head: Head | None) -> None:
    if not (grants.create if head is None else grants.update):
        raise PermissionDenied


def _version(metadata: KeyMetadata, number: int, now: int, data: bytes | None = None) -> SecretVersion:
    version = metadata.versions[number]
    return SecretVersion(number, version, metadata.custom_metadata, version.readable(now), data)


_QUERIES: Final[Mapping[type[Message], Look]] = {
    ReadConfig: _read_config,
    ReadSecret: _read_secret,
    ReadSubkeys: _read_subkeys,
    ReadMetadata: _read_metadata,
}

#: Changes of one secret, in the order in which they come.
_COMMANDS: Final[Mapping[type[Message], Work]] = {
    WriteSecret: _write_secret,
    PatchSecret: _patch_secret,
    DeleteVersions: _delete_versions,
    UndeleteVersions: _undelete_versions,
    DestroyVersions: _destroy_versions,
    WriteMetadata: _write_metadata,
    PatchMetadata: _patch_metadata,
    DeleteMetadata: _delete_metadata,
}

#: What a `KvController` handles.
KV_MESSAGES: Final[tuple[type[Message], ...]] = (*_QUERIES, ListSecrets, WriteConfig, *_COMMANDS)
