"""From what a login has proved to what token it gives: the one rule of all methods."""

from __future__ import annotations

import msgspec

from kms_actors.auth import cidrs
from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.login.outcome import Outcome
from kms_actors.login.parameters import BATCH, TokenParameters, kind_of
from kms_actors.mounts import LOGINS, Mount
from kms_actors.token.lifetime import Limits, grant
from kms_actors.token.spec import ROOT, TokenSpec

_DEFAULT_POLICY = "default"


class Given(msgspec.Struct, frozen=True):
    """What a token is to be, and what its holder is told of that."""

    spec: TokenSpec
    warnings: tuple[str, ...] = ()


def token_of(outcome: Outcome, mount: Mount, *, path: str, client_ip: str, entity_id: str) -> Given:
    """Return the token that a login at `mount`, by a request for `path`, gives.

    Raises:
        InvalidRequest: no login may give such a token: of root, or a batch token with a bound that none can keep.

    """
    parameters = outcome.parameters
    policies = policies_of(outcome)
    if ROOT in policies:
        raise InvalidRequest("auth methods cannot create root tokens")
    batch = kind_of(parameters, mount.config.token_type) == BATCH
    if batch and (parameters.num_uses or parameters.period):
        raise InvalidRequest("the mount gives batch tokens, which cannot be periodic, nor bounded in uses")
    limits = Limits.of(mount.config)
    limits = Limits(limits.default, limits.within(parameters.max_ttl).most)  # of a shorter maximum is told
    granted = grant(
        limits, ttl=parameters.ttl, period=parameters.period, explicit_max_ttl=parameters.explicit_max_ttl
    )
    spec = TokenSpec(
        policies=policies,
        display_name=f"{mount.path.removeprefix(LOGINS).replace('/', '-')}{outcome.display_name}".removesuffix("-"),
        path=path,
        metadata=dict(sorted(outcome.metadata.items())) or None,
        ttl=granted.ttl,
        explicit_max_ttl=parameters.explicit_max_ttl,
        max_ttl=parameters.max_ttl,
        period=parameters.period,
        num_uses=parameters.num_uses,
        renewable=not batch,
        batch=batch,
        bound_cidrs=(client_ip,) if parameters.strictly_bind_ip else parameters.bound_cidrs,
        entity_id=entity_id,
        mount=mount.number,
        mount_moves=mount.moves,
        certificate=outcome.certificate,
    )
    return Given(spec, granted.warnings)


def policies_of(outcome: Outcome) -> tuple[str, ...]:
    """Return the names of a token's policies, each once, lower-case and in order."""
    names = {name.strip().lower() for name in (*outcome.policies, *outcome.parameters.policies)} - {""}
    if not outcome.parameters.no_default_policy:
        names.add(_DEFAULT_POLICY)
    return tuple(sorted(names))


def require_address(parameters: TokenParameters, client_ip: str) -> None:
    """Raise AuthenticationFailed for a login from where its token could not be used."""
    if parameters.bound_cidrs and not cidrs.contains(parameters.bound_cidrs, client_ip):
        raise AuthenticationFailed("a login from an address that the role does not allow")
