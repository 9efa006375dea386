"""What a tenant keeps about itself, and the transactions of its seal.

Below the tenant's prefix: `header`, `seal` (SealConfig), `keyring` (wrapped by the tenant root key), `epoch` (counts
changes of the seal state), `unsealed` (the root key, wrapped by the master keyring: there means unsealed, on every
node) and `progress` (shares given so far, wrapped likewise), `mount` (see `mounting`), `revoked` (see `tokens`).
"""

from __future__ import annotations

import asyncio
import os
import uuid

import msgspec

from kms_actors.auth.service_token import ServiceToken, new_service_token, token_hash
from kms_actors.errors import InvalidRequest, InvalidShares
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring, unwrap, wrap
from kms_actors.keyring.seal import SealConfig, UnsealProgress, add_share, complete, make_key
from kms_actors.secret import SecretBytes
from kms_actors.store import keyspace
from kms_actors.store.api import Store, Transaction
from kms_actors.store.keyspace import TenantKeys

from .messages import Initialization, SealStatus
from .mounting import default_mounts, mount_record, read_mounts
from .mounts import Mount

TOKEN_LABEL = b"token"
NOT_INITIALIZED = "Vault is not initialized"


class TenantHeader(msgspec.Struct, frozen=True):
    """First record of a tenant: whose it is, and the format of all the others."""

    vault_id: str
    created: float  # seconds since 1970
    format: int = stored.FORMAT


class TenantState(msgspec.Struct, frozen=True):
    """What activation finds. `keyring` is there exactly while the tenant is unsealed."""

    vault_id: str
    keys: TenantKeys | None = None  # None before initialisation
    seal: SealConfig | None = None
    epoch: int = 0
    keyring: Keyring | None = None
    mounts: tuple[Mount, ...] = ()
    revoked: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"<TenantState of {self.vault_id}>"


