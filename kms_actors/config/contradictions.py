"""What no type says of a file: keys that do not fit each other, or what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kms_actors.config import listeners
from kms_actors.config.keys import MasterKeyringProvider
from kms_actors.config.seals import one_of, pkcs11_problems, transit_problems
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
    if configuration.group is not None and configuration.user is None:
        yield "key `group`: needs `user`"
    metrics = configuration.metrics
    for prefix, listener in configuration.keyed_listeners:
        if metrics.port == listener.port != 0 and listener.host == metrics.host:
            yield f"key `metrics.port`: must be another than `{prefix}port`"
    provider = configuration.master_keyring_provider
    yield from _seal_problems(provider)
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
    if provider.key_check_value is not None and provider.name != "shamir":
        yield "key `master_keyring_provider.key_check_value`: only with `shamir`, where shares may be made before"
    if provider.key_check_value is not None and not re.fullmatch(r"[0-9a-f]{32}", provider.key_check_value):
        yield "key `master_keyring_provider.key_check_value`: 32 hex characters"


def _seal_problems(provider: MasterKeyringProvider) -> Iterator[str]:
    """Tell what is missing of a seal that is used, and what is there of one that is not."""
    prefix, types = "master_keyring_provider.", provider.types
    if provider.migrate_from == provider.name:
        yield f"key `{prefix}migrate_from`: another than `{prefix}name`"
    if "static" in types:
        yield from one_of(prefix, provider, "key_file", "key_credential")
    for name in ("key_file", "key_credential", "second_key_file", "second_key_credential"):
        if "static" not in types and getattr(provider, name) is not None:
            yield f"key `{prefix}{name}`: needed with, and only with, the provider `static`"
    if provider.second_key_file is not None and provider.second_key_credential is not None:
        yield f"key `{prefix}second_key_file`: not together with `{prefix}second_key_credential`"
    for name in ("transit", "pkcs11"):
        if (name in types) != (getattr(provider, name) is not None):
            yield f"key `{prefix}{name}`: needed with, and only with, the provider `{name}`"
    if provider.transit is not None:
        yield from transit_problems(f"{prefix}transit.", provider.transit)
    if provider.pkcs11 is not None:
        yield from pkcs11_problems(f"{prefix}pkcs11.", provider.pkcs11)
