"""What a node needs to run, looked at without running one, and without a change to anything."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from kms_actors.actors.cluster.timekeeping import BOUND, read_offset
from kms_actors.actors.node.namespaces import check_namespace
from kms_actors.actors.node.records import NodeRecords
from kms_actors.actors.node.seal_standing import Standing, foreign, standing_of
from kms_actors.cli.looking.findings import Finding, good, warning, wrong
from kms_actors.config import Configuration, Listener, SettingError, Tls
from kms_actors.errors import KmsError
from kms_actors.keyring.master_seal import MasterSeal, ProviderSeal
from kms_actors.processes import certificates
from kms_actors.processes.accounts import account, stays_root
from kms_actors.processes.certificates import Material
from kms_actors.processes.resources import metrics_token
from kms_actors.processes.sockets import owners
from kms_actors.seals.opening import providers_of
from kms_actors.seals.provider import Provider, Wrapped
from kms_actors.store import schema
from kms_actors.store.api import Store
from kms_actors.store.opening import open_store
from kms_actors.system_errors import in_words

#: Days before its end from which a certificate is warned of.
_SOON: Final = 30


def look(configuration: Configuration) -> Iterator[Finding]:
    """Yield what is found of all that a node with this configuration needs."""
    cluster = configuration.cluster
    if cluster.backend == "sqlite" and not Path(cluster.path).exists():  # opened, it would be made
        yield _new_store(Path(cluster.path))
    else:
        yield from asyncio.run(_all_of_store(configuration))
    yield from _certificates(configuration)
    yield from _user(configuration)
    yield from _addresses(configuration)
    yield from _metrics(configuration)
    yield from _audit(configuration)


async def _all_of_store(configuration: Configuration) -> list[Finding]:
    return [finding async for finding in _store(configuration)]


async def _store(configuration: Configuration) -> AsyncIterator[Finding]:
    cluster = configuration.cluster
    try:
        store = await open_store(cluster)
    except KmsError as error:
        yield wrong("store", str(error))
        return
    try:
        async for finding in _of_store(configuration, store):
            yield finding
    except (KmsError, SettingError) as error:
        yield wrong("store", str(error))
    finally:
        await store.close()


def _new_store(path: Path) -> Finding:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        return wrong("store", f"key `cluster.path`: {path} is not there, and nothing can be made in {folder}")
    return good("store", f"{path} is not there yet: it is made at the first start")


async def _of_store(configuration: Configuration, store: Store) -> AsyncIterator[Finding]:
    provider = configuration.master_keyring_provider
    known = await schema.exists(store)
    yield good("store", f"{configuration.cluster.backend} answers; {'it is in use' if known else 'it is empty'}")
    await check_namespace(store, provider)
    seal, _ = await NodeRecords(store, provider.namespace).read()
    if seal is None:
        yield warning("cluster", f"`{provider.namespace}` is not initialised: `vault operator init`, once")
    else:
        yield good("cluster", f"`{provider.namespace}` is initialised")
        if standing_of(provider, seal) is Standing.FOREIGN:
            yield wrong("seal", foreign(provider, seal))
    for kept in providers_of(provider).values():
        yield await _of_seal(kept, seal)
    offset = await read_offset(store, time.time_ns())
    if offset is None:
        yield good("clock", "no node has run here yet: there is nothing to compare it with")
    elif abs(offset) * 10**9 > BOUND:
        yield wrong("clock", f"it is {abs(offset):.0f} seconds {_direction(offset)} the cluster's time")
    else:
        yield good("clock", "it agrees with the cluster's time")


async def _of_seal(kept: Provider, seal: MasterSeal | None) -> Finding:
    """Tell whether who keeps the master key gives it, if it is the cluster's; else what he would need."""
    try:
        await kept.check()
        if not isinstance(seal, ProviderSeal) or seal.type != kept.type:
            return good("seal", f"what `{kept.type}` needs on this machine is there")
        await kept.unwrap(Wrapped(seal.key_id, seal.wrapped))
    except KmsError as error:
        return wrong("seal", str(error))
    finally:
        await kept.close()
    return good("seal", f"`{kept.type}` gives the master key")


def _direction(offset: float) -> str:
    return "ahead of" if offset > 0 else "behind"


def _certificates(configuration: Configuration) -> Iterator[Finding]:
    for prefix, settings in certificates.tables(configuration).items():
        key = f"{prefix}tls"
        try:
            material = certificates.read(prefix, settings)
        except SettingError as error:
            yield wrong(key, str(error))
        else:
            yield _validity(key, settings, material)


def _validity(key: str, settings: Tls, material: Material) -> Finding:
    """Tell of the certificate that is shown, the first of its file."""
    shown, now = x509.load_pem_x509_certificates(material.certificates)[0], datetime.now(UTC)
    file, ends = settings.certificate_file, shown.not_valid_after_utc
    if now < shown.not_valid_before_utc:
        return wrong(key, f"{file} is valid from {shown.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on")
    if now >= ends:
        return wrong(key, f"{file} has ended on {ends:%Y-%m-%d}: replace it, and send SIGHUP")
    days = (ends - now).days
    if days < _SOON:
        return warning(key, f"{file} ends in {days} days")
    return good(key, f"{file} is valid until {ends:%Y-%m-%d}, and its key fits")


def _addresses(configuration: Configuration) -> Iterator[Finding]:
    for prefix, listener in configuration.keyed_listeners:
        key = f"{prefix}unix" if listener.unix is not None else f"{prefix}port"
        if listener.unix is not None:
            yield _socket(key, prefix, listener)
        else:
            yield _address(key, str(listener.host), int(listener.port or 0))


def _user(configuration: Configuration) -> Iterator[Finding]:
    try:
        wanted = account(configuration)
    except SettingError as error:
        yield wrong("user", str(error))
    else:
        if wanted is not None:
            yield good("user", f"there is a user `{configuration.user}`")
        elif stays_root(configuration):
            yield warning("user", "root looks here: if root starts the node, too, it stays root without `user`")


def _socket(key: str, prefix: str, listener: Listener) -> Finding:
    folder = Path(str(listener.unix)).absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return wrong(key, f"nothing can be made in {folder}")
    try:
        owners(prefix, listener)
    except SettingError as error:
        return wrong(key, str(error))
    return good(key, f"{listener.place} can be made")


def _metrics(configuration: Configuration) -> Iterator[Finding]:
    yield _address("metrics.port", configuration.metrics.host, configuration.metrics.port)
    try:
        wanted = metrics_token(configuration)
    except SettingError as error:
        yield wrong("metrics.token_file", str(error))
    else:
        if wanted:
            yield good("metrics.token_file", "who reads the metrics needs its token")


def _address(key: str, host: str, port: int) -> Finding:
    try:
        for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind(place)
    except UnicodeError:
        return wrong(key, f"{host}:{port}: no such host")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return warning(key, f"{host}:{port} is in use: by this node, if it runs")
        return wrong(key, f"{host}:{port}: {in_words(error)}")
    return good(key, f"{host}:{port} is free")


def _audit(configuration: Configuration) -> Iterator[Finding]:
    folder = configuration.audit.folder
    if not folder:
        return
    there = Path(folder)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield good("audit.folder", f"{folder} can be written to")
    elif there.exists() or not os.access(there.absolute().parent, os.W_OK | os.X_OK):
        yield wrong("audit.folder", f"{folder} cannot be written to")
    else:
        yield good("audit.folder", f"{folder} is not there yet: it is made with the first device")
