"""Versions of a keyring: added when somebody asks, or when it is time.

(`rotate-config`,)   RotateConfig, sealed; all defaults where it is not there
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import msgspec

from kms_actors.actors.ceremony.scope import WRAPPED, Scope, renew
from kms_actors.ceremony.messages import (
    ConfigureRotation,
    KeyStatus,
    ReadKeyStatus,
    ReadRotateConfig,
    RotateKeyring,
    RotateKeyringIfDue,
)
from kms_actors.ceremony.rotation import RotateConfig, due_at, is_due, validate
from kms_actors.errors import IntegrityError
from kms_actors.keyring.keyring import Keyring, unwrap, wrap
from kms_actors.messages import Message
from kms_actors.secret import SecretBytes, overwrite
from kms_actors.store.api import Reads, Transaction

CONFIG: Final = "rotate-config"


class Rotating:
    """The keyring of one scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def rotate(self) -> KeyStatus:
        """Add a version, and return what is active then."""
        status = await self._rotate(if_due=False)
        assert status is not None
        return status

    async def rotate_if_due(self) -> KeyStatus | bool:
        """Do so if it is time; False if it is not."""
        return await self._rotate(if_due=True) or False

    async def _rotate(self, *, if_due: bool) -> KeyStatus | None:
        scope, now = self._scope, self._scope.now()
        fresh = os.urandom(32)  # here, since the body may run again

        async def body(tr: Transaction) -> KeyStatus | None:
            root_key, keyring = await read_keyring(tr, scope)
            config, count = await asyncio.gather(self._config(tr), scope.encryptions(tr, keyring.active_version))
            if if_due and not is_due(config, keyring.active_since, count, now):
                return None
            rotated = keyring.rotated(now / 1e9, lambda _: bytes(bytearray(fresh)))
            tr.set(scope.key(WRAPPED), wrap(root_key, scope.key(WRAPPED), rotated))
            scope.keep_rotated(tr, keyring, rotated, root_key)
            await scope.look_at(tr, due_at(config, rotated.active_since))
            return KeyStatus(rotated.active_version, rotated.active_since, 0)

        try:
            status = await scope.change(body)
        finally:
            overwrite(fresh)
        if status is not None:
            await renew(scope)
        return status

    async def status(self) -> KeyStatus:
        """Return what is active, as the store has it."""
        scope = self._scope

        async def look(tr: Reads) -> KeyStatus:
            _, keyring = await read_keyring(tr, scope)
            count = await scope.encryptions(tr, keyring.active_version)
            return KeyStatus(keyring.active_version, keyring.active_since, count)

        return await scope.read(look)

    async def config(self) -> RotateConfig:
        """Return when the keyring is rotated by itself."""
        return await self._scope.read(self._config)

    async def configure(self, message: ConfigureRotation) -> RotateConfig:
        """Say when it is; raises InvalidRequest."""
        scope = self._scope
        sent = {name: value for name, value in msgspec.structs.asdict(message).items() if value is not None}

        async def body(tr: Transaction) -> RotateConfig:
            config = msgspec.structs.replace(await self._config(tr), **sent)
            validate(config)
            key = scope.key(CONFIG)
            tr.set(key, scope.keyring.seal(key, config.encode()))
            _, keyring = await read_keyring(tr, scope)
            await scope.look_at(tr, due_at(config, keyring.active_since))
            return config

        return await scope.change(body)

    async def _config(self, tr: Reads) -> RotateConfig:
        key = self._scope.key(CONFIG)
        record = await tr.get(key)
        return RotateConfig() if record is None else RotateConfig.decode(self._scope.keyring.open(key, record))


def rotating_handlers(rotating: Rotating) -> Mapping[type[Message], Callable[[Any], Coroutine[Any, Any, Any]]]:
    """Return what carries out each message."""
    return {
        RotateKeyring: lambda _: rotating.rotate(),
        RotateKeyringIfDue: lambda _: rotating.rotate_if_due(),
        ReadKeyStatus: lambda _: rotating.status(),
        ReadRotateConfig: lambda _: rotating.config(),
        ConfigureRotation: rotating.configure,
    }


async def read_keyring(tr: Reads, scope: Scope) -> tuple[SecretBytes, Keyring]:
    """Return the key that wraps a keyring, and that as it is stored."""
    key = scope.key(WRAPPED)
    root_key, wrapped = await asyncio.gather(scope.root_key(tr), tr.get(key))
    if wrapped is None:
        raise IntegrityError("there is a seal and no keyring")
    return root_key, unwrap(root_key, key, wrapped)
