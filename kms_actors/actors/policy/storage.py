"""Policies in the store.

(`policy`, kind, name)     PolicyRecord, sealed; kind is `acl` or `password`

Policies that are built in lie nowhere until somebody writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kms_actors.actors.cluster.changes import POLICY
from kms_actors.actors.tenant.authorities import note_change, policy_key
from kms_actors.actors.tenant.context import TenantContext
from kms_actors.errors import InvalidRequest, LimitReached
from kms_actors.keyring import stored
from kms_actors.policy import builtin
from kms_actors.policy.messages import PolicyKind, WritePolicy
from kms_actors.policy.records import PolicyRecord
from kms_actors.store.api import Reads, Transaction
from kms_actors.store.pages import behind

_PAGE: Final = 1_000
#: Bytes of all policies that one bearer may have, and how many of them are read at once.
MAX_BYTES: Final = 4 << 20
_TOGETHER: Final = 16


def built_in(kind: PolicyKind, name: str) -> PolicyRecord | None:
    """Return what there is of a name before anybody writes it."""
    text = builtin.BUILTIN.get(name) if kind is PolicyKind.ACL else None
    return None if text is None else PolicyRecord(text, version=1 if text else 0)


class PolicyRecords:
    """The policies of one unsealed tenant within transactions."""

    def __init__(self, context: TenantContext) -> None:
        self._context = context

    async def read(self, tr: Reads, kind: PolicyKind, name: str) -> PolicyRecord | None:
        """Return what is stored, or built in; whether it has ended is for the caller to see."""
        key = self._key(kind, name)
        sealed = await tr.get(key)
        return built_in(kind, name) if sealed is None else self.opened(kind, name, sealed)

    async def read_sealed(self, tr: Reads, names: Sequence[str]) -> Mapping[str, bytes | None]:
        """Return the sealed records of ACL policies, of one moment; raises InvalidRequest where they are too long."""
        sealed: dict[str, bytes | None] = {}
        for start in range(0, len(names), _TOGETHER):
            some = names[start : start + _TOGETHER]
            found = await tr.get_many([self._key(PolicyKind.ACL, name) for name in some])
            sealed.update(zip(some, found, strict=True))
            if sum(len(record) for record in sealed.values() if record is not None) > MAX_BYTES:
                raise InvalidRequest(f"the policies of a token take more than {MAX_BYTES:,} bytes")
        return sealed

    def opened(self, kind: PolicyKind, name: str, sealed: bytes) -> PolicyRecord:
        """Return the record; raises IntegrityError or FormatError."""
        raw = self._context.keyring.open(self._key(kind, name), sealed)
        return stored.decode(raw, PolicyRecord, "policy")

    async def names(self, tr: Reads, kind: PolicyKind) -> list[str]:
        """Return the names of what is stored, in order."""
        begin, end = self._context.keys.span("policy", kind.value)
        names: list[str] = []
        while True:
            keys = await tr.get_keys(begin, end, limit=_PAGE)
            names += [self._context.keys.parts(key)[2] for key in keys]
            if len(keys) < _PAGE:
                return names
            begin = behind(keys[-1])

    async def write(self, tr: Transaction, message: WritePolicy, now: int) -> None:
        """Write what a message asks for; raises InvalidRequest."""
        kind, name = message.kind, message.name
        key = self._key(kind, name)
        sealed = await tr.get(key)
        known = built_in(kind, name) if sealed is None else self.opened(kind, name, sealed)
        if message.patch and (known is None or known.ended(now)):
            raise InvalidRequest("policy not found")
        record = _changed(message, known, now)
        if sealed is None:
            await self._require_room(tr, kind)
            self._context.tallies.count(tr, "policies", 1)
        self._put(tr, key, record)
        self._changed(tr, kind, name)

    async def delete(self, tr: Transaction, kind: PolicyKind, name: str) -> bool:
        """Delete a policy; tell whether it was there."""
        key = self._key(kind, name)
        if await tr.get(key) is None:
            return False
        tr.clear(key)
        self._context.tallies.count(tr, "policies", -1)
        self._changed(tr, kind, name)
        return True

    def _put(self, tr: Transaction, key: bytes, record: PolicyRecord) -> None:
        tr.set(key, self._context.keyring.seal(key, stored.encode(record)))

    def _changed(self, tr: Transaction, kind: PolicyKind, name: str) -> None:
        """Tell those who have what is compiled of ACL policies."""
        if kind is PolicyKind.ACL:
            note_change(tr, self._context.keys)
            self._context.record(tr, POLICY, name)

    async def _require_room(self, tr: Transaction, kind: PolicyKind) -> None:
        begin, end = self._context.keys.span("policy", kind.value)
        most = self._context.tallies.most("policies")
        if most and len(await tr.get_keys(begin, end, limit=most)) >= most:
            raise LimitReached.of("policies", most)

    def _key(self, kind: PolicyKind, name: str) -> bytes:
        return policy_key(self._context.keys, name, kind.value)


def _changed(message: WritePolicy, known: PolicyRecord | None, now: int) -> PolicyRecord:
    """Return the record that a message makes of what is there."""
    version = 0 if known is None else known.version
    if message.cas is None:
        required = message.cas_required or (known is not None and known.cas_required)
        if required and not message.patch:
            raise InvalidRequest("check-and-set parameter required for this call")
    elif message.cas == -1:
        if known is not None:
            raise InvalidRequest("check-and-set parameter set to -1 on existing entry")
    elif message.cas != version:
        raise InvalidRequest(f"check-and-set parameter {message.cas} did not match the current version {version}")
    base = known if message.patch and known is not None else PolicyRecord("")
    said = {
        "text": message.text,
        "expires_at": message.expires_at,
        "cas_required": message.cas_required,
        "allow_slashes": message.allow_slashes,
        "allow_wildcards": message.allow_wildcards,
    }
    given = {name: value for name, value in said.items() if value is not None}
    return msgspec.structs.replace(base, **given, version=version + 1, modified=now)
