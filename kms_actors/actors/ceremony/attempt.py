"""The one attempt of a ceremony that a scope may have under way: a record, sealed by its keyring."""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from kms_actors.actors.ceremony.scope import SEAL, Scope
from kms_actors.errors import IntegrityError, InvalidRequest
from kms_actors.keyring.master_seal import ProviderSeal, decode_seal
from kms_actors.keyring.seal import SealConfig
from kms_actors.secret import overwrite
from kms_actors.store.api import Reads, Transaction

#: Changes of an attempt that are made between its reading and its end before the end is given up.
RESTARTS = 16

_NO_SHARES: Final = "the master key is in no shares that could be changed: each node has it from elsewhere"


class Attempt(Protocol):
    """What is kept of it; may hold shares."""

    def lives(self, now: float) -> bool: ...

    def encode(self) -> bytes: ...


A = TypeVar("A", bound=Attempt)


class Decode(Protocol[A]):  # type: ignore[misc]  # it only returns what it is of
    """Turns a stored form into an attempt; raises FormatError."""

    def __call__(self, raw: bytes, /) -> A: ...


class Found(NamedTuple, Generic[A]):
    """An attempt that lives, if any, and the record that it was read from: the same record is the same attempt."""

    attempt: A | None
    record: bytes | None


class Attempts(Generic[A]):
    """Those of one kind, in one scope."""

    def __init__(self, scope: Scope, area: str, decode: Decode[A]) -> None:
        self._scope = scope
        self._area = area
        self._decode = decode

    async def read(self, tr: Reads) -> Found[A]:
        """Return what there is; an attempt that has ended counts for none."""
        key = self._scope.key(self._area)
        record = await tr.get(key)
        if record is None:
            return Found(None, None)
        raw = self._scope.keyring.open(key, record)
        try:
            attempt = self._decode(raw)
        finally:
            overwrite(raw)
        return Found(attempt if attempt.lives(self._scope.now() / 1e9) else None, record)

    async def unchanged(self, tr: Reads, found: Found[A]) -> bool:
        """Tell whether an attempt is as it was read, in another transaction."""
        return await tr.get(self._scope.key(self._area)) == found.record

    def keep(self, tr: Transaction, attempt: A) -> None:
        """Write it."""
        key, raw = self._scope.key(self._area), attempt.encode()
        tr.set(key, self._scope.keyring.seal(key, raw))
        overwrite(raw)

    def drop(self, tr: Transaction) -> None:
        """Forget it."""
        tr.clear(self._scope.key(self._area))

    async def cancel(self) -> bool:
        """Forget it; tell whether it lived."""

        async def body(tr: Transaction) -> bool:
            found = await self.read(tr)
            self.drop(tr)
            return found.attempt is not None

        return await self._scope.change(body)


async def seal_of(tr: Reads, scope: Scope) -> SealConfig:
    """Return how the key of a scope is shared out; raises InvalidRequest where a provider keeps it."""
    raw = await tr.get(scope.key(SEAL))
    if raw is None:
        raise IntegrityError("there is a keyring and no seal")
    seal = decode_seal(raw)
    if isinstance(seal, ProviderSeal):
        raise InvalidRequest(_NO_SHARES)
    return seal
