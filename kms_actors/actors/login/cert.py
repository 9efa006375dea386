"""Logins by certificate in a tenant actor.

What a connection's client has shown comes with the login: the handshake has proved that it has the key. Whether it
is let in is looked at in a thread, and counts only if role, configuration and lists of revoked certificates are the
same when the login commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import msgspec

from kms_actors.actors.login.cert_lists import CertLists
from kms_actors.actors.login.cert_records import AREA, CONFIG, ROLE, Basis, CertRecords
from kms_actors.actors.login.completing import log_in
from kms_actors.actors.login.familiar import Familiar
from kms_actors.actors.login.listing import list_keys
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import InvalidRequest, NotFound, PermissionDenied
from kms_actors.login import cert_matching
from kms_actors.login.cert import (
    ANOTHER,
    CHANGED,
    GONE,
    CertConfig,
    CertRole,
    DeleteCertRole,
    ListCertRoles,
    LoginByCertificate,
    ReadCertConfig,
    ReadCertRole,
    WriteCertConfig,
    WriteCertRole,
    certificates_of,
    written,
)
from kms_actors.login.cert_matching import Shown
from kms_actors.login.messages import LoggedIn, ProveRenewal, RenewalTerms
from kms_actors.login.outcome import Outcome
from kms_actors.login.tokens import policies_of, require_address
from kms_actors.messages import Message
from kms_actors.store.api import Reads, Transaction

#: What a `CertController` handles.
CERT_MESSAGES: Final = (
    LoginByCertificate,
    ProveRenewal,
    ReadCertConfig,
    WriteCertConfig,
    ReadCertRole,
    ListCertRoles,
    WriteCertRole,
    DeleteCertRole,
)

_DEFAULT_POLICY: Final = "default"


class CertController:
    """Logs in who shows a certificate, and keeps what says which."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._lists = CertLists(context)
        self._familiar = Familiar(context)

    def handlers(self) -> Mapping[type[Message], Handler]:
        work: dict[type[Message], Any] = {
            LoginByCertificate: self._log_in,
            ProveRenewal: self._prove_renewal,
            ReadCertConfig: self._read_config,
            WriteCertConfig: self._write_config,
            ReadCertRole: self._read_role,
            ListCertRoles: self._list,
            WriteCertRole: self._write_role,
            DeleteCertRole: self._delete_role,
        }
        return {kind: partial(self._spawn, each) for kind, each in work.items()}

    def _spawn(self, work: Any, message: Any) -> Any:
        return self._context.spawn(work(message))

    async def _log_in(self, message: LoginByCertificate) -> LoggedIn:
        records = CertRecords(self._context, message.mount)
        shown = await self._context.threads.short(cert_matching.read, message.certificates)
        basis = await self._lists.current(records, message.name)
        name = await self._found(shown, basis, basis.roles)
        role = basis.roles[name]
        require_address(role.parameters, message.client_ip)
        outcome = cert_matching.outcome_of(
            shown, name, role, alias_metadata=basis.config.enable_identity_alias_metadata
        )

        async def prove(tr: Transaction, _: float) -> Outcome:
            await records.hold(tr, basis, name)
            return outcome

        return await log_in(self._context, message, prove, self._familiar)

    async def _found(self, shown: Shown, basis: Basis, roles: Mapping[str, CertRole]) -> str:
        now = self._context.clock() / 1e9
        return await self._context.threads.short(cert_matching.find, shown, roles, basis.revoked, now)

    async def _prove_renewal(self, message: ProveRenewal) -> RenewalTerms:
        """Look at a renewal by the role of the login alone, whatever other one would let the certificate in."""
        records = CertRecords(self._context, message.mount)
        basis = await self._lists.current(records, message.role)
        role = basis.roles.get(message.role)
        if role is None:
            raise InvalidRequest(GONE)
        if not basis.config.disable_binding:
            shown = await self._context.threads.short(cert_matching.read, message.certificates)
            if shown.fingerprint != message.certificate:
                raise InvalidRequest(ANOTHER)
            await self._found(shown, basis, {message.role: role})
        given = policies_of(Outcome(alias="", parameters=role.parameters))
        if {*given} - {_DEFAULT_POLICY} != {*message.policies} - {_DEFAULT_POLICY}:
            raise InvalidRequest(CHANGED)
        return RenewalTerms(role.parameters, tuple(basis.records.items()), records.crl_span(), basis.crl_records)

    async def _read_config(self, message: ReadCertConfig) -> CertConfig:
        records = CertRecords(self._context, message.mount)
        place = records.place(CONFIG)
        record = await self._context.store.read(lambda tr: tr.get(place))
        return CertConfig() if record is None else CertConfig.decode(records.open(place, record))

    async def _write_config(self, message: WriteCertConfig) -> None:
        records = CertRecords(self._context, message.mount)
        place = records.place(CONFIG)

        async def body(tr: Transaction) -> None:
            record = await tr.get(place)
            before = CertConfig() if record is None else CertConfig.decode(records.open(place, record))
            after = msgspec.structs.replace(before, **message.sent)
            tr.set(place, records.seal(place, after.encode()))

        await self._context.store.change(body, mount=message.mount)

    async def _read_role(self, message: ReadCertRole) -> CertRole:
        records = CertRecords(self._context, message.mount)
        place = records.place(ROLE, message.name)

        async def look(tr: Reads) -> bytes | None:
            return await tr.get(place)

        record = await self._context.store.read(look)
        if record is None:
            raise NotFound
        return CertRole.decode(records.open(place, record))

    async def _list(self, message: ListCertRoles) -> list[str]:
        CertRecords(self._context, message.mount)
        return await list_keys(self._context, (AREA, message.mount, ROLE), message.after, message.limit)

    async def _write_role(self, message: WriteCertRole) -> tuple[str, ...]:
        records = CertRecords(self._context, message.mount)
        place = records.place(ROLE, message.name)
        if message.sent.get("certificate"):
            await self._context.threads.short(certificates_of, message.sent["certificate"])

        async def body(tr: Transaction) -> tuple[str, ...]:
            record = await tr.get(place)
            before = None if record is None else CertRole.decode(records.open(place, record))
            if not (message.grants.create if before is None else message.grants.update):
                raise PermissionDenied("permission denied")
            after, warnings = written(before, message.name, message.sent, message.spelled, records.mount)
            tr.set(place, records.seal(place, after.encode()))
            return warnings

        return await self._context.store.change(body, mount=message.mount)

    async def _delete_role(self, message: DeleteCertRole) -> None:
        place = CertRecords(self._context, message.mount).place(ROLE, message.name)

        async def body(tr: Transaction) -> None:
            tr.clear(place)

        await self._context.store.change(body, mount=message.mount)
