"""Ports, their limits, metrics and logs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kms_actors.config.section import Count, Port, Section, Size


class Limits(Section, frozen=True):
    """What clients may hold of one process at once, before and after it knows who they are."""

    connections: Annotated[
        Count,
        Meta(
            description="connections; past it those idle longest are closed, and where none is idle, new ones get 503"
        ),
    ] = 4096
    pending_bytes: Annotated[
        Size,
        Meta(
            description="what was sent and no request is worked on for yet: headers that come in pieces, requests "
            "behind one another, beginnings of bodies; past it 503"
        ),
    ] = "64 MiB"
    body_bytes: Annotated[
        Size, Meta(description="bodies of requests that are worked on, the small ones left out; past it 503")
    ] = "256 MiB"


class Tls(Section, frozen=True, kw_only=True):
    """TLS of the API port; without this table the port speaks plain HTTP."""

    certificate_file: Annotated[str, Meta(description="certificate chain, PEM")]
    private_key_file: Annotated[str, Meta(description="private key, PEM")]


class Metrics(Section, frozen=True):
    """Prometheus metrics."""

    host: Annotated[str, Meta(description="address of the metrics port")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="metrics port")] = 9090
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
