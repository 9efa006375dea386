"""Rekeys: each step is a transaction, and so is their end, which replaces seal, wrapped keyring and kept key at once.

(`rekey`,)          Rekey, sealed by the scope's keyring: the attempt
(`rekey-backup`,)   Backup, likewise: encrypted shares of the last rekey that was to be backed up
(`rekey-recovery`,) and (`rekey-recovery-backup`,), likewise, of the recovery key: see `subject`

The new key and its shares are made, and encrypted, between two transactions: the second one writes only if the
attempt is still as the first has read it. So of shares that are given to several nodes at once, one makes the quorum.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from kms_actors.actors.ceremony.attempt import RESTARTS, Attempts, Found
from kms_actors.actors.ceremony.scope import Scope, renew
from kms_actors.actors.ceremony.subject import NO_RECOVERY, NOT_SUPPORTED, RootKey, Subject
from kms_actors.ceremony.messages import (
    BeginRekey,
    CancelRekey,
    DeleteRekeyBackup,
    GiveRekeyShare,
    ReadRekey,
    ReadRekeyBackup,
    ReadVerification,
    RekeyBackup,
    RekeyStatus,
    RestartVerification,
    VerificationStatus,
    VerifyRekeyShare,
)
from kms_actors.ceremony.pgp import encrypt_shares, read_recipients
from kms_actors.ceremony.rekey import (
    REKEY,
    ROTATION,
    Backup,
    NewKey,
    Rekey,
    Words,
    check,
    give,
    key_of,
    verified,
    verify,
)
from kms_actors.errors import InvalidRequest, InvalidShares, TransactionConflict
from kms_actors.keyring.seal import SealConfig, make_key
from kms_actors.messages import Message
from kms_actors.secret import SecretBytes
from kms_actors.store.api import Reads, Transaction

_NO_BACKUP: Final = "no backed-up keys found"


class Quorum(NamedTuple):
    """What a share has completed, and nothing is written of yet."""

    found: Found[Rekey]
    rekey: Rekey
    seal: SealConfig | None
    old: SecretBytes | None  # None where there was none, nor a quorum


class Made(NamedTuple):
    """A new key, how it is shared out, and the shares as they are given out."""

    key: SecretBytes
    seal: SealConfig
    shares: tuple[bytes, ...]

    def __repr__(self) -> str:
        return "<Made>"


class Rekeying:
    """The rekeys of one scope: of the key that wraps its keyring, or of another `subject` that is in shares."""

    def __init__(self, scope: Scope, subject: Subject | None = None) -> None:
        self._scope = scope
        self._subject: Subject = subject or RootKey(scope)
        self._attempts: Attempts[Rekey] = Attempts(scope, self._subject.attempt, Rekey.decode)

    @property
    def _now(self) -> float:
        return self._scope.now() / 1e9

    async def begin(self, message: BeginRekey) -> RekeyStatus:
        """Begin, unless one is under way."""
        words = _words(message.newer)
        check(message.shares, message.threshold, words)
        if message.backup and not message.pgp_keys:
            raise InvalidRequest("cannot request a backup of the new keys without providing PGP keys for encryption")
        recipients = await asyncio.to_thread(read_recipients, message.pgp_keys, message.shares, words.invalid)
        rekey = Rekey(
            nonce=str(uuid.uuid4()),
            shares=message.shares,
            threshold=message.threshold,
            touched=self._now,
            pgp_keys=message.pgp_keys,
            fingerprints=tuple(each.fingerprint for each in recipients),
            backup=message.backup,
            require_verification=message.require_verification,
        )

        async def body(tr: Transaction) -> RekeyStatus | Quorum:
            found, seal = await asyncio.gather(self._attempts.read(tr), self._subject.shares(tr))
            if found.attempt is not None:
                raise InvalidRequest(words.in_progress)
            if seal is None:
                if not message.newer:  # older commands would not show what it is answered with
                    raise InvalidRequest(NO_RECOVERY)
                return Quorum(found, rekey, None, None)
            self._attempts.keep(tr, rekey)
            return status_of(rekey, seal)

        for _ in range(RESTARTS):
            outcome = await self._scope.change(body)
            if isinstance(outcome, RekeyStatus):
                return outcome
            if (done := await self._made(outcome)) is not None:
                return done
        raise TransactionConflict("the rekey was changed too often meanwhile")

    async def status(self) -> RekeyStatus:
        """Return the attempt, if there is one."""

        async def look(tr: Reads) -> RekeyStatus:
            return status_of((await self._attempts.read(tr)).attempt, await self._subject.shares(tr))

        return await self._scope.read(look)

    async def cancel(self, _: CancelRekey) -> bool:
        """Forget the attempt."""
        return await self._attempts.cancel()

    async def give(self, message: GiveRekeyShare) -> RekeyStatus:
        """Take a share of the key that there is; at the threshold, make another."""
        for _ in range(RESTARTS):
            outcome = await self._scope.change(partial(self._give, message=message))
            if isinstance(outcome, InvalidShares):
                raise outcome
            if isinstance(outcome, RekeyStatus):
                return outcome
            if (done := await self._made(outcome)) is not None:
                return done
        raise TransactionConflict("the rekey was changed too often meanwhile")

    async def verification(self, message: ReadVerification) -> VerificationStatus:
        """Return how far the new key is verified."""
        words = _words(message.newer)

        async def look(tr: Reads) -> VerificationStatus:
            rekey = (await self._attempts.read(tr)).attempt
            if rekey is None:
                raise InvalidRequest(words.none_configured)
            return verification_of(rekey)

        return await self._scope.read(look)

    async def verify(self, message: VerifyRekeyShare) -> VerificationStatus:
        """Take a share of the new key; at the threshold, that is the key from then on."""
        nonce = str(uuid.uuid4())
        outcome = await self._scope.change(partial(self._verify, message=message, nonce=nonce))
        if isinstance(outcome, InvalidShares):
            raise outcome
        status, key = outcome
        if key is not None:
            await self._replaced(key)
        return status

    async def restart_verification(self, message: RestartVerification) -> VerificationStatus:
        """Begin to verify anew."""
        nonce, words = str(uuid.uuid4()), _words(message.newer)

        async def body(tr: Transaction) -> VerificationStatus:
            rekey = (await self._attempts.read(tr)).attempt
            if rekey is None:
                raise InvalidRequest(words.none_configured)
            rekey = _verified_anew(rekey, nonce)
            self._attempts.keep(tr, rekey)
            return verification_of(rekey)

        return await self._scope.change(body)

    async def backup(self, _: ReadRekeyBackup) -> RekeyBackup:
        """Return the shares that were backed up."""
        key = self._scope.key(self._subject.backup)

        async def look(tr: Reads) -> RekeyBackup:
            record = await tr.get(key)
            if record is None:
                raise InvalidRequest(_NO_BACKUP)
            kept = Backup.decode(self._scope.keyring.open(key, record))
            return RekeyBackup(kept.nonce, kept.fingerprints, kept.keys)

        return await self._scope.read(look)

    async def delete_backup(self, _: DeleteRekeyBackup) -> bool:
        """Forget them."""
        key = self._scope.key(self._subject.backup)

        async def body(tr: Transaction) -> bool:
            there = await tr.get(key) is not None
            tr.clear(key)
            return there

        return await self._scope.change(body)

    async def _give(self, tr: Transaction, message: GiveRekeyShare) -> RekeyStatus | InvalidShares | Quorum:
        found, seal = await asyncio.gather(self._attempts.read(tr), self._subject.shares(tr))
        rekey = give(found.attempt, message.share, message.nonce, _words(message.newer), self._now)
        if seal is None:
            raise InvalidRequest(NO_RECOVERY)
        try:
            old = key_of(rekey.parts, seal)
        except InvalidShares as error:
            self._attempts.keep(tr, msgspec.structs.replace(rekey, parts=()))
            return error  # not raised here: that they are dropped must be committed
        if old is not None:
            return Quorum(found, rekey, seal, old)
        self._attempts.keep(tr, rekey)
        return status_of(rekey, seal)

    async def _made(self, quorum: Quorum) -> RekeyStatus | None:
        """Make another key, and write what has become of it; None where that is not allowed any more."""
        made = await asyncio.to_thread(_make, quorum.rekey, self._now)
        done = await self._scope.change(partial(self._complete, quorum=quorum, made=made))
        if done is not None and not quorum.rekey.require_verification:
            await self._replaced(made.key)
        return done

    async def _complete(self, tr: Transaction, quorum: Quorum, made: Made) -> RekeyStatus | None:
        """Write what a quorum has allowed; None where the attempt, or the seal, is not as it was."""
        scope, rekey = self._scope, quorum.rekey
        if not await self._attempts.unchanged(tr, quorum.found) or await self._subject.shares(tr) != quorum.seal:
            return None
        nonce = str(uuid.uuid4()) if rekey.require_verification else ""
        if rekey.require_verification:
            new = NewKey(made.key.reveal(), made.seal, nonce)
            self._attempts.keep(tr, msgspec.structs.replace(rekey, parts=(), new=new))
        else:
            await self._replace(tr, made.key, made.seal, quorum.old)
        if rekey.backup:
            kept = Backup(rekey.nonce, rekey.fingerprints, made.shares)
            place = scope.key(self._subject.backup)
            tr.set(place, scope.keyring.seal(place, kept.encode()))
        status = status_of(rekey, quorum.seal)
        return msgspec.structs.replace(status, verification_nonce=nonce, complete=True, keys=made.shares)

    async def _verify(
        self, tr: Transaction, message: VerifyRekeyShare, nonce: str
    ) -> tuple[VerificationStatus, SecretBytes | None] | InvalidShares:
        found = await self._attempts.read(tr)
        rekey, new = verify(found.attempt, message.share, message.nonce, _words(message.newer), self._now)
        try:
            done = verified(new)
        except InvalidShares as error:
            self._attempts.keep(tr, _verified_anew(rekey, nonce))
            return error
        if not done:
            self._attempts.keep(tr, rekey)
            return verification_of(rekey), None
        key = SecretBytes(new.key)
        await self._replace(tr, key, new.seal)
        return msgspec.structs.replace(verification_of(rekey), complete=True), key

    async def _replace(
        self, tr: Transaction, new: SecretBytes, seal: SealConfig, old: SecretBytes | None = None
    ) -> None:
        """Have the shares of `new` do what those before did, and these nothing any more: at the commit."""
        await self._subject.replace(tr, new, seal, old)
        self._attempts.drop(tr)

    async def _replaced(self, key: SecretBytes) -> None:
        self._subject.replaced(key)
        await renew(self._scope)


def rekeying_handlers(
    root: Rekeying, recovery: Rekeying | None = None
) -> Mapping[type[Message], Callable[[Any], Coroutine[Any, Any, Any]]]:
    """Return what carries out each message: of the key of the scope, or of its recovery key if it may have one."""
    works: dict[type[Message], Callable[[Rekeying, Any], Coroutine[Any, Any, Any]]] = {
        BeginRekey: Rekeying.begin,
        ReadRekey: lambda rekeying, _: rekeying.status(),
        CancelRekey: Rekeying.cancel,
        GiveRekeyShare: Rekeying.give,
        ReadVerification: Rekeying.verification,
        VerifyRekeyShare: Rekeying.verify,
        RestartVerification: Rekeying.restart_verification,
        ReadRekeyBackup: Rekeying.backup,
        DeleteRekeyBackup: Rekeying.delete_backup,
    }

    async def carry_out(work: Callable[[Rekeying, Any], Coroutine[Any, Any, Any]], message: Any) -> Any:
        if not message.recovery:
            return await work(root, message)
        if recovery is not None:
            return await work(recovery, message)
        if isinstance(message, CancelRekey | DeleteRekeyBackup):
            return False
        raise InvalidRequest(NOT_SUPPORTED)

    return {kind: partial(carry_out, work) for kind, work in works.items()}


def status_of(rekey: Rekey | None, seal: SealConfig | None) -> RekeyStatus:
    """Return what is told of an attempt, or that there is none; without a `seal`, no share is needed."""
    required = 0 if seal is None else seal.threshold
    if rekey is None:
        return RekeyStatus(required)
    return RekeyStatus(
        required=required,
        nonce=rekey.nonce,
        shares=rekey.shares,
        threshold=rekey.threshold,
        progress=len(rekey.parts) if rekey.new is None else 0,
        fingerprints=rekey.fingerprints,
        backup=rekey.backup,
        require_verification=rekey.require_verification,
        verification_nonce="" if rekey.new is None else rekey.new.nonce,
    )


def verification_of(rekey: Rekey) -> VerificationStatus:
    """Return what is told of a new key that is being verified."""
    if rekey.new is None:
        return VerificationStatus(rekey.shares, rekey.threshold)
    return VerificationStatus(rekey.shares, rekey.threshold, rekey.new.nonce, len(rekey.new.parts))


def _make(rekey: Rekey, now: float) -> Made:
    recipients = read_recipients(rekey.pgp_keys, rekey.shares, "")
    key, shares, seal = make_key(rekey.shares, rekey.threshold, now)
    return Made(key, seal, encrypt_shares(shares, recipients))


def _verified_anew(rekey: Rekey, nonce: str) -> Rekey:
    if rekey.new is None:
        return rekey
    return msgspec.structs.replace(rekey, new=msgspec.structs.replace(rekey.new, nonce=nonce, parts=()))


def _words(newer: bool) -> Words:
    return ROTATION if newer else REKEY
