"""Where certificate logins keep what they rest on.

Records, below (`cert`, mount): (`config`,) CertConfig; (`role`, name) CertRole; (`crl`, name) CertCrl; all sealed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import InvalidRequest, Unavailable
from kms_actors.login.cert import MAX_SEARCHED, CertConfig, CertRole
from kms_actors.login.cert_crls import MAX_CRLS, CertCrl
from kms_actors.mounts import Mount
from kms_actors.store.api import Entry, Reads

AREA: Final = "cert"
CONFIG: Final = "config"
ROLE: Final = "role"
CRL: Final = "crl"


class Revoked:
    """Numbers of certificates that lists say were revoked."""

    def __init__(self, crls: Iterable[CertCrl]) -> None:
        self._crls = tuple(crls)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and any(crl.names(number) for crl in self._crls)


class Basis(NamedTuple):
    """What a login rests on, as one snapshot had it."""

    config: CertConfig
    roles: dict[str, CertRole]
    crls: dict[str, CertCrl]
    records: dict[bytes, bytes | None]  # configuration and roles, by their places
    crl_records: tuple[Entry, ...]

    @property
    def revoked(self) -> Revoked:
        """The certificates that count for nothing."""
        return Revoked(self.crls.values())


class CertRecords:
    """The records of one mount."""

    def __init__(self, context: TenantContext, number: int) -> None:
        self._context = context
        self.mount: Mount = context.store.require_mount(number)

    def place(self, *rest: str) -> bytes:
        """Return where a record lies."""
        return self._context.keys.key(AREA, self.mount.number, *rest)

    def open(self, place: bytes, record: bytes) -> bytes:
        """Return what a record holds."""
        return self._context.keyring.open(place, record)

    def seal(self, place: bytes, content: bytes) -> bytes:
        """Return the record of a content."""
        return self._context.keyring.seal(place, content)

    async def read(self, name: str) -> Basis:
        """Return what logins by a role rest on; without a name by any. Raises InvalidRequest for too many of them.

        It may be megabytes, and is opened in a thread.
        """
        records, crls = await self._context.store.read(lambda tr: self._read(tr, name))
        return await self._context.threads.short(self._opened, records, crls)

    async def hold(self, tr: Reads, basis: Basis, name: str) -> None:
        """Raise Unavailable where anything that a login by this role rests on was changed meanwhile."""
        places = (self.place(CONFIG), self.place(ROLE, name))
        now = await tr.get_many(places)
        crls = await tr.get_range(*self.crl_span(), limit=MAX_CRLS + 1)
        if now != [basis.records[place] for place in places] or tuple(crls) != basis.crl_records:
            raise Unavailable("the role or the configuration was changed meanwhile, try again")

    def crl_span(self) -> tuple[bytes, bytes]:
        """Return between which keys all lists of revoked certificates lie."""
        return self._context.keys.span(AREA, self.mount.number, CRL)

    async def _read(self, tr: Reads, name: str) -> tuple[dict[bytes, bytes | None], tuple[Entry, ...]]:
        place = self.place(CONFIG)
        records: dict[bytes, bytes | None] = {place: await tr.get(place)}
        if name:
            role = self.place(ROLE, name)
            records[role] = await tr.get(role)
        else:
            span = self._context.keys.span(AREA, self.mount.number, ROLE)
            found = await tr.get_range(*span, limit=MAX_SEARCHED + 1)
            if len(found) > MAX_SEARCHED:
                raise InvalidRequest(f"name: needed where a mount has more than {MAX_SEARCHED} roles")
            records |= dict(found)
        return records, tuple(await tr.get_range(*self.crl_span(), limit=MAX_CRLS + 1))

    def _opened(self, records: dict[bytes, bytes | None], crls: tuple[Entry, ...]) -> Basis:
        place = self.place(CONFIG)
        config = records[place]
        return Basis(
            CertConfig() if config is None else CertConfig.decode(self.open(place, config)),
            {
                self._context.keys.parts(key)[-1]: CertRole.decode(self.open(key, record))
                for key, record in records.items()
                if key != place and record is not None
            },
            {self._context.keys.parts(key)[-1]: CertCrl.decode(self.open(key, record)) for key, record in crls},
            records,
            crls,
        )
