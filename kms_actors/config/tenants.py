"""What vaults may hold and do on a node."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kms_actors.config.section import Bound, Count, Lease, Seconds, Section, Size


class Tenants(Section, frozen=True):
    """Activity of tenants on a node."""

    unseal_scope: Annotated[
        Literal["cluster", "node"],
        Meta(
            description="`cluster`: a tenant is unsealed once for all nodes, its root key kept wrapped in the store; "
            "`node`: on each node for itself, the root key in memory only"
        ),
    ] = "cluster"
    lease_seconds: Annotated[
        Lease, Meta(description="without word from the store for so long, a node stops serving from memory")
    ] = 2.0
    idle_seconds: Annotated[
        Seconds,
        Meta(description="a tenant without requests for so long sleeps; its keys, and unused tokens, are forgotten"),
    ] = 300.0
    max_active: Annotated[
        Count, Meta(description="tenants awake at once; past it the least recently used one sleeps")
    ] = 10_000
    default_vault: Annotated[
        str,
        Meta(
            pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})?$",
            extra={"allowed": "a vault id, or empty"},
            description="vault whose logins (`auth/…/login`) are meant by a request that has no token and names no "
            "vault by `X-Vault-Namespace`, and of which tokens are whose text was chosen; empty: such requests are "
            "refused",
        ),
    ] = ""
    login_urls: Annotated[
        tuple[str, ...],
        Meta(
            extra={"allowed": "a list of `public`, ranges of addresses, and origins of URLs"},
            description="where a node may fetch what logins need (keys of issuers, codes traded, tokens reviewed): "
            "`public` for https to any address of the internet, ranges of inner addresses such as `10.2.0.0/16` "
            "for https, and origins such as `https://idp.internal:8443`, `https://*.corp.internal` or "
            "`http://127.0.0.1:8080`, whatever their address",
        ),
    ] = ("public",)
    max_mounts: Annotated[
        Count, Meta(description="mounts of one tenant, those of logins among them; past it a further one is refused")
    ] = 256
    max_policies: Annotated[
        Count, Meta(description="ACL policies of one tenant, and password policies; past it a further one is refused")
    ] = 4096
    max_secrets: Annotated[
        int,
        Meta(
            ge=0,
            description="secrets of one tenant; past it a further one is refused; 0: no bound",
        ),
    ] = 0
    max_secret_bytes: Annotated[
        Bound, Meta(description="bytes of one tenant's secrets, all versions, as stored; empty: no bound")
    ] = ""
    max_keys: Annotated[
        int, Meta(ge=0, description="Transit keys of one tenant; past it a further one is refused; 0: no bound")
    ] = 0
    max_tokens: Annotated[
        int, Meta(ge=0, description="service tokens of one tenant; past it a further one is refused; 0: no bound")
    ] = 0
    deletion_days: Annotated[
        float,
        Meta(ge=0, le=3650, description="days that a tenant which is to be deleted can still be kept"),
    ] = 7.0
    mailbox_limit: Annotated[Count, Meta(description="requests one tenant may have waiting; past it 503")] = 1024
    unseal_progress_seconds: Annotated[
        Seconds, Meta(description="life of shares given, until the threshold is met")
    ] = 600.0
    rotation_check_seconds: Annotated[
        Seconds,
        Meta(
            description="how often it is looked for Transit keys whose `auto_rotate_period` is over, "
            "and for tokens that are gone"
        ),
    ] = 60.0
    failure_limit: Annotated[
        Count, Meta(description="failures of one tenant within `failure_seconds` that rest it")
    ] = 5
    failure_seconds: Annotated[Seconds, Meta(description="window of `failure_limit`, and length of the rest")] = 60.0


class Transit(Section, frozen=True):
    """The Transit engine."""

    usage_flush_seconds: Annotated[
        Seconds,
        Meta(description="how long uses of keys, and clients, are counted in memory before they are stored"),
    ] = 10.0


class Cache(Section, frozen=True):
    """Memory of a process, as estimated; sizes such as `"512 kB"`, `"64 MiB"`."""

    tokens: Annotated[Size, Meta(description="verified tokens; past it the least recently used leave")] = "32 MiB"
    tenants: Annotated[
        Size,
        Meta(description="tenants awake, with all they hold; past it the least recently used idle ones sleep"),
    ] = "256 MiB"
    tenant_keys: Annotated[
        Size,
        Meta(description="loaded Transit keys of one tenant; past it the least recently used leave"),
    ] = "16 MiB"
