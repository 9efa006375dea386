"""Devices opened in a process, for each scope: those that stay go on, those that are gone are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from kms_actors import request_context
from kms_actors.actors.audit.book import Books, key_scope
from kms_actors.actors.audit.outlets import Outlets, Scope
from kms_actors.actors.audit.trail import OpenDevice, Trail
from kms_actors.actors.audit.writing import Counts, Writer
from kms_actors.actors.tenant.audit_records import MakeKey
from kms_actors.audit import options
from kms_actors.audit.device import Device, Devices
from kms_actors.audit.entries import Entries
from kms_actors.errors import Sealed
from kms_actors.keyring.keyring import Keyring
from kms_actors.runtime import Turns
from kms_actors.store.api import Store


class Audit:
    """What the devices of all scopes of a process share."""

    def __init__(
        self, outlets: Outlets, turns: Turns, clock: Callable[[], int], *, settle_seconds: float = 0.0
    ) -> None:
        """After `settle_seconds`, every node knows of a change, or serves nothing."""
        self.outlets: Final = outlets
        self.turns: Final = turns
        self.clock: Final = clock
        self.settle_seconds: Final = settle_seconds
        self.counts: Final = Counts()
        self._open: set[OpenDevice] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def devices(self) -> int:
        """How many devices are open."""
        return len(self._open)

    def open(self, scope: Scope, device: Device, books: Books) -> OpenDevice:
        """Open a device; its file or socket is opened with the first line."""
        chosen = options.read(device.type, device.options)
        entries = Entries(chosen, device.key, whole=not scope.is_node)
        sink = self.outlets.sink(scope, chosen, books.of(device))
        writer = Writer(sink, scope.name, device.path, self.counts, entries.lines)
        opened = OpenDevice(device, entries, writer)
        self._open.add(opened)
        return opened

    def close(self, opened: OpenDevice) -> asyncio.Task[None]:
        """Write what waits, and close a device."""
        self._open.discard(opened)
        closing = asyncio.get_running_loop().create_task(opened.writer.close(), context=request_context.apart())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return closing

    async def reopen(self) -> None:
        """Have each file opened anew by its name (SIGHUP)."""
        await asyncio.gather(*(opened.writer.reopen() for opened in list(self._open)))

    async def stop(self) -> None:
        """Close what is still open, once all that waits is written."""
        for opened in list(self._open):
            self.close(opened)
        if self._closing:
            await asyncio.wait(self._closing)
        self.outlets.close()


class ScopeDevices:
    """The open devices of one scope. `trail` is None where there never were any: then nothing is recorded."""

    def __init__(self, audit: Audit, scope: Scope) -> None:
        self._audit = audit
        self._scope = scope
        self._open: dict[str, OpenDevice] = {}
        self._books: Books | None = None
        self.trail: Trail | None = None

    @property
    def books(self) -> Books:
        """The books of its devices. Raises Sealed."""
        if self._books is None:
            raise Sealed
        return self._books

    def unsealed(self, store: Store, key: MakeKey, keyring: Keyring) -> None:
        """Take the keyring that signs logs and seals their anchors, in the place of an older one of its own."""
        if self._books is None:
            scope = key_scope(self._scope.name, is_node=self._scope.is_node)
            self._books = Books(store, key, keyring, scope)
        self._books.keyring = keyring

    def take(self, devices: Devices) -> Trail | None:
        """Have just these open; return the trail, if there is one."""
        audit, before = self._audit, self._open
        self._open = {}
        for device in devices.all:
            kept = before.pop(device.path, None)
            if kept is not None and kept.device != device:
                audit.close(kept)
                kept = None
            self._open[device.path] = opened = kept or audit.open(self._scope, device, self.books)
            opened.entries.headers = devices.headers.shown
        for gone in before.values():
            audit.close(gone)
        self.trail = None
        if self._open or (devices.revision and not self._scope.is_node):
            self.trail = Trail(
                devices.revision,
                tuple(self._open.values()),
                owner=self._scope.name,
                turns=audit.turns,
                clock=audit.clock,
            )
        return self.trail

    def close(self) -> None:
        """Close all of them."""
        for opened in self._open.values():
            self._audit.close(opened)
        self._open = {}
        self._books = None  # those that are being closed have it until they are
        self.trail = None
