"""The nodes of a cluster, and the versions that ran: each node says now and then that it is there.

(root, `member`, namespace, node name)    Member, written every `BEAT_SECONDS`
(root, `version`, namespace, version)     Installed, written by the first node of that version

Nothing rests on them but what people are shown. A node that is sealed is there, too.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from kms_actors import API_VERSION, request_context
from kms_actors.errors import FormatError, KmsError
from kms_actors.insight.records import (
    BEAT_SECONDS,
    MOST,
    Installed,
    InstalledVersion,
    Member,
    in_order,
    living,
)
from kms_actors.keyring import stored
from kms_actors.runtime.lasting import Lasting
from kms_actors.store import keyspace
from kms_actors.store.api import Priority, Reads, Store, Transaction

T = TypeVar("T", bound=msgspec.Struct)

_log = structlog.get_logger(__name__)


class Heartbeat:
    """One node's part: says that it is there from `start` to `stop`."""

    def __init__(self, store: Store, namespace: str, about: Member, sealed: Callable[[], bool]) -> None:
        self._store = store
        self._key = keyspace.member(namespace, about.name)
        self._namespace = namespace
        self._about = about
        self._sealed = sealed
        self._beating = Lasting("heartbeat", self._beat, BEAT_SECONDS)

    async def start(self) -> None:
        """Note the version, and begin."""
        await note_version(self._store, self._namespace, API_VERSION, self._about.started)
        request_context.apart().run(self._beating.start)

    async def stop(self) -> None:
        """Say no more, and take back that it is there."""
        await self._beating.stop()
        try:
            await self._store.run(self._leave)
        except KmsError as error:
            _log.warning("a node that stops is still listed for a while", error=type(error).__name__)

    async def _beat(self) -> None:
        while True:
            await self._store.run(self._say, priority=Priority.BATCH)
            await asyncio.sleep(BEAT_SECONDS)

    async def _say(self, tr: Transaction) -> None:
        said = msgspec.structs.replace(self._about, heard=time.time(), sealed=self._sealed())
        tr.set(self._key, stored.encode(said))

    async def _leave(self, tr: Transaction) -> None:
        tr.clear(self._key)


def member_of(name: str, address: str) -> Member:
    """Return what this process says of its node, before it has said anything."""
    now = time.time()
    return Member(name, socket.gethostname(), address, API_VERSION, now, now)


async def note_version(store: Store, namespace: str, version: str, now: float) -> None:
    """Write down that a version runs, if it is the first time."""
    key = keyspace.version(namespace, version)

    async def body(tr: Transaction) -> None:
        if await tr.get(key) is None:
            tr.set(key, stored.encode(Installed(now)))

    await store.run(body)


async def list_versions(store: Store, namespace: str) -> list[InstalledVersion]:
    """Return the versions that have run, the first one first."""
    found = await store.run(partial(_read, begin=keyspace.version(namespace), kind=Installed))
    return in_order(found)


async def list_members(store: Store, namespace: str, now: float) -> list[Member]:
    """Return the nodes that were heard of lately, by name."""
    found = await store.run(partial(_read, begin=keyspace.member(namespace), kind=Member))
    return living(list(found.values()), now)


async def _read(tr: Reads, begin: bytes, kind: type[T]) -> dict[str, T]:
    """Return records by the last part of their keys; what cannot be read is of a newer program, and left out."""
    found: dict[str, T] = {}
    for key, raw in await tr.get_range(begin, keyspace.after(begin), limit=MOST):
        try:
            found[str(keyspace.unpack(key)[-1])] = stored.decode(raw, kind, "a node's record")
        except FormatError:
            continue
    return found


async def list_vaults(store: Store, after: str, limit: int) -> list[tuple[str, int]]:
    """Return ids of vaults with their integers, behind `after`, at most `limit`."""
    begin = keyspace.vault(after) + b"\0" if after else keyspace.VAULTS
    entries = await store.run(lambda tr: tr.get_range(begin, keyspace.after(keyspace.VAULTS), limit=limit))
    return [(str(keyspace.unpack(key)[1]), int.from_bytes(raw, "little")) for key, raw in entries]


async def find_vault(store: Store, vault_id: str) -> int | None:
    """Return the integer of a vault; None where there is none."""
    raw = await store.run(lambda tr: tr.get(keyspace.vault(vault_id)))
    return None if raw is None else int.from_bytes(raw, "little")
