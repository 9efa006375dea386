"""The token of a seal, kept alive while a node runs.

It is looked up, and renewed when half of its time is over; another that takes its place in the file, likewise.
Tokens that cannot be renewed (biscuits, root and batch tokens) are left alone, and looked up again now and then. What
goes wrong is logged and tried again; nothing else depends on it.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final

import structlog

from kms_actors.errors import KmsError
from kms_actors.seals.transit.client import Client

_log: Final = structlog.get_logger(__name__)

#: Seconds between renewals, at least and at most; and between looks at a token that cannot be renewed.
SHORTEST: Final = 1.0
LONGEST: Final = 3600.0
#: Seconds after a failure; each in a row doubles it, up to the longest.
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
#: Seconds between looks whether there is another token.
LOOK_SECONDS: Final = 10.0


class Renewal:
    """Renews the token of `client` until `stop`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._failures = 0
        self._seen = b""  # a digest of the token that was looked up last
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            self._seen = await self._digest()
            await self._rest(await self._step())

    async def _rest(self, seconds: float) -> None:
        """Wait for so long, or until there is another token."""
        ends = asyncio.get_running_loop().time() + seconds
        while (left := ends - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, LOOK_SECONDS))
            if await self._digest() not in {b"", self._seen}:
                return

    async def _digest(self) -> bytes:
        """Return what tells a token from others; nothing while it cannot be read, or is being written."""
        try:
            token = await asyncio.to_thread(self._client.token)
        except KmsError:
            return b""
        return hashlib.sha256(token.reveal()).digest()

    async def _step(self) -> float:
        """Look the token up, renew it if it is time, and return after how many seconds to come again."""
        try:
            found = _data(await self._client.get("auth/token/lookup-self"))
            seconds = found.get("ttl")
            if not found.get("renewable") or not isinstance(seconds, int | float) or seconds <= 0:
                wait = LONGEST
            else:
                answer = await self._client.post("auth/token/renew-self", {})
                granted = _part(answer, "auth").get("lease_duration")
                wait = _bounded(granted if isinstance(granted, int | float) else seconds)
        except KmsError as error:
            return self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - of whatever kind: a token that nobody renews ends
            return self._failed(type(error).__name__)
        if self._failures:
            _log.info("the token of the seal is renewed again", failures=self._failures)
        self._failures = 0
        return wait

    def _failed(self, reason: str) -> float:
        self._failures += 1
        if self._failures == 1:
            _log.warning("the token of the seal cannot be renewed; this is tried again", reason=reason)
        return min(FIRST_WAIT * 2.0 ** min(self._failures - 1, 16), LONGEST_WAIT)


def _bounded(seconds: float) -> float:
    """Return when to renew a token that lives so long from now on."""
    return min(max(seconds / 2, SHORTEST), LONGEST)


def _data(answer: Any) -> dict[str, Any]:
    return _part(answer, "data")


def _part(answer: Any, name: str) -> dict[str, Any]:
    part = answer.get(name)
    return part if isinstance(part, dict) else {}
