"""Logins by words that prove something again and again: remembered, so that it need not be worked out each time.

One that gives a batch token writes nothing, and is answered in a turn while all that it rests on is as it was: the
name and what is kept of it (`Standing`), the mount, the entity. Who changes any of these says so in the change log,
and asks its own actor before it answers; a node without its lease answers nothing. So what is remembered is as true
as keys and policies in memory are.

One that gives a service token is a transaction, which reads all that it rests on (`Grounds`): where these records are
byte for byte as they were, it gives the same.

It is found by a keyed hash of all that was sent, by a key that no other process has: whoever is wrong finds nothing,
whether or not there is such a name.

A login is remembered once it was proved within a transaction which began after all this was last heard of, and ended
before anything else was. Of the entity that is so if what it gives was in memory before and after: it would have been
dropped in between. So the first login finds out whose it is, and a later one is remembered.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

import msgspec

from kms_actors.actors.cluster.changes import LOGIN
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.token.issuing import template_of
from kms_actors.auth import batch_token
from kms_actors.cache import ByteCache
from kms_actors.identity.messages import Resolved, ResolveEntity
from kms_actors.login.messages import LoggedIn, Login
from kms_actors.messages import Event, Message
from kms_actors.mounts import Mount
from kms_actors.store.api import Reads, Transaction
from kms_actors.token.spec import Issued, TokenSpec

#: Bytes that a vault's logins may take, and what one takes beside the token it gives.
_CACHE_BYTES: Final = 1 << 20
_LOGIN_BYTES: Final = 3_000
_TEXT_BYTES: Final = 2

_LABEL: Final = b"login marks"
_SECOND: Final = 10**9

#: Asks in the turn under way: an answer, or the task that gives it.
AskNow = Callable[[Message], Any]


class LoginsChanged(Event, frozen=True):
    """What a name of logins proves may be something else from now on; `mark` is the name's."""

    mark: str


class LoginProved(Event, frozen=True):
    """A login that began as `attempt` gave `done`, and does so again until `ends` (nanoseconds; 0: no end)."""

    attempt: Attempt
    done: LoggedIn
    ends: int
    grounds: Grounds | None


class Standing:
    """What is kept of one name, as long as nothing is heard of it."""

    __slots__ = ("__weakref__", "holds")

    def __init__(self) -> None:
        self.holds = True


class Grounds(NamedTuple):
    """The records that a login rests on, by their places, and where none may be."""

    places: tuple[bytes, ...]
    records: tuple[bytes | None, ...]
    none_in: tuple[bytes, bytes]

    async def hold(self, tr: Reads) -> bool:
        """Tell whether they are as they were."""
        reading = tr.get_many(self.places)
        others = await tr.get_keys(*self.none_in, limit=1)
        return tuple(await reading) == self.records and not others


class Kept(NamedTuple):
    """A login as it was proved. One of a batch token is not certain yet without an entity."""

    standing: Standing
    mount: Mount
    ask: ResolveEntity
    entity: Resolved | None
    ends: int
    done: LoggedIn
    token: batch_token.Template | None
    grounds: Grounds | None

    @property
    def spec(self) -> TokenSpec:
        return self.done.issued.spec

    def good(self, mount: Mount, now: int) -> bool:
        """Tell whether it may be as it was: the mount is, and nothing has ended; `now` is in nanoseconds."""
        return self.mount is mount and not 0 < self.ends <= now

    def told(self, issued: Issued) -> LoggedIn:
        """Return the answer that gives another token of the same."""
        known = self.done.issued
        issued = msgspec.structs.replace(
            issued, warnings=known.warnings or issued.warnings, identity_policies=known.identity_policies
        )
        return LoggedIn(issued, self.done.entity_id)


class Attempt(NamedTuple):
    """A login that is to be proved, and what held when it began.

    `entity` is whose it was last time, `kept` what it gave.
    """

    key: bytes
    standing: Standing
    mount: Mount
    entity: Resolved | None
    kept: Kept | None


