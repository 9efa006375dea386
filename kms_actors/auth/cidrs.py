"""Blocks of addresses that a token, or what it is given for, is bound to: in text form, as Vault shows them.

An address stands for itself alone. IPv4 within IPv6 (`::ffff:10.0.0.1`) is IPv4: so a listener for both families sees
the same caller in one way.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from kms_actors.errors import InvalidRequest

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Blocks that one list has at most, and characters of one.
MAX_BLOCKS: Final = 256
_MAX_TEXT: Final = 64
#: Addresses and blocks whose parsed form is kept.
_KEPT: Final = 2048


def checked(field: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return blocks as they are kept; raises InvalidRequest, naming `field`, for what is none."""
    if len(texts) > MAX_BLOCKS:
        raise InvalidRequest(f"{field}: more than {MAX_BLOCKS} blocks of addresses")
    return tuple(_text(field, text) for text in texts)


def check_blocks(field: str, texts: Sequence[str]) -> None:
    """Raise InvalidRequest, naming `field`, unless all are blocks with the length of their prefix."""
    if len(texts) > MAX_BLOCKS:
        raise InvalidRequest(f"{field}: more than {MAX_BLOCKS} blocks of addresses")
    if any("/" not in text or _parsed(text) is None for text in texts):
        raise InvalidRequest(f"{field}: failed to validate CIDR blocks: invalid CIDR address")


def contains(blocks: Iterable[str], address: str) -> bool:
    """Tell whether an address lies in one of the blocks; what is no address lies in none."""
    own = _parsed(address)
    return own is not None and any(_lies_in(own, _parsed(block)) for block in blocks)


def within(inner: Iterable[str], outer: Sequence[str]) -> bool:
    """Tell whether each block of `inner` lies in one of `outer`, or `outer` is empty and bounds nothing."""
    return not outer or all(any(_lies_in(_parsed(one), _parsed(block)) for block in outer) for one in inner)


def _lies_in(inner: Network | None, outer: Network | None) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def _text(field: str, text: str) -> str:
    text = text.strip()
    address, slash, length = text.partition("/")
    network = _parsed(text)
    if network is None:
        raise InvalidRequest(
            f"error parsing address in {field}: unable to convert to an IPv4 or IPv6 address or block"
        )
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return f"{address}{slash}{length}".lower()  # with the host's bits, as it was sent


@functools.lru_cache(maxsize=_KEPT)
def _parsed(text: str) -> Network | None:
    if len(text) > _MAX_TEXT or "%" in text:
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network
