"""Lists of revoked certificates, fetched anew once they say that there is a newer one.

A list that cannot be fetched stays as it is, and is tried again a while later: what was revoked stays so.
"""

from __future__ import annotations

from typing import Final

from kms_actors.actors.login.cert_records import CRL, Basis, CertRecords
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import InvalidRequest, Unavailable
from kms_actors.fetch import FetchFailed
from kms_actors.login import cert_crls
from kms_actors.login.cert_crls import CertCrl
from kms_actors.observe.bounded import BoundedLog
from kms_actors.request_context import computed
from kms_actors.store.api import Transaction

#: Seconds from one try of a process to fetch a list until the next.
_AGAIN: Final = 60.0
_OK: Final = 200

_log: Final = BoundedLog(__name__)


class CertLists:
    """Those of the mounts of one vault."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._tried: dict[bytes, float] = {}  # by place; of lists that are there, so few

    async def current(self, records: CertRecords, name: str) -> Basis:
        """Return what logins rest on, with lists that are as new as can be had."""
        basis = await records.read(name)
        now = self._context.clock() / 1e9
        due = {each: crl for each, crl in basis.crls.items() if crl.due(now) and self._may_try(records, each, now)}
        if not due:
            return basis
        for each, crl in due.items():
            await self._renew(records, each, crl)
        return await records.read(name)

    async def fetched(self, url: str) -> CertCrl:
        """Return the list that a URL has. Raises InvalidRequest."""
        try:
            self._context.fetch.check(url)
            answer = await computed(self._context.fetch.get(url))
        except FetchFailed as failed:
            raise InvalidRequest(f"url: {failed}") from None
        if answer.status != _OK:
            raise InvalidRequest(f"url: it answers with status {answer.status}")
        return await self._context.threads.short(cert_crls.read, answer.body, url)

    def _may_try(self, records: CertRecords, name: str, now: float) -> bool:
        place = records.place(CRL, name)
        if now - self._tried.get(place, 0.0) < _AGAIN:
            return False
        self._tried[place] = now
        return True

    async def _renew(self, records: CertRecords, name: str, before: CertCrl) -> None:
        scope = self._context.vault_id
        try:
            found = await self.fetched(before.url)
        except (InvalidRequest, Unavailable) as failed:
            _log.warning("list of revoked certificates cannot be fetched", scope, scope=scope, reason=str(failed))
            return
        place = records.place(CRL, name)

        async def body(tr: Transaction) -> None:
            record = await tr.get(place)
            if record is not None and CertCrl.decode(records.open(place, record)) == before:
                tr.set(place, records.seal(place, found.encode()))

        await self._context.store.change(body, mount=records.mount.number, bearers=())
