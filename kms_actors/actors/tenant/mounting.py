"""Mounts: enabling, tuning and disabling engines of a tenant.

Records: (`mount`, number), sealed; (`mount-number`,) the last number given out; (`mount-revision`,). A number is
never reused, so what a disabled mount left in caches, or in the store until it is removed (`unmounting`), can belong
to nobody else.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias, TypeVar

import msgspec

from kms_actors.actors.cluster.changes import IDENTITY, TENANT
from kms_actors.actors.cluster.schedule import LEASE_REVOKING, look_now
from kms_actors.actors.tenant import moving
from kms_actors.actors.tenant.authorities import DutyLeft, note_change
from kms_actors.actors.tenant.context import (
    Handler,
    TenantContext,
)
from kms_actors.actors.tenant.standing import COUNT
from kms_actors.actors.tenant.unmounting import EndMounts, Unmounter, Unmounts
from kms_actors.errors import InvalidRequest, LimitReached
from kms_actors.identity.records import Duty, DutyKind
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.messages import (
    DisableMount,
    EnableMount,
    Event,
    Message,
    Moved,
    MoveMount,
    ReadMove,
    TuneMount,
)
from kms_actors.mounts import (
    AREAS,
    LOGIN_TYPES,
    LOGINS,
    TOKENS,
    TOKENS_NUMBER,
    Mount,
    MountTable,
    check,
    check_path,
    token_mount,
    tuned,
)
from kms_actors.store.api import Entry, Transaction
from kms_actors.store.keyspace import TenantKeys

#: Engine types by the name a caller gives, with the options each implies.
ENGINES: Mapping[str, tuple[str, dict[str, str]]] = {
    "kv": ("kv", {}),
    "kv-v1": ("kv", {"version": "1"}),
    "generic": ("kv", {"version": "1"}),  # what that was called first
    "kv-v2": ("kv", {"version": "2"}),
    "transit": ("transit", {}),
}

T = TypeVar("T")
SealedMounts: TypeAlias = tuple[list[Entry], bytes | None]
Change = Callable[[Transaction, tuple[Mount, ...]], Awaitable[tuple[Mount, ...]]]


class Mounts(msgspec.Struct, frozen=True):
    """All mounts of a tenant; `revision` counts their changes, so that of two readings the later is known."""

    revision: int = 0
    all: tuple[Mount, ...] = ()


class MountsChanged(Event, frozen=True):
    """The mounts as a change has left them."""

    mounts: Mounts


#: What a `MountController` handles.
MOUNT_MESSAGES = (EnableMount, DisableMount, TuneMount, MoveMount, ReadMove, EndMounts, MountsChanged)


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


async def read_mounts(tr: Transaction, keys: TenantKeys) -> SealedMounts:
    """Read all mounts of a tenant, as they are stored."""
    return await asyncio.gather(tr.get_range(*keys.span("mount")), tr.get(keys.key("mount-revision")))


def open_mounts(keyring: Keyring, found: SealedMounts) -> Mounts:
    """Return the mounts that were read."""
    entries, revision = found
    mounts = tuple(msgspec.json.decode(keyring.open(key, record), type=Mount) for key, record in entries)
    return Mounts(int.from_bytes(revision or b"", "little"), mounts)


class MountController:
    """Changes mounts; each change is one transaction on the whole table."""

    def __init__(self, context: TenantContext, publish: Callable[[Mounts], None], unmounts: Unmounts) -> None:
        self._context = context
        self._unmounter = Unmounter(context, unmounts)
        self._publish = publish

    def handlers(self) -> Mapping[type[Message], Handler]:
        spawn = self._context.spawn
        return {
            EnableMount: lambda message: spawn(self._enable(message)),
            DisableMount: lambda message: spawn(self._disable(message)),
            TuneMount: lambda message: spawn(self._tune(message)),
            MoveMount: lambda message: spawn(self._move(message)),
            ReadMove: lambda message: spawn(moving.read(self._context, message.id)),
            EndMounts: lambda _: spawn(self._unmounter.resume()),
            MountsChanged: lambda event: self._publish(event.mounts),
        }

    async def _enable(self, message: EnableMount) -> None:
        engine, implied = _engine(message)
        _check_path(message.path)
        made = msgspec.structs.replace(
            _new_mount(0, message.path, engine, message.description, {**message.options, **implied}),
            config=message.config,
            local=message.local,
            seal_wrap=message.seal_wrap,
        )
        check(made)
        counter = self._context.keys.key("mount-number")

        async def change(tr: Transaction, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
            existing = MountTable(mounts).collides(message.path)
            if existing is not None:
                raise InvalidRequest(f"path is already in use at {existing.path.removeprefix(LOGINS)}")
            most = self._context.tallies.most("mounts")
            if most and _count(mounts) >= most:
                raise LimitReached.of("mounts", most)
            last = await tr.get(counter)
            number = 1 + max(
                len(default_mounts()),
                int.from_bytes(last or b"", "little"),
                *(mount.number for mount in mounts),
                *[await self._last_number(tr, area) for area in AREAS],
            )
            mount = msgspec.structs.replace(made, number=number)
            tr.set(counter, number.to_bytes(8, "little"))
            tr.set(*mount_record(self._context.keys, self._context.keyring, mount))
            return (*mounts, mount)

        await self._change(change)

    async def _last_number(self, tr: Transaction, engine: str) -> int:
        """Return the highest number below which an engine has records, whatever the counter says.

        A record at the area itself, as that of `due`, is below no number.
        """
        begin, end = self._context.keys.span(engine)
        found = await tr.get_range(begin + b"\0", end, limit=1, reverse=True)
        return next((self._context.keys.parts(key)[1] for key, _ in found), 0)

    async def _disable(self, message: DisableMount) -> bool:
        keys, number = self._context.keys, 0

        async def change(tr: Transaction, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
            nonlocal number
            gone = MountTable(mounts).get(message.path)
            if gone is None:
                return mounts
            number = gone.number
            tr.clear(keys.key("mount", number))
            self._context.tallies.forget(tr, gone.number)
            await self._unmounter.leave(tr, gone)  # has the sweep look, too
            if gone.for_logins:
                note_change(tr, keys)  # its tokens, and what they have made, end with it
                tr.set(keys.key(LEASE_REVOKING, gone.path, number), b"")  # their records are removed by the sweep
                self._leave_aliases(tr, gone)
            return tuple(mount for mount in mounts if mount.number != gone.number)

        if not await self._change(change):
            return False
        if message.path.startswith(LOGINS):
            self._context.notify(DutyLeft())
        await self._unmounter.begin(number)
        return True

    async def _move(self, message: MoveMount) -> str:
        """Give a mount another path: what lies below it is found by its number, and stays where it is."""
        keys, source, target = self._context.keys, message.source, message.target
        moving.check_paths(source, target)
        migration = str(uuid.uuid4())

        async def change(tr: Transaction, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
            mount = MountTable(mounts).get(source)
            if mount is None:
                raise InvalidRequest(f'no matching mount at "{source}"')
            existing = MountTable(mounts).collides(target)
            if existing is not None:
                raise InvalidRequest(f'path already in use at "{existing.path}"')
            moved = msgspec.structs.replace(mount, path=target, moves=mount.moves + 1)
            check(moved)
            tr.set(*mount_record(keys, self._context.keyring, moved))
            if mount.for_logins:
                note_change(tr, keys)  # the tokens that it has given at the other path end
                tr.set(keys.key(LEASE_REVOKING, source, mount.number), b"")
                await look_now(tr, keys)
            await moving.note(tr, self._context, migration, Moved(source, target))
            return tuple(moved if entry.number == moved.number else entry for entry in mounts)

        await self._change(change)
        return migration

    def _leave_aliases(self, tr: Transaction, gone: Mount) -> None:
        """Leave the aliases of a mount to be removed: there may be very many, see `actors.identity.duties`."""
        key = self._context.keys.key("identity", "duty", uuid.UUID(gone.uuid))
        duty = stored.encode(Duty(DutyKind.MOUNT, gone.accessor))
        tr.set(key, self._context.keyring.seal(key, duty))
        self._context.record(tr, IDENTITY, "")

    async def _tune(self, message: TuneMount) -> None:
        async def change(tr: Transaction, mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
            table = MountTable(mounts)
            of_tokens = message.path == TOKENS
            mount = token_mount(self._context.vault_id, table.tokens) if of_tokens else table.get(message.path)
            if mount is None:
                raise InvalidRequest(f'tune of path "{message.path}" failed: no mount entry found')
            changed = msgspec.structs.replace(
                mount,
                description=mount.description if message.description is None else message.description,
                options=_tuned(mount.options, message.options or {}),
                config=tuned(mount.config, message.config),
            )
            check(changed)
            if (mount.engine, changed.engine) == ("kv", "kv-v1"):
                raise InvalidRequest("cannot downgrade mount from version 2")
            tr.set(*mount_record(self._context.keys, self._context.keyring, changed))
            return (*(entry for entry in mounts if entry.number != changed.number), changed)

        await self._change(change)

    async def _change(self, change: Change) -> bool:
        """Change the table; tell whether there was anything to change.

        A login mount is a ground of the tokens that it gave: one of them may disable it.
        """
        context = self._context

        async def body(tr: Transaction) -> tuple[Mounts, bool]:
            before = open_mounts(context.keyring, await read_mounts(tr, context.keys))
            mounts = await change(tr, before.all)
            if mounts is before.all:
                return before, False
            after = Mounts(before.revision + 1, mounts)
            tr.set(context.keys.key("mount-revision"), after.revision.to_bytes(8, "little"))
            tr.set(context.keys.key(COUNT, "mounts", 0), _count(mounts).to_bytes(8, "little"))
            context.record(tr, TENANT, "")
            return after, True

        mounts, changed = await context.store.change(body, mount=None, of_grounds=True)
        # Asked, not told: the table is read without asking, so it must be in place before the answer.
        await context.ask(MountsChanged(mounts))
        return changed


def _count(mounts: tuple[Mount, ...]) -> int:
    """Return how many mounts count against the limit: not the one that every vault has."""
    return sum(mount.number != TOKENS_NUMBER for mount in mounts)


def _tuned(options: Mapping[str, str], sent: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a mount with those that were sent; an empty one takes away what was."""
    if sent.get("version") == "":
        raise InvalidRequest("options.version must not be empty")
    return {name: value for name, value in {**options, **sent}.items() if value or name not in sent}


def _engine(message: EnableMount) -> tuple[str, dict[str, str]]:
    """Return the engine of a mount that is to be, and the options that its type implies."""
    if message.path.startswith(LOGINS):
        if message.type in LOGIN_TYPES:
            return message.type, {}
        raise InvalidRequest(f"plugin not found in the catalog: auth methods are {', '.join(LOGIN_TYPES)}")
    if message.type in ENGINES:
        return ENGINES[message.type]
    raise InvalidRequest("plugin not found in the catalog: secrets engines are kv and transit")


def _check_path(path: str) -> None:
    if any(path.startswith(reserved) for reserved in moving.RESERVED):
        raise InvalidRequest(f'cannot mount "{path}"')
    if path.startswith(TOKENS):
        raise InvalidRequest("path is already in use at token/")
    check_path(path)


def _new_mount(number: int, path: str, engine: str, description: str, options: dict[str, str]) -> Mount:
    identity = str(uuid.uuid4())
    kind = f"auth_{engine}" if path.startswith(LOGINS) else engine
    accessor = f"{kind}_{identity.replace('-', '')[:8]}"
    return Mount(path, engine, number, identity, accessor, description, options)
