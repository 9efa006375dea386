"""Tokens verified as the configuration of a mount says: in a thread, by keys that are given or fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from kms_actors.actors.login.issuers import IssuerClient, Source
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import Unavailable
from kms_actors.fetch import FetchFailed
from kms_actors.login.jwt_compact import Jws
from kms_actors.login.jwt_config import JwtConfig
from kms_actors.login.jwt_keys import TokenKey, read_pem
from kms_actors.login.jwt_verification import UnknownKey, verified_claims
from kms_actors.observe.bounded import BoundedLog

_log: Final = BoundedLog(__name__)


class Verifier:
    """Verifies the tokens of a vault's mounts. `issuers` leads to what is known of those."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self.issuers = IssuerClient(context)

    async def claims(self, token: Jws, config: JwtConfig, algorithms: Sequence[str]) -> Mapping[str, Any]:
        """Return the claims of a token; one that no key has signed is tried with newer ones, if those can be had.

        Raises:
            InvalidRequest: no key has signed it.
            Unavailable: the issuer cannot be asked.

        """
        source = source_of(config)
        if source is None:
            return await self._context.threads.short(lambda: verified_claims(token, _given_keys(config), algorithms))
        verify = partial(self._context.threads.short, verified_claims, token)
        try:
            fetched = await self.issuers.keys(source)
            try:
                return await verify(fetched.keys, algorithms)
            except UnknownKey:
                newer = await self.issuers.keys(source, tried=fetched)
                if newer.keys is fetched.keys:
                    raise
                return await verify(newer.keys, algorithms)
        except FetchFailed as failed:
            raise self.unavailable(failed) from None

    def unavailable(self, failed: FetchFailed) -> Unavailable:
        """Log why an issuer cannot be asked, which its callers are not told, and return what they are."""
        scope = self._context.vault_id
        _log.warning("issuer cannot be asked", scope, scope=scope, reason=str(failed))
        return Unavailable("the issuer's keys or endpoints cannot be had now, try again")


def source_of(config: JwtConfig) -> Source | None:
    """Return where the keys of a configuration are fetched from, if they are."""
    if config.jwks_url:
        return Source(config.jwks_url, config.jwks_ca_pem)
    if config.oidc_discovery_url:
        return Source(config.oidc_discovery_url, config.oidc_discovery_ca_pem, is_issuer=True)
    return None


def _given_keys(config: JwtConfig) -> tuple[TokenKey, ...]:
    return tuple(read_pem(pem) for pem in config.jwt_validation_pubkeys)
