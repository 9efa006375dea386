"""Requests to a server of the Vault API: several addresses, tried one after the other, and tried again.

No redirect is followed and no proxy of the environment is asked, so the token goes to no other place than the
settings name. One answer, bounded in size and time. A server that is sealed, a standby, or overloaded is passed over
like one that is not there; one that says no has said no for all of them.

Source: Vault's API pages `secret/transit`, `auth/token`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from kms_actors.errors import SealRefused, SealUnavailable
from kms_actors.secret import SecretBytes

#: Seconds of one request to one address.
SECONDS: Final = 5.0
#: Rounds over all addresses, and seconds before the second; each further one waits twice as long.
ROUNDS: Final = 3
FIRST_WAIT: Final = 0.2
#: Bytes of an answer.
MAX_BYTES: Final = 256 * 1024

_PASSED_OVER: Final = frozenset({429, 472, 473})  # too many requests; standbys of Vault Enterprise
_ERRORS_SHOWN: Final = 200  # characters


def plain() -> None:
    """Speak no TLS."""


class Client:
    """Sends requests with what `token` and `context` return at that time; of `context`, None means plain HTTP."""

    def __init__(
        self,
        addresses: Sequence[str],
        token: Callable[[], SecretBytes],
        *,
        namespace: str | None = None,
        context: Callable[[], ssl.SSLContext | None] = plain,
        server_name: str | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._addresses = [address.rstrip("/") for address in addresses]
        self.token = token
        self._namespace = namespace
        self._context = context
        self._server_name = server_name
        self._seconds = seconds

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return what the server answers to a write; raises as `send`."""
        return await self.send("POST", path, body)

    async def get(self, path: str) -> Any:
        """Return what the server answers to a read; raises as `send`."""
        return await self.send("GET", path, None)

    async def send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """Return the answer of the first server that gives one.

        Raises:
            SealUnavailable: none did.
            SealRefused: it says no. The text has what the server says, never the token.
            SettingError: the token cannot be read, or a certificate.

        """
        reason = ""
        token, context = await asyncio.to_thread(lambda: (self.token(), self._context()))
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, use_dns_cache=False),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers(token),
            timeout=aiohttp.ClientTimeout(total=self._seconds),
        ) as session:
            for number in range(ROUNDS):
                if number:
                    await asyncio.sleep(FIRST_WAIT * 2 ** (number - 1))
                for address in self._addresses:
                    try:
                        return await self._ask(session, context, method, f"{address}/v1/{path}", body)
                    except SealRefused:
                        raise
                    except SealUnavailable as error:
                        reason = f"{address}: {error}"
        raise SealUnavailable(f"the server of the seal does not answer: {reason}")

    def _headers(self, token: SecretBytes) -> dict[str, str]:
        headers = {
            "X-Vault-Request": "true",
            "X-Vault-Token": token.reveal().decode("latin-1"),
            "Accept-Encoding": "identity",
            "User-Agent": "clever-kms",
        }
        return headers | ({"X-Vault-Namespace": self._namespace} if self._namespace else {})

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        context: ssl.SSLContext | None,
        method: str,
        url: str,
        body: dict[str, Any] | None,
    ) -> Any:
        try:
            async with session.request(
                method,
                url,
                json=body,
                ssl=context or True,
                server_hostname=self._server_name if url.startswith("https:") else None,
                allow_redirects=False,
            ) as response:
                return _understood(response.status, await _read(response))
        except TimeoutError:
            raise SealUnavailable("no answer in time") from None
        except aiohttp.ClientConnectorCertificateError:
            raise SealUnavailable("its certificate is not trusted") from None
        except aiohttp.ClientConnectorSSLError:
            raise SealUnavailable("no TLS comes about") from None
        except aiohttp.ClientConnectorError:
            raise SealUnavailable("it cannot be connected to") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise SealUnavailable("the answer is broken off, or is none of HTTP") from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_BYTES:
            raise SealUnavailable("the answer is too large")
    return bytes(body)


def _understood(status: int, body: bytes) -> Any:
    """Return what a good answer says; raises SealRefused for a no, SealUnavailable for none."""
    if status >= 500 or status in _PASSED_OVER:
        raise SealUnavailable(f"it answers with status {status}")
    if 300 <= status < 400:
        raise SealUnavailable(f"it answers with status {status}, and leads elsewhere")
    try:
        answer = msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SealUnavailable("the answer is no JSON") from None
    if not isinstance(answer, dict):
        raise SealUnavailable("the answer is no object")
    if status >= 400:
        raise SealRefused(f"the server of the seal refuses (status {status}){_said(answer)}")
    return answer


def _said(answer: dict[str, Any]) -> str:
    errors = answer.get("errors")
    texts = [text for text in errors if isinstance(text, str)] if isinstance(errors, list) else []
    said = " ".join("; ".join(texts).split())[:_ERRORS_SHOWN]
    return f": {said}" if said.isprintable() and said else ""
