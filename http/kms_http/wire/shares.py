"""What one address holds of a process before anybody knows who is behind it, beside what all hold together."""

from __future__ import annotations

import functools
import heapq
import ipaddress
from typing import TYPE_CHECKING, Final

from kms_http.wire.limits import Account, Limits

if TYPE_CHECKING:
    from kms_http.wire.connection import Connection

#: Bits of an IPv6 address that one customer of a network has.
_NETWORK: Final = 64
#: Idle connections closed at a time to make room.
_MADE_ROOM: Final = 16


class Share:
    """The part of one address, from its first connection to its last."""

    __slots__ = ("_holds", "_most", "_shares", "address", "connections", "pending")

    def __init__(self, shares: Shares, address: str, limits: Limits, *, bounded: bool) -> None:
        self._shares = shares
        self._holds = 0  # accepted, and not gone
        self._most = limits.connections_per_address if bounded else limits.connections
        self.address = address
        self.connections: set[Connection] = set()
        self.pending = Account(limits.pending_bytes_per_address if bounded else limits.pending_bytes)

    def has_room(self) -> bool:
        """Tell whether the one counted last may be taken; closes idle ones where that is needed."""
        if self._holds <= self._most:
            return True
        idle = [connection for connection in self.connections if not connection.busy]
        most = max(1, min(_MADE_ROOM, self._most // 8))
        for connection in heapq.nsmallest(most, idle, key=lambda connection: connection.idle_since):
            connection.abort()
        return bool(idle)

    @property
    def overfull(self) -> bool:
        """True while more is counted than may be."""
        return self._holds > self._most

    def hold(self) -> None:
        """Count one more, until `let_go`."""
        self._holds += 1

    def let_go(self) -> None:
        """Count one less."""
        self._holds -= 1
        if not self._holds:
            self._shares.forget(self)


class Shares:
    """Those of all addresses that have a connection. Proxies, and unix sockets, have as much as all together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._shares: dict[str, Share] = {}

    def hold(self, address: str, *, many: bool) -> Share:
        """Count one connection more of an address, and return its share; `many` clients may come by it."""
        bounded = bool(address) and not many
        name = network(address) if bounded else f"*{address}"
        share = self._shares.get(name)
        if share is None:
            share = Share(self, name, self._limits, bounded=bounded)
            self._shares[name] = share
        share.hold()
        return share

    def forget(self, share: Share) -> None:
        """Let go of one that nothing is counted in any more."""
        if self._shares.get(share.address) is share:
            del self._shares[share.address]


@functools.lru_cache(maxsize=1024)
def network(address: str) -> str:
    """Return what is counted together: an IPv4 address, or a network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _NETWORK), strict=False))
