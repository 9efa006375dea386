"""Configuration: TOML into frozen types, every wrong key named.

Each field carries its description and bounds, so `docs/config/configuration.md` can be compared with the code.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli
from msgspec import Meta

from kms_actors.allowed import allowed
from kms_actors.errors import KmsError
from kms_actors.outbound import NotAllowed, Outbound
from kms_actors.system_errors import in_words

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
#: What bounds how long a sealed or deleted key can live in memory is no place for a day.
Lease = Annotated[float, Meta(gt=0, le=60)]
Count = Annotated[int, Meta(ge=1)]
_SIZE = r"([1-9][0-9]{0,8}) ?(B|kB|MB|GB|KiB|MiB|GiB)"
Size = Annotated[str, Meta(pattern=f"^{_SIZE}$", extra={"allowed": "a size such as `64 MiB`"})]
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_LARGEST_BODY = 32 * 2**20
_PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{64}")


class ConfigurationError(Exception):
    """The file cannot be used; `problems` has one line for each wrong key."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))
        self.problems = problems


class SettingError(KmsError):
    """What a key names cannot be used on this machine: no such file, a port that is taken; told in words."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"key `{key}`: {reason}")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables of the file."""


class Cluster(Section, frozen=True):
    """Where everything is kept."""

    backend: Annotated[
        Literal["foundationdb", "sqlite"],
        Meta(description="`foundationdb` for clusters, `sqlite` for one machine (embedded)"),
    ] = "foundationdb"
    api_version: Annotated[int, Meta(ge=730, description="FoundationDB API version")] = 730
    cluster_file_path: Annotated[str, Meta(description="FoundationDB cluster file")] = "/etc/foundationdb/fdb.cluster"
    path: Annotated[str, Meta(description="file of the embedded store")] = "/var/lib/clever-kms/kms.sqlite"


class RootTenantKeyringProvider(Section, frozen=True):
    """How tenant root keys are given back after a seal."""

    name: Annotated[Literal["shamir"], Meta(description="`shamir`: shares held by the tenant's operators")] = "shamir"


class MasterKeyringProvider(Section, frozen=True, kw_only=True):
    """How a node gets the master key."""

    name: Annotated[
        Literal["shamir", "static"],
        Meta(description="`shamir`: shares held by the cluster's operators; `static`: a file, for development"),
    ] = "shamir"
    namespace: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
            extra={"allowed": "1 to 128 letters, digits, `_`, `.` or `-`, the first a letter or digit"},
            description="name of the cluster: the `resource` of cluster operators' tokens",
        ),
    ]
    node_name: Annotated[str, Meta(min_length=1, description="name of this node, in logs and reports")]
    second_cluster: Annotated[
        bool,
        Meta(
            description="allow a namespace of its own in a store that holds a cluster of another one; else a node "
            "does not start there, since a mistyped namespace would look like the loss of everything"
        ),
    ] = False
    key_check_value: Annotated[
        str | None,
        Meta(
            description="check value of a master key made before by `kms-cli master-key create`; "
            "init then returns no shares"
        ),
    ] = None
    key_file: Annotated[
        str | None, Meta(description="`static` only: file with the master key, 64 hex characters")
    ] = None


class BiscuitProvider(Section, frozen=True, kw_only=True):
    """Whose tokens are accepted."""

    name: Annotated[Literal["iam"], Meta(description="`iam`: tokens signed by a platform's IAM")] = "iam"
    keys: Annotated[
        tuple[tuple[str, str], ...],
        Meta(
            min_length=1,
            extra={"allowed": "a list of one or more pairs of public keys"},
            description="accepted pairs of root and service public keys, Ed25519, 64 hex characters each",
        ),
    ]
    service: Annotated[str, Meta(min_length=1, description="value of the `service` fact given to token checks")]
    accept_first_signatures: Annotated[
        bool,
        Meta(
            description="accept tokens of 2024 of one form: two blocks, the second signed by the service key in the "
            "first third-party scheme, with an owner, a resource and rights, and nothing else"
        ),
    ] = False


class Authenticator(Section, frozen=True, kw_only=True):
    """How callers prove who they are."""

    name: Annotated[Literal["biscuit"], Meta(description="`biscuit`")] = "biscuit"
    provider: BiscuitProvider
    cache_size: Annotated[Count, Meta(description="verified tokens kept in memory")] = 10_000


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
            "vault by `X-Vault-Namespace`; empty: such a request is refused",
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
        Seconds, Meta(description="how long what keys are used for is counted in memory before it is stored")
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


