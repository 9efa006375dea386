"""From what a login has proved to a token, in one transaction: proof, entity and token hold together, or not at all.

A login that gives a batch token of a known entity writes nothing, beside what its method counts. One that counts
nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from kms_actors.actors.identity import resolving
from kms_actors.actors.identity.resolving import IdentityChanged, NewIds, entity_for
from kms_actors.actors.login.familiar import Familiar
from kms_actors.actors.login.remembered import Attempt, Grounds, LoginProved
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.token import issuing
from kms_actors.actors.token.issuing import NewToken, issue, look_ahead
from kms_actors.errors import AuthenticationFailed
from kms_actors.identity.messages import Resolved
from kms_actors.login.messages import LoggedIn, Login
from kms_actors.login.outcome import Outcome
from kms_actors.login.tokens import token_of
from kms_actors.store.api import Transaction

#: Proves a login within its transaction, at a time in seconds since 1970, and counts what it uses up.
Prove = Callable[[Transaction, float], Awaitable[Outcome]]

_SECOND: Final = 1e9
#: Of a batch token: it is called what it says.
_UNNAMED: Final = NewToken("", "")


class Begun:
    """A login before its transaction. What is drawn stays the same, since bodies run twice."""

    def __init__(self, context: TenantContext, message: Login, familiar: Familiar | None) -> None:
        self.mount: Final = context.store.require_mount(message.mount)  # raises NoMount
        self.message: Final = message
        self.familiar: Final = familiar
        self.now: Final = context.clock() / _SECOND  # seconds since 1970
        self._number: Final = context.keys.number
        self.entity: Resolved | None = None  # whose it was found to be
        self._token: NewToken | None = None
        self._ids: NewIds | None = None

    @property
    def token(self) -> NewToken:
        """What a token that is stored will be called."""
        if self._token is None:
            self._token = issuing.draw(self._number)
        return self._token

    @property
    def ids(self) -> NewIds:
        """What an entity that is not known yet will be called: few logins make one."""
        if self._ids is None:
            self._ids = resolving.draw()
        return self._ids


async def log_in(
    context: TenantContext,
    message: Login,
    prove: Prove,
    familiar: Familiar | None = None,
    attempt: Attempt | None = None,
) -> LoggedIn:
    """Run a login: what `prove` raises is its answer, and then nothing is written.

    It rests on no token: who logs in may send an old one along, which says nothing. With an `attempt`, it is what it
    was the last time if the records are, and is remembered for the next.
    """
    begun = Begun(context, message, familiar)
    kept = None if attempt is None else attempt.kept
    if kept is not None and not kept.good(begun.mount, int(begun.now * _SECOND)):
        kept = None

    async def body(tr: Transaction) -> tuple[LoggedIn, LoginProved | None]:
        if kept is not None and kept.grounds is not None:
            look_ahead(tr, context)
            if await kept.grounds.hold(tr):
                return kept.told(await issue(tr, context, kept.spec, begun.token, begun.now)), None
        outcome = await prove(tr, begun.now)
        done = await complete(tr, context, begun, outcome)
        return done, None if attempt is None else await _proved(tr, attempt, begun, outcome, done)

    done, proved = await context.store.change(body, mount=message.mount, bearers=())
    if proved is not None:
        context.notify(proved)
    if done.entity_changed:
        await context.ask(IdentityChanged(done.entity_id))
    return done


async def _proved(
    tr: Transaction, attempt: Attempt, begun: Begun, outcome: Outcome, done: LoggedIn
) -> LoginProved | None:
    """Return what is to be remembered of a login, if anything is."""
    if outcome.again is None or done.entity_changed:
        return None
    if done.issued.spec.batch:
        return LoginProved(attempt, done, outcome.again, None)
    if begun.familiar is None or begun.entity is None or not outcome.rests_on:
        return None
    places = begun.familiar.places(begun.mount, outcome, begun.entity)
    if places is None:
        return None
    keys = (*outcome.rests_on, *places.keys)
    return LoginProved(attempt, done, outcome.again, Grounds(keys, tuple(await tr.get_many(keys)), places.members))


async def complete(tr: Transaction, context: TenantContext, begun: Begun, outcome: Outcome) -> LoggedIn:
    """Make the token of a login within its transaction.

    Raises:
        InvalidRequest: no such token may be.
        AuthenticationFailed: its entity is disabled.

    """
    mount, message = begun.mount, begun.message
    entity = await _entity(tr, context, begun, outcome) if outcome.alias else None
    begun.entity = entity
    if entity is not None and entity.disabled:
        raise AuthenticationFailed("the entity is disabled")
    entity_id = entity.entity_id if entity is not None else ""
    given = token_of(outcome, mount, path=message.path, client_ip=message.client_ip, entity_id=entity_id)
    issued = await issue(tr, context, given.spec, _UNNAMED if given.spec.batch else begun.token, begun.now)
    if given.warnings:
        issued = msgspec.structs.replace(issued, warnings=(*given.warnings, *issued.warnings))
    if entity is None:
        return LoggedIn(issued)
    issued = msgspec.structs.replace(issued, identity_policies=entity.policies)
    return LoggedIn(issued, entity_id, entity.changed)


async def _entity(tr: Transaction, context: TenantContext, begun: Begun, outcome: Outcome) -> Resolved:
    familiar, mount = begun.familiar, begun.mount
    known = await familiar.find(tr, mount, outcome) if familiar is not None else None
    if known is not None:
        return known
    found = await entity_for(
        tr,
        context,
        mount_accessor=mount.accessor,
        mount_type=mount.type,
        mount_path=mount.path,
        alias_name=outcome.alias,
        alias_metadata=outcome.alias_metadata,
        groups=outcome.groups,
        new_ids=begun.ids,
        now=begun.now,
    )
    if familiar is not None:
        await familiar.learn(tr, mount, outcome, found)
    return found
