"""Logins by AppRole.

How often a secret id is used is counted in the transaction of the login, so of many at once on several nodes no more
get in than it allows. A wrong secret id and a role id that is not there are answered and counted alike.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, NamedTuple

import msgspec

from kms_actors.actors.login.approle_records import ApproleRecords
from kms_actors.actors.login.completing import log_in
from kms_actors.actors.login.familiar import Familiar
from kms_actors.actors.login.locking import Locking
from kms_actors.actors.login.remembered import Attempt, Remembered
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.cache import ByteCache
from kms_actors.errors import AuthenticationFailed, InvalidRequest
from kms_actors.login.approle import (
    FAILED,
    MAX_ROLE_ID,
    MAX_SECRET_ID,
    NO_SECRET_ID,
    Role,
    SecretId,
    proved,
    used,
)
from kms_actors.login.approle_messages import LoginRole
from kms_actors.login.messages import LoggedIn
from kms_actors.login.outcome import Outcome
from kms_actors.mounts import Mount
from kms_actors.store.api import Transaction

_SECOND: Final = 10**9
#: Bytes of the roles that are remembered, and of each beside its record.
_ROLES_BYTES: Final = 256 * 1024
_ROLE_BYTES: Final = 2_000


class _WrongIds(InvalidRequest):
    """A role id and a secret id that prove nothing: to be counted."""


class _Seen(NamedTuple):
    """A role as a login has found it: what the same records say again need not be worked out again."""

    name: str
    keys: tuple[bytes, bytes, bytes]  # of what leads to it, of the role, of its failures
    leading: bytes
    record: bytes
    role: Role


class _Found(NamedTuple):
    """What a transaction has of the ids of a login. Without a role, the failures are of names that are not there."""

    name: str
    role: Role | None
    digest: bytes
    secret_id: SecretId | None
    failures_key: bytes
    failures: bytes | None
    places: tuple[bytes, ...] = ()  # of all that was read


class ApproleLogins:
    """Logs in by the roles of one vault."""

    def __init__(
        self, context: TenantContext, records: ApproleRecords, locking: Locking, remembered: Remembered
    ) -> None:
        self._context = context
        self._records = records
        self._locking = locking
        self._familiar = Familiar(context)
        self._remembered = remembered
        #: By the place of the role id. All is read again each time, in one go.
        self._seen: ByteCache[bytes, _Seen] = ByteCache(_ROLES_BYTES, _size, account=context.account)

    def log_in(self, message: LoginRole) -> LoggedIn | asyncio.Task[LoggedIn]:
        """Log in; see `LoginRole`. In this turn, where the same was proved a moment ago."""
        if len(message.role_id) > MAX_ROLE_ID or len(message.secret_id) > MAX_SECRET_ID:
            raise InvalidRequest(FAILED)
        found = self._remembered.find(message, message.role_id, message.secret_id)
        return found if isinstance(found, LoggedIn) else self._context.spawn(self._log_in(message, found))

    async def _log_in(self, message: LoginRole, attempt: Attempt) -> LoggedIn:
        mount, prove = attempt.mount, partial(self._prove, attempt.mount, message)
        try:
            return await log_in(self._context, message, prove, self._familiar, attempt)
        except _WrongIds:
            place = self._records.role_id_key(mount.number, message.role_id)
            await self._locking.failed(mount, message.role_id, place, self._remembered)
            raise InvalidRequest(FAILED) from None

    async def _prove(self, mount: Mount, message: LoginRole, tr: Transaction, now: float) -> Outcome:
        self._familiar.look_ahead(tr, mount, message.role_id)
        place = self._records.role_id_key(mount.number, message.role_id)
        found = await self._look(tr, mount, place, message)
        role, secret_id, moment = found.role, found.secret_id, int(now * _SECOND)
        if not message.secret_id and (role is None or role.bind_secret_id):
            raise InvalidRequest(NO_SECRET_ID)
        if self._locking.locked(mount, found.failures_key, found.failures, now):
            raise AuthenticationFailed("the role is locked")
        if role is None:
            raise _WrongIds
        if not role.bind_secret_id:
            secret_id = None
        elif secret_id is None or secret_id.ended(moment):
            raise _WrongIds
        outcome = proved(found.name, role, secret_id, message.client_ip)
        self._locking.succeeded(tr, mount, found.failures_key, found.failures, now)
        if secret_id is not None:
            self._use(tr, mount, found, secret_id, moment)
        return msgspec.structs.replace(outcome, rests_on=found.places)

    async def _look(self, tr: Transaction, mount: Mount, place: bytes, message: LoginRole) -> _Found:
        """Read all that a login rests on: in one go where the role was seen before, and is as it was."""
        seen = self._seen.get(place)
        if seen is not None:
            found = await self._again(tr, mount, seen, message)
            if found is not None:
                return found
        return await self._anew(tr, mount, place, message)

    async def _again(self, tr: Transaction, mount: Mount, seen: _Seen, message: LoginRole) -> _Found | None:
        digest = self._records.digest(mount.number, seen.name, message.secret_id)
        of_secret_id = self._records.secret_id_key(mount.number, seen.name, digest)
        places = (*seen.keys, of_secret_id)
        index, record, failures, of_secret = await tr.get_many(places)
        if index != seen.leading or record != seen.record:
            return None
        secret_id = self._records.secret_id(of_secret_id, of_secret)
        return _Found(seen.name, seen.role, digest, secret_id, seen.keys[2], failures, places)

    async def _anew(self, tr: Transaction, mount: Mount, place: bytes, message: LoginRole) -> _Found:
        records, number = self._records, mount.number
        index = await tr.get(place)
        name = records.role_of(place, index)
        failures_key = self._locking.key(mount, message.role_id, known=bool(name))
        if index is None:
            return _Found(name, None, b"", None, failures_key, await tr.get(failures_key))
        of_role, digest = records.role_key(number, name), records.digest(number, name, message.secret_id)
        of_secret_id = records.secret_id_key(number, name, digest)
        record, failures, of_secret = await tr.get_many((of_role, failures_key, of_secret_id))
        role = records.role(of_role, record)
        if role is not None and role.role_id != message.role_id:
            role = None  # what led to it is older than it: see `ApproleRecords.put_role`
        if role is not None and record is not None:
            self._seen.put(place, _Seen(name, (place, of_role, failures_key), index, record, role))
        secret_id, places = records.secret_id(of_secret_id, of_secret), (place, of_role, failures_key, of_secret_id)
        return _Found(name, role, digest, secret_id, failures_key, failures, places)

    def _use(self, tr: Transaction, mount: Mount, found: _Found, secret_id: SecretId, now: int) -> None:
        left = used(secret_id, now)
        if left is None:
            self._records.remove_secret_id(tr, mount.number, found.name, found.digest, secret_id)
        elif left is not secret_id:
            self._records.put_secret_id(tr, mount.number, found.name, found.digest, left)


def _size(_: bytes, seen: _Seen) -> int:
    return _ROLE_BYTES + len(seen.record)
