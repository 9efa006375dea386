"""What is told of a tenant, by the records that say how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kms_actors.actors.tenant.header import TenantHeader
from kms_actors.actors.tenant.standing import counted, decoded, grant_of
from kms_actors.actors.tenant.tallies import limits_of
from kms_actors.config import Tenants
from kms_actors.keyring.seal import SealConfig
from kms_actors.store.api import Entry
from kms_actors.store.keyspace import TenantKeys
from kms_actors.tenancy.messages import State, Tenant
from kms_actors.tenancy.records import KINDS, Erasure, Measured, Used


class What(NamedTuple):
    """The records, as they are stored, by their areas."""

    header: bytes | None
    seal: bytes | None
    epoch: bytes | None
    restore: bytes | None
    grant: bytes | None
    erasure: bytes | None
    used: bytes | None
    measured: bytes | None


def tell(
    vault_id: str,
    keys: TenantKeys,
    what: What,
    counts: Sequence[Entry],
    settings: Tenants,
    *,
    unsealed: bool,
) -> Tenant:
    """Return what is told of a tenant."""
    header, used = decoded(what.header, TenantHeader), decoded(what.used, Used)
    seal = None if what.seal is None else SealConfig.decode(what.seal)
    erasure, grant = decoded(what.erasure, Erasure), grant_of(what.grant)
    known = counted(keys, counts)
    return Tenant(
        vault_id=vault_id,
        number=keys.number,
        state=_state(what, erasure, unsealed=unsealed),
        created=0.0 if header is None else header.created,
        threshold=0 if seal is None else seal.threshold,
        shares=0 if seal is None else seal.shares,
        last_used=0.0 if used is None else used.at,
        counts={kind: max(0, known.get(kind, 0)) for kind in KINDS},
        limits=limits_of(grant.limits, settings),
        own_limits=grant.limits,
        rate_limit=grant.rate_limit,
        measured=decoded(what.measured, Measured),
        erasure=erasure,
    )


def _state(what: What, erasure: Erasure | None, *, unsealed: bool) -> State:
    if erasure is not None:
        return State.ERASING if erasure.begun else State.LEAVING
    if what.restore is not None:
        return State.RESTORING
    if what.header is None:
        return State.CREATED
    return State.UNSEALED if unsealed else State.SEALED
