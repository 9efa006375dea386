"""A model of Transit: a few keys, their versions, and ciphertexts made with them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.messages import (
    Grants,
    Message,
)
from kms_actors.transit import messages as m
from kms_actors.transit.items import DecryptItem, EncryptItem
from kms_actors.transit.policy import KeyChanges, KeyOptions
from tests.actors.transit_tenant import MOUNT
from tests.faults.model import Ask

NAMES: Final = ["j", "k", "l"]
#: Ciphertexts remembered.
TEXTS: Final = 60


@dataclass
class Key:
    """What the model knows of a key."""

    latest: int = 1
    min_decryption: int = 1
    deletion_allowed: bool = False


class Text(NamedTuple):
    """A ciphertext and what it must give."""

    name: str
    life: int  # of the key: it may have been deleted and made anew since
    version: int
    ciphertext: str
    plaintext: bytes


class TransitModel:
    """See `tests.faults.model.Model`."""

    def __init__(self) -> None:
        self.state: dict[str, Key] = {}
        self._life = dict.fromkeys(NAMES, 0)
        self._texts: list[Text] = []

    def draw(self, chance: random.Random) -> Message:
        name = chance.choice(NAMES)
        latest = self.state[name].latest if name in self.state else 1
        plaintext = chance.randbytes(20)
        text = chance.choice(self._texts) if self._texts else Text(name, 0, 0, "vault:v1:AAAA", b"")
        encrypt = m.Encrypt(MOUNT, name, [EncryptItem(plaintext)], Grants(), False, "aes256-gcm96", False)
        decrypt = m.Decrypt(MOUNT, text.name, [DecryptItem(text.ciphertext)])
        changes = KeyChanges(
            min_decryption_version=chance.choice([None, chance.randint(1, latest + 1)]),
            deletion_allowed=chance.choice([None, True, False]),
        )
        kinds: list[tuple[int, Message]] = [
            (6, encrypt),
            (8, decrypt),
            (2, m.CreateKey(MOUNT, name, KeyOptions())),
            (4, m.RotateKey(MOUNT, name)),
            (3, m.ConfigureKey(MOUNT, name, changes)),
            (2, m.DeleteKey(MOUNT, name)),
            (2, m.ReadKey(MOUNT, name)),
            (1, m.ListKeys(MOUNT)),
        ]
        return chance.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]

    def apply(self, message: Any) -> Any:
        key = self.state.get(getattr(message, "name", ""))
        match message:
            case m.CreateKey(name=name) | m.Encrypt(name=name) if key is None:
                self._life[name] += 1
                key = self.state[name] = Key()
            case m.RotateKey():
                _required(key, InvalidRequest).latest += 1
            case m.ConfigureKey(changes=changes):
                _configure(_required(key, InvalidRequest), changes)
            case m.DeleteKey(name=name):
                if not _required(key, InvalidRequest).deletion_allowed:
                    raise InvalidRequest
                del self.state[name]
                return None
            case m.ListKeys():
                return sorted(self.state)
            case m.ReadKey():
                _required(key, NotFound)
            case m.Decrypt(name=name, items=[DecryptItem() as item]):
                return self._decrypt(_required(key, InvalidRequest), name, item.ciphertext)
        assert key is not None
        return (
            key.latest if isinstance(message, m.Encrypt) else (key.latest, key.min_decryption, key.deletion_allowed)
        )

    def answer(self, message: Message, found: Any) -> Any:
        match message, found:
            case m.Encrypt(name=name, items=[EncryptItem() as item]), [(ciphertext, version)]:
                text = Text(name, self._life[name], version, ciphertext, item.plaintext)
                self._texts = [*self._texts[-TEXTS:], text]
                return version
            case m.Decrypt(), [result]:
                return None if isinstance(result, InvalidRequest) else result
            case _, m.KeyInfo(policy=policy):
                return policy.latest_version, policy.min_decryption_version, policy.deletion_allowed
        return found

    async def observe(self, ask: Ask) -> dict[str, Key]:
        found = {}
        for name in await ask(m.ListKeys(MOUNT)):
            info = await ask(m.ReadKey(MOUNT, name))
            policy = info.policy
            assert set(info.created) == set(range(policy.min_decryption_version, policy.latest_version + 1))
            found[name] = Key(policy.latest_version, policy.min_decryption_version, policy.deletion_allowed)
        return found

    def _decrypt(self, key: Key, name: str, ciphertext: str) -> bytes | None:
        for text in self._texts:
            if (text.name, text.ciphertext, text.life) == (name, ciphertext, self._life[name]):
                return text.plaintext if text.version >= key.min_decryption else None
        return None


def _required(key: Key | None, missing: type[Exception]) -> Key:
    if key is None:
        raise missing
    return key


def _configure(key: Key, changes: KeyChanges) -> None:
    if changes.min_decryption_version is not None:
        if changes.min_decryption_version > key.latest:
            raise InvalidRequest
        key.min_decryption = changes.min_decryption_version
    if changes.deletion_allowed is not None:
        key.deletion_allowed = changes.deletion_allowed
