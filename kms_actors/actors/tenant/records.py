"""What a tenant keeps about itself, and the transactions of its seal.

Below the tenant's prefix: `header`, `seal` (SealConfig), `keyring` (wrapped by the tenant root key), `epoch` (counts
initialisation and seals), `flow` (see `quotas`), `grant` and `erasure` (see `standing`), `unsealed` and `progress`
(see `unsealing`), `mount` (see `mounting`), `audit` (see `audit_records`), `token` and what belongs to it (see
`token_records`), `revoked` (see `revocations`), `due` (see `schedule`).
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from kms_actors.actors.cluster.changes import (
    TENANT,
    Change,
    record,
)
from kms_actors.actors.cluster.schedule import (
    look_never,
    look_soon,
)
from kms_actors.actors.tenant import revocations
from kms_actors.actors.tenant.audit_records import AuditRecords, audit_span
from kms_actors.actors.tenant.header import TenantHeader
from kms_actors.actors.tenant.mounting import (
    Mounts,
    default_mounts,
    mount_record,
    open_mounts,
)
from kms_actors.actors.tenant.quotas import QUOTAS, open_quotas
from kms_actors.actors.tenant.standing import COUNT, ERASURE, GRANT, decoded, grant_of, require_staying
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.actors.tenant.unsealing import Unsealing
from kms_actors.audit.device import Devices
from kms_actors.auth.service_token import ServiceToken, new_service_token
from kms_actors.ceremony.pgp import NOBODY_ELSE, Readers
from kms_actors.errors import IntegrityError, InvalidRequest, InvalidShares
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring, unwrap, wrap
from kms_actors.keyring.seal import SealConfig, UnsealProgress, add_share, complete, make_key
from kms_actors.messages import (
    Initialization,
    SealStatus,
)
from kms_actors.quota.records import Quotas
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys, after
from kms_actors.store.pages import behind
from kms_actors.tenancy.records import Erasure, Grant

#: What tells that a tenant is there, and how it is sealed.
_SEAL: Final = ("header", "seal", "epoch")
#: Of ceremonies under way, with shares that were given: they end with a seal.
_ATTEMPTS: Final = ("rekey", "generate-root")
NOT_INITIALIZED = "Vault is not initialized"


class TenantState(msgspec.Struct, frozen=True):
    """What activation finds. `keyring` is there exactly while the tenant is unsealed."""

    vault_id: str
    keys: TenantKeys | None = None  # None before initialisation
    seal: SealConfig | None = None
    epoch: int = 0
    keyring: Keyring | None = None
    mounts: Mounts = Mounts()
    quotas: Quotas = Quotas()
    grant: Grant = Grant()
    erasure: Erasure | None = None  # there exactly while it is being deleted
    devices: Devices = Devices()
    revoked: Mapping[str, int] = msgspec.field(default_factory=dict)  # ids, and when each is needed no more

    def __repr__(self) -> str:
        return f"<TenantState of {self.vault_id}>"


class TenantRecords:
    """The records of one vault. `now` is in seconds since 1970."""

    def __init__(self, store: Store, unsealing: Unsealing, vault_id: str) -> None:
        self._store = store
        self._unsealing = unsealing
        self._vault_id = vault_id

    async def load(self) -> TenantState:
        """Read the tenant as it is in the store, opened if it is unsealed."""
        state, begin = await self._store.run(self._load)
        if state.keys is None or begin is None:
            return state
        rest = await revocations.load(self._store, state.keys.key("revoked"), begin)
        return msgspec.structs.replace(state, revoked={**state.revoked, **rest})

    async def initialise(
        self, shares: int, threshold: int, now: float, readers: Readers = NOBODY_ELSE
    ) -> Initialization:
        """Make the tenant: root key and shares, keyring, default mounts, root token. It stays sealed.

        Raises:
            InvalidRequest: wrong counts, or initialised already.

        """
        root_key, parts, seal = make_key(shares, threshold, now)
        given = await readers.given(parts)  # before anything is written: a key that nobody can read opens nothing
        keyring = Keyring.generate(now, owner=self._vault_id)
        mounts = default_mounts()

        async def body(tr: Transaction) -> str:
            keys = await self._free(tr)
            number = keys.number
            tr.set(keys.key("header"), stored.encode(TenantHeader(self._vault_id, now)))
            tr.set(keys.key("seal"), seal.encode())
            tr.set(keys.key("keyring"), wrap(root_key, keys.key("keyring"), keyring))
            self._raise_epoch(tr, keys, now)
            for mount in mounts:
                tr.set(*mount_record(keys, keyring, mount))
            root_token = new_service_token(number)
            tr.set(keys.key(COUNT, "mounts", 0), len(mounts).to_bytes(8, "little"))
            tr.add(keys.key(COUNT, "tokens", 0), 1)
            tokens = TokenRecords(keys, keyring)
            tokens.keep(tr, tokens.place(root_token), ServiceToken.root(now))
            return root_token

        return Initialization(given, readers.token(await self._store.run(body, idempotency_key=os.urandom(16))))

    async def _free(self, tr: Transaction) -> TenantKeys:
        """Return the place of a vault that is to be: its own if it was created, or a new one."""
        keys = await self._keys(tr)
        if keys is None:
            return await take_number(tr, self._vault_id)
        await require_staying(tr, keys)
        others = await asyncio.gather(*(tr.get(keys.key(area)) for area in ("header", "seal", "restore")))
        if others != [None] * len(others):
            raise InvalidRequest("Vault is already initialized")
        return keys

    async def seal_status(self, now: float) -> SealStatus:
        """Read the seal state, with the shares given so far."""

        async def body(tr: Transaction) -> SealStatus:
            found = await self._find(tr)
            if found is None:
                return SealStatus(initialized=False, sealed=True)
            keys, seal, epoch = found
            if await self._unsealing.root_key(tr, keys, epoch) is not None:
                return status_of(seal, None, sealed=False)
            return status_of(seal, await self._live_progress(tr, keys, now), sealed=True)

        return await self._store.run(body)

    async def give_share(self, share: bytes, now: float, lifetime: float) -> SealStatus:
        """Add one share; at the threshold the root key comes back and the tenant is unsealed.

        Raises:
            InvalidRequest: not initialised.
            InvalidShares: the quorum does not give the key; the progress is gone.

        """
        nonce = str(uuid.uuid4())
        unsealing = self._unsealing

        opened: tuple[TenantKeys, int, SecretBytes] | None = None

        async def body(tr: Transaction) -> SealStatus | InvalidShares:
            nonlocal opened
            opened = None
            keys, seal, epoch = await self._initialised(tr)
            await require_staying(tr, keys)
            if await unsealing.root_key(tr, keys, epoch) is not None:
                return status_of(seal, None, sealed=False)
            given = await self._live_progress(tr, keys, now)
            try:
                progress = add_share(given, share, seal, now, nonce, lifetime=lifetime)
                root_key = complete(progress, seal)
            except InvalidShares as error:
                unsealing.keep_progress(tr, keys, None)
                return error  # not raised here: the dropped progress must be committed
            if root_key is None:
                unsealing.keep_progress(tr, keys, progress)
                return status_of(seal, progress, sealed=True)
            unsealing.keep_root_key(tr, keys, epoch, root_key)
            opened = keys, epoch, root_key
            await look_soon(tr, keys)
            record(tr, Change(self._vault_id, TENANT, "", now))
            return status_of(seal, None, sealed=False)

        outcome = await self._store.run(body, idempotency_key=os.urandom(16))
        if isinstance(outcome, InvalidShares):
            raise outcome
        if opened is not None:
            unsealing.keep_root_key_here(*opened)
        return outcome

    async def reset_progress(self) -> SealStatus:
        """Forget the shares given so far.

        Raises:
            InvalidRequest: not initialised, or unsealed.

        """

        async def body(tr: Transaction) -> SealStatus:
            keys, seal, epoch = await self._initialised(tr)
            if await self._unsealing.root_key(tr, keys, epoch) is not None:
                raise InvalidRequest("vault is unsealed")
            self._unsealing.keep_progress(tr, keys, None)
            return status_of(seal, None, sealed=True)

        return await self._store.run(body, idempotency_key=os.urandom(16))

    async def seal(self, now: float) -> None:
        """Drop the root key, and raise the epoch: sealed on every node."""

        async def body(tr: Transaction) -> None:
            found = await self._find(tr)
            if found is not None:
                keys = found[0]
                self._unsealing.seal(tr, keys)
                for attempt in _ATTEMPTS:
                    tr.clear(keys.key(attempt))
                if await tr.get(keys.key(ERASURE)) is None:
                    await look_never(tr, keys)
                self._raise_epoch(tr, keys, now)

        await self._store.run(body, idempotency_key=os.urandom(16))

    async def _load(self, tr: Transaction) -> tuple[TenantState, bytes | None]:
        """Return the tenant, and where its further revocations begin, if there are more than a page of them."""
        keys = await self._keys(tr)
        if keys is None:
            return TenantState(self._vault_id), None
        # All at once, and few reads: over a network, a wake takes as long as it has rounds.
        place = keys.key("revoked")
        kept, revoked, parts = await asyncio.gather(
            self._unsealing.stored(tr, keys),
            tr.get_range(place, after(place), limit=revocations.PAGE),
            asyncio.gather(*(tr.get_range(*span) for span in own_spans(keys))),
        )
        own = dict(entry for entries in parts for entry in entries)
        begin = behind(revoked[-1][0]) if len(revoked) == revocations.PAGE else None
        found = _seal_of(*(own.get(keys.key(name)) for name in _SEAL))
        erasure = decoded(own.get(keys.key(ERASURE)), Erasure)
        if found is None:
            return TenantState(self._vault_id, erasure=erasure), None
        state = TenantState(
            self._vault_id,
            keys,
            *found,
            grant=grant_of(own.get(keys.key(GRANT))),
            erasure=erasure,
            revoked=revocations.read(place, revoked),
        )
        root_key, wrapped = self._unsealing.opened(keys, state.epoch, kept), own.get(keys.key("keyring"))
        if root_key is None or wrapped is None or state.erasure is not None:
            return state, begin
        keyring = unwrap(root_key, keys.key("keyring"), wrapped)
        if keyring.owner != self._vault_id:
            # Who can write to the store could point this vault's entry at another's records.
            raise IntegrityError("the records found belong to another vault")
        mounts = [(key, own[key]) for key in _below(keys, "mount", own)]
        opened = open_mounts(keyring, (mounts, own.get(keys.key("mount-revision"))))
        place = keys.key(QUOTAS)
        quotas = open_quotas(keyring, place, own.get(place))
        devices = AuditRecords(keys.key, keyring).opened(own.items())
        return msgspec.structs.replace(state, keyring=keyring, mounts=opened, quotas=quotas, devices=devices), begin

    async def _keys(self, tr: Transaction) -> TenantKeys | None:
        number = await tr.get(keyspace.vault(self._vault_id))
        return None if number is None else TenantKeys(int.from_bytes(number, "little"))

    async def _find(self, tr: Transaction) -> tuple[TenantKeys, SealConfig, int] | None:
        keys = await self._keys(tr)
        if keys is None:
            return None
        found = _seal_of(*await asyncio.gather(*(tr.get(keys.key(name)) for name in _SEAL)))
        return None if found is None else (keys, *found)

    async def _initialised(self, tr: Transaction) -> tuple[TenantKeys, SealConfig, int]:
        found = await self._find(tr)
        if found is None:
            raise InvalidRequest(NOT_INITIALIZED)
        return found

    def _raise_epoch(self, tr: Transaction, keys: TenantKeys, now: float) -> None:
        tr.add(keys.key("epoch"), 1)
        record(tr, Change(self._vault_id, TENANT, "", now))

    async def _live_progress(self, tr: Transaction, keys: TenantKeys, now: float) -> UnsealProgress | None:
        progress = await self._unsealing.progress(tr, keys)
        return progress if progress is not None and progress.lives(now) else None


async def take_number(tr: Transaction, vault_id: str) -> TenantKeys:
    """Give a vault that has none an integer of its own."""
    number = await _next_number(tr)
    tr.set(keyspace.ALLOCATOR, number.to_bytes(8, "little"))
    tr.set(keyspace.vault(vault_id), number.to_bytes(8, "little"))
    return TenantKeys(number)


async def _next_number(tr: Transaction) -> int:
    """Return an integer that no tenant has, above all that have been given out, whatever the allocator says."""
    given, last = await asyncio.gather(
        tr.get(keyspace.ALLOCATOR),
        tr.get_range(keyspace.TENANTS, after(keyspace.TENANTS), limit=1, reverse=True),
    )
    return max(int.from_bytes(given or b"", "little"), *(keyspace.tenant_of(key) for key, _ in last), 0) + 1


def own_spans(keys: TenantKeys) -> tuple[tuple[bytes, bytes], ...]:
    """Return where the records lie that a wake needs, beside revocations; what else lies there is as small."""
    return (
        audit_span(keys.key),
        (keys.key("epoch"), after(keys.key("header"))),
        (keys.key("keyring"), after(keys.key("keyring"))),
        (keys.key("mount"), after(keys.key("mount-revision"))),
        (keys.key("seal"), after(keys.key("seal"))),
    )


def _below(keys: TenantKeys, area: str, records: Iterable[bytes]) -> list[bytes]:
    begin, end = keys.span(area)
    return [key for key in records if begin < key < end]


def _seal_of(header: bytes | None, seal: bytes | None, epoch: bytes | None) -> tuple[SealConfig, int] | None:
    if header is None or seal is None:
        return None
    stored.decode(header, TenantHeader, "tenant header")  # refuses a vault that a newer program has written
    return SealConfig.decode(seal), int.from_bytes(epoch or b"", "little")


def status_of(config: SealConfig, progress: UnsealProgress | None, *, sealed: bool) -> SealStatus:
    """Return the status of an initialised scope."""
    return SealStatus(
        initialized=True,
        sealed=sealed,
        threshold=config.threshold,
        shares=config.shares,
        progress=len(progress.parts) if progress else 0,
        nonce=progress.nonce if progress else "",
    )
