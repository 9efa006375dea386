"""The work on a cluster's seal: it is made, opened, and has its master key change hands.

All that was read of it may have changed when a key is at hand; the transactions of `NodeRecords` see to that.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

import msgspec
import structlog

from kms_actors.actors.ceremony.subject import NO_RECOVERY
from kms_actors.actors.node.records import Migration, NodeRecords
from kms_actors.actors.node.seal_standing import Standing, foreign, seal_status, standing_of
from kms_actors.ceremony.pgp import Readers
from kms_actors.config import MasterKeyringProvider
from kms_actors.errors import (
    AlreadyInitialized,
    IntegrityError,
    InvalidRequest,
    InvalidShares,
    KmsError,
    SealChanged,
    SealUnavailable,
    StoreError,
)
from kms_actors.keyring.check_value import has_check_value, key_check_value
from kms_actors.keyring.keyring import Keyring
from kms_actors.keyring.master_seal import SHAMIR, MasterSeal, ProviderSeal, shares_of, type_of
from kms_actors.keyring.seal import SealConfig, make_key, validate_counts
from kms_actors.keyring.shamir import SECRET_LENGTH
from kms_actors.messages import NO_MIGRATION, Initialization, Initialize, SealStatus
from kms_actors.seals.provider import Provider, Wrapped
from kms_actors.seals.static import StaticProvider
from kms_actors.secret import SecretBytes

_log: Final = structlog.get_logger(__name__)

NO_ROOT: Final = "a cluster has no root token, a vault has: its operator, or who has its shares, generates one there"
_WRONG: Final = "invalid key: the shares do not give the key; unseal progress was reset"


class Opened(NamedTuple):
    """The master keyring, and the seal that it was found under."""

    keyring: Keyring
    seal: MasterSeal


class Sealing:
    """Initialises the cluster, opens it, and has its master key change hands. `providers` are by their types."""

    def __init__(
        self, records: NodeRecords, settings: MasterKeyringProvider, providers: Mapping[str, Provider]
    ) -> None:
        self._records = records
        self._settings = settings
        self._providers = providers
        self._seen: Standing | None = None

    def standing(self, seal: MasterSeal | None) -> Standing:
        """Return how things are by this seal."""
        return standing_of(self._settings, seal)

    def status(self, seal: MasterSeal | None, *, sealed: bool) -> SealStatus:
        """Return what is told of the seal, without progress."""
        return seal_status(self._settings, seal, sealed=sealed)

    def quorum(self, seal: MasterSeal, *, migrate: bool) -> SealConfig:
        """Return whose shares are wanted.

        Raises:
            InvalidRequest: a migration that is none, or one that is not asked for; or no shares can do it.

        """
        standing = self.standing(seal)
        if standing is Standing.FOREIGN:
            raise InvalidRequest(foreign(self._settings, seal))
        if migrate and standing is not Standing.MIGRATION:
            raise InvalidRequest(NO_MIGRATION)
        if not migrate and standing is Standing.MIGRATION:
            raise InvalidRequest("migrate option not provided and seal migration is pending")
        shares = shares_of(seal)
        if shares is None:
            raise InvalidRequest(NO_RECOVERY)
        return shares

    async def initialise(self, message: Initialize) -> tuple[Initialization, Opened | None]:
        """Make the cluster. One whose key a provider keeps is open then, unless the store was away by then.

        Raises:
            InvalidRequest: there is one, or it cannot be like this.
            SealUnavailable: the provider does not do its part.

        """
        if message.root_token_pgp_key:
            raise InvalidRequest(NO_ROOT)
        if self._settings.name == SHAMIR:
            message.refuse_recovery()
            return await self._initialise_shares(message), None
        message.refuse_shares(self._settings.name)
        if (await self._records.read())[0] is not None:  # before a provider is asked
            raise AlreadyInitialized("Vault is already initialized")
        return await self._initialise_provider(message)

    async def open(self, seal: MasterSeal, key: SecretBytes) -> Opened:
        """Open the cluster by what a quorum has given: the master key, or one that allows it.

        Raises:
            InvalidShares: it is not the master key.
            SealUnavailable: the provider does not do its part.
            IntegrityError: the cluster does not open.

        """
        if self.standing(seal) is Standing.MIGRATION:
            try:
                return await self._migrate(seal, key)
            except SealChanged:
                found, _ = await self._records.read()
                if found is None or self.standing(found) is Standing.MIGRATION:
                    raise
                seal = found
        if self.standing(seal) is Standing.PROVIDER:
            return await self.open_by_provider(seal)
        try:
            return Opened(await self._records.open_keyring(key, time.time()), seal)
        except IntegrityError:
            raise InvalidShares(_WRONG) from None

    async def open_unattended(self) -> Opened | None:
        """Open the cluster, or make one with `static`, if nobody is needed for that; raises as `open_by_provider`."""
        seal, _ = await self._records.read()
        if seal is None and self._settings.name == "static":
            try:
                return (await self.initialise(Initialize()))[1]
            except AlreadyInitialized:
                seal, _ = await self._records.read()
        self._look(seal)
        if seal is None or self._seen not in (Standing.PROVIDER, Standing.FILE):
            return None
        return await self.open_by_provider(seal)

    def _look(self, seal: MasterSeal | None) -> None:
        """Say what a node waits for, when it begins to."""
        before, self._seen = self._seen, self.standing(seal)
        if seal is None or before is self._seen:
            return
        if self._seen is Standing.FOREIGN:
            _log.error("this node stays sealed", reason=foreign(self._settings, seal))
        if self._seen is Standing.MIGRATION:
            _log.warning(
                "the master key is to change hands: vault operator unseal -migrate",
                before=type_of(seal),
                then=self._settings.name,
            )

    async def open_by_provider(self, seal: MasterSeal) -> Opened:
        """Open the cluster by nobody's help but the provider's.

        Raises:
            SealUnavailable: it does not do its part.
            SettingError: its settings cannot be used.
            IntegrityError: what it gave is not the key.

        """
        if isinstance(seal, SealConfig):
            key = await self._key_in_file(seal)
            return Opened(await self._records.open_keyring(key, time.time()), seal)
        provider = self._providers[seal.type]
        key = await _unwrapped(provider, seal)
        keyring = await self._records.open_keyring(key, time.time(), make=False)
        return Opened(keyring, await self._wrapped_anew(provider, seal, key))

    async def wrap_anew(self, master_key: Callable[[], Awaitable[SecretBytes]]) -> None:
        """Have the provider's key of now wrap the master key, if a provider keeps it; a failure is logged alone."""
        try:
            seal, _ = await self._records.read()
            if isinstance(seal, ProviderSeal) and self.standing(seal) is Standing.PROVIDER:
                await self._wrapped_anew(self._providers[seal.type], seal, await master_key())
        except KmsError as error:
            _log.warning("the master key cannot be wrapped by the newest key", reason=str(error))

    async def _initialise_shares(self, message: Initialize) -> Initialization:
        now, ahead = time.time(), self._settings.key_check_value
        if ahead is not None and message.pgp_keys:
            raise InvalidRequest("no shares are made that PGP keys could be for: the master key was made before")
        validate_counts(message.shares, message.threshold)
        readers = await Readers.read(message.shares, message.pgp_keys, "")
        if ahead is not None:
            await self._records.create(SealConfig(message.shares, message.threshold, ahead, now), None, now)
            return Initialization((), "")
        master_key, parts, seal = make_key(message.shares, message.threshold, now)
        given = await readers.given(parts)
        await self._records.create(seal, master_key, now)
        return Initialization(given, "")

    async def _initialise_provider(self, message: Initialize) -> tuple[Initialization, Opened | None]:
        now, provider = time.time(), self._providers[self._settings.name]
        given: tuple[bytes, ...] = ()
        recovery = None
        if message.recovery_shares or message.recovery_threshold or message.recovery_pgp_keys:
            readers = await Readers.read(message.recovery_shares, message.recovery_pgp_keys, "")
            _, parts, recovery = make_key(message.recovery_shares, message.recovery_threshold, now)
            given = await readers.given(parts)
        master_key = SecretBytes(os.urandom(SECRET_LENGTH))
        seal = await _sealed_by(provider, master_key, recovery)
        await self._records.create(seal, master_key, now)
        made = Initialization(given, "", recovery=True)
        try:
            return made, Opened(await self._records.open_keyring(master_key, now, make=False), seal)
        except StoreError:  # nobody gets the recovery shares a second time, and what unseals unattended comes by
            return made, None

    async def _migrate(self, seal: MasterSeal, key: SecretBytes) -> Opened:
        """Have the master key change hands; `key` is what the quorum of `seal` has given.

        Shares that were the master key's become those of recovery, and the other way round; what they open or allow
        is another key each time, so that an old one opens nothing.
        """
        if isinstance(seal, SealConfig):
            old = key
        else:
            old = await _unwrapped(self._providers[seal.type], seal)
        after: MasterSeal
        shares = shares_of(seal)
        if self._settings.name == SHAMIR:
            assert shares is not None  # they have given the key
            new, after = key, shares
        else:
            new = SecretBytes(os.urandom(SECRET_LENGTH))
            after = await _sealed_by(self._providers[self._settings.name], new, shares)
        keyring = await self._records.migrate(Migration(seal, old, after, new), time.time())
        _log.info("the master key is kept by another", before=type_of(seal), now=type_of(after))
        return Opened(keyring, after)

    async def _wrapped_anew(self, provider: Provider, seal: ProviderSeal, key: SecretBytes) -> MasterSeal:
        """Have the provider's key of now wrap the master key, if another one has; return the seal then.

        What does not succeed here keeps nobody from what is open already.
        """
        try:
            fresh = await provider.wrap(key)
            if fresh.key_id == seal.key_id:
                return seal
            await _prove(provider, fresh, key)  # what is wrapped so far, and opens, is about to be thrown away
            after = msgspec.structs.replace(seal, key_id=fresh.key_id, wrapped=fresh.blob)
            kept = await self._records.wrapped_anew(seal, after)
        except KmsError as error:
            _log.warning("the master key cannot be wrapped by the newest key", type=seal.type, reason=str(error))
            return seal
        if kept == after:
            _log.info("the master key is wrapped by a newer key", type=seal.type, key_id=fresh.key_id)
        return kept or seal

    async def _key_in_file(self, seal: SealConfig) -> SecretBytes:
        provider = self._providers["static"]
        assert isinstance(provider, StaticProvider)
        for key in await asyncio.to_thread(provider.keys):
            if has_check_value(key, seal.key_check_value):
                return key
        raise provider.foreign


async def _unwrapped(provider: Provider, seal: ProviderSeal) -> SecretBytes:
    key = await provider.unwrap(Wrapped(seal.key_id, seal.wrapped))
    if not has_check_value(key, seal.key_check_value):
        raise IntegrityError(f"what `{seal.type}` has given is not the master key of this cluster")
    return key


async def _prove(provider: Provider, wrapped: Wrapped, key: SecretBytes) -> None:
    """Raise unless a key opens: one that may wrap and not unwrap, or a wrong one, is found before all rests on it."""
    if await provider.unwrap(wrapped) != key:
        raise SealUnavailable(f"`{provider.type}` gives back another key than it was given")


async def _sealed_by(provider: Provider, key: SecretBytes, recovery: SealConfig | None) -> ProviderSeal:
    """Return the seal of a key that a provider keeps; raises SealUnavailable."""
    try:
        wrapped = await provider.wrap(key)
        await _prove(provider, wrapped, key)
    except IntegrityError as error:
        raise SealUnavailable(str(error)) from None
    return ProviderSeal(
        provider.type, wrapped.key_id, wrapped.blob, key_check_value(key), time.time(), recovery=recovery
    )
