"""Transit keys that rotate while others use them: what was encrypted can be decrypted, on every node."""

from __future__ import annotations

import base64
from collections.abc import Coroutine
from typing import Any, Final

from tests.simulation.moments import Latest
from tests.simulation.workloads.base import Clients

_KEYS: Final = ("orders", "mail")


class Keys(Clients):
    """Also a key that is to rotate each hour, which no run lasts: a clock that is off must not rotate it."""

    async def prepare(self) -> None:
        self._sent: list[tuple[str, str, str]] = []  # key, ciphertext, plaintext
        self._number = 0
        self._rotated = {key: Latest() for key in _KEYS}
        self._least = {key: Latest() for key in _KEYS}  # that may be decrypted
        self._asked_least = dict.fromkeys(_KEYS, 1)
        self._rotations = dict.fromkeys(_KEYS, 0)
        for key in _KEYS:
            await self.world.expect("POST", f"transit/keys/{key}", self.world.user)
        await self.world.expect("POST", "transit/keys/hourly", self.world.user, {"auto_rotate_period": "1h"})

    def clients(self) -> list[Coroutine[Any, Any, None]]:
        return [self._client(), self._client(), self._rotator()]

    async def _client(self) -> None:
        while True:
            if self._sent and self.chance.random() < 0.6:
                await self._decrypt(*self.chance.choice(self._sent))
            else:
                await self._encrypt(self.chance.choice(_KEYS))
            await self.pause()

    async def _encrypt(self, key: str) -> None:
        self._number += 1
        plaintext = base64.b64encode(f"p{self._number}".encode()).decode()
        answer = await self.world.ask("POST", f"transit/encrypt/{key}", self.world.user, {"plaintext": plaintext})
        self.seen(answer)
        if answer.good:
            ciphertext = answer.data["ciphertext"]
            version = _version(ciphertext)
            self._sent.append((key, ciphertext, plaintext))
            least = self._rotated[key].before(answer.sent - self.world.lease)
            self.require(version >= least, "a rotated key is used once it was heard of", key, version, least, answer)
            most = 1 + self._rotations[key]
            self.require(version <= most, "a key has no more versions than were asked for", key, version, most)
        else:
            self.require(answer.unknown, "a key encrypts", key, answer)

    async def _decrypt(self, key: str, ciphertext: str, plaintext: str) -> None:
        version = _version(ciphertext)
        answer = await self.world.ask("POST", f"transit/decrypt/{key}", self.world.user, {"ciphertext": ciphertext})
        self.seen(answer)
        if answer.good:
            self.require(answer.data["plaintext"] == plaintext, "a ciphertext gives its plaintext", key, answer)
            least = self._least[key].before(answer.sent - self.world.lease)
            self.require(version >= least, "an archived version decrypts nothing", key, version, least, answer)
        elif not answer.unknown:
            least = self._asked_least[key]
            self.require(version < least, "what was encrypted can be decrypted", key, version, least, answer)

    async def _rotator(self) -> None:
        while True:
            await self.rest(4)
            key = self.chance.choice(_KEYS)
            self._rotations[key] += 1
            answer = await self.world.ask("POST", f"transit/keys/{key}/rotate", self.world.user)
            self.changed(answer)
            if answer.good:
                self._rotated[key].add(answer.got, answer.data["latest_version"])
                if self.chance.random() < 0.3:
                    await self._archive(key, answer.data["latest_version"])

    async def _archive(self, key: str, version: int) -> None:
        self._asked_least[key] = max(self._asked_least[key], version)
        body = {"min_decryption_version": version}
        answer = await self.world.ask("POST", f"transit/keys/{key}/config", self.world.user, body)
        self.changed(answer)
        if answer.good:
            self._least[key].add(answer.got, version)

    async def judge(self) -> None:
        for key, ciphertext, plaintext in self.chance.sample(self._sent, min(10, len(self._sent))):
            await self._decrypt(key, ciphertext, plaintext)
        answer = await self.world.expect("GET", "transit/keys/hourly", self.world.user)
        hours = int(self.world.now / 3600) + 1
        latest = answer.data["latest_version"]
        self.require(latest <= hours, "a key rotates when it is due by the cluster's time", latest)


def _version(ciphertext: str) -> int:
    return int(ciphertext.split(":")[1][1:])
