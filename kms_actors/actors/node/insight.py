"""What the node answers about itself: from its settings, from the store, and from the machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import structlog

from kms_actors import request_context
from kms_actors.actors.cluster import members
from kms_actors.actors.node.cors import CorsSettings
from kms_actors.config import Configuration
from kms_actors.errors import Overloaded, Unavailable
from kms_actors.insight.console_headers import ReadConsoleHeaders, WriteConsoleHeader
from kms_actors.insight.cors import DeleteCors, ReadCors, WriteCors
from kms_actors.insight.messages import (
    FindVault,
    FollowLog,
    LevelSet,
    LinesWanted,
    ListMembers,
    ListVaults,
    ListVersions,
    ReadHost,
    ReadInFlight,
    ReadLevels,
    ReadMetrics,
    ReadSettings,
    ReadStacks,
    RequestUnderWay,
    SetLevel,
)
from kms_actors.insight.records import Member
from kms_actors.insight.settings import sanitized
from kms_actors.messages import Message
from kms_actors.observe import host, stacks
from kms_actors.observe.families import Sum
from kms_actors.observe.levels import NAMES
from kms_actors.observe.metrics import as_vault, exposition
from kms_actors.observe.recent import Line
from kms_actors.store.api import Store

#: Vaults in one list.
MOST_VAULTS: Final = 10_000

#: Who may follow the log of one process at a time.
MOST_FOLLOWING: Final = 8
#: Seconds between two batches of lines for who follows the log.
FOLLOW_SECONDS: Final = 0.25

_log = structlog.get_logger(__name__)

Answer = Callable[[Any], Coroutine[Any, Any, Any]]


class Fellows(Protocol):
    """All processes of the node, this one among them."""

    async def gather(self, question: str, argument: Any = None) -> list[Any]:
        """Return what each of them answers; one that is gone or too slow is left out."""

    def metrics(self) -> Awaitable[Sum]:
        """Return the metrics of all of them together."""


class Insight:
    """Of one process. `handlers` are asked by nobody whom the edge has not let through."""

    def __init__(
        self,
        configuration: Configuration,
        store: Store,
        *,
        sealed: Callable[[], bool],
        revoked: Callable[[tuple[str, ...]], bool],
        fellows: Fellows | None,
        cors: CorsSettings,
    ) -> None:
        self._others = fellows
        self._configuration = configuration
        self._sealed = sealed
        self._revoked = revoked
        self._following = 0
        self._store = store
        self.handlers: Mapping[type[Message], Answer] = {
            ReadHost: self._read_host,
            ReadSettings: self._read_settings,
            ListMembers: self._list_members,
            ListVersions: self._list_versions,
            ListVaults: self._list_vaults,
            FindVault: self._find_vault,
            ReadMetrics: self._read_metrics,
            ReadLevels: self._read_levels,
            SetLevel: self._set_level,
            ReadInFlight: self._read_in_flight,
            FollowLog: self._follow_log,
            ReadStacks: self._read_stacks,
            ReadCors: cors.read,
            WriteCors: cors.write,
            DeleteCors: cors.delete,
            ReadConsoleHeaders: cors.console.read,
            WriteConsoleHeader: cors.console.write,
        }

    @property
    def _fellows(self) -> Fellows:
        if self._others is None:
            raise Unavailable("this process is no node's")
        return self._others

    @property
    def _namespace(self) -> str:
        return self._configuration.master_keyring_provider.namespace

    async def _read_host(self, _: ReadHost) -> dict[str, Any]:
        return await asyncio.to_thread(_host, self._configuration.cluster.path)

    async def _read_settings(self, _: ReadSettings) -> dict[str, Any]:
        return sanitized(self._configuration)

    async def _list_members(self, _: ListMembers) -> list[Member]:
        """Return the nodes; what this one said last is some seconds old, and what it is now is known."""
        now = time.time()
        own = self._configuration.master_keyring_provider.node_name
        return [
            msgspec.structs.replace(each, heard=now, sealed=self._sealed()) if each.name == own else each
            for each in await members.list_members(self._store, self._namespace, now)
        ]

    async def _list_versions(self, _: ListVersions) -> Any:
        return await members.list_versions(self._store, self._namespace)

    async def _list_vaults(self, message: ListVaults) -> Any:
        limit = min(message.limit or MOST_VAULTS, MOST_VAULTS)
        return await members.list_vaults(self._store, message.after, limit)

    async def _find_vault(self, message: FindVault) -> Any:
        return await members.find_vault(self._store, message.vault_id)

    async def _read_metrics(self, message: ReadMetrics) -> bytes | dict[str, Any]:
        found = await self._fellows.metrics()
        if message.prometheus:
            return exposition(found)
        return as_vault(found, time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime()))

    async def _read_levels(self, _: ReadLevels) -> dict[str, str]:
        return await self._levels()

    async def _levels(self) -> dict[str, str]:
        shown: dict[str, str] = {}
        for levels in await self._fellows.gather("levels"):
            shown |= levels
        return dict(sorted(shown.items()))

    async def _set_level(self, message: SetLevel) -> bool:
        if message.name and message.name not in await self._levels():
            return False
        context = request_context.current()
        level = "as configured" if message.level is None else NAMES[message.level]
        origin = {"request_id": context.id, "by": context.by}
        # Before it is: afterwards this line may be one of those that are left out.
        _log.warning("level of the log is set", of=message.name or "all", to=level, **origin)
        return any(await self._fellows.gather("set-level", LevelSet(message.level, message.name)))

    async def _read_in_flight(self, _: ReadInFlight) -> list[RequestUnderWay]:
        found: list[RequestUnderWay] = []
        for requests in await self._fellows.gather("in-flight"):
            found += requests
        return found

    async def _read_stacks(self, _: ReadStacks) -> str:
        return stacks.describe()

    async def _follow_log(self, message: FollowLog) -> AsyncIterator[list[Line]]:
        if self._following >= MOST_FOLLOWING:
            raise Overloaded("enough others follow the log of this node")
        return self._lines(message)

    async def _lines(self, message: FollowLog) -> AsyncIterator[list[Line]]:
        """Yield what was logged since the last batch, in all processes; an empty one where that is nothing."""
        self._following += 1
        since = time.time()
        try:
            while since < message.ends and not self._revoked(message.revocation_ids):
                await asyncio.sleep(FOLLOW_SECONDS)
                until = time.time()
                found: list[Line] = []
                for lines in await self._fellows.gather("lines", LinesWanted(since, until, message.level)):
                    found += lines
                since = until
                yield sorted(found, key=lambda line: line.time)
        finally:
            self._following -= 1


def _host(store: str | None) -> dict[str, Any]:
    """Return what the machine is, with the disks of the system and of an embedded store."""
    return host.describe(["/"] if store is None else ["/", str(Path(store).absolute().parent)])
