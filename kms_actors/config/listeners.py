"""Where the API is served: addresses and sockets, TLS, and the proxies that may say whom they speak for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from kms_actors.config.section import Port, Section

if TYPE_CHECKING:
    from kms_actors.config.whole import Configuration

#: Stands, among addresses, for whoever comes by a unix socket.
UNIX = "unix"
_ADDRESSES = {"allowed": "a list of addresses, ranges such as `10.2.0.0/16`, and `unix`"}


class Tls(Section, frozen=True, kw_only=True):
    """TLS of the API port; without this table the port speaks plain HTTP."""

    certificate_file: Annotated[str, Meta(description="certificate chain, PEM")]
    private_key_file: Annotated[str, Meta(description="private key, PEM")]
    min_version: Annotated[Literal["1.2", "1.3"], Meta(description="oldest version of TLS that is spoken")] = "1.2"
    max_version: Annotated[Literal["1.2", "1.3"], Meta(description="newest version of TLS that is spoken")] = "1.3"
    client_certificates: Annotated[
        Literal["none", "request", "require"],
        Meta(
            description="`none`: clients are not asked for certificates; `request`: they may show one, as logins of "
            "type `cert` want it; `require`: who shows none is sent away"
        ),
    ] = "none"
    client_ca_file: Annotated[
        str | None,
        Meta(
            description="authorities, PEM, that a client's certificate must come from; without it any is taken with "
            "`request`, and logins of type `cert` alone decide what it is worth"
        ),
    ] = None
    post_quantum: Annotated[
        bool,
        Meta(
            description="offer X25519MLKEM768 whatever the system's OpenSSL: where that is older than 3.5, another "
            "one is used, which takes 15 µs more a request; the log tells at the start whether it is offered"
        ),
    ] = False


class Listener(Section, frozen=True, kw_only=True):
    """One address that the API is served at; as many tables as addresses, in place of `host`, `port` and `[tls]`."""

    host: Annotated[str | None, Meta(description="address to listen on; needs `port`")] = None
    port: Annotated[Port | None, Meta(description="port to listen on; needs `host`")] = None
    unix: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="path of a unix socket, in place of `host` and `port`"),
    ] = None
    mode: Annotated[
        str,
        Meta(
            pattern=r"^0?[0-7]{3}$",
            extra={"allowed": "three octal digits, such as `660`"},
            description="who may use the unix socket, as of a file",
        ),
    ] = "600"
    owner: Annotated[str | None, Meta(description="user that the unix socket belongs to, a name or a number")] = None
    group: Annotated[str | None, Meta(description="group that the unix socket belongs to, a name or a number")] = None
    ui: Annotated[
        bool | None,
        Meta(description="serve the web console at `/ui/` there, or not; without it, what `ui` above says"),
    ] = None
    tls: Tls | None = None
    proxy_protocol_authorized_addrs: Annotated[
        tuple[str, ...],
        Meta(
            extra=_ADDRESSES,
            description="proxies whose connections begin with a PROXY protocol header (version 1 or 2), which says "
            "whom they speak for: addresses, ranges, or `unix` for whoever comes by the unix socket",
        ),
    ] = ()
    proxy_protocol_behavior: Annotated[
        Literal["allow_authorized", "deny_unauthorized"],
        Meta(
            description="who is none of these proxies: `allow_authorized` serves him by his own address, "
            "`deny_unauthorized` does not serve him"
        ),
    ] = "allow_authorized"
    x_forwarded_for_authorized_addrs: Annotated[
        tuple[str, ...],
        Meta(
            extra=_ADDRESSES,
            description="proxies whose `X-Forwarded-For` header says whom they speak for: addresses, ranges, or "
            "`unix`; empty: nobody's is looked at",
        ),
    ] = ()
    x_forwarded_for_hop_skips: Annotated[
        int,
        Meta(
            ge=0,
            le=64,
            description="entries of the header, from its end, that are further proxies of yours: the one before "
            "them is the client",
        ),
    ] = 0
    x_forwarded_for_reject_not_authorized: Annotated[
        bool, Meta(description="400 for a request that has the header and comes from somebody else")
    ] = True
    x_forwarded_for_reject_not_present: Annotated[bool, Meta(description="400 for a request without the header")] = (
        True
    )

    @property
    def place(self) -> str:
        """Where it listens, as logs have it."""
        return f"unix:{self.unix}" if self.unix is not None else f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """Where clients find it."""
        if self.unix is not None:
            return f"unix://{self.unix}"
        return f"{'http' if self.tls is None else 'https'}://{self.place}"


def problems(configuration: Configuration) -> Iterator[str]:
    """Tell which keys of listeners do not fit each other, a line each."""
    for number, (prefix, listener) in enumerate(configuration.keyed_listeners):
        yield from _place_problems(prefix, listener)
        for field in ("proxy_protocol_authorized_addrs", "x_forwarded_for_authorized_addrs"):
            if not all(_is_address(text) for text in getattr(listener, field)):
                yield f"key `{prefix}{field}`: must be {_ADDRESSES['allowed']}"
        if listener.proxy_protocol_behavior != "allow_authorized" and not listener.proxy_protocol_authorized_addrs:
            yield f"key `{prefix}proxy_protocol_behavior`: needs `{prefix}proxy_protocol_authorized_addrs`"
        if listener.tls is not None:
            yield from tls_problems(f"{prefix}tls.", listener.tls)
        before = [other for _, other in configuration.keyed_listeners[:number]]
        if any(listener.place == other.place for other in before) and listener.port != 0:
            yield f"key `{prefix}{'port' if listener.unix is None else 'unix'}`: must be another than of those before"
    if configuration.metrics.tls is not None:
        yield from tls_problems("metrics.tls.", configuration.metrics.tls)
        if configuration.metrics.tls.client_certificates == "request":
            yield "key `metrics.tls.client_certificates`: must be `none` or `require`: nothing else is asked there"


def tls_problems(prefix: str, tls: Tls) -> Iterator[str]:
    """Tell what does not fit in one table of TLS."""
    if tls.min_version > tls.max_version:
        yield f"key `{prefix}min_version`: at most `{prefix}max_version`"
    if tls.client_ca_file is not None and tls.client_certificates == "none":
        yield f"key `{prefix}client_ca_file`: needs `{prefix}client_certificates` `request` or `require`"
    if tls.client_ca_file is None and tls.client_certificates == "require":
        yield f"key `{prefix}client_ca_file`: needed with `{prefix}client_certificates` `require`"
    if tls.post_quantum and tls.max_version == "1.2":
        yield f"key `{prefix}post_quantum`: needs TLS 1.3"


def _place_problems(prefix: str, listener: Listener) -> Iterator[str]:
    if (listener.unix is None) == (listener.host is None):
        yield f"key `{prefix}host`: either it with `{prefix}port`, or `{prefix}unix`"
    elif (listener.host is None) != (listener.port is None):
        yield f"key `{prefix}port`: needed with, and only with, `{prefix}host`"
    if listener.unix is None:
        for field, given in (("mode", listener.mode != "600"), ("owner", listener.owner), ("group", listener.group)):
            if given:
                yield f"key `{prefix}{field}`: needs `{prefix}unix`"
    elif len(listener.unix.encode()) > _LONGEST_PATH:
        yield f"key `{prefix}unix`: at most {_LONGEST_PATH} bytes, which is what a socket's name may have"


#: Of `sun_path`, less what is put behind it while the socket is made.
_LONGEST_PATH = 98


def _is_address(text: str) -> bool:
    if text == UNIX:
        return True
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "%" not in text