class Remembered:
    """The logins of one method in one vault. Methods are called in turns, but for `forget` and `changed`."""

    def __init__(self, context: TenantContext, ask_now: AskNow) -> None:
        self._context = context
        self._ask_now = ask_now
        self._key = os.urandom(32)
        self._mark_key = context.keyring.derive(_LABEL)
        self._kept: ByteCache[bytes, Kept] = ByteCache(_CACHE_BYTES, _size, account=context.account)
        self._standing: WeakValueDictionary[str, Standing] = WeakValueDictionary()

    def find(self, message: Login, name: str, proof: str) -> LoggedIn | Attempt:
        """Return what a login gives, or what it is to begin with; `proof` is whatever it proves `name` by.

        Raises:
            NoMount, Sealed, Unavailable: as transactions do.

        """
        context = self._context
        context.proceed()
        mount, now = context.store.require_mount(message.mount), context.clock()
        key = self._hash(message, name, proof)
        kept, entity = self._kept.get(key), None
        if kept is not None and kept.token is not None:
            entity = self._entity(kept.ask)
            if (
                kept.entity is not None
                and entity is kept.entity
                and kept.standing.holds
                and kept.good(mount, now)
                and batch_token.has_room(now // _SECOND + kept.spec.ttl)
            ):
                return self._given(kept, kept.token, now // _SECOND)
        return Attempt(key, self._standing_of(message.mount, name, kept), mount, entity, kept)

    def _standing_of(self, mount: int, name: str, kept: Kept | None) -> Standing:
        if kept is not None and kept.standing.holds:
            return kept.standing
        mark = self.mark(mount, name)
        standing = self._standing.get(mark)
        if standing is None:
            standing = self._standing[mark] = Standing()
        return standing

    def keep(self, event: LoginProved) -> None:
        """Remember a login, unless something was heard meanwhile of what it rests on."""
        attempt, done = event.attempt, event.done
        if not attempt.standing.holds or not done.entity_id:
            return
        ask, entity, token = ResolveEntity(done.entity_id), None, None
        if done.issued.spec.batch:
            entity, token = self._entity(ask), template_of(self._context, done.issued.spec)
        if entity is not attempt.entity:
            entity = None
        told = LoggedIn(msgspec.structs.replace(done.issued, token=""), done.entity_id)
        kept = Kept(attempt.standing, attempt.mount, ask, entity, event.ends, told, token, event.grounds)
        self._kept.put(attempt.key, kept)

    def drop(self, event: LoginsChanged) -> None:
        """Let go of what is remembered of a name, and of what is being proved of it."""
        standing = self._standing.pop(event.mark, None)
        if standing is not None:
            standing.holds = False

    def mark(self, mount: int, name: str) -> str:
        """Return what the change log calls a name: nothing that tells it."""
        text = f"{mount}:{name}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self._mark_key, digest_size=16).hexdigest()

    def changed(self, tr: Transaction, mount: int, name: str) -> None:
        """Say within a transaction that what a name proves may be something else."""
        self._context.record(tr, LOGIN, self.mark(mount, name))

    async def forget(self, mount: int, name: str) -> None:
        """Let nobody of this process be answered by what a name proved before; after `changed` has committed."""
        await self._context.ask(LoginsChanged(self.mark(mount, name)))

    def _given(self, kept: Kept, token: batch_token.Template, created: int) -> LoggedIn:
        keyring, known = self._context.keyring, kept.done.issued
        spec = known.spec
        text = token.build(keyring.derive(batch_token.LABEL), keyring.issuer(batch_token.LABEL), created)
        ends = float(created + spec.ttl)
        issued = Issued(text, "", spec, float(created), ends, known.warnings, known.identity_policies)
        return LoggedIn(issued, kept.done.entity_id)

    def _entity(self, ask: ResolveEntity) -> Resolved | None:
        """Return what an entity gives if that is in memory; else have it read, for the next time."""
        found = self._ask_now(ask)
        if isinstance(found, Resolved):
            return found
        found.add_done_callback(_retrieve)
        return None

    def _hash(self, message: Login, name: str, proof: str) -> bytes:
        path, address = message.path, message.client_ip
        text = f"{message.mount}:{len(path)}:{len(address)}:{len(name)}:{path}{address}{name}{proof}"
        return hashlib.blake2b(text.encode(errors="surrogatepass"), key=self._key, digest_size=32).digest()


def _size(_: bytes, kept: Kept) -> int:
    spec, grounds = kept.spec, kept.grounds
    texts = sum(map(len, (*spec.policies, *(spec.metadata or {}).values(), *spec.bound_cidrs)))
    records = 0 if grounds is None else sum(len(record) for record in grounds.records if record is not None)
    return _LOGIN_BYTES + _TEXT_BYTES * texts + records


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take note of an error: whoever needs the entity meets it himself."""
    if not task.cancelled():
        task.exception()
