"""AppRole in a tenant actor: roles and their secret ids. Logins are apart."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from kms_actors.actors.login.approle_logins import ApproleLogins
from kms_actors.actors.login.approle_records import ACCESSOR, AREA, ROLE, ApproleRecords
from kms_actors.actors.login.listing import list_keys
from kms_actors.actors.login.locking import Locking
from kms_actors.actors.login.remembered import AskNow, LoginProved, LoginsChanged, Remembered
from kms_actors.actors.login.tidying import EndSecretIds, Tidying
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import (
    InvalidRequest,
    NamedNotFound,
    NotFound,
    PermissionDenied,
    UnsupportedPath,
)
from kms_actors.login.approle import (
    MAX_ROLE_ID,
    MAX_SECRET_ID,
    Role,
    SecretId,
    make_secret_id,
    write,
)
from kms_actors.login.approle_messages import (
    DeleteRole,
    DestroySecretId,
    ListRoles,
    ListSecretIds,
    LoginRole,
    LookUpSecretId,
    MadeSecretId,
    Missing,
    NewSecretId,
    OfSecretId,
    ReadRole,
    ReadRoleOfId,
    TidySecretIds,
    WriteRole,
)
from kms_actors.messages import Message
from kms_actors.mounts import SYSTEM_LEASE_TTL, Mount
from kms_actors.store.api import Reads, Transaction

#: What an `ApproleController` handles.
APPROLE_MESSAGES: Final = (
    LoginRole,
    LoginProved,
    LoginsChanged,
    ReadRole,
    ReadRoleOfId,
    ListRoles,
    WriteRole,
    DeleteRole,
    NewSecretId,
    ListSecretIds,
    LookUpSecretId,
    DestroySecretId,
    TidySecretIds,
    EndSecretIds,
)

_SECOND: Final = 10**9
_NO_ACCESSOR: Final = "failed to find accessor entry for secret_id_accessor"


class ApproleController:
    """Keeps roles and secret ids, and logs in by them."""

    def __init__(self, context: TenantContext, ask_now: AskNow) -> None:
        self._context = context
        self._records = ApproleRecords(context.keys, context.keyring)
        self._locking = Locking(context)
        self._remembered = Remembered(context, ask_now)
        self._logins = ApproleLogins(context, self._records, self._locking, self._remembered)
        self._tidying = Tidying(context, self._records)

    def handlers(self) -> Mapping[type[Message], Handler]:
        spawn = self._context.spawn
        return {
            LoginRole: self._logins.log_in,
            LoginProved: self._remembered.keep,
            LoginsChanged: self._remembered.drop,
            ReadRole: lambda message: spawn(self._read(message)),
            ReadRoleOfId: lambda message: spawn(self._role_of(message)),
            ListRoles: lambda message: spawn(self._list(message)),
            WriteRole: lambda message: spawn(self._write(message)),
            DeleteRole: lambda message: spawn(self._delete(message)),
            NewSecretId: lambda message: spawn(self._new_secret_id(message)),
            ListSecretIds: lambda message: spawn(self._list_secret_ids(message)),
            LookUpSecretId: lambda message: spawn(self._look_up(message)),
            DestroySecretId: lambda message: spawn(self._destroy(message)),
            TidySecretIds: lambda message: self._tidying.begin(self._mount(message.mount).number),
            EndSecretIds: lambda _: spawn(self._tidying.sweep()),
        }

    async def _read(self, message: ReadRole) -> Role:
        mount = self._mount(message.mount).number
        role = await self._context.store.read(lambda tr: self._records.read_role(tr, mount, message.role))
        if role is None:
            raise NotFound
        return role

    async def _role_of(self, message: ReadRoleOfId) -> str:
        if len(message.role_id) > MAX_ROLE_ID:
            return ""
        key = self._records.role_id_key(self._mount(message.mount).number, message.role_id)
        return self._records.role_of(key, await self._context.store.read(lambda tr: tr.get(key)))

    async def _list(self, message: ListRoles) -> list[str]:
        mount = self._mount(message.mount).number
        return await list_keys(self._context, (AREA, mount, ROLE), message.after, message.limit)

    async def _write(self, message: WriteRole) -> tuple[str, ...]:
        mount, new_role_id = self._mount(message.mount), str(uuid.uuid4())
        longest, alone = mount.config.max_lease_ttl or SYSTEM_LEASE_TTL, message.missing is not Missing.MADE

        async def body(tr: Transaction) -> tuple[tuple[str, ...], str]:
            before = await self._records.read_role(tr, mount.number, message.role)
            if before is None and message.missing is Missing.IGNORED:
                return (), ""
            if before is None and message.missing is Missing.REFUSED:
                raise UnsupportedPath("unsupported path")
            if not (message.grants.create if before is None else message.grants.update):
                raise PermissionDenied("permission denied")
            role, warnings = write(before, message.sent, message.older, new_role_id, longest, alone=alone)
            if not await self._records.put_role(tr, mount.number, message.role, role, before):
                raise InvalidRequest("role_id already in use")
            if before is not None and before.role_id != role.role_id:
                tr.clear(self._locking.key(mount, before.role_id, known=True))
            if before is None:
                return warnings, ""
            self._remembered.changed(tr, mount.number, before.role_id)
            return warnings, before.role_id

        warnings, role_id = await self._context.store.change(body, mount=mount.number)
        await self._forget(mount, role_id)
        return warnings

    async def _delete(self, message: DeleteRole) -> None:
        mount = self._mount(message.mount)

        async def body(tr: Transaction) -> str:
            role = await self._records.read_role(tr, mount.number, message.role)
            if role is None:
                return ""
            self._records.remove_role(tr, mount.number, message.role, role)
            tr.clear(self._locking.key(mount, role.role_id, known=True))
            self._remembered.changed(tr, mount.number, role.role_id)
            return role.role_id

        await self._forget(mount, await self._context.store.change(body, mount=mount.number))

    async def _forget(self, mount: Mount, role_id: str) -> None:
        """Let nobody be answered any more by what a role, or one of its secret ids, was before; empty: by none."""
        if role_id:
            await self._remembered.forget(mount.number, role_id)

    async def _new_secret_id(self, message: NewSecretId) -> MadeSecretId:
        mount, now = self._mount(message.mount), self._context.clock()
        text, accessor = message.secret_id or str(uuid.uuid4()), str(uuid.uuid4())
        if len(text) > MAX_SECRET_ID:
            raise InvalidRequest(f"secret_id: at most {MAX_SECRET_ID} characters")
        digest = self._records.digest(mount.number, message.role, text)
        most = mount.config.max_lease_ttl or SYSTEM_LEASE_TTL

        async def body(tr: Transaction) -> tuple[SecretId, str]:
            role = await self._records.read_role(tr, mount.number, message.role)
            if role is None:
                raise NamedNotFound(f'role "{message.role}" does not exist')
            made = make_secret_id(role, message.sent, accessor, now, most)
            before = await self._records.read_secret_id(tr, mount.number, message.role, digest)
            if before is not None and not before.ended(now):
                raise InvalidRequest("failed to store secret_id: SecretID is already registered")
            if before is not None:
                self._records.remove_secret_id(tr, mount.number, message.role, digest, before)
                self._remembered.changed(tr, mount.number, role.role_id)
            await self._records.add_secret_id(tr, mount.number, message.role, digest, made)
            return made, "" if before is None else role.role_id

        made, role_id = await self._context.store.change(body, mount=mount.number)
        await self._forget(mount, role_id)
        return MadeSecretId(text, accessor, made.uses, (made.ends - now) // _SECOND if made.ends else 0)

    async def _list_secret_ids(self, message: ListSecretIds) -> list[str]:
        mount = self._mount(message.mount).number
        role = await self._context.store.read(lambda tr: self._records.read_role(tr, mount, message.role))
        if role is None:
            raise InvalidRequest(f'role "{message.role}" does not exist')
        return await list_keys(self._context, (AREA, mount, ACCESSOR, message.role), message.after, message.limit)

    async def _look_up(self, message: LookUpSecretId) -> SecretId | None:
        mount, now = self._mount(message.mount).number, self._context.clock()
        _, _, found = await self._context.store.read(lambda tr: self._find(tr, mount, message))
        return None if found is None or found.ended(now) else found

    async def _destroy(self, message: DestroySecretId) -> None:
        mount = self._mount(message.mount)

        async def body(tr: Transaction) -> str:
            role, digest, found = await self._find(tr, mount.number, message)
            if found is None:
                return ""
            self._records.remove_secret_id(tr, mount.number, message.role, digest, found)
            self._remembered.changed(tr, mount.number, role.role_id)
            return role.role_id

        await self._forget(mount, await self._context.store.change(body, mount=mount.number))

    async def _find(self, tr: Reads, mount: int, message: OfSecretId) -> tuple[Role, bytes, SecretId | None]:
        """Return a role, the digest of a secret id, and the record of that if it is there."""
        role = await self._records.read_role(tr, mount, message.role)
        if role is None:
            raise InvalidRequest(f'role "{message.role}" does not exist')
        if message.accessor:
            named = await self._records.digest_of(tr, mount, message.role, message.accessor)
            if named is None:
                raise NamedNotFound(_NO_ACCESSOR)
            digest = named
        else:
            digest = self._records.digest(mount, message.role, message.secret_id)
        return role, digest, await self._records.read_secret_id(tr, mount, message.role, digest)

    def _mount(self, number: int) -> Mount:
        return self._context.store.require_mount(number)
