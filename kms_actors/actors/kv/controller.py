"""KV in a tenant actor. Nothing is cached: each request is one transaction, so reads are always fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final

from kms_actors import request_context
from kms_actors.actors.kv import unversioned, versioned
from kms_actors.actors.kv.lists import list_metadata, list_secrets
from kms_actors.actors.kv.queue import (
    COMPANY_SECONDS,
    MOST_BYTES,
    Answer,
    SecretId,
    SecretQueues,
    Waiting,
)
from kms_actors.actors.kv.storage import MountReader, MountStorage
from kms_actors.actors.kv.unversioned import read_unversioned, require_unversioned
from kms_actors.actors.kv.versioned import Look, Work
from kms_actors.actors.tenant.context import (
    Handler,
    TenantContext,
)
from kms_actors.errors import (
    AuthenticationFailed,
    DevicesChanged,
    KmsError,
    NoMount,
    NotRecorded,
    PoliciesChanged,
    StoreError,
    TransactionTooLarge,
    Unavailable,
)
from kms_actors.kv.keys import MountKeys
from kms_actors.kv.messages import ListMetadata, ListSecrets, ScanSecrets, WriteConfig
from kms_actors.messages import (
    Event,
    Message,
)
from kms_actors.store.api import Reads, Transaction


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
            **{kind: partial(self._look, look) for kind, look in versioned.QUERIES.items()},
            **{kind: partial(self._look_unversioned, look) for kind, look in unversioned.QUERIES.items()},
            **dict.fromkeys((ListSecrets, ScanSecrets), partial(self._list, list_secrets)),
            ListMetadata: partial(self._list, list_metadata),
            WriteConfig: lambda message: self._context.spawn(self._write_config(message)),
            **dict.fromkeys(_COMMANDS, self._queue),
            SecretFree: lambda event: event.go_on(),
        }

    def _look(self, look: Look, message: Any) -> asyncio.Task[Any]:
        return self._context.spawn(self._context.store.read(self._looking(look, message)))

    def _look_unversioned(self, look: Look, message: Any) -> asyncio.Task[Any]:
        return self._context.spawn(read_unversioned(self._context.store, message.mount, self._looking(look, message)))

    def _looking(self, look: Look, message: Any) -> Callable[[Reads], Awaitable[Any]]:
        keys, keyring, now = self._keys_of(message.mount), self._context.keyring, self._context.clock()
        return lambda tr: look(MountReader(tr, keys, keyring), message, now)

    def _list(self, make: Callable[..., Coroutine[Any, Any, Any]], message: Any) -> asyncio.Task[Any]:
        return self._context.spawn(make(self._context, self._keys_of(message.mount), message))

    async def _write_config(self, message: WriteConfig) -> None:
        now = self._context.clock()
        body = partial(self._work, versioned.write_config, message, now)
        await self._context.store.change(body, mount=message.mount)

    def _work(self, work: Work, message: Any, now: int, transaction: Transaction) -> Awaitable[Any]:
        if type(message) in unversioned.COMMANDS:
            require_unversioned(self._context.store, message.mount)
        context, keys = self._context, self._keys_of(message.mount)
        return work(MountStorage(transaction, keys, context.keyring, context.tallies), message, now)

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
        except (
            TransactionTooLarge,
            AuthenticationFailed,
            PoliciesChanged,
            NoMount,
            DevicesChanged,
            NotRecorded,
        ) as error:
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
        elif len({waiting.request.below for waiting in commands}) > 1:
            raise NoMount  # of some: the mount was moved
        else:
            request_context.enter(min((waiting.request for waiting in commands), key=attrgetter("ends")))
        requests = [waiting.request for waiting in commands]
        return await self._context.store.change(body, mount=secret[0], requests=requests)

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


#: Changes of one secret, in the order in which they come.
_COMMANDS: Final[Mapping[type[Message], Work]] = {**versioned.COMMANDS, **unversioned.COMMANDS}

#: What a `KvController` handles.
KV_MESSAGES: Final[tuple[type[Message], ...]] = (
    *versioned.QUERIES,
    *unversioned.QUERIES,
    ListSecrets,
    ScanSecrets,
    ListMetadata,
    WriteConfig,
    *_COMMANDS,
)
