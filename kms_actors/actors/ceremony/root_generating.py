"""Root tokens of a vault by a quorum of its shares.

(`generate-root`,)   RootGeneration, sealed by the vault's keyring: the attempt
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from kms_actors.actors.ceremony.attempt import RESTARTS, Attempts, Found, seal_of
from kms_actors.actors.ceremony.scope import TenantScope
from kms_actors.actors.tenant.token_records import TokenRecords
from kms_actors.auth.service_token import ServiceToken, new_service_token
from kms_actors.ceremony import root
from kms_actors.ceremony.messages import (
    BeginRootGeneration,
    CancelRootGeneration,
    GiveRootShare,
    ReadRootGeneration,
    RootStatus,
)
from kms_actors.ceremony.pgp import read_recipient
from kms_actors.ceremony.rekey import key_of
from kms_actors.ceremony.root import RootGeneration
from kms_actors.errors import InvalidRequest, InvalidShares, TransactionConflict
from kms_actors.keyring.seal import SealConfig
from kms_actors.messages import Message
from kms_actors.store.api import Reads, Transaction

ATTEMPT: Final = "generate-root"


class Quorum(NamedTuple):
    """What a share has completed, and nothing is written of yet."""

    found: Found[RootGeneration]
    attempt: RootGeneration
    seal: SealConfig


class RootGenerating:
    """Those of one vault, with this tenant integer."""

    def __init__(self, scope: TenantScope) -> None:
        self._scope = scope
        self._attempts: Attempts[RootGeneration] = Attempts(scope, ATTEMPT, RootGeneration.decode)

    @property
    def _now(self) -> float:
        return self._scope.now() / 1e9

    async def begin(self, message: BeginRootGeneration) -> RootStatus:
        """Begin, unless one is under way; the password is told once, if it was made here."""
        if message.otp and message.pgp_key:
            raise InvalidRequest("either otp or pgp_key may be given, not both")
        fingerprint, made = "", ""
        if message.pgp_key:
            fingerprint = (await asyncio.to_thread(read_recipient, message.pgp_key)).fingerprint
        elif message.otp:
            root.check_otp(message.otp)
        else:
            made = root.new_otp()
        attempt = RootGeneration(
            nonce=str(uuid.uuid4()),
            touched=self._now,
            otp=message.otp or made,
            pgp_key=message.pgp_key,
            fingerprint=fingerprint,
        )

        async def body(tr: Transaction) -> RootStatus:
            if (await self._attempts.read(tr)).attempt is not None:
                raise InvalidRequest(root.IN_PROGRESS)
            self._attempts.keep(tr, attempt)
            return status_of(attempt, await seal_of(tr, self._scope))

        return msgspec.structs.replace(await self._scope.change(body), otp=made)

    async def status(self) -> RootStatus:
        """Return the attempt, if there is one."""

        async def look(tr: Reads) -> RootStatus:
            return status_of((await self._attempts.read(tr)).attempt, await seal_of(tr, self._scope))

        return await self._scope.read(look)

    async def cancel(self, _: CancelRootGeneration) -> bool:
        """Forget the attempt."""
        return await self._attempts.cancel()

    async def give(self, message: GiveRootShare) -> RootStatus:
        """Take a share; at the threshold, make a token."""
        for _ in range(RESTARTS):
            outcome = await self._scope.change(partial(self._give, message=message))
            if isinstance(outcome, InvalidShares):
                raise outcome
            if isinstance(outcome, RootStatus):
                return outcome
            token = new_service_token(self._scope.number)
            encoded = await asyncio.to_thread(_encoded, outcome.attempt, token)
            record = ServiceToken.root(self._now)
            done = await self._scope.change(partial(self._complete, quorum=outcome, token=token, record=record))
            if done is not None:
                return msgspec.structs.replace(done, encoded_token=encoded)
        raise TransactionConflict("the root generation was changed too often meanwhile")

    async def _give(self, tr: Transaction, message: GiveRootShare) -> RootStatus | InvalidShares | Quorum:
        found, seal = await asyncio.gather(self._attempts.read(tr), seal_of(tr, self._scope))
        attempt = root.give(found.attempt, message.share, message.nonce, self._now)
        try:
            key = key_of(attempt.parts, seal)
        except InvalidShares as error:
            self._attempts.keep(tr, msgspec.structs.replace(attempt, parts=()))
            return error  # not raised here: that they are dropped must be committed
        if key is not None:
            return Quorum(found, attempt, seal)
        self._attempts.keep(tr, attempt)
        return status_of(attempt, seal)

    async def _complete(self, tr: Transaction, quorum: Quorum, token: str, record: ServiceToken) -> RootStatus | None:
        """Keep the token; None where the attempt, or the seal, is not as it was."""
        scope = self._scope
        if not await self._attempts.unchanged(tr, quorum.found) or await seal_of(tr, scope) != quorum.seal:
            return None
        scope.count(tr, "tokens", 1)  # whatever the limit: who has lost the token must get another
        tokens = TokenRecords(scope.keys, scope.keyring)
        tokens.keep(tr, tokens.place(token), record)
        self._attempts.drop(tr)
        return msgspec.structs.replace(status_of(quorum.attempt, quorum.seal), complete=True)


def root_handlers(generating: RootGenerating) -> Mapping[type[Message], Callable[[Any], Coroutine[Any, Any, Any]]]:
    """Return what carries out each message."""
    return {
        BeginRootGeneration: generating.begin,
        ReadRootGeneration: lambda _: generating.status(),
        CancelRootGeneration: generating.cancel,
        GiveRootShare: generating.give,
    }


def status_of(attempt: RootGeneration | None, seal: SealConfig) -> RootStatus:
    """Return what is told of an attempt, or that there is none."""
    if attempt is None:
        return RootStatus(seal.threshold)
    return RootStatus(seal.threshold, attempt.nonce, len(attempt.parts), attempt.fingerprint)


def _encoded(attempt: RootGeneration, token: str) -> str:
    if attempt.otp:
        return root.encode_token(token, attempt.otp)
    return base64.b64encode(read_recipient(attempt.pgp_key).encrypt(token.encode())).decode()
