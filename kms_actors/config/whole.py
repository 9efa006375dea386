"""The whole file."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from kms_actors.config.audit import Audit
from kms_actors.config.callers import Authenticator
from kms_actors.config.keys import Cluster, MasterKeyringProvider, RootTenantKeyringProvider
from kms_actors.config.listeners import Listener, Tls
from kms_actors.config.section import Port, Seconds, Section
from kms_actors.config.serving import Limits, Log, Metrics
from kms_actors.config.tenants import Cache, Tenants, Transit


class Configuration(Section, frozen=True, kw_only=True):
    """The whole file."""

    host: Annotated[str, Meta(description="address the API listens on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="port the API listens on")] = 8202
    user: Annotated[
        str | None,
        Meta(
            description="user, a name or a number, that a node becomes which root has started, once its ports are "
            "open: all files of this configuration are his to read; without it root stays root, which the log warns "
            "of"
        ),
    ] = None
    group: Annotated[
        str | None, Meta(description="group, a name or a number, that it becomes in place of that user's own")
    ] = None
    workers: Annotated[
        Annotated[int, Meta(ge=1, le=256)] | None,
        Meta(
            description="processes that serve; without it one a core, but one on SQLite, which takes one writer at a "
            "time, and one with `tenants.unseal_scope` `node`"
        ),
    ] = None
    ui: Annotated[
        bool, Meta(description="serve the web console at `/ui/`, where a listener does not say otherwise")
    ] = False
    stop_seconds: Annotated[Seconds, Meta(description="how long requests under way may take at a stop")] = 10.0
    cluster: Cluster = Cluster()
    root_tenant_keyring_provider: RootTenantKeyringProvider = RootTenantKeyringProvider()
    master_keyring_provider: MasterKeyringProvider
    authenticator: Authenticator
    tenants: Tenants = Tenants()
    transit: Transit = Transit()
    cache: Cache = Cache()
    limits: Limits = Limits()
    audit: Audit = Audit()
    tls: Tls | None = None
    listeners: tuple[Listener, ...] = ()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @property
    def keyed_listeners(self) -> tuple[tuple[str, Listener], ...]:
        """Where the API is served, each with what its keys begin with in the file."""
        if self.listeners:
            return tuple((f"listeners[{number}].", listener) for number, listener in enumerate(self.listeners))
        return (("", Listener(host=self.host, port=self.port, tls=self.tls)),)

    @property
    def keyed_prefixes(self) -> tuple[str, ...]:
        """What the keys of each listener begin with in the file."""
        return tuple(prefix for prefix, _ in self.keyed_listeners)

    def console_at(self, listener: Listener) -> bool:
        """Tell whether a listener serves the console."""
        return self.ui if listener.ui is None else listener.ui

    @property
    def worker_count(self) -> int:
        """How many processes serve requests."""
        if self.workers is not None:
            return self.workers
        alone = self.cluster.backend == "sqlite" or self.tenants.unseal_scope == "node"
        return 1 if alone else len(os.sched_getaffinity(0))
