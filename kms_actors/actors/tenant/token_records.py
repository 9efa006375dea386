"""The records of a vault's service tokens: which there are of each, written and removed together.

(`token`, keyed hash)               ServiceToken
(`token-digest`, digest)            its proof, see `proofs`; of one whose text was chosen, none
(`accessor`, accessor)              Accessor: where those two lie
(`token-child`, parent, accessor)   empty: a token that ends with its parent
(`token-end`, second, accessor)     empty: when it ends, in seconds since 1970; of a token that was used up, the
                                    digest of its proof, so that what follows is removed then
(`unwrapped`, digest)               Taken: tells a used wrapping token from one that never was
(`token-spent`, digest)             empty, for a while: its uses are used up, and changes that were counted may commit
(`token-uses`, keyed hash)          UsesLeft, where they are counted
(`token-left`, accessor)            empty: a token that was revoked without its children, which live on
(`lease`, lease id)                 empty: of a token that ends; path of the request that made it, and keyed hash

The key of the hash is derived from the vault's keyring. A token lives as long as it has its record, and each of its
parents the one of its accessor, up to one that has left it: so what ends a token with all that were made by it, or
leaves them alone, is one small transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from math import ceil
from typing import Final, NamedTuple

import msgspec

from kms_actors.actors.cluster.schedule import END
from kms_actors.actors.tenant.cubbyholes import Cubbyholes
from kms_actors.actors.tenant.proofs import drop_proof, keep_proof
from kms_actors.auth.service_token import ServiceToken, proof_digest, token_hash
from kms_actors.cubbyhole.records import Taken
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.mounts import TOKENS_NUMBER, Mount
from kms_actors.store.api import Entry, Reads, Transaction
from kms_actors.store.keyspace import TenantKeys
from kms_actors.token.lifetime import Limits
from kms_actors.token.records import Accessor, UsesLeft

TOKEN: Final = "token"  # noqa: S105 - the name of an area
ACCESSOR: Final = "accessor"
CHILD: Final = "token-child"
USES: Final = "token-uses"
UNWRAPPED: Final = "unwrapped"
SPENT: Final = "token-spent"
LEFT: Final = "token-left"
LEASE: Final = "lease"

#: Seconds for which it is known that a token was used up: many times what a request may take.
SPENT_SECONDS: Final = 60

_LABEL: Final = b"token"


class Place(NamedTuple):
    """What the records of a token are found by."""

    hash: bytes  # keyed
    proof: bytes


class TokenRecords:
    """The tokens of one vault."""

    def __init__(self, keys: TenantKeys, keyring: Keyring) -> None:
        self._keys = keys
        self._keyring = keyring
        self._hash_key = keyring.derive(_LABEL)
        self._cubbyholes = Cubbyholes(keys, keyring)

    def hash(self, text: str) -> bytes:
        """Return the keyed hash of a token."""
        return token_hash(self._hash_key, text)

    def place(self, text: str) -> Place:
        """Return where the records of a token lie."""
        return Place(self.hash(text), proof_digest(text))

    async def token(self, tr: Reads, hash_: bytes) -> ServiceToken | None:
        """Return the record of a token, by its keyed hash."""
        key = self._keys.key(TOKEN, hash_)
        raw = await tr.get(key)
        return None if raw is None else ServiceToken.decode(self._keyring.open(key, raw))

    async def given(self, tr: Reads, number: int, moves: int | None) -> bool:
        """Tell whether a mount is there, and was moved so often where that is given: then its tokens are good."""
        key = self._keys.key("mount", number)
        raw = await tr.get(key)
        if raw is None or moves is None:
            return raw is not None
        mount = msgspec.json.decode(self._keyring.open(key, raw), type=Mount)
        return mount.moves == moves

    async def limits(self, tr: Reads) -> Limits:
        """Return how long tokens live that tokens make: what `auth/token/` says."""
        key = self._keys.key("mount", TOKENS_NUMBER)
        raw = await tr.get(key)
        return Limits.of(
            None if raw is None else msgspec.json.decode(self._keyring.open(key, raw), type=Mount).config
        )

    async def accessor(self, tr: Reads, name: str) -> Accessor | None:
        """Return the record of an accessor."""
        key = self._keys.key(ACCESSOR, name)
        return self._accessor(key, await tr.get(key))

    async def accessors(self, tr: Reads, names: Sequence[str]) -> list[Accessor | None]:
        """Return the records of several."""
        keys = [self._keys.key(ACCESSOR, name) for name in names]
        return [self._accessor(key, raw) for key, raw in zip(keys, await tr.get_many(keys), strict=True)]

    def ends(self, entries: Sequence[Entry]) -> list[tuple[str, float | None]]:
        """Return accessors, and when their tokens end, of entries of the store."""
        opened = [(key, Accessor.decode(self._keyring.open(key, raw))) for key, raw in entries]
        return [(self._keys.parts(key)[1], each.expires_at) for key, each in opened]

    async def hashed(self, tr: Reads, hash_: bytes) -> tuple[Place, ServiceToken] | None:
        """Return the token of a keyed hash, whether it lives or not; None if there is none."""
        token = await self.token(tr, hash_)
        accessor = None if token is None else await self.accessor(tr, token.accessor)
        return None if token is None or accessor is None else (Place(hash_, accessor.proof), token)

    async def named(self, tr: Reads, text: str, accessor: str) -> tuple[Place, ServiceToken] | None:
        """Return the token of a text, or else of an accessor, whether it lives or not; None if there is none."""
        if text:
            place = self.place(text)
        else:
            found = await self.accessor(tr, accessor)
            if found is None:
                return None
            place = Place(found.hash, found.proof)
        token = await self.token(tr, place.hash)
        return None if token is None else (place, token)

    async def parents(self, tr: Reads, line: Sequence[str]) -> list[Accessor] | None:
        """Return the parents that a token of this line hangs on, the nearest first; None if one of them is gone."""
        keys = line_keys(self._keys, line)
        found = await tr.get_many(keys)
        count = hangs_on(found)
        if count is None:
            return None
        opened = (self._accessor(key, raw) for key, raw in zip(keys[::2], found[::2], strict=True))
        return [each for each in islice(opened, count) if each is not None]

    def opened_accessor(self, entry: Entry) -> Accessor:
        """Return the record of an accessor, of an entry of the store."""
        return Accessor.decode(self._keyring.open(*entry))

    def _accessor(self, key: bytes, raw: bytes | None) -> Accessor | None:
        return None if raw is None else Accessor.decode(self._keyring.open(key, raw))

    async def uses(self, tr: Reads, place: Place) -> int:
        """Return how often a token whose uses are counted can still be used."""
        key = self._keys.key(USES, place.hash)
        raw = await tr.get(key)
        return 0 if raw is None else UsesLeft.decode(self._keyring.open(key, raw)).uses

    def set_uses(self, tr: Transaction, place: Place, uses: int) -> None:
        """Write how often a token can still be used."""
        self._seal(tr, self._keys.key(USES, place.hash), UsesLeft(uses=uses).encode())

    def keep(
        self, tr: Transaction, place: Place, token: ServiceToken, *, new: bool = True, marked: bool = False
    ) -> None:
        """Write all records of a new token; `marked` is what `keep_proof` is told."""
        self.rewrite(tr, place, token, marked=marked)
        if token.line:
            tr.set(self._keys.key(CHILD, token.line[-1], token.accessor), b"")
        if new and token.num_uses:
            self.set_uses(tr, place, token.num_uses)
        if token.expires_at is not None:
            tr.set(self._keys.key(LEASE, lease_id(place, token)), b"")

    def set_unindexed(self, tr: Transaction, hash_: bytes, token: ServiceToken) -> None:
        """Write of a token that other records of it are missing, which only its text tells the places of."""
        unindexed = msgspec.structs.replace(token, indexed=False)
        self._seal(tr, self._keys.key(TOKEN, hash_), unindexed.encode())

    def complete(self, tr: Transaction, place: Place, token: ServiceToken) -> None:
        """Write all records of a token that was there before, but how often it can be used."""
        self.keep(tr, place, msgspec.structs.replace(token, indexed=True), new=False)

    def rewrite(
        self,
        tr: Transaction,
        place: Place,
        token: ServiceToken,
        before: ServiceToken | None = None,
        *,
        marked: bool = False,
    ) -> None:
        """Write what says how long a token lives, and what else of it changes; `before`: as it was."""
        self._seal(tr, self._keys.key(TOKEN, place.hash), token.encode())
        accessor = Accessor(hash=place.hash, proof=place.proof, expires_at=token.expires_at)
        self._seal(tr, self._keys.key(ACCESSOR, token.accessor), accessor.encode())
        if not token.chosen:
            keep_proof(tr, self._keys, place.proof, token, marked=marked)
        if before is not None and before.expires_at is not None:
            tr.clear(self.end_key(before))
        if token.expires_at is not None:
            tr.set(self.end_key(token), b"")

    async def drop(self, tr: Transaction, place: Place, token: ServiceToken) -> None:
        """Remove all records of a token, and what it kept for itself; those of its children stay, and are dead."""
        keys = self._keys
        tr.clear(keys.key(TOKEN, place.hash))
        tr.clear(keys.key(ACCESSOR, token.accessor))
        drop_proof(tr, keys, place.proof)
        if token.line:
            tr.clear(keys.key(CHILD, token.line[-1], token.accessor))
        if token.expires_at is not None:
            tr.clear(self.end_key(token))
            tr.clear(keys.key(LEASE, lease_id(place, token)))
        if token.num_uses:
            tr.clear(keys.key(USES, place.hash))
        await self.drop_kept(tr, token.accessor)

    async def drop_kept(self, tr: Transaction, accessor: str) -> None:
        """Remove what a token kept for itself."""
        await self._cubbyholes.drop(tr, accessor)

    def remember(self, tr: Transaction, place: Place, token: ServiceToken, taken: Taken) -> None:
        """Write that a wrapping token which was dropped had been used, until it would have ended."""
        tr.set(self._keys.key(UNWRAPPED, place.proof), stored.encode(taken))
        tr.set(self.end_key(token), place.proof)

    def spend(self, tr: Transaction, place: Place, token: ServiceToken, now: float) -> int:
        """Write for a while that a token which was dropped had been used up; return the second in which that ends."""
        second = ceil(now) + SPENT_SECONDS
        tr.set(self._keys.key(SPENT, place.proof), b"")
        tr.set(self._keys.key(END, second, token.accessor), place.proof)
        return second

    def forget(self, tr: Transaction, entry: bytes, proof: bytes) -> None:
        """Remove what was remembered of a token that was used up, and its entry in the order of ends."""
        tr.clear(self._keys.key(UNWRAPPED, proof))
        tr.clear(self._keys.key(SPENT, proof))
        tr.clear(entry)

    def end_key(self, token: ServiceToken) -> bytes:
        """Return where a token stands in the order of ends."""
        assert token.expires_at is not None
        return self._keys.key(END, ceil(token.expires_at), token.accessor)

    def _seal(self, tr: Transaction, key: bytes, raw: bytes) -> None:
        tr.set(key, self._keyring.seal(key, raw))


def lease_id(place: Place, token: ServiceToken) -> str:
    """Return what leases call a token that ends."""
    return f"{token.path}/h{place.hash.hex()}"


def line_keys(keys: TenantKeys, line: Sequence[str]) -> list[bytes]:
    """Return what to read of a token's parents: of each, the nearest first, its accessor, and whether it has left."""
    return [keys.key(area, parent) for parent in reversed(line) for area in (ACCESSOR, LEFT)]


def hangs_on(found: Sequence[bytes | None]) -> int | None:
    """Return on how many of its nearest parents a token hangs, by what was read of them; None if one is gone."""
    for number, (accessor, left) in enumerate(zip(found[::2], found[1::2], strict=True)):
        if left is not None:
            return number
        if accessor is None:
            return None
    return len(found) // 2
