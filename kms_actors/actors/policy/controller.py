"""Policies of a tenant: read, changed, and compiled for those who have them.

What is compiled is kept by the names of the policies and by who has them; a change of a policy lets go of all that
names it, on every node before anything is answered there that was asked later (the change log). What was read of a
policy's text is kept beside it by the stamp of its record, which no later one has: so it is never an old one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import cache, partial
from typing import Final, NamedTuple, TypeVar

from kms_actors.actors.policy.storage import MAX_BYTES, PolicyRecords, built_in
from kms_actors.actors.tenant.authorities import stamp_of
from kms_actors.actors.tenant.context import Handler, TenantContext
from kms_actors.actors.tenant.loading import LoadEnded, LoadingCache
from kms_actors.cache import ByteCache
from kms_actors.errors import FormatError, InvalidRequest, NamedNotFound, NotFound
from kms_actors.messages import Event, Message
from kms_actors.observe.bounded import BoundedLog
from kms_actors.policy import builtin, document, passwords
from kms_actors.policy.acl import Acl, compiling
from kms_actors.policy.document import Policy
from kms_actors.policy.messages import (
    DeletePolicy,
    DescribePolicies,
    GeneratePassword,
    ListPolicies,
    OfPolicy,
    PolicyKind,
    ReadPolicy,
    ResolveAcl,
    WritePolicy,
)
from kms_actors.policy.records import PolicyRecord
from kms_actors.policy.steps import Steps
from kms_actors.store.api import Transaction

T = TypeVar("T")

_log: Final = BoundedLog(__name__)

#: Names that one bearer may have, and rules in all.
MAX_NAMES: Final = 128
MAX_RULES: Final = 20_000
#: Bytes of what a tenant keeps compiled, and of what it has read; and of each rule that was read.
_CACHE_BYTES: Final = 16 << 20
_RULE_BYTES: Final = 900
_POLICY_BYTES: Final = 600
#: Steps that are done in one go: each takes some dozens of microseconds to read a rule, or to compile a hundred; to
#: read a rule of a password policy, or to draw a password, up to a few hundred.
_RULES_AT_ONCE: Final = 10
_COMPILED_AT_ONCE: Final = 2
_OF_PASSWORDS_AT_ONCE: Final = 1
#: Policies that are read together where many are shown.
_DESCRIBED_AT_ONCE: Final = 64
_SECOND: Final = 10**9

_Key = tuple[tuple[str, ...], bytes]


class AclLoaded(LoadEnded, frozen=True):
    """A set of policies was compiled, or could not be."""


class PolicyChanged(Event, frozen=True):
    """An ACL policy is another one in the store."""

    name: str


class PoliciesRead(Event, frozen=True):
    """Policies whose texts were read for one who asked."""

    found: dict[str, Parsed]


class Parsed(NamedTuple):
    """A policy, and the stamp of the record it was read from."""

    stamp: bytes
    policy: Policy


#: What a `PolicyController` handles.
POLICY_MESSAGES: Final[tuple[type[Message], ...]] = (
    ReadPolicy,
    WritePolicy,
    DeletePolicy,
    ListPolicies,
    DescribePolicies,
    GeneratePassword,
    ResolveAcl,
    AclLoaded,
    PolicyChanged,
    PoliciesRead,
)


class PolicyController:
    """Of one unsealed tenant."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context
        self._records = PolicyRecords(context)
        kept: ByteCache[_Key, Acl] = ByteCache(_CACHE_BYTES, _size, account=context.account)
        self._acls = LoadingCache(kept, context, AclLoaded)
        self._parsed: ByteCache[str, Parsed] = ByteCache(_CACHE_BYTES, _parsed_size, account=context.account)

    def handlers(self) -> Mapping[type[Message], Handler]:
        spawn = self._context.spawn
        return {
            ReadPolicy: lambda message: spawn(self._read(message)),
            WritePolicy: lambda message: spawn(self._write(message)),
            DeletePolicy: lambda message: spawn(self._delete(message)),
            ListPolicies: lambda message: spawn(self._list(message)),
            DescribePolicies: lambda message: spawn(self._describe(message)),
            GeneratePassword: lambda message: spawn(self._generate(message)),
            ResolveAcl: self._resolve,
            AclLoaded: self._acls.loaded,
            PolicyChanged: lambda event: self._acls.changed_if(lambda key: event.name in key[0]),
            PoliciesRead: self._keep,
        }

    # In turns.

    def _resolve(self, message: ResolveAcl) -> Acl | asyncio.Task[Acl]:
        if len(message.names) > MAX_NAMES:
            raise InvalidRequest(f"more than {MAX_NAMES} policies")
        key = message.names, b"" if message.subject is None else message.subject.key
        acl = self._acls.get(key)
        if acl is not None:
            if acl.ends_at is None or self._context.clock() < acl.ends_at * _SECOND:
                return acl
            self._acls.changed(key)
        known = {name: parsed for name in message.names if (parsed := self._parsed.get(name)) is not None}
        load = self._acls.load(key, partial(self._load, message, known))
        return self._context.spawn(self._acls.wait(load))

    def _keep(self, event: PoliciesRead) -> None:
        for name, parsed in event.found.items():
            self._parsed.put(name, parsed)

    # In tasks.

    async def _load(self, message: ResolveAcl, known: Mapping[str, Parsed]) -> Acl:
        names = tuple(dict.fromkeys(message.names))
        sealed = await self._context.store.read(partial(self._records.read_sealed, names=names))
        policies: list[Policy] = []
        found: dict[str, Parsed] = {}
        for name, record in sealed.items():
            parsed = known.get(name)
            if record is None:
                policies.append(_unstored(name))
            elif parsed is not None and parsed.stamp == stamp_of(record):
                policies.append(parsed.policy)
            else:
                policies.append(await self._reparse(name, self._records.opened(PolicyKind.ACL, name, record)))
                found[name] = Parsed(stamp_of(record), policies[-1])
            if sum(len(policy.rules) for policy in policies) > MAX_RULES:
                raise InvalidRequest(f"the policies of a token have more than {MAX_RULES:,} rules")
        if found:
            self._context.notify(PoliciesRead(found))
        now = self._context.clock() / _SECOND
        made_of = tuple((name, stamp_of(record)) for name, record in sealed.items())
        steps = compiling(policies, message.subject, now=now, made_of=made_of)
        acl = await self._stepped(steps, _COMPILED_AT_ONCE)
        if acl.withheld is not None:
            reason = "a value of a template is empty or holds * + /"
            _log.warning("policies withheld", self._context.vault_id, policy=acl.withheld, reason=reason)
        return acl

    async def _parse(self, name: str, record: PolicyRecord) -> Policy:
        ends = record.expires_at / _SECOND if record.expires_at else None
        steps = document.reading(name, record.text, record.blocked, expires_at=ends)
        return await self._stepped(steps, _RULES_AT_ONCE)

    async def _reparse(self, name: str, record: PolicyRecord) -> Policy:
        try:
            return await self._parse(name, record)
        except InvalidRequest:  # it was taken, by another program
            raise FormatError("a stored policy cannot be read by this program") from None

    async def _stepped(self, steps: Steps[T], at_once: int) -> T:
        """Do work in turns with others'; what takes a turn alone is done at once."""
        context = self._context
        while True:
            try:
                for _ in range(at_once):
                    next(steps)
            except StopIteration as stop:
                made: T = stop.value
                return made
            await context.turns.turn(context.vault_id)
            context.proceed()

    async def _read(self, message: ReadPolicy) -> PolicyRecord:
        kind, name = message.kind, message.name
        record = await self._context.store.read(partial(self._records.read, kind=kind, name=name))
        if record is None or record.ended(self._context.clock()):
            raise NotFound(f"no policy {name}") if kind is PolicyKind.ACL else NamedNotFound("policy does not exist")
        return record

    async def _write(self, message: WritePolicy) -> None:
        if message.kind is PolicyKind.ACL and message.name in builtin.IMMUTABLE:
            raise InvalidRequest(f'cannot update "{message.name}" policy')
        now = self._context.clock()
        if message.expires_at is not None and message.expires_at <= now:
            raise InvalidRequest("refusing to update policy as expiration time has already elapsed")
        if message.text is not None:
            if message.kind is PolicyKind.PASSWORD:
                await self._stepped(passwords.reading(message.text), _OF_PASSWORDS_AT_ONCE)
            else:
                await self._parse(message.name, PolicyRecord(message.text))

        async def body(tr: Transaction) -> None:
            await self._records.write(tr, message, now)

        await self._context.store.change(body, mount=None, of_grounds=True)
        await self._changed(message)

    async def _delete(self, message: DeletePolicy) -> bool:
        if message.kind is PolicyKind.ACL:
            if message.name in builtin.IMMUTABLE:
                raise InvalidRequest(f'cannot delete "{message.name}" policy')
            if message.name == builtin.DEFAULT:
                raise InvalidRequest("cannot delete default policy")

        async def body(tr: Transaction) -> bool:
            return await self._records.delete(tr, message.kind, message.name)

        there = await self._context.store.change(body, mount=None, of_grounds=True)
        await self._changed(message)
        return there

    async def _changed(self, message: OfPolicy) -> None:
        if message.kind is PolicyKind.ACL:
            await self._context.ask(PolicyChanged(message.name))

    async def _list(self, message: ListPolicies) -> list[str]:
        names = await self._context.store.read(partial(self._records.names, kind=message.kind))
        if message.folder:
            return [name for name in names if name.startswith(message.folder)]
        if message.kind is PolicyKind.PASSWORD:
            return names
        return [*sorted({*names, builtin.DEFAULT}), builtin.ROOT]

    async def _describe(self, message: DescribePolicies) -> list[tuple[str, PolicyRecord]]:
        names = await self._list(ListPolicies(PolicyKind.ACL))
        wanted = [name for name in names[:-1] if name.startswith(message.prefix) and name > message.after]
        chosen = [*(wanted[: message.limit] if message.limit else wanted), builtin.ROOT]
        found: list[tuple[str, PolicyRecord]] = []
        size, now = 0, self._context.clock()
        for start in range(0, len(chosen), _DESCRIBED_AT_ONCE):
            some = chosen[start : start + _DESCRIBED_AT_ONCE]
            sealed = await self._context.store.read(partial(self._records.read_sealed, names=some))
            for name, raw in sealed.items():
                kind = PolicyKind.ACL
                record = built_in(kind, name) if raw is None else self._records.opened(kind, name, raw)
                if record is not None and not record.ended(now):
                    found.append((name, record))
                    size += len(record.text)
            if size > MAX_BYTES:
                raise InvalidRequest(f"these policies take more than {MAX_BYTES:,} bytes: use limit and after")
            await self._context.turns.turn(self._context.vault_id)
        return found

    async def _generate(self, message: GeneratePassword) -> str:
        record = await self._read(ReadPolicy(PolicyKind.PASSWORD, message.name))
        policy = await self._stepped(passwords.reading(record.text), _OF_PASSWORDS_AT_ONCE)
        return await self._stepped(passwords.generating(policy, os.urandom), _OF_PASSWORDS_AT_ONCE)


def _unstored(name: str) -> Policy:
    """Return the policy of a name that is not stored; one of no rules where nothing has it."""
    return _built_in(name) if name in builtin.BUILTIN else Policy(name)


@cache
def _built_in(name: str) -> Policy:
    return document.parse(name, builtin.BUILTIN[name])


def _size(key: _Key, acl: Acl) -> int:
    return acl.size + sum(map(len, key[0])) + len(key[1])


def _parsed_size(_: str, parsed: Parsed) -> int:
    return _POLICY_BYTES + _RULE_BYTES * len(parsed.policy.rules)
