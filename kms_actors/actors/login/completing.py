"""From what a login has proved to a token, in one transaction: proof, entity and token hold together, or not at all.

A login that gives a batch token of a known entity writes nothing, beside what its method counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec

from kms_actors.actors.identity import resolving
from kms_actors.actors.identity.resolving import IdentityChanged, NewIds, entity_for
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.token import issuing
from kms_actors.actors.token.issuing import NewToken, issue
from kms_actors.errors import AuthenticationFailed
from kms_actors.identity.messages import Resolved
from kms_actors.login.messages import LoggedIn, Login
from kms_actors.login.outcome import Outcome
from kms_actors.login.tokens import token_of
from kms_actors.mounts import Mount
from kms_actors.store.api import Transaction

#: Proves a login within its transaction, at a time in seconds since 1970, and counts what it uses up.
Prove = Callable[[Transaction, float], Awaitable[Outcome]]

_SECOND: Final = 1e9


class Begun(NamedTuple):
    """A login before its transaction.

    What a token, and an entity that is not known yet, will be called is drawn here, since bodies run twice.
    """

    mount: Mount
    message: Login
    token: NewToken
    ids: NewIds
    now: float  # seconds since 1970


def begin(context: TenantContext, message: Login) -> Begun:
    """Begin a login; raises NoMount."""
    mount = context.store.require_mount(message.mount)
    return Begun(mount, message, issuing.draw(context.keys.number), resolving.draw(), context.clock() / _SECOND)


async def log_in(context: TenantContext, message: Login, prove: Prove) -> LoggedIn:
    """Run a login: what `prove` raises is its answer, and then nothing is written.

    It rests on no token: who logs in may send an old one along, which says nothing.
    """
    begun = begin(context, message)

    async def body(tr: Transaction) -> LoggedIn:
        return await complete(tr, context, begun, await prove(tr, begun.now))

    done = await context.store.change(body, mount=message.mount, bearers=())
    if done.entity_changed:
        await context.ask(IdentityChanged(done.entity_id))
    return done


async def complete(tr: Transaction, context: TenantContext, begun: Begun, outcome: Outcome) -> LoggedIn:
    """Make the token of a login within its transaction.

    Raises:
        InvalidRequest: no such token may be.
        AuthenticationFailed: its entity is disabled.

    """
    mount, message = begun.mount, begun.message
    entity = await _entity(tr, context, begun, outcome) if outcome.alias else None
    if entity is not None and entity.disabled:
        raise AuthenticationFailed("the entity is disabled")
    entity_id = entity.entity_id if entity is not None else ""
    given = token_of(outcome, mount, path=message.path, client_ip=message.client_ip, entity_id=entity_id)
    issued = await issue(tr, context, given.spec, begun.token, begun.now)
    if given.warnings:
        issued = msgspec.structs.replace(issued, warnings=(*given.warnings, *issued.warnings))
    if entity is None:
        return LoggedIn(issued)
    return LoggedIn(issued, entity.policies, entity_id, entity.changed)


async def _entity(tr: Transaction, context: TenantContext, begun: Begun, outcome: Outcome) -> Resolved:
    return await entity_for(
        tr,
        context,
        mount_accessor=begun.mount.accessor,
        mount_type=begun.mount.type,
        mount_path=begun.mount.path,
        alias_name=outcome.alias,
        alias_metadata=outcome.alias_metadata,
        groups=outcome.groups,
        new_ids=begun.ids,
        now=begun.now,
    )
