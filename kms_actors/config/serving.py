"""Limits of what clients hold, metrics and logs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kms_actors.config.listeners import Tls
from kms_actors.config.section import Count, Port, Seconds, Section, Size


class Limits(Section, frozen=True):
    """What clients may hold of one process at once, before and after it knows who they are."""

    connections: Annotated[
        Count,
        Meta(
            description="connections; past it those idle longest are closed, and where none is idle, new ones get 503"
        ),
    ] = 4096
    connections_per_address: Annotated[
        Count,
        Meta(
            description="connections of one address (IPv6: of one /64), a proxy's that says whom it speaks for left "
            "out; past it that address's own are closed, those idle longest first, and where none is, it gets 503"
        ),
    ] = 2048
    pending_bytes: Annotated[
        Size,
        Meta(
            description="what was sent and no request is worked on for yet: headers that come in pieces, requests "
            "behind one another, beginnings of bodies; past it 503"
        ),
    ] = "64 MiB"
    pending_bytes_per_address: Annotated[
        Size, Meta(description="of these, what one address may have sent; past it 503")
    ] = "16 MiB"
    body_bytes: Annotated[
        Size, Meta(description="bodies of requests that are worked on, the small ones left out; past it 503")
    ] = "256 MiB"
    bulk_worker: Annotated[
        bool,
        Meta(
            description="with several workers, one more serves who sends bodies of 256 KiB and more, so that nobody "
            "else waits behind these; it is there while it has something to do"
        ),
    ] = True
    bulk_idle_seconds: Annotated[
        Seconds, Meta(description="how long that worker stays without a connection, after which its memory is free")
    ] = 120.0
    wait_seconds: Annotated[
        Annotated[float, Meta(gt=0, le=60)],
        Meta(
            description="how long all requests that are not answered may be expected to take; past it vaults, and "
            "addresses without a token, that ask for more than their share of a process get 503"
        ),
    ] = 0.1
    body_rate: Annotated[
        Size,
        Meta(description="of a body that has taken 20 s, what must have come in each second since; less is 408"),
    ] = "500 B"


class Metrics(Section, frozen=True):
    """Prometheus metrics."""

    host: Annotated[str, Meta(description="address of the metrics port")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="metrics port")] = 9090
    token_file: Annotated[
        str | None,
        Meta(
            description="file with a token, of 16 characters or more, that who reads the metrics sends as "
            "`Authorization: Bearer …`; without it nobody is asked for one"
        ),
    ] = None
    tls: Tls | None = None
    key_series: Annotated[
        int,
        Meta(
            ge=0,
            description="series of `kms_transit_key_operations_total` that a process counts by names of vaults and "
            "keys; past it, or with 0, operations are counted without names",
        ),
    ] = 1000


class Log(Section, frozen=True):
    """Structured logs on standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="least level written")] = "info"
    format: Annotated[Literal["text", "json"], Meta(description="`text` for people, `json` for machines")] = "text"
