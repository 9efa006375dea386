"""A listener as a process has it: its sockets, and what holds for the connections that they take."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from multidict import istr

from kms_actors.auth import cidrs
from kms_http.wire import proxy_protocol
from kms_http.wire.errors import HttpError

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from kms_http.wire.tls import Wraps

#: Stands, in lists of addresses, for whoever comes by a unix socket and so has none.
UNIX: Final = "unix"
_FORWARDED: Final = istr("X-Forwarded-For")
#: Entries of the header that are looked at, all its lines together.
_MAX_HOPS: Final = 256


def named(addresses: Sequence[str], peer: str) -> bool:
    """Tell whether a peer, by its address, is one of those; empty is that of a unix socket."""
    return (UNIX in addresses) if not peer else cidrs.contains(addresses, peer)


@dataclass(frozen=True)
class Forwarding:
    """Whose `X-Forwarded-For` counts, and how. Source: `x_forwarded_for_…` of Vault's listener."""

    authorized: Sequence[str]
    hop_skips: int = 0
    reject_not_authorized: bool = True
    reject_not_present: bool = True

    def client(self, peer: str, headers: CIMultiDict[str]) -> str:
        """Return the address that a request comes from. Raises HttpError 400 by the rules."""
        lines = headers.getall(_FORWARDED, ())
        if not lines:
            if self.reject_not_present:
                raise HttpError(400, "missing x-forwarded-for header and configured to reject when not present")
            return peer
        if not named(self.authorized, peer):
            if self.reject_not_authorized:
                raise HttpError(
                    400, "client address not authorized for x-forwarded-for and configured to reject connection"
                )
            return peer
        hops = [hop.strip() for line in lines for hop in line.split(",", _MAX_HOPS)]
        if self.hop_skips >= len(hops):
            raise HttpError(
                400,
                f"malformed x-forwarded-for configuration or request, hops to skip ({self.hop_skips}) would skip "
                f"before earliest chain link (chain length {len(hops)})",
            )
        try:
            return proxy_protocol.plain(proxy_protocol.address_of(hops[-1 - self.hop_skips]))
        except ValueError:
            raise HttpError(400, "malformed x-forwarded-for header: no address where the client's is") from None


@dataclass
class Entry:
    """Sockets of one listener. Its TLS may be renewed meanwhile (`tls.ReloadableContext`)."""

    sockets: list[socket.socket]
    tls: Wraps | None = None
    proxies: Sequence[str] = field(default=())  # whose connections begin with a header of the PROXY protocol
    proxies_alone: bool = False  # nobody else is served
    forwarding: Forwarding | None = None
    number: int = 0  # among all of the node
    console: bool = False  # the web console is served there, too

    def speaks_for_others(self, peer: str) -> bool:
        """Tell whether many clients may come by this address."""
        return named(self.proxies, peer) or (self.forwarding is not None and named(self.forwarding.authorized, peer))
