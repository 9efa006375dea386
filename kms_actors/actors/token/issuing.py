"""Making a token, within a transaction that makes something else true as well: a login, or a token's child.

What a token is called is drawn before, since a transaction may run twice.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, NamedTuple

import msgspec

from kms_actors.actors.cluster.changes import TOKEN
from kms_actors.actors.cluster.schedule import KEPT, entry_key, look_by
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.proofs import keep_issuer, mark_key
from kms_actors.actors.tenant.token_records import Place, TokenRecords
from kms_actors.auth import batch_token
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServiceToken, new_accessor, new_service_token
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.identity.messages import Resolved, ResolveEntity
from kms_actors.store.api import Transaction
from kms_actors.token.spec import MAX_LINE, Issued, TokenSpec

_SECOND: Final = 10**9


class NewToken(NamedTuple):
    """What a token that is not made yet will be called."""

    text: str
    accessor: str

    def __repr__(self) -> str:
        return "<NewToken>"


def draw(tenant_number: int) -> NewToken:
    """Return a name for a new token of the tenant with this integer."""
    return NewToken(new_service_token(tenant_number), new_accessor())


def look_ahead(tr: Transaction, context: TenantContext) -> Awaitable[list[bytes | None]]:
    """Have what `issue` reads for a service token be read with what else is."""
    return tr.get_many((entry_key(context.keys), mark_key(context.keys)))


async def with_entity(context: TenantContext, issued: Issued) -> Issued:
    """Return what was issued with the policies that its entity has now, which answers name beside its own."""
    if not issued.spec.entity_id:
        return issued
    try:
        entity: Resolved = await context.ask(ResolveEntity(issued.spec.entity_id))
    except NotFound:
        return issued
    return msgspec.structs.replace(issued, identity_policies=entity.policies)


async def issue(tr: Transaction, context: TenantContext, spec: TokenSpec, new: NewToken, now: float) -> Issued:
    """Make the token that `spec` describes; `now` is in seconds since 1970. A batch token writes nothing.

    Raises:
        InvalidRequest: no such token may be, or one of its parents is gone.
        LimitReached: the vault has as many tokens as it may have.

    """
    _check(spec)
    if spec.batch:
        now = float(int(now))  # what a batch token says are whole seconds
    expires_at = now + spec.ttl if spec.ttl else None
    records = TokenRecords(context.keys, context.keyring)
    if not spec.batch:
        look_ahead(tr, context)
    if spec.line and not await records.parents(tr, spec.line):
        raise InvalidRequest("parent token lookup failed: no parent found")
    token = _record(spec, "" if spec.batch else new.accessor, now, expires_at)
    if spec.batch:
        seed, public = context.keyring.derive(batch_token.LABEL), context.keyring.issuer(batch_token.LABEL)
        await keep_issuer(tr, context.keys, public)
        return Issued(batch_token.build(seed, public, context.keys.number, token), "", spec, now, expires_at)
    place = records.place(new.text)
    if spec.chosen:
        await _require_free(tr, context, records, place)
    _, mark = await look_ahead(tr, context)
    await context.tallies.grow(tr, "tokens")
    records.keep(tr, place, token, marked=mark is not None)
    if expires_at is not None:
        await look_by(tr, context.keys, int(expires_at * _SECOND) + KEPT, int(now * _SECOND))
    return Issued(new.text, new.accessor, spec, now, expires_at)


def template_of(context: TenantContext, spec: TokenSpec) -> batch_token.Template:
    """Return what makes batch tokens that `spec` describes, as `issue` would."""
    return batch_token.Template(context.keys.number, _record(spec, "", 0.0, float(spec.ttl)))


async def _require_free(tr: Transaction, context: TenantContext, records: TokenRecords, place: Place) -> None:
    """Raise InvalidRequest where a token has this text, alive or not; nodes that know of an earlier one forget it."""
    if await records.token(tr, place.hash) is not None:
        raise InvalidRequest("cannot create a token with a duplicate ID")
    context.record(tr, TOKEN, place.hash.hex())


def _check(spec: TokenSpec) -> None:
    if spec.is_root and spec.batch:
        raise InvalidRequest("batch tokens cannot be root tokens")
    if spec.is_root and spec.mount is not None:
        raise InvalidRequest("auth methods cannot create root tokens")
    if not spec.ttl and not spec.is_root:
        raise ValueError("a token without end is root's")
    if len(spec.line) > MAX_LINE:
        raise InvalidRequest(f"a token has at most {MAX_LINE} tokens above it")


def _record(spec: TokenSpec, accessor: str, now: float, expires_at: float | None) -> ServiceToken:
    return ServiceToken(
        accessor=accessor,
        right=Right.ROOT if spec.is_root else spec.right,
        policies=spec.policies,
        display_name=spec.display_name,
        created=now,
        path=spec.path,
        expires_at=expires_at,
        creation_ttl=spec.ttl,
        explicit_max_ttl=spec.explicit_max_ttl,
        period=spec.period,
        num_uses=spec.num_uses,
        renewable=spec.renewable,
        orphan=spec.orphan,
        parent=spec.parent or None,
        metadata=spec.metadata,
        line=spec.line,
        mount=spec.mount,
        mount_moves=spec.mount_moves,
        under=spec.under,
        bound_cidrs=spec.bound_cidrs,
        entity_id=spec.entity_id,
        role=spec.role,
        max_ttl=spec.max_ttl,
        not_after=spec.not_after,
        certificate=spec.certificate,
        indexed=True,
        chosen=bool(spec.chosen),
    )
