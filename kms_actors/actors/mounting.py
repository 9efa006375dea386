"""Mounts: enabling, tuning and disabling engines of a tenant.

Records: (`mount`, number), sealed; (`mount-number`,) the last number given out. A number is never reused, so what a
disabled mount left in caches can belong to nobody else.
"""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.api import Transaction
from kms_actors.store.keyspace import TenantKeys

from .context import Handler, TenantContext
from .messages import DisableMount, EnableMount, Event, Message, TuneMount
from .mounts import Mount, MountTable

#: Engine types by the name a caller gives, with the options each implies.
ENGINES: Mapping[str, tuple[str, dict[str, str]]] = {
    "kv": ("kv", {"version": "2"}),
    "kv-v2": ("kv", {"version": "2"}),
    "transit": ("transit", {}),
}
_RESERVED = ("sys/", "auth/", "cubbyhole/", "identity/", "audit/")
_PATH = re.compile(r"(?:[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?/)+", re.ASCII)

Change = Callable[[Any], Coroutine[Any, Any, tuple[Mount, ...]]]


class MountsChanged(Event, frozen=True):
    """The mounts as the store now has them."""

    mounts: tuple[Mount, ...]


def default_mounts() -> tuple[Mount, ...]:
    """Return what a new tenant has: `secret/` (KV version 2) and `transit/`."""
    return (
        _new_mount(1, "secret/", "kv", "key/value secret storage", {"version": "2"}),
        _new_mount(2, "transit/", "transit", "", {}),
    )


def mount_record(keys: TenantKeys, keyring: Keyring, mount: Mount) -> tuple[bytes, bytes]:
    """Return key and sealed record of a mount."""
    key = keys.key("mount", mount.number)
    return key, keyring.seal(key, msgspec.json.encode(mount))


async def read_mounts(tr: Transaction, keys: TenantKeys, keyring: Keyring) -> tuple[Mount, ...]:
    """Read all mounts of a tenant."""
    entries = await tr.get_range(*keys.span("mount"))
    return tuple(msgspec.json.decode(keyring.open(key, record), type=Mount) for key, record in entries)


class MountController:
    """Changes mounts one after the other, so that the table always ends as the store is."""

    def __init__(self, context: TenantContext, publish: Callable[[MountTable], None]) -> None:
        self._context = context
        self._publish = publish
        self._last: asyncio.Task[None] | None = None

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            EnableMount: lambda message: self._in_turn(self._enable, message),
            DisableMount: lambda message: self._in_turn(self._disable, message),
            TuneMount: lambda message: self._in_turn(self._tune, message),
            MountsChanged: lambda event: self._publish(MountTable(event.mounts)),
        }

    def _in_turn(self, change: Change, message: Message) -> asyncio.Task[None]:
        self._last = self._context.spawn(self._after(self._last, change, message))
        return self._last

    async def _after(self, previous: asyncio.Task[None] | None, change: Change, message: Message) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        await self._context.ask(MountsChanged(await change(message)))

    async def _enable(self, message: EnableMount) -> tuple[Mount, ...]:
        if message.type not in ENGINES:
            raise InvalidRequest("plugin not found in the catalog")
        engine, implied = ENGINES[message.type]
        if message.options.get("version", "2") != "2" and engine == "kv":
            raise InvalidRequest("only version 2 of the kv engine is supported")
        _check_path(message.path)
        made = _new_mount(0, message.path, engine, message.description, {**implied, **message.options})
        context = self._context

        async def body(tr: Transaction) -> tuple[Mount, ...]:
            mounts = await read_mounts(tr, context.keys, context.keyring)
            existing = MountTable(mounts).collides(message.path)
            if existing is not None:
                raise InvalidRequest(f"path is already in use at {existing.path}")
            counter = context.keys.key("mount-number")
            last = await tr.get(counter)
            number = (len(default_mounts()) if last is None else int.from_bytes(last, "little")) + 1
            mount = msgspec.structs.replace(made, number=number)
            tr.set(counter, number.to_bytes(8, "little"))
            tr.set(*mount_record(context.keys, context.keyring, mount))
            return (*mounts, mount)

        return await context.store.run(body, idempotency_key=os.urandom(16))

    async def _disable(self, message: DisableMount) -> tuple[Mount, ...]:
        context = self._context

        async def body(tr: Transaction) -> tuple[Mount, ...]:
            mounts = await read_mounts(tr, context.keys, context.keyring)
            gone = MountTable(mounts).get(message.path)
            if gone is None:
                return mounts
            tr.clear(context.keys.key("mount", gone.number))
            tr.clear_range(*context.keys.span(gone.type, gone.number))
            return tuple(mount for mount in mounts if mount.number != gone.number)

        return await context.store.run(body, idempotency_key=os.urandom(16))

    async def _tune(self, message: TuneMount) -> tuple[Mount, ...]:
        context = self._context

        async def body(tr: Transaction) -> tuple[Mount, ...]:
            mounts = await read_mounts(tr, context.keys, context.keyring)
            mount = MountTable(mounts).get(message.path)
            if mount is None:
                raise InvalidRequest(f"no mount at {message.path}")
            if (message.options or {}).get("version", "2") != "2":
                raise InvalidRequest("only version 2 of the kv engine is supported")
            tuned = msgspec.structs.replace(
                mount,
                description=mount.description if message.description is None else message.description,
                options={**mount.options, **(message.options or {})},
            )
            tr.set(*mount_record(context.keys, context.keyring, tuned))
            return tuple(tuned if entry.number == tuned.number else entry for entry in mounts)

        return await context.store.run(body, idempotency_key=os.urandom(16))


def _check_path(path: str) -> None:
    if any(path.startswith(reserved) for reserved in _RESERVED):
        raise InvalidRequest(f'cannot mount "{path}"')
    if len(path) > 256 or not _PATH.fullmatch(path):
        raise InvalidRequest("a mount path has segments of letters, digits, '_', '-' and '.' only")


def _new_mount(number: int, path: str, engine: str, description: str, options: dict[str, str]) -> Mount:
    identity = str(uuid.uuid4())
    accessor = f"{engine}_{identity.replace('-', '')[:8]}"
    return Mount(path, engine, number, identity, accessor, description, options)
