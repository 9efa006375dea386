"""Requests that a node sends for a vault's logins, to where `outbound` allows: bounded in every way.

One answer each: no redirect is followed, no proxy of the environment is asked, no cookie is kept, nothing is
unpacked. A host is looked up once, and what was looked up is what is connected to, so a name cannot turn into another
address in between. Names are looked up by threads of their own: a slow name server keeps no other work waiting.

A vault has some requests under way at once, and some waiting; past that it is told to try again.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from kms_actors.cache import ByteCache
from kms_actors.errors import KmsError, Overloaded
from kms_actors.outbound import NotAllowed, Outbound, Target
from kms_actors.runtime.threads import Lane, LaneSize

#: Seconds of a request with all that belongs to it, its place in the line included.
SECONDS: Final = 5.0
#: Bytes of an answer.
MAX_BYTES: Final = 256 * 1024
#: Requests of one vault under way, and waiting.
_EACH: Final = 8
_WAITING: Final = 64
#: For names that are looked up, and certificates that are read. A name server may take a thread for half a minute.
_THREADS: Final = LaneSize(threads=16, each=2, waiting=_EACH + _WAITING)
#: Contexts of TLS that are kept, by their CA; each takes about so much.
_CONTEXT_BYTES: Final = 100_000
_KEPT_BYTES: Final = 4 << 20
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "clever-kms"}


class FetchFailed(KmsError):
    """No answer; the text says why, in words that name no address. It is for logs and administrators."""


class Answer(NamedTuple):
    """What was answered; the body may be of any type."""

    status: int
    body: bytes


class Fetcher:
    """Sends requests for the logins of all vaults of a process. `allowed` are the entries of the setting."""

    def __init__(self, allowed: Iterable[str], seconds: float = SECONDS) -> None:
        self._outbound = Outbound(allowed)
        self._seconds = seconds
        self._lane = Lane("fetch", _THREADS)
        self._places: dict[str, asyncio.Semaphore] = {}
        self._entered: dict[str, int] = {}
        self._contexts: ByteCache[str, ssl.SSLContext] = ByteCache(_KEPT_BYTES, lambda *_: _CONTEXT_BYTES)

    def close(self) -> None:
        """End the threads, once what they look up has ended."""
        self._lane.close()

    def of(self, owner: str) -> OwnFetch:
        """Return it for one owner, a vault."""
        return OwnFetch(self, owner)

    def check(self, url: str) -> None:
        """Raise FetchFailed for a URL that is not fetched, as far as it shows without a look at its host."""
        self._target(url)

    async def send(self, owner: str, method: str, url: str, ca_pem: str, options: Mapping[str, Any]) -> Answer:
        """Return the answer to a request; see `OwnFetch`."""
        target = self._target(url)
        try:
            async with asyncio.timeout(self._seconds), self._place(owner):
                return await self._send(owner, method, target, ca_pem, options)
        except TimeoutError:
            raise FetchFailed("no answer in time") from None
        except aiohttp.ClientConnectorCertificateError:
            raise FetchFailed("its certificate is not trusted") from None
        except aiohttp.ClientConnectorError:
            raise FetchFailed("it cannot be connected to") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise FetchFailed("the answer is broken off, or is none of HTTP") from None

    def _target(self, url: str) -> Target:
        try:
            return self._outbound.check(url)
        except NotAllowed as refused:
            raise FetchFailed(str(refused)) from None

    @contextlib.asynccontextmanager
    async def _place(self, owner: str) -> AsyncIterator[None]:
        """Wait for a place of the owner's; raises Overloaded if too many do."""
        if self._entered.get(owner, 0) >= _EACH + _WAITING:
            raise Overloaded("too many logins of this vault wait for another server")
        self._entered[owner] = self._entered.get(owner, 0) + 1
        try:
            async with self._places.setdefault(owner, asyncio.Semaphore(_EACH)):
                yield
        finally:
            self._entered[owner] -= 1
            if not self._entered[owner]:
                del self._entered[owner], self._places[owner]

    async def _send(self, owner: str, method: str, target: Target, ca_pem: str, options: Mapping[str, Any]) -> Answer:
        context = await self._context(owner, ca_pem) if target.scheme == "https" else False
        resolver = _Looked(await self._addresses(owner, target))
        connector = aiohttp.TCPConnector(ssl=context, resolver=resolver, use_dns_cache=False, force_close=True)
        url = URL.build(
            scheme=target.scheme,
            host=target.host,
            port=target.port,
            path=target.path,
            query_string=target.query,
            encoded=True,
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers=_HEADERS,
                timeout=aiohttp.ClientTimeout(total=None),  # the whole is timed
            ) as session,
            session.request(method, url, allow_redirects=False, **options) as response,
        ):
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise FetchFailed("the answer is packed")
            return Answer(response.status, await _read(response))

    async def _addresses(self, owner: str, target: Target) -> list[ResolveResult]:
        """Return where to connect to; raises FetchFailed where the host has no address that is allowed."""
        own = target.address
        if own is not None:  # which was checked, and which the connector looks up nowhere
            return []

        def look_up() -> list[tuple[Any, ...]]:
            return socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)

        try:
            found = await self._lane.run(owner, lambda: True, look_up)
        except (OSError, UnicodeError):
            raise FetchFailed("its host is not known") from None
        allowed = [
            (family, place[0])
            for family, _, _, _, place in found
            if "%" not in place[0] and self._outbound.allows(target, ip_address(place[0]))
        ]
        if not allowed:
            raise FetchFailed("its host has no address that may be fetched from (setting tenants.login_urls)")
        return [_entry(target, int(family), address) for family, address in allowed]

    async def _context(self, owner: str, ca_pem: str) -> ssl.SSLContext:
        """Return what trusts the certificates of a CA, or the system's; reading those takes long."""
        context = self._contexts.get(ca_pem)
        if context is None:
            try:
                context = await self._lane.run(owner, lambda: True, lambda: client_context(ca_pem))
            except (ssl.SSLError, ValueError):
                raise FetchFailed("the CA is not a certificate in PEM") from None
            self._contexts.put(ca_pem, context)
        return context


