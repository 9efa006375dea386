"""The header that a proxy puts before everything else on a connection, and whom it speaks for by it.

Source: "The PROXY protocol", versions 1 and 2, of the HAProxy project.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Final

#: Both begin with something of this length, or longer.
BEGINNING: Final = 12
#: Bytes of version 1, its line end among them.
MAX_LINE: Final = 107
#: Bytes of version 2 behind its own first 16: addresses, and what else a proxy tells, which is read over.
MAX_REST: Final = 4096

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = struct.Struct("!BBH")
FIXED: Final = _FIXED.size
_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?"
    rb"|TCP([46]) ([0-9a-fA-F:.]{2,45}) ([0-9a-fA-F:.]{2,45}) ([0-9]{1,5}) ([0-9]{1,5}))\r\n"
)
_LOCAL: Final = 0x20
_PROXIED: Final = 0x21
_LENGTHS: Final = {0x11: 4, 0x12: 4, 0x21: 16, 0x22: 16}  # of one address: IPv4 and IPv6, TCP and UDP
_OTHERS: Final = frozenset({0x00, 0x31, 0x32})  # no address that would be of use: unknown, or of a unix socket
_PORT: Final = 65535


class NoHeader(Exception):
    """What a proxy has sent is none of its headers."""


def of_line(line: bytes) -> str | None:
    """Return the client's address in a header of version 1; None where the proxy speaks for itself.

    Raises:
        NoHeader: it is none.

    """
    found = _LINE.fullmatch(line)
    if found is None or len(line) > MAX_LINE:
        raise NoHeader
    family, source, destination, *ports = found.groups()
    if family is None:
        return None
    try:
        addresses = [address_of(text.decode()) for text in (source, destination)]
    except ValueError:
        raise NoHeader from None
    if any(address.version != int(family) for address in addresses) or any(int(port) > _PORT for port in ports):
        raise NoHeader
    return plain(addresses[0])


def rest_of(fixed: bytes) -> int:
    """Return how many bytes follow the first 16 of version 2, whose last four are given. Raises NoHeader."""
    command, family, length = _FIXED.unpack(fixed)
    if command not in {_LOCAL, _PROXIED} or length > MAX_REST:
        raise NoHeader
    if command == _PROXIED and family not in _OTHERS and length < 2 * _LENGTHS.get(family, MAX_REST) + 4:
        raise NoHeader
    return int(length)


def of_rest(fixed: bytes, rest: bytes) -> str | None:
    """Return the client's address in a header of version 2; None where the proxy speaks for itself."""
    command, family, _ = _FIXED.unpack(fixed)
    if command == _LOCAL or family in _OTHERS:
        return None
    return plain(ipaddress.ip_address(rest[: _LENGTHS[family]]))


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address in a text; raises ValueError for none, or one with an interface (`fe80::1%any text`)."""
    if "%" in text:
        raise ValueError("an address with an interface")
    return ipaddress.ip_address(text)


def plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return the text of an address: IPv4 within IPv6 is IPv4."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
