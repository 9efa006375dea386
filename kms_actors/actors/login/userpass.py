"""Users with passwords in a tenant actor.

Records, below (`userpass`, mount): (`user`, name) User; failed logins, see `locking`.

A password is hashed in a thread: one at a time for each vault, and so many wait. Each login takes one run, whether
the user is there or not, locked or not; a password that is right counts only if the user's record still has it when
the login commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

import msgspec

from kms_actors.actors.login.completing import log_in
from kms_actors.actors.login.familiar import Familiar
from kms_actors.actors.login.listing import list_keys
from kms_actors.actors.login.locking import Locking
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied
from kms_actors.login import passwords
from kms_actors.login.messages import LoggedIn
from kms_actors.login.outcome import Outcome
from kms_actors.login.parameters import TokenParameters, changed, respelled
from kms_actors.login.tokens import require_address
from kms_actors.login.userpass import (
    FAILED,
    DeleteUser,
    ListUsers,
    LoginUser,
    ReadUser,
    User,
    WriteUser,
    check_password,
)
from kms_actors.messages import Message
from kms_actors.mounts import Mount
from kms_actors.store.api import Transaction

AREA: Final = "userpass"
USER: Final = "user"

#: What a `UserpassController` handles.
USERPASS_MESSAGES = (LoginUser, ReadUser, ListUsers, WriteUser, DeleteUser)


class _Seen(NamedTuple):
    """What a login has read before the password was hashed."""

    user: User | None
    locked: bool


class UserpassController:
    """Logs users in, and keeps them."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._locking = Locking(context)
        self._familiar = Familiar(context)

    def handlers(self) -> Mapping[type[Message], Handler]:
        return {
            LoginUser: lambda message: self._context.spawn(self._log_in(message)),
            ReadUser: lambda message: self._context.spawn(self._read(message)),
            ListUsers: lambda message: self._context.spawn(self._list(message)),
            WriteUser: lambda message: self._context.spawn(self._write(message)),
            DeleteUser: lambda message: self._context.spawn(self._delete(message)),
        }

    async def _log_in(self, message: LoginUser) -> LoggedIn:
        mount, place = self._place(message.mount, message.name)
        check_password(message.password)
        seen = await self._look(mount, message.name)
        stored = passwords.NOBODY if seen.user is None else seen.user.password
        right = await self._context.threads.long(passwords.matches, stored, message.password)
        if seen.locked:
            raise AuthenticationFailed("the name is locked")
        if seen.user is None or not right:
            await self._locking.failed(mount, message.name, place)
            raise InvalidRequest(FAILED)
        return await log_in(self._context, message, partial(self._prove, mount, message, stored), self._familiar)

    async def _look(self, mount: Mount, name: str) -> _Seen:
        _, place = self._place(mount.number, name)
        own, shared = (self._locking.key(mount, name, known=known) for known in (True, False))
        now = self._context.clock() / 1e9
        record, of_own, of_shared = await self._context.store.read(lambda tr: tr.get_many((place, own, shared)))
        user = self._opened(place, record)
        failures = (own, of_own) if user is not None else (shared, of_shared)
        return _Seen(user, self._locking.locked(mount, *failures, now))

    async def _prove(self, mount: Mount, message: LoginUser, stored: str, tr: Transaction, now: float) -> Outcome:
        _, place = self._place(mount.number, message.name)
        key = self._locking.key(mount, message.name, known=True)
        record, failures = await tr.get_many((place, key))
        user = self._opened(place, record)
        if user is None or user.password != stored:  # another password was set meanwhile
            raise InvalidRequest(FAILED)
        self._locking.succeeded(tr, mount, key, failures, now)
        require_address(user.parameters, message.client_ip)
        return user.outcome(message.name)

    async def _read(self, message: ReadUser) -> User:
        _, place = self._place(message.mount, message.name)
        user = self._opened(place, await self._context.store.read(lambda tr: tr.get(place)))
        if user is None:
            raise NotFound
        return user

    async def _list(self, message: ListUsers) -> list[str]:
        mount, _ = self._place(message.mount, "")
        return await list_keys(self._context, (AREA, mount.number, USER), message.after, message.limit)

    async def _write(self, message: WriteUser) -> None:
        context = self._context
        mount, place = self._place(message.mount, message.name)
        password = await self._hashed(message.password) if message.password else ""

        async def body(tr: Transaction) -> None:
            before = self._opened(place, await tr.get(place))
            after = _changed(before, message, password)
            tr.set(place, context.keyring.seal(place, after.encode()))

        await context.store.change(body, mount=mount.number)

    async def _hashed(self, password: str) -> str:
        check_password(password)
        return await self._context.threads.long(passwords.hashed, password)

    async def _delete(self, message: DeleteUser) -> None:
        mount, place = self._place(message.mount, message.name)
        failures = self._locking.key(mount, message.name, known=True)

        async def body(tr: Transaction) -> None:
            tr.clear(place)
            tr.clear(failures)

        await self._context.store.change(body, mount=mount.number)

    def _place(self, number: int, name: str) -> tuple[Mount, bytes]:
        mount = self._context.store.require_mount(number)
        return mount, self._context.keys.key(AREA, number, USER, name)

    def _opened(self, place: bytes, record: bytes | None) -> User | None:
        return None if record is None else User.decode(self._context.keyring.open(place, record))


def _changed(before: User | None, message: WriteUser, password: str) -> User:
    """Return the user as a request leaves it; raises InvalidRequest and PermissionDenied."""
    if before is None and message.must_exist:
        raise InvalidRequest("username does not exist")
    if not (message.grants.create if before is None else message.grants.update):
        raise PermissionDenied("permission denied")
    if before is None and not password:
        raise InvalidRequest("must provide either password or password_hash")
    parameters: TokenParameters = before.parameters if before is not None else TokenParameters()
    user = before or User(password=password)
    return msgspec.structs.replace(
        user,
        password=password or user.password,
        parameters=changed(parameters, message.sent).parameters,
        spelled=respelled(user.spelled, message.sent, message.spelled),
    )
