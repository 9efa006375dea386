"""Lists of revoked certificates in a tenant actor: given by hand, or by where to fetch them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from kms_actors.actors.login.cert_lists import CertLists
from kms_actors.actors.login.cert_records import AREA, CRL, CertRecords
from kms_actors.actors.login.listing import list_keys
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.errors import InvalidRequest
from kms_actors.login import cert_crls
from kms_actors.login.cert_crls import (
    MAX_CRLS,
    CertCrl,
    DeleteCertCrl,
    ListCertCrls,
    ReadCertCrl,
    WriteCertCrl,
    check_sources,
    no_such,
)
from kms_actors.messages import Message
from kms_actors.store.api import Transaction

#: What a `CertCrlController` handles.
CERT_CRL_MESSAGES: Final = (ReadCertCrl, ListCertCrls, WriteCertCrl, DeleteCertCrl)


class CertCrlController:
    """Keeps lists of revoked certificates."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._lists = CertLists(context)

    def handlers(self) -> Mapping[type[Message], Handler]:
        work: dict[type[Message], Any] = {
            ReadCertCrl: self._read,
            ListCertCrls: self._list,
            WriteCertCrl: self._write,
            DeleteCertCrl: self._delete,
        }
        return {kind: partial(self._spawn, each) for kind, each in work.items()}

    def _spawn(self, work: Any, message: Any) -> Any:
        return self._context.spawn(work(message))

    async def _read(self, message: ReadCertCrl) -> CertCrl:
        records = CertRecords(self._context, message.mount)
        place = records.place(CRL, message.name)
        record = await self._context.store.read(lambda tr: tr.get(place))
        if record is None:
            raise no_such(message.name)
        return CertCrl.decode(records.open(place, record))

    async def _list(self, message: ListCertCrls) -> list[str]:
        CertRecords(self._context, message.mount)
        return await list_keys(self._context, (AREA, message.mount, CRL))

    async def _write(self, message: WriteCertCrl) -> None:
        check_sources(message.crl, message.url)
        records = CertRecords(self._context, message.mount)
        if message.crl:
            content = message.crl.encode("utf-8", "surrogatepass")
            found = await self._context.threads.short(cert_crls.read, content)
        else:
            found = await self._lists.fetched(message.url)
        place, span = records.place(CRL, message.name), self._context.keys.span(AREA, message.mount, CRL)

        async def body(tr: Transaction) -> None:
            there = await tr.get_keys(*span, limit=MAX_CRLS + 1)
            if place not in there and len(there) >= MAX_CRLS:
                raise InvalidRequest(f"a mount has at most {MAX_CRLS} CRLs")
            tr.set(place, records.seal(place, found.encode()))

        await self._context.store.change(body, mount=message.mount)

    async def _delete(self, message: DeleteCertCrl) -> None:
        place = CertRecords(self._context, message.mount).place(CRL, message.name)

        async def body(tr: Transaction) -> None:
            if await tr.get(place) is None:
                raise no_such(message.name)
            tr.clear(place)

        await self._context.store.change(body, mount=message.mount)
