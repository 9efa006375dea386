"""Devices enabled, disabled and asked, for a vault as for the node: what differs is the transaction."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

from kms_actors.actors.audit.book import Books
from kms_actors.actors.audit.opening import Audit
from kms_actors.actors.audit.outlets import Scope
from kms_actors.audit import changes, options
from kms_actors.audit.device import Devices, check_path, new
from kms_actors.audit.facts import Asked, Entered
from kms_actors.audit.masking import Masker
from kms_actors.audit.messages import (
    Checkpoints,
    DeleteHeader,
    DisableDevice,
    EnableDevice,
    HashInput,
    ReadCheckpoints,
    ReadDevices,
    WriteHeader,
)
from kms_actors.errors import InvalidRequest
from kms_actors.messages import Message

#: What is written to a device before it is enabled: if that fails, it is not.
_TEST_PATH: Final = "sys/audit/test"
#: Characters of a text that is hashed.
MAX_INPUT: Final = 1 << 20

Change = Callable[[Devices], Devices]


class Place(Protocol):
    """Where the devices of a scope are kept."""

    @property
    def books(self) -> Books:
        """What signs their logs, and keeps how far these are."""

    async def read(self) -> Devices:
        """Return them as they are."""

    async def change(self, change: Change) -> bool:
        """Change them in a transaction, and have them open so in this process; tell whether anything was changed."""


class Changing:
    """Carries out the messages of one scope."""

    def __init__(self, audit: Audit, scope: Scope, place: Place) -> None:
        self._audit = audit
        self._scope = scope
        self._place = place

    def work(self) -> Mapping[type[Message], Callable[[Any], Awaitable[Any]]]:
        """Return what carries out each message."""
        return {
            ReadDevices: lambda _: self._place.read(),
            EnableDevice: self._enable,
            DisableDevice: self._disable,
            HashInput: self._hash,
            ReadCheckpoints: self._checkpoints,
            WriteHeader: self._write_header,
            DeleteHeader: self._delete_header,
        }

    async def _enable(self, message: EnableDevice) -> None:
        check_path(message.path)
        chosen = options.read(message.type, message.options)
        made = new(message.path, message.type, message.options, description=message.description, local=message.local)
        self._audit.outlets.check(self._scope, made, chosen)
        changes.enabled(await self._place.read(), made)  # refused before anything is written to what another has
        opened = self._audit.open(self._scope, made, self._place.books)
        try:
            asked = Asked(str(uuid.uuid4()), "update", _TEST_PATH, self._scope.name, None, allowed=False)
            entered = Entered(lambda: asked)
            written = await opened.writer.put((entered, None, "", self._audit.clock())) and not entered.lost
        finally:
            await self._audit.close(opened)
        if not written:
            raise InvalidRequest("sanity check failed: the device cannot be written to (the node's log says why)")
        await self._place.change(lambda devices: changes.enabled(devices, made))
        await self._settle()

    async def _disable(self, message: DisableDevice) -> bool:
        return await self._place.change(partial(changes.disabled, path=message.path))

    async def _hash(self, message: HashInput) -> str:
        if len(message.text) > MAX_INPUT:
            raise InvalidRequest(f"input is longer than {MAX_INPUT} characters")
        device = (await self._place.read()).get(message.path)
        if device is None:
            raise InvalidRequest(f'unknown audit backend "{message.path}"')
        return Masker(device.key).hmac(message.text)

    async def _checkpoints(self, message: ReadCheckpoints) -> Checkpoints:
        device = (await self._place.read()).get(message.path)
        if device is None:
            raise InvalidRequest(f"unknown audit backend {message.path}")
        outlet = options.read(device.type, device.options).outlet
        if not isinstance(outlet, options.FileOptions) or not outlet.proven:
            raise InvalidRequest(
                f"the lines of {message.path} are not proven: it is no file, or has the option proof=off"
            )
        book = self._place.books.of(device)
        return Checkpoints(book.trust, tuple(await book.anchors()))

    async def _write_header(self, message: WriteHeader) -> None:
        await self._place.change(partial(changes.shown, name=message.name, hmac=message.hmac))

    async def _delete_header(self, message: DeleteHeader) -> None:
        await self._place.change(partial(changes.hidden, name=message.name))

    async def _settle(self) -> None:
        """Wait until no node answers anything any more that it does not record: all have heard, or serve nothing."""
        if self._audit.settle_seconds:
            await asyncio.sleep(self._audit.settle_seconds)