class TenantRecords:
    """The records of one vault. `now` is in seconds since 1970."""

    def __init__(self, store: Store, master: Keyring, vault_id: str) -> None:
        self._store = store
        self._master = master
        self._vault_id = vault_id

    async def load(self) -> TenantState:
        """Read the tenant as it is in the store, opened if it is unsealed."""
        return await self._store.run(self._load)

    async def initialise(self, shares: int, threshold: int, now: float) -> Initialization:
        """Make the tenant: root key and shares, keyring, default mounts, root token. It stays sealed.

        Raises:
            InvalidRequest: wrong counts, or initialised already.

        """
        root_key, parts, seal = make_key(shares, threshold, now)
        keyring = Keyring.generate(now)
        mounts = default_mounts()

        async def body(tr: Transaction) -> str:
            if await tr.get(keyspace.vault(self._vault_id)) is not None:
                raise InvalidRequest("Vault is already initialized")
            number = int.from_bytes(await tr.get(keyspace.ALLOCATOR) or b"", "little") + 1
            keys = TenantKeys(number)
            tr.set(keyspace.ALLOCATOR, number.to_bytes(8, "little"))
            tr.set(keyspace.vault(self._vault_id), number.to_bytes(8, "little"))
            tr.set(keys.key("header"), stored.encode(TenantHeader(self._vault_id, now)))
            tr.set(keys.key("seal"), seal.encode())
            tr.set(keys.key("keyring"), wrap(root_key, keys.key("keyring"), keyring))
            tr.add(keys.key("epoch"), 1)
            for mount in mounts:
                tr.set(*mount_record(keys, keyring, mount))
            root_token = new_service_token(number)
            token_key = keys.key("token", token_hash(keyring.derive(TOKEN_LABEL), root_token))
            tr.set(token_key, keyring.seal(token_key, ServiceToken.root(now).encode()))
            return root_token

        return Initialization(parts, await self._store.run(body, idempotency_key=os.urandom(16)))

    async def seal_status(self, now: float) -> SealStatus:
        """Read the seal state, with the shares given so far."""

        async def body(tr: Transaction) -> SealStatus:
            found = await self._find(tr)
            if found is None:
                return SealStatus(initialized=False, sealed=True)
            keys, seal = found
            unsealed, progress = await asyncio.gather(tr.get(keys.key("unsealed")), tr.get(keys.key("progress")))
            given = self._open_progress(keys, progress, now) if unsealed is None else None
            return status_of(seal, given, sealed=unsealed is None)

        return await self._store.run(body)

    async def give_share(self, share: bytes, now: float, lifetime: float) -> SealStatus:
        """Add one share; at the threshold the root key comes back and the tenant is unsealed everywhere.

        Raises:
            InvalidRequest: not initialised.
            InvalidShares: the quorum does not give the key; the progress is gone.

        """
        nonce = str(uuid.uuid4())

        async def body(tr: Transaction) -> SealStatus | InvalidShares:
            keys, seal = await self._initialised(tr)
            unsealed, stored_progress = await asyncio.gather(
                tr.get(keys.key("unsealed")), tr.get(keys.key("progress"))
            )
            if unsealed is not None:
                return status_of(seal, None, sealed=False)
            given = self._open_progress(keys, stored_progress, now)
            try:
                progress = add_share(given, share, seal, now, nonce, lifetime=lifetime)
                root_key = complete(progress, seal)
            except InvalidShares as error:
                tr.clear(keys.key("progress"))
                return error  # not raised here: the cleared progress must be committed
            if root_key is None:
                tr.set(keys.key("progress"), self._master.seal(keys.key("progress"), progress.encode()))
                return status_of(seal, progress, sealed=True)
            tr.clear(keys.key("progress"))
            tr.set(keys.key("unsealed"), self._master.seal(keys.key("unsealed"), root_key.reveal()))
            tr.add(keys.key("epoch"), 1)
            return status_of(seal, None, sealed=False)

        outcome = await self._store.run(body, idempotency_key=os.urandom(16))
        if isinstance(outcome, InvalidShares):
            raise outcome
        return outcome

    async def reset_progress(self) -> SealStatus:
        """Forget the shares given so far.

        Raises:
            InvalidRequest: not initialised, or unsealed.

        """

        async def body(tr: Transaction) -> SealStatus:
            keys, seal = await self._initialised(tr)
            if await tr.get(keys.key("unsealed")) is not None:
                raise InvalidRequest("vault is unsealed")
            tr.clear(keys.key("progress"))
            return status_of(seal, None, sealed=True)

        return await self._store.run(body, idempotency_key=os.urandom(16))

    async def seal(self) -> None:
        """Delete the wrapped root key: sealed on every node."""

        async def body(tr: Transaction) -> None:
            found = await self._find(tr)
            if found is not None and await tr.get(found[0].key("unsealed")) is not None:
                tr.clear(found[0].key("unsealed"))
                tr.add(found[0].key("epoch"), 1)

        await self._store.run(body, idempotency_key=os.urandom(16))

    async def _load(self, tr: Transaction) -> TenantState:
        found = await self._find(tr)
        if found is None:
            return TenantState(self._vault_id)
        keys, seal = found
        epoch, unsealed, wrapped, revoked = await asyncio.gather(
            tr.get(keys.key("epoch")),
            tr.get(keys.key("unsealed")),
            tr.get(keys.key("keyring")),
            tr.get_range(*keys.span("revoked")),
        )
        state = TenantState(
            self._vault_id,
            keys,
            seal,
            int.from_bytes(epoch or b"", "little"),
            revoked=frozenset(keys.parts(key)[1] for key, _ in revoked),
        )
        if unsealed is None or wrapped is None:
            return state
        root_key = SecretBytes(self._master.open(keys.key("unsealed"), unsealed))
        keyring = unwrap(root_key, keys.key("keyring"), wrapped)
        mounts = await read_mounts(tr, keys, keyring)
        return msgspec.structs.replace(state, keyring=keyring, mounts=mounts)

    async def _find(self, tr: Transaction) -> tuple[TenantKeys, SealConfig] | None:
        number = await tr.get(keyspace.vault(self._vault_id))
        if number is None:
            return None
        keys = TenantKeys(int.from_bytes(number, "little"))
        seal = await tr.get(keys.key("seal"))
        return None if seal is None else (keys, SealConfig.decode(seal))

    async def _initialised(self, tr: Transaction) -> tuple[TenantKeys, SealConfig]:
        found = await self._find(tr)
        if found is None:
            raise InvalidRequest(NOT_INITIALIZED)
        return found

    def _open_progress(self, keys: TenantKeys, record: bytes | None, now: float) -> UnsealProgress | None:
        if record is None:
            return None
        progress = UnsealProgress.decode(self._master.open(keys.key("progress"), record))
        return progress if now < progress.expires else None


async def vault_of(store: Store, number: int) -> str | None:
    """Return the vault id of a tenant integer, or None."""
    header = await store.run(lambda tr: tr.get(TenantKeys(number).key("header")))
    return None if header is None else stored.decode(header, TenantHeader, "tenant header").vault_id


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
