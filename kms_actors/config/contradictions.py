"""What no type says of a file: keys that do not fit each other, or what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kms_actors.config import listeners
from kms_actors.config.section import bytes_of
from kms_actors.config.whole import Configuration
from kms_actors.outbound import NotAllowed, Outbound

_LARGEST_BODY = 32 * 2**20
_PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{64}")


def _is_public_key(key: bytes) -> bool:
    """Tell points that keys can have from others, and from those few under which anybody can sign."""
    from nacl.bindings import crypto_core_ed25519_is_valid_point  # noqa: PLC0415 - commands without a node spare it

    return bool(crypto_core_ed25519_is_valid_point(key))


def contradictions(configuration: Configuration) -> Iterator[str]:
    """Tell which keys do not fit each other, a line each."""
    for pair in configuration.authenticator.provider.keys:
        if not all(_PUBLIC_KEY.fullmatch(key) for key in pair):
            yield "key `authenticator.provider.keys`: each key is 64 hex characters"
        elif not all(_is_public_key(bytes.fromhex(key)) for key in pair):
            yield "key `authenticator.provider.keys`: each key is an Ed25519 public key, as `kms-cli keys` prints it"
    yield from listeners.problems(configuration)
    metrics = configuration.metrics
    for prefix, listener in configuration.keyed_listeners:
        if metrics.port == listener.port != 0 and listener.host == metrics.host:
            yield f"key `metrics.port`: must be another than `{prefix}port`"
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
