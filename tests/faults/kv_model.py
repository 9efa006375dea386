"""A model of KV version 2: a few secrets, their versions, check-and-set."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final

from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.kv import messages as kv
from kms_actors.kv.engine import DEFAULT_MAX_VERSIONS
from kms_actors.messages import Message
from tests.actors.kv_tenant import MOUNT
from tests.faults.model import Ask

PATHS: Final = ["a", "b", "c", "d"]
DELETED, DESTROYED = "deleted", "destroyed"


@dataclass
class Secret:
    """Data by version, or what became of it."""

    current: int = 0
    versions: dict[int, bytes | str] = field(default_factory=dict)


class KvModel:
    """See `tests.faults.model.Model`."""

    def __init__(self) -> None:
        self.state: dict[str, Secret] = {}
        self._written = 0

    def draw(self, chance: random.Random) -> Message:
        path = chance.choice(PATHS)
        current = self.state[path].current if path in self.state else 0
        numbers = tuple(chance.sample(range(max(1, current - 12), current + 2), k=1))
        self._written += 1
        data = b'{"n":"%d%s"}' % (self._written, b"x" * chance.choice([0, 10, 5000]))
        kinds: dict[str, Message] = {
            "write": kv.WriteSecret(MOUNT, path, data, chance.choice([None, None, current, current + 1, 0])),
            "write again": kv.WriteSecret(MOUNT, path, data),
            "read": kv.ReadSecret(MOUNT, path),
            "read version": kv.ReadSecret(MOUNT, path, numbers[0]),
            "delete": kv.DeleteVersions(MOUNT, path, chance.choice([None, numbers])),
            "undelete": kv.UndeleteVersions(MOUNT, path, numbers),
            "destroy": kv.DestroyVersions(MOUNT, path, numbers),
            "list": kv.ListSecrets(MOUNT, ""),
        }
        if chance.random() < 0.03:
            return kv.DeleteMetadata(MOUNT, path)
        return kinds[chance.choice(list(kinds))]

    def apply(self, message: Any) -> Any:
        secret = self.state.get(getattr(message, "path", ""))
        match message:
            case kv.WriteSecret(path=path, data=data, cas=cas):
                return self._write(path, data, cas)
            case kv.ReadSecret(version=version):
                return _read(secret, version)
            case kv.ListSecrets():
                if not self.state:
                    raise NotFound
                return sorted(self.state)
            case kv.DeleteMetadata(path=path):
                self.state.pop(path, None)
            case kv.DeleteVersions(versions=numbers) if secret:
                for number in _known(secret, numbers or (secret.current,)):
                    self._hide(secret, number)
            case kv.UndeleteVersions(versions=numbers) if secret:
                for number in _known(secret, numbers):
                    self._show(secret, number)
            case kv.DestroyVersions(versions=numbers) if secret:
                for number in _known(secret, numbers):
                    secret.versions[number] = DESTROYED
        return None

    def answer(self, message: Message, found: Any) -> Any:
        return (found.number, found.data) if isinstance(found, kv.SecretVersion) else found

    async def observe(self, ask: Ask) -> dict[str, Secret]:
        return {path: secret for path in PATHS if (secret := await _observe(ask, path)) is not None}

    def _write(self, path: str, data: bytes, cas: int | None) -> tuple[int, None]:
        secret = self.state.get(path) or Secret()
        if cas is not None and cas != secret.current:
            raise InvalidRequest
        secret.current += 1
        secret.versions[secret.current] = data
        secret.versions.pop(secret.current - DEFAULT_MAX_VERSIONS, None)
        self.state[path] = secret
        return secret.current, None

    @staticmethod
    def _hide(secret: Secret, number: int) -> None:
        value = secret.versions[number]
        if isinstance(value, bytes):
            secret.versions[number] = DELETED + value.decode()

    @staticmethod
    def _show(secret: Secret, number: int) -> None:
        value = secret.versions[number]
        if isinstance(value, str) and value != DESTROYED:
            secret.versions[number] = value.removeprefix(DELETED).encode()


def _read(secret: Secret | None, version: int) -> tuple[int, bytes | None]:
    number = version or (secret.current if secret else 0)
    if secret is None or number not in secret.versions:
        raise NotFound
    value = secret.versions[number]
    return number, value if isinstance(value, bytes) else None


def _known(secret: Secret, numbers: tuple[int, ...]) -> list[int]:
    return [number for number in numbers if number in secret.versions]


async def _observe(ask: Ask, path: str) -> Secret | None:
    try:
        metadata = await ask(kv.ReadMetadata(MOUNT, path))
    except NotFound:
        return None
    secret = Secret(metadata.current_version)
    for number, version in metadata.versions.items():
        if version.destroyed:
            secret.versions[number] = DESTROYED
            continue
        hidden = version.deletion > 0
        if hidden:  # its data is seen by looking behind the deletion
            await ask(kv.UndeleteVersions(MOUNT, path, (number,)))
        data = (await ask(kv.ReadSecret(MOUNT, path, number))).data
        secret.versions[number] = DELETED + data.decode() if hidden else data
        if hidden:
            await ask(kv.DeleteVersions(MOUNT, path, (number,)))
    return secret
