"""A cache in front of the store that never keeps what was loaded before a change that it has heard of.

A load reads the store in a task, while the actor goes on hearing of changes. What it brings comes back as an event,
and is compared in that event's own turn with what was heard since the load began: a change disowns the loads of its
key that are under way. A disowned load still serves those who waited for it, who asked before the change was heard;
it is not kept, and whoever asks later begins another. All that a tenant caches by keys is in such a cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.cache import ByteCache
from kms_actors.errors import KmsError
from kms_actors.messages import Event

K = TypeVar("K")
V = TypeVar("V")


class Load:
    """One reading of a key from the store, for all who wait for it. Its errors are theirs."""

    task: asyncio.Task[Any]


class LoadEnded(Event, frozen=True):
    """A load has ended; `value` is None if there was nothing, or it failed. Each cache has a type of its own."""

    key: Any
    load: Load
    value: Any


class LoadingCache(Generic[K, V]):
    """`ended` is the event that reports an end of a load here: its turn is to call `loaded`."""

    def __init__(self, kept: ByteCache[K, V], context: TenantContext, ended: type[LoadEnded]) -> None:
        self.kept = kept
        self._context = context
        self._ended = ended
        self._loads: dict[K, Load] = {}

    # All of these are called in turns.

    def get(self, key: K) -> V | None:
        """Return what is kept."""
        return self.kept.get(key)

    def load(self, key: K, read: Callable[[], Awaitable[V | None]]) -> Load:
        """Return the load of a key that is under way, or begin one by `read`."""
        load = self._loads.get(key)
        if load is None or load.task.done():
            load = self._loads[key] = Load()
            load.task = self._context.spawn_apart(self._read(key, load, read))
        return load

    def loaded(self, event: LoadEnded) -> bool:
        """Keep what a load has brought; return False if it is not to be kept."""
        if self._loads.get(event.key) is not event.load:
            return False
        del self._loads[event.key]
        if event.value is None:
            return False
        self.kept.put(event.key, event.value)
        return True

    def changed(self, key: K) -> None:
        """Let go of a key, and of what is being loaded for it."""
        self.kept.discard(key)
        self._loads.pop(key, None)

    def changed_all(self) -> None:
        """Let go of everything, and of what is being loaded."""
        self.kept.clear()
        self._loads.clear()

    def changed_if(self, concerned: Callable[[K], bool]) -> None:
        """Let go of all keys that a change concerns."""
        for key in [*filter(concerned, {**dict.fromkeys(self.kept.keys()), **self._loads})]:
            self.changed(key)

    # In tasks.

    @staticmethod
    async def wait(load: Load) -> Any:
        """Return what a load brings, or raise its error. One caller who gives up takes it from nobody."""
        outcome = await asyncio.shield(load.task)
        if isinstance(outcome, KmsError):
            raise outcome.with_traceback(None)
        return outcome

    async def _read(self, key: K, load: Load, read: Callable[[], Awaitable[V | None]]) -> V | KmsError | None:
        value: V | None = None
        try:
            value = await read()
        except KmsError as error:
            return error.with_traceback(None)  # heard by those who wait
        finally:
            self._context.notify(self._ended(key, load, value))
        return value
