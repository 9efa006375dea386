"""Clients of a long run: paced, over TLS, in many vaults. Each answer is checked; what may not be is a finding."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from tests.soak.ledger import Ledger
from tests.soak.trouble import Trouble
from tests.soak.vaults import Vault
from tests.support.api import b64

#: No answer came.
UNANSWERED: Final = (ClientError, TimeoutError, ConnectionError)
CLIENTS: Final = 32
_PATIENCE: Final = 30.0  # seconds
#: Of so many requests, one in so many goes to any vault; the others to a few of which much is asked.
_ANYWHERE: Final = 10
_SECRETS: Final = 4  # of each client in a vault
_MOST_FINDINGS: Final = 50


class Place(NamedTuple):
    """Where is asked: vaults of which much is asked, and others."""

    address: str
    context: ssl.SSLContext
    busy: Sequence[Vault]
    others: Sequence[Vault]


class Load:
    """Many clients. `trouble` tells whether a request to a vault, begun then, may fail now."""

    def __init__(self, place: Place, ledger: Ledger, trouble: Trouble, seed: int) -> None:
        self._address, self._context, self._busy, self._others = place
        self._ledger = ledger
        self._trouble = trouble
        self._chance = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.excused: Counter[str] = Counter()
        self.refused = 0  # for want of room
        self.findings: list[str] = []
        self.seconds: list[float] = []
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Load:
        connector = TCPConnector(limit=CLIENTS, ssl=self._context)
        self._session = ClientSession(connector=connector, timeout=ClientTimeout(_PATIENCE))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    @property
    def requests(self) -> int:
        return sum(self.counts.values())

    def found(self, text: str) -> None:
        """Note what may not be."""
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(text)

    async def run(self, seconds: float, rate: float | None) -> float:
        """Ask for so long, at so many requests a second, or as fast as it goes; return how many a second were."""
        before, began = self.requests, time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._client(number, began + seconds, CLIENTS / rate if rate else 0.0))
        return (self.requests - before) / (time.monotonic() - began)

    async def _client(self, number: int, ends: float, interval: float) -> None:
        works = [_Work(self._encrypt, 50, 2), _Work(self._write, 20, 1), _Work(self._read, 25, 1)]
        works.append(_Work(self._token, 5, 4))
        weights = [work.weight for work in works]
        due = time.monotonic() + self._chance.random() * interval
        while (now := time.monotonic()) < ends:
            if due > now:
                await asyncio.sleep(min(due, ends) - now)
            vault = self._chance.choice(self._others if self._chance.randrange(_ANYWHERE) == 0 else self._busy)
            work = self._chance.choices(works, weights)[0]
            with contextlib.suppress(_Failed):
                await work.done(number, vault)
            # What was missed while nothing was answered is not made up for.
            due = max(due + interval * work.requests, time.monotonic() - 1)

    async def _encrypt(self, _: int, vault: Vault) -> None:
        plaintext = b64(self._chance.randbytes(32))
        made = await self._call(vault, "POST", "transit/encrypt/soak", {"plaintext": plaintext})
        ciphertext = made["data"]["ciphertext"]
        self._ledger.encrypted(vault.id, ciphertext, plaintext)
        opened = await self._call(vault, "POST", "transit/decrypt/soak", {"ciphertext": ciphertext})
        if opened["data"]["plaintext"] != plaintext:
            self.found(f"{vault.id}: a ciphertext opened to something else")

    async def _write(self, number: int, vault: Vault) -> None:
        path = f"soak/{number}/{self._chance.randrange(_SECRETS)}"
        secret = self._ledger.secret(vault.id, path)
        value = secret.next()
        body = {"data": {"number": value, "pad": "x" * self._chance.choice((20, 200, 2_000))}}
        try:
            await self._call(vault, "POST", f"secret/data/{path}", body)
        except _Failed as failed:
            if failed.done_perhaps:
                secret.unheard(value)
            raise
        secret.written(value)

    async def _read(self, number: int, vault: Vault) -> None:
        path = f"soak/{number}/{self._chance.randrange(_SECRETS)}"
        await self.check(vault, path)

    async def check(self, vault: Vault, path: str) -> None:
        """Read a secret, and compare it with the ledger."""
        secret = self._ledger.secret(vault.id, path)
        found = await self._call(vault, "GET", f"secret/data/{path}", None, 404)
        data = found.get("data") or {}
        number = data["data"]["number"] if data else 0
        fault = secret.fault(number, data["metadata"]["version"] if data else 0)
        if fault is not None:
            self.found(f"{vault.id} {path}: {fault}")

    async def check_ciphertext(self, vault: Vault, ciphertext: str, plaintext: str) -> None:
        """Open what was encrypted once."""
        opened = await self._call(vault, "POST", "transit/decrypt/soak", {"ciphertext": ciphertext})
        if opened["data"]["plaintext"] != plaintext:
            self.found(f"{vault.id}: a ciphertext opens to something else")

    async def _token(self, _: int, vault: Vault) -> None:
        made = await self._call(vault, "POST", "auth/token/create", {"ttl": "10m", "policies": ["default"]})
        token = made["auth"]["client_token"]
        await self._call(vault, "GET", "auth/token/lookup-self", None, token=token)
        await self._call(vault, "POST", "auth/token/revoke-self", None, token=token)
        await self._call(vault, "GET", "auth/token/lookup-self", None, 403, token=token)

    async def _call(
        self, vault: Vault, method: str, path: str, body: Any, allowed: int = 0, *, token: str = ""
    ) -> dict[str, Any]:
        """Return the JSON of an answer, {} for none. Raises _Failed; what is not excused is a finding."""
        assert self._session is not None
        headers = {"X-Vault-Token": token or vault.token}
        began = time.monotonic()
        status, answer, words, retry_after = 0, {}, "", ""
        try:
            async with self._session.request(
                method, f"{self._address}/v1/{path}", json=body, headers=headers
            ) as response:
                status, retry_after = response.status, response.headers.get("Retry-After", "")
                if response.content_length:
                    answer = await response.json()
        except UNANSWERED as error:
            words = type(error).__name__
        kind = f"{method} {path.split('/', maxsplit=1)[0]} {status}"
        self.counts[kind] += 1
        self.seconds.append(time.monotonic() - began)
        revoked = token and allowed == 403 and status != 403
        if (200 <= status < 300 and not revoked) or (allowed and status == allowed):
            return answer
        if revoked and 200 <= status < 300:
            self.found(f"{vault.id}: a token that was revoked is good")
        elif self._trouble.excused(vault, began):
            self.excused[kind] += 1
        elif status == 503 and retry_after:
            self.refused += 1  # clients ask again
        else:
            said = f"{status} {words} {answer.get('errors', '')}"
            self.found(f"{vault.id}: {method} {path}: {said} {self._trouble.last(vault)}")
        raise _Failed(done_perhaps=status == 0 or status >= 500)


class _Work(NamedTuple):
    """What clients do, how often beside other work, and of how many requests it is."""

    done: Callable[[int, Vault], Awaitable[None]]
    weight: int
    requests: int


class _Failed(Exception):
    def __init__(self, *, done_perhaps: bool) -> None:
        super().__init__()
        self.done_perhaps = done_perhaps