def nowhere() -> OwnFetch:
    """Return what fetches nothing."""
    return Fetcher(()).of("")


class OwnFetch(NamedTuple):
    """The requests of one owner. `ca_pem` are the certificates to trust in place of the system's.

    Each raises FetchFailed where there is no answer, whatever its status, and Overloaded.
    """

    fetcher: Fetcher
    owner: str

    def check(self, url: str) -> None:
        """Raise FetchFailed for a URL that is not fetched, as far as it shows without a look at its host."""
        self.fetcher.check(url)

    async def get(self, url: str, ca_pem: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Read a URL."""
        return await self.fetcher.send(self.owner, "GET", url, ca_pem, {"headers": headers})

    async def post_form(
        self, url: str, fields: Mapping[str, str], ca_pem: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a form."""
        return await self.fetcher.send(self.owner, "POST", url, ca_pem, {"data": fields, "headers": headers})

    async def post_json(
        self, url: str, body: bytes, ca_pem: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send JSON."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        return await self.fetcher.send(self.owner, "POST", url, ca_pem, {"data": body, "headers": sent})


def client_context(ca_pem: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates in `ca_pem`, or those of the system.

    Raises ssl.SSLError or ValueError for a text that has none.
    """
    context = ssl.create_default_context(cadata=ca_pem or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Looked(AbstractResolver):
    """Knows the addresses that were looked up, and no other."""

    def __init__(self, addresses: list[ResolveResult]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        return self._addresses

    async def close(self) -> None:
        pass


def _entry(target: Target, family: int, address: str) -> ResolveResult:
    return ResolveResult(
        hostname=target.host,
        host=address,
        port=target.port,
        family=family,
        proto=0,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_BYTES:
            raise FetchFailed(f"the answer has more than {MAX_BYTES} bytes")
    return bytes(body)