class Configuration(Section, frozen=True, kw_only=True):
    """The whole file."""

    host: Annotated[str, Meta(description="address the API listens on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port the API listens on")] = 8202
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None,
        Meta(
            description="processes that serve; without it one a core, but one on SQLite, which takes one writer at a "
            "time, and one with `tenants.unseal_scope` `node`"
        ),
    ] = None
    stop_seconds: Annotated[Seconds, Meta(description="how long requests under way may take at a stop")] = 10.0
    cluster: Cluster = Cluster()
    root_tenant_keyring_provider: RootTenantKeyringProvider = RootTenantKeyringProvider()
    master_keyring_provider: MasterKeyringProvider
    authenticator: Authenticator
    tenants: Tenants = Tenants()
    transit: Transit = Transit()
    cache: Cache = Cache()
    limits: Limits = Limits()
    tls: Tls | None = None
    metrics: Metrics = Metrics()
    log: Log = Log()

    @property
    def worker_count(self) -> int:
        """How many processes serve requests."""
        if self.workers is not None:
            return self.workers
        alone = self.cluster.backend == "sqlite" or self.tenants.unseal_scope == "node"
        return 1 if alone else len(os.sched_getaffinity(0))


def load(path: Path) -> Configuration:
    """Read and check the file.

    Raises:
        ConfigurationError: unreadable, not TOML, or with wrong keys, each named.

    """
    return check(read(path), path)


def read(path: Path) -> dict[str, Any]:
    """Read the file, its keys unchecked; see `load`."""
    try:
        return tomli.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(path, [f"cannot be read: {in_words(error)}"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError(path, ["not TOML: not UTF-8 text"]) from None
    except tomli.TOMLDecodeError as error:
        raise ConfigurationError(path, [f"not TOML: {error}"]) from None


def check(tree: dict[str, Any], path: Path) -> Configuration:
    """Turn a parsed file into a Configuration; see `load`."""
    if problems := list(_problems(Configuration, tree, "")):
        raise ConfigurationError(path, problems)
    configuration = msgspec.convert(tree, Configuration)
    if problems := list(_contradictions(configuration)):
        raise ConfigurationError(path, problems)
    return configuration


def bytes_of(size: str) -> int:
    """Return the bytes of a size as a file has it."""
    match = re.fullmatch(_SIZE, size)
    assert match is not None  # checked when the file was read
    return int(match[1]) * _BYTES[match[2]]


def section_of(kind: Any) -> type[Section] | None:
    """Return the Section a field's type stands for, if it is a table."""
    candidates = (kind, *getattr(kind, "__args__", ()))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, Section)), None)


def _problems(section: type[Section], tree: dict[str, Any], prefix: str) -> Iterator[str]:
    fields = {field.name: field for field in msgspec.structs.fields(section)}
    for key in tree.keys() - fields.keys():
        yield f"unknown key `{prefix}{key}`"
    for name, field in fields.items():
        if name not in tree:
            if field.required:
                yield f"missing key `{prefix}{name}`"
            continue
        nested = section_of(field.type)
        if nested is not None and isinstance(tree[name], dict):
            yield from _problems(nested, tree[name], f"{prefix}{name}.")
            continue
        try:
            msgspec.convert(tree[name], field.type)
        except msgspec.ValidationError:
            yield f"key `{prefix}{name}`: must be {allowed(field.type)}"


def _is_public_key(key: bytes) -> bool:
    """Tell points that keys can have from others, and from those few under which anybody can sign."""
    from nacl.bindings import crypto_core_ed25519_is_valid_point  # noqa: PLC0415 - commands without a node spare it

    return bool(crypto_core_ed25519_is_valid_point(key))


def _contradictions(configuration: Configuration) -> Iterator[str]:
    for pair in configuration.authenticator.provider.keys:
        if not all(_PUBLIC_KEY.fullmatch(key) for key in pair):
            yield "key `authenticator.provider.keys`: each key is 64 hex characters"
        elif not all(_is_public_key(bytes.fromhex(key)) for key in pair):
            yield "key `authenticator.provider.keys`: each key is an Ed25519 public key, as `kms-cli keys` prints it"
    if configuration.port == configuration.metrics.port != 0 and configuration.host == configuration.metrics.host:
        yield "key `metrics.port`: must be another than `port`"
    provider = configuration.master_keyring_provider
    if (provider.name == "static") != (provider.key_file is not None):
        yield "key `master_keyring_provider.key_file`: needed with, and only with, the provider `static`"
    try:
        Outbound(configuration.tenants.login_urls)
    except NotAllowed as wrong:
        yield f"key `tenants.login_urls`: {wrong}"
    cache = configuration.cache
    if 2 * bytes_of(cache.tenant_keys) > bytes_of(cache.tenants):
        yield "key `cache.tenant_keys`: at most half of `cache.tenants`, so that one tenant leaves room for others"
    if bytes_of(configuration.limits.body_bytes) < _LARGEST_BODY:
        yield "key `limits.body_bytes`: at least `32 MiB`, which one body may have"
    if configuration.tenants.unseal_scope == "node" and configuration.worker_count > 1:
        yield "key `workers`: must be 1 with `tenants.unseal_scope` `node`, where each process has its own root keys"
    if provider.key_check_value is not None and not re.fullmatch(r"[0-9a-f]{32}", provider.key_check_value):
        yield "key `master_keyring_provider.key_check_value`: 32 hex characters"
