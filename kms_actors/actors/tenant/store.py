"""The store as the controllers of a tenant have it: reads, and changes that hold only as long as what they rest on.

What was decided before a transaction (the vault is unsealed, the mount is there) may not be so any more when it
commits, since another node can have changed it. So each change reads it, and is refused if it is not as it was: a
change of it that commits at the same time is a conflict, and one that was committed before is seen. There is no other
way for a controller to write.

The token that a request was allowed by is one of its grounds, too, and so are the policies that it has. How many
tokens of the vault were revoked, and policies changed, is read with each change, as one number; a token's own marks,
and its policies' records, are read once for each such number, so in general a change reads no more.

What audit devices have of a request is a ground likewise: it is written before the change begins, and the change
holds only if the vault still has the devices that were known then. One that another node has enabled meanwhile would
know nothing of it.

What a change reads of its grounds is asked for before its own reads and awaited after them: no wait is added.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from itertools import islice
from typing import Final, TypeAlias, TypeVar

import msgspec

from kms_actors import request_context
from kms_actors.actors.tenant.audit_records import REVISION, revision_of
from kms_actors.actors.tenant.authorities import policy_key, stamp_of
from kms_actors.actors.tenant.proofs import proof_key
from kms_actors.actors.tenant.sealed import SealedRecords
from kms_actors.actors.tenant.tenure import Tenure
from kms_actors.actors.tenant.token_records import ACCESSOR, SPENT, hangs_on, line_keys
from kms_actors.errors import (
    AuthenticationFailed,
    DevicesChanged,
    KmsError,
    NewerKeyVersion,
    NoMount,
    PoliciesChanged,
    Sealed,
    StoreError,
    Unavailable,
)
from kms_actors.keyring.keyring import Keyring
from kms_actors.mounts import Mount, MountTable
from kms_actors.request_context import Bearer, RequestContext
from kms_actors.store.api import Body, Priority, Reads, Store, Transaction
from kms_actors.store.keyspace import TenantKeys

T = TypeVar("T")

#: Returns the stamp of what an entity of this id gives, as a transaction sees it.
StampEntity: TypeAlias = Callable[[Reads, str], Awaitable[bytes | None]]
#: What only looks.
Look: TypeAlias = Callable[[Reads], Awaitable[T]]


#: Bearers whose tokens are known to be good at some number of revocations.
_MOST_BEARERS: Final = 4096


def unheard(_: int) -> None:
    """Tell nobody."""


async def nothing_newer() -> None:
    """Leave the keyring as it is."""


async def nobody(_: Reads, __: str) -> bytes | None:
    """Know no entity."""
    return None


class TenantStore:
    """Transactions of an unsealed tenant. `epoch` is the one it was unsealed in, `mounts` are those known now.

    `tell_sealed` is told how many records its keyring has sealed, see `sealed`. `stamp_entity` tells by what stamp an
    entity and its groups give what they give now; None for one that is gone, or disabled. `renew` has the keyring
    take in its later versions: what was sealed by one elsewhere may be met before it is heard of.
    """

    def __init__(
        self,
        store: Store,
        keys: TenantKeys,
        keyring: Keyring,
        *,
        epoch: int,
        mounts: Callable[[], MountTable],
        tenure: Tenure,
        tell_sealed: Callable[[int], None] = unheard,
        stamp_entity: StampEntity = nobody,
        renew: Callable[[], Awaitable[None]] = nothing_newer,
    ) -> None:
        self._store = store
        self._keys = keys
        self._keyring = keyring
        self._epoch = epoch
        self._vault_keys = keys.key("epoch"), keys.key(REVISION)
        self._mounts = mounts
        self._tenure = tenure
        self._renew = renew
        self._stamp_entity = stamp_entity
        self._sealed = SealedRecords(store, keys, keyring, tell_sealed)
        #: Keys by mount: without a token, and with one. Revocations themselves rest on none, and do not conflict.
        self._grounds: tuple[dict[int | None, tuple[bytes, ...]], ...] = ({}, {})
        self._revocations_key = keys.key("revocations")
        self._borne: dict[Bearer, bytes | None] = {}  # good when the number of revocations was so
        self._seen: dict[int, tuple[bytes, Mount]] = {}  # the record of a mount that is as this node knows it

    def require_mount(self, number: int) -> Mount:
        """Return a mount as it is known now: a request may have been on its way for long.

        Raises NoMount also where it is at another path than the request that is under way was allowed for.
        """
        known = self._mounts().numbered(number)
        if known is None or request_context.current().below not in {None, (number, known.path)}:
            raise NoMount
        return known

    def has_mount(self, number: int, moves: int | None = None) -> bool:
        """Tell whether a mount is known to be there, and to have been moved so often where that is given."""
        known = self._mounts().numbered(number)
        return known is not None and moves in {None, known.moves}

    async def read(self, look: Look[T], *, priority: Priority = Priority.REQUEST) -> T:
        """Run what only looks; raises Sealed, or Unavailable, if the vault may not be served by the time it ends.

        Where the request under way is below a mount, NoMount if that is gone, or at another path.
        """
        below = request_context.current().below
        if below is not None:
            look = self._grounded(look, below[0], partial(self._check_place, *below))
        return await self._read(look, priority)

    async def _read(self, look: Look[T], priority: Priority = Priority.REQUEST) -> T:
        try:
            found = await self._store.run(look, priority=priority)
        except NewerKeyVersion:
            await self._renew()
            found = await self._store.run(look, priority=priority)
        self._tenure.check()
        return found

    @property
    def uncounted(self) -> int:
        """Records that this process has sealed by the active version, and not yet added to the store's counter."""
        return self._sealed.uncounted

    def _grounded(self, look: Look[T], number: int, check: Callable[[bytes | None], None]) -> Look[T]:
        """Return `look` with a mount's record read beside it, for `check` to raise what comes before any answer."""
        key = self._keys.key("mount", number)

        async def grounded(tr: Reads) -> T:
            found = tr.get_many((key,))
            try:
                result = await look(tr)
            except StoreError:
                raise
            except KmsError:
                check((await found)[0])  # whose answer comes first
                raise
            check((await found)[0])
            return result

        return grounded

    def _check_place(self, number: int, path: str, record: bytes | None) -> None:
        """Raise NoMount unless a mount is there, and at this path."""
        if record is None:
            raise NoMount
        seen = self._seen.get(number)
        if seen is None or seen[0] != record or seen[1] is not self._mounts().numbered(number):
            known = self._opened(number, record)
            if known.path != path:
                raise NoMount
            if known == self._mounts().numbered(number):
                self._seen[number] = record, self.require_mount(number)
        elif seen[1].path != path:
            raise NoMount

    def _opened(self, number: int, record: bytes) -> Mount:
        return msgspec.json.decode(self._keyring.open(self._keys.key("mount", number), record), type=Mount)

    async def read_below(self, look: Look[T], known: Mount) -> T:
        """As `read`, of what lies below a mount and means something else once its options are others.

        Raises:
            NoMount: the mount was disabled, or moved to another path, meanwhile.
            Unavailable: its options were changed meanwhile.

        """
        if request_context.current().below not in {None, (known.number, known.path)}:
            raise NoMount
        return await self._read(self._grounded(look, known.number, partial(self._check_mount, known)))

    async def change(
        self,
        body: Body[T],
        *,
        mount: int | None,
        priority: Priority = Priority.REQUEST,
        bearers: Collection[Bearer] | None = None,
        requests: Collection[RequestContext] | None = None,
        of_grounds: bool = False,
    ) -> T:
        """Run a change below the mount of this number; None: of what belongs to the vault itself.

        `bearers` are whose tokens it is allowed by, where that is not the one request under way. `requests` are what
        it is made for, where these are several, or none, as what finds out who asks. `of_grounds`: it changes what
        changes rest on, and must not be taken for the one that undoes its own.

        Raises:
            NotRecorded: no audit device could record the request.
            DevicesChanged: the vault has other audit devices than those which did.
            AuthenticationFailed: a token it is allowed by was revoked meanwhile.
            PoliciesChanged: policies were, or groups of the bearer's, and it is allowed by some.
            Sealed: the vault was sealed meanwhile, or is being restored.
            NoMount: the mount was disabled, or moved to another path, meanwhile.
            KmsError: as `body` does; nothing is written.

        """
        self._tenure.check()
        known = None if mount is None else self.require_mount(mount)
        if requests is None:
            requests = (request_context.current(),)
        if bearers is None:
            bearers = {request.bearer for request in requests if request.bearer is not None}
        for request in requests:
            if request.record is not None:
                await request.record.recorded()
        revisions = {request.revision for request in requests if request.id}
        grounds = self._grounds[bool(bearers)].get(mount) or self._find_grounds(mount, bool(bearers))

        async def grounded(tr: Transaction) -> T:
            found = tr.get_many(grounds)
            if of_grounds:
                await self._check(tr, known, bearers, revisions, await found)
                return await body(tr)
            try:
                result = await body(tr)
            except StoreError:
                raise
            except KmsError:
                await self._check(tr, known, bearers, revisions, await found)  # whose answer comes first
                raise
            await self._check(tr, known, bearers, revisions, await found)
            return result

        return await self._run(grounded, priority)

    def _find_grounds(self, mount: int | None, borne: bool) -> tuple[bytes, ...]:
        """Return the keys of epoch and devices, of the mount, if any, and of revocations, if a token allows it."""
        of_mount = () if mount is None else (self._keys.key("mount", mount),)
        of_token = (self._revocations_key,) if borne else ()
        self._grounds[borne][mount] = grounds = (*self._vault_keys, *of_mount, *of_token)
        return grounds

    async def count(self, body: Body[T]) -> T:
        """Run what counts uses of before, which a seal does not undo; `body` reads what the counts belong to."""
        return await self._run(body, Priority.REQUEST)

    async def _run(self, body: Body[T], priority: Priority) -> T:
        try:
            return await self._run_once(body, priority)
        except NewerKeyVersion:
            await self._renew()
            return await self._run_once(body, priority)

    async def _run_once(self, body: Body[T], priority: Priority) -> T:
        """Run what changes something, and has sealed records for it."""
        number = 0

        async def counted(tr: Transaction) -> T:
            nonlocal number
            result = await body(tr)
            number = number or self._sealed.take()
            if number:
                self._sealed.add(tr, number)
            return result

        try:
            result = await self._store.run(counted, idempotency_key=os.urandom(16), priority=priority)
        except BaseException:
            self._sealed.give_back(number)
            raise
        if number:
            await self._sealed.added()
        return result

    async def _check(
        self,
        tr: Reads,
        known: Mount | None,
        bearers: Collection[Bearer],
        revisions: Collection[int],
        found: list[bytes | None],
    ) -> None:
        if int.from_bytes(found[0] or b"", "little") != self._epoch:
            raise Sealed
        if known is not None:
            self._check_mount(known, found[2])
        if revisions and revisions != {revision_of(found[1])}:
            raise DevicesChanged
        for bearer in bearers:
            if self._borne.get(bearer, b"") != found[-1]:
                await self._check_bearer(tr, bearer, found[-1])

    async def _check_bearer(self, tr: Reads, bearer: Bearer, revocations: bytes | None) -> None:
        keys = self._keys
        marks = [keys.key("revoked", each) for each in bearer.revocation_ids]
        parents = line_keys(keys, bearer.line)
        own = [proof_key(keys, bearer.proof)] if bearer.proof else []
        if bearer.accessor:
            own.append(keys.key(ACCESSOR, bearer.accessor))
        spent = [keys.key(SPENT, bearer.counted)] if bearer.counted else []
        mounts = [] if bearer.mount is None else [keys.key("mount", bearer.mount)]
        policies = [policy_key(keys, name) for name, _ in bearer.policies]
        found = iter(await tr.get_many([*marks, *parents, *own, *spent, *mounts]))
        revoked = any(mark is not None for mark in islice(found, len(marks)))
        orphaned = hangs_on(tuple(islice(found, len(parents)))) is None
        gone = None in list(islice(found, len(own)))
        used_up = any(mark is not None for mark in islice(found, len(spent)))
        mount = next(found, None)
        if revoked or orphaned or (gone and not used_up) or (mounts and mount is None):
            raise AuthenticationFailed("token was revoked")
        if bearer.mount is not None and bearer.moves is not None:
            assert mount is not None
            if self._opened(bearer.mount, mount).moves != bearer.moves:
                raise AuthenticationFailed("the mount that gave the token was moved")
        stamps = map(stamp_of, await tr.get_many(policies) if policies else ())
        if any(stamp != known for stamp, (_, known) in zip(stamps, bearer.policies, strict=True)):
            raise PoliciesChanged
        entity, known = bearer.entity
        stamp = await self._stamp_entity(tr, entity) if entity else known
        if stamp is None:
            raise AuthenticationFailed("the entity of the token is gone, or disabled")
        if stamp != known:
            raise PoliciesChanged
        if len(self._borne) >= _MOST_BEARERS:
            self._borne.clear()
        self._borne[bearer] = revocations

    def _check_mount(self, known: Mount, record: bytes | None) -> None:
        if record is None:
            raise NoMount
        seen = self._seen.get(known.number)
        if seen is not None and seen[1] is known and seen[0] == record:
            return
        stored = self._opened(known.number, record)
        if (stored.path, stored.type) != (known.path, known.type):
            raise NoMount
        if stored.options != known.options or (known.for_logins and stored.config != known.config):
            raise Unavailable("the mount was changed meanwhile, try again")
        self._seen[known.number] = record, known
