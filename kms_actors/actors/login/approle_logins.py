"""Logins by AppRole.

How often a secret id is used is counted in the transaction of the login, so of many at once on several nodes no more
get in than it allows. A wrong secret id and a role id that is not there are answered and counted alike.
"""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

from kms_actors.actors.login.approle_records import ApproleRecords
from kms_actors.actors.login.completing import log_in
from kms_actors.actors.login.familiar import Familiar
from kms_actors.actors.login.locking import Locking
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
#: Bytes of the names of roles that are remembered, and of each.
_NAMES_BYTES: Final = 128 * 1024
_NAME_BYTES: Final = 400


class _WrongIds(InvalidRequest):
    """A role id and a secret id that prove nothing: to be counted."""


class _Found(NamedTuple):
    """What a transaction has of the ids of a login. Without a role, the failures are of names that are not there."""

    name: str
    role: Role | None
    digest: bytes
    secret_id: SecretId | None
    failures_key: bytes
    failures: bytes | None


class ApproleLogins:
    """Logs in by the roles of one vault."""

    def __init__(self, context: TenantContext, records: ApproleRecords, locking: Locking) -> None:
        self._context = context
        self._records = records
        self._locking = locking
        self._familiar = Familiar(context)
        #: Roles by the place of their ids. That is read again each time; a name that is right saves waiting for it.
        self._names: ByteCache[bytes, str] = ByteCache(_NAMES_BYTES, lambda *_: _NAME_BYTES, account=context.account)

    async def log_in(self, message: LoginRole) -> LoggedIn:
        """Log in; see `LoginRole`."""
        mount = self._context.store.require_mount(message.mount)
        if len(message.role_id) > MAX_ROLE_ID or len(message.secret_id) > MAX_SECRET_ID:
            raise InvalidRequest(FAILED)
        place = self._records.role_id_key(mount.number, message.role_id)
        try:
            return await log_in(self._context, message, partial(self._prove, mount, place, message), self._familiar)
        except _WrongIds:
            await self._locking.failed(mount, message.role_id, place)
            raise InvalidRequest(FAILED) from None

    async def _prove(self, mount: Mount, place: bytes, message: LoginRole, tr: Transaction, now: float) -> Outcome:
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
        return outcome

    async def _look(self, tr: Transaction, mount: Mount, place: bytes, message: LoginRole) -> _Found:
        """Read all that a login rests on: in one go where the name of the role is remembered."""
        guess = self._names.get(place) or ""
        index, found = await self._read(tr, mount, place, message, guess)
        name = self._records.role_of(place, index)
        if name != guess:
            _, found = await self._read(tr, mount, place, message, name)
            if found.role is not None:
                self._names.put(place, name)
        return found

    async def _read(
        self, tr: Transaction, mount: Mount, place: bytes, message: LoginRole, name: str
    ) -> tuple[bytes | None, _Found]:
        """Return what leads to a role, and what there is of a role of this name."""
        records, number = self._records, mount.number
        failures_key = self._locking.key(mount, message.role_id, known=bool(name))
        if not name:
            index, failures = await tr.get_many((place, failures_key))
            return index, _Found(name, None, b"", None, failures_key, failures)
        of_role, digest = records.role_key(number, name), records.digest(number, name, message.secret_id)
        of_secret_id = records.secret_id_key(number, name, digest)
        index, role_record, record, failures = await tr.get_many((place, of_role, of_secret_id, failures_key))
        role = records.role(of_role, role_record)
        if role is not None and role.role_id != message.role_id:
            role = None  # what led to it is older than it: see `ApproleRecords.put_role`
        secret_id = records.secret_id(of_secret_id, record)
        return index, _Found(name, role, digest, secret_id, failures_key, failures)

    def _use(self, tr: Transaction, mount: Mount, found: _Found, secret_id: SecretId, now: int) -> None:
        left = used(secret_id, now)
        if left is None:
            self._records.remove_secret_id(tr, mount.number, found.name, found.digest, secret_id)
        elif left is not secret_id:
            self._records.put_secret_id(tr, mount.number, found.name, found.digest, left)
