"""Where a node may go for a vault's logins: to fetch an issuer's keys, to trade a code, to have a token reviewed.

A vault's administrator names the URL, so it may be any. What a node can reach is not what he can: its cluster's inner
network, and itself. So a host is looked up first, and only addresses are connected to that are allowed: those of the
internet, and what the operator of the cluster adds by the setting `tenants.login_urls`.

An entry of it is `public`, a range of addresses as `10.2.0.0/16`, for https, or the origin of URLs, for which the
address does not matter: `https://idp.internal:8443`, `https://*.corp.internal`, `http://127.0.0.1:8080`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = IPv4Address | IPv6Address

PUBLIC: Final = "public"
#: Characters of a URL.
MAX_URL: Final = 2048

_PORTS: Final = {"https": 443, "http": 80}
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
#: What ends in a number is an address to some, in forms that others read differently: `127.1`, `0177.0.0.1`.
_NUMBER: Final = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)", re.ASCII)
_REST: Final = re.compile(r"[!-~]*", re.ASCII)  # printable, without space
#: Addresses of IPv6 that are one of IPv4 in other words (RFC 6052), beside those the library knows.
_NAT64: Final = IPv6Network("64:ff9b::/96")


class NotAllowed(ValueError):
    """A URL that is none, or that the node may not go to; the text is for who wrote it."""


class Target(NamedTuple):
    """A URL in its parts; `host` is in lower case and, of IPv6, without brackets."""

    scheme: str
    host: str
    port: int
    path: str  # with a leading slash
    query: str

    @property
    def address(self) -> Address | None:
        """The host, where that is an address already."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None


class _Origin(NamedTuple):
    scheme: str
    host: str  # `*.` before it: any name below it
    port: int

    def covers(self, target: Target) -> bool:
        if (self.scheme, self.port) != (target.scheme, target.port):
            return False
        return target.host.endswith(self.host[1:]) if self.host.startswith("*.") else target.host == self.host


class Outbound:
    """The entries of the setting. Made once; raises NotAllowed for one that is none."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._public = False
        self._ranges: list[IPv4Network | IPv6Network] = []
        self._origins: list[_Origin] = []
        for entry in entries:
            if entry == PUBLIC:
                self._public = True
            elif "://" in entry:
                self._origins.append(_origin(entry))
            else:
                self._ranges.append(_range(entry))

    def check(self, url: str) -> Target:
        """Return the parts of a URL that the node may go to, if its address is allowed too; raises NotAllowed."""
        target = read_url(url)
        if target.scheme != "https" and not self._by_origin(target):
            raise NotAllowed("only https URLs are fetched (setting tenants.login_urls)")
        address = target.address
        if address is not None and not self.allows(target, address):
            raise NotAllowed("the address is not one that may be fetched from (setting tenants.login_urls)")
        return target

    def allows(self, target: Target, address: Address) -> bool:
        """Tell whether a checked URL may be fetched from this address, which its host has."""
        if self._by_origin(target):
            return True
        plain = _as_ipv4(address)
        return (self._public and is_public(plain)) or any(
            plain in network for network in self._ranges if network.version == plain.version
        )

    def _by_origin(self, target: Target) -> bool:
        return any(origin.covers(target) for origin in self._origins)


def read_url(url: str) -> Target:
    """Return the parts of an absolute URL of http or https; raises NotAllowed."""
    try:
        if len(url) > MAX_URL or not _REST.fullmatch(url):
            raise NotAllowed("not a URL")
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise NotAllowed("not a URL") from None
    if parts.scheme not in _PORTS:
        raise NotAllowed("not a URL of https")
    if "@" in parts.netloc or "%" in parts.netloc or "#" in url or "\\" in url:
        raise NotAllowed("a URL with a user, an interface, a fragment or a backslash is not fetched")
    target = Target(parts.scheme, host.lower(), port or _PORTS[parts.scheme], parts.path or "/", parts.query)
    if target.address is None and (not _HOST.fullmatch(target.host) or _NUMBER.fullmatch(target.host)):
        raise NotAllowed("not a URL: the host is no name and no address")
    return target


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the internet at large."""
    return address.is_global and not address.is_multicast and not address.is_reserved


def _as_ipv4(address: Address) -> Address:
    """Return the address of IPv4 that one of IPv6 stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo is not None else address)


def _origin(entry: str) -> _Origin:
    wildcard = "://*." in entry
    target = read_url(entry.replace("://*.", "://", 1) if wildcard else entry)
    if target.path != "/" or target.query or entry.endswith("?"):
        raise NotAllowed("an entry has scheme, host and port of URLs, no path")
    return _Origin(target.scheme, f"*.{target.host}" if wildcard else target.host, target.port)


def _range(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry)
    except ValueError:
        raise NotAllowed("an entry is `public`, a range of addresses, or an origin of URLs") from None
