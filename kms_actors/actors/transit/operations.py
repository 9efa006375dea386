"""What is done with a loaded key, message by message: which operation of the engine, and how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from kms_actors.actors.tenant.context import TenantContext
from kms_actors.actors.tenant.work import Again, Work
from kms_actors.actors.transit.counting import Counting
from kms_actors.actors.transit.usage import TransitUsage
from kms_actors.errors import InvalidRequest, KmsError, NotFound, UnknownVersion
from kms_actors.messages import Message
from kms_actors.transit import macs, signing
from kms_actors.transit import messages as m
from kms_actors.transit.data_keys import DataKeys
from kms_actors.transit.derived_keys import derived_keys
from kms_actors.transit.exchange.certificates import signing_request
from kms_actors.transit.exchange.exporting import export
from kms_actors.transit.key import TransitKey

T = TypeVar("T")
Use: TypeAlias = Callable[[Any, TransitKey], Any]
#: Returns the key of mount and name as the store has it, if it has versions that are not in the one given.
Newer: TypeAlias = Callable[[tuple[int, str], TransitKey], Awaitable[TransitKey | None]]
_Answer: TypeAlias = T | asyncio.Task[T]

#: Microseconds of an operation with a symmetric key on a short input, most of them for Python; and of HKDF.
SHORT_US: Final = 2
DERIVE_US: Final = 40

_NOT_FOUND: Final = InvalidRequest("encryption key not found")
_MISSING: Final[Mapping[type[Message], KmsError]] = {
    m.Sign: InvalidRequest("signing key not found"),
    m.Verify: InvalidRequest("signature verification key not found"),
    m.ExportKey: NotFound(),
}


def missing(message: Message) -> KmsError:
    """Return what a message is answered whose key does not exist."""
    error = _MISSING.get(type(message), _NOT_FOUND)
    if isinstance(message, m.MakeSigningRequest):
        return InvalidRequest(f"key with provided name '{message.name}' not found")
    return type(error)(*error.args)


class TransitOperations:
    """The uses of keys; `uses` is the table of them, and `usage` counts them."""

    def __init__(self, context: TenantContext, newer: Newer, usage: TransitUsage) -> None:
        self._context = context
        self._work = Work(context)
        self._newer = newer
        self._counting = Counting(usage.add)

    def uses(self) -> Mapping[type[Message], Use]:
        """Return what uses a key for each type of message."""
        return {
            m.Decrypt: self._decrypt,
            m.Rewrap: self._rewrap,
            m.MakeDataKey: self._data_key,
            m.MakeDataKeys: self._data_keys,
            m.MakeDerivedKeys: self._derived_keys,
            m.MakeHmac: self._make_hmacs,
            m.VerifyHmacs: self._verify_hmacs,
            m.MakeCmac: self._make_cmacs,
            m.VerifyCmacs: self._verify_cmacs,
            m.Sign: self._sign,
            m.Verify: self._verify,
            m.ExportKey: self._export,
            m.MakeSigningRequest: self._signing_request,
        }

    def encrypt(self, message: m.Encrypt, key: TransitKey) -> Any:
        """Encrypt with a key that is there."""
        return self._each(self.encrypt, message, key, key.encrypt, self._counting.encrypted, us=_public_us(key))

    def _decrypt(self, message: m.Decrypt, key: TransitKey) -> Any:
        return self._each(self._decrypt, message, key, key.decrypt, self._counting.decrypted, us=_private_us(key))

    def _rewrap(self, message: m.Rewrap, key: TransitKey) -> Any:
        us = _private_us(key) + _public_us(key)
        return self._each(self._rewrap, message, key, key.rewrap, self._counting.rewrapped, us=us)

    def _data_key(self, message: m.MakeDataKey, key: TransitKey) -> Any:
        return self._make_data_keys(message, key, 1, list)

    def _data_keys(self, message: m.MakeDataKeys, key: TransitKey) -> Any:
        return self._make_data_keys(message, key, message.count, DataKeys)

    def _make_data_keys(
        self, message: m.MakeDataKey | m.MakeDataKeys, key: TransitKey, number: int, into: Callable[[], Any]
    ) -> Any:
        item = message.item

        def made(places: Sequence[int]) -> list[m.DataKey]:
            return [m.DataKey(*key.data_key(message.length, item)) for _ in places]

        return self._work.each(
            made,
            range(number),
            microseconds=_public_us(key),
            count=partial(self._counting.data_keys_made, message.mount.number, key),
            repeated=getattr(item, "size", 0),
            again=self._again(partial(self._make_data_keys, number=number, into=into), message, key),
            into=into,
        )

    def _derived_keys(self, message: m.MakeDerivedKeys, key: TransitKey) -> Any:
        derivation = message.derivation

        def made(indices: Sequence[int]) -> list[m.DataKey]:
            return [m.DataKey(*pair) for pair in derived_keys(key, derivation, indices, message.item)]

        return self._work.each(
            made,
            message.indices,
            microseconds=DERIVE_US + _public_us(key),
            count=partial(self._counting.data_keys_made, message.mount.number, key),
            repeated=getattr(message.item, "size", 0) + len(derivation.salt) + len(derivation.info),
            again=self._again(self._derived_keys, message, key),
            into=DataKeys,
        )

    def _make_hmacs(self, message: m.MakeHmac, key: TransitKey) -> Any:
        operation = partial(macs.make_hmacs, key, algorithm=message.algorithm, key_version=message.key_version)
        return self._each(self._make_hmacs, message, key, operation, self._counting.hmacs_made)

    def _verify_hmacs(self, message: m.VerifyHmacs, key: TransitKey) -> Any:
        operation = partial(macs.verify_hmacs, key, algorithm=message.algorithm)
        return self._each(self._verify_hmacs, message, key, operation, self._counting.macs_verified)

    def _make_cmacs(self, message: m.MakeCmac, key: TransitKey) -> Any:
        operation = partial(macs.make_cmacs, key, key_version=message.key_version)
        return self._each(self._make_cmacs, message, key, operation, self._counting.cmacs_made)

    def _verify_cmacs(self, message: m.VerifyCmacs, key: TransitKey) -> Any:
        operation = partial(macs.verify_cmacs, key)
        return self._each(self._verify_cmacs, message, key, operation, self._counting.macs_verified)

    def _sign(self, message: m.Sign, key: TransitKey) -> Any:
        operation = partial(signing.sign, key, how=message.parameters, key_version=message.key_version)
        return self._each(self._sign, message, key, operation, self._counting.signed, us=_private_us(key))

    def _verify(self, message: m.Verify, key: TransitKey) -> Any:
        operation = partial(signing.verify, key, how=message.parameters)
        return self._each(
            self._verify, message, key, operation, self._counting.signatures_verified, us=_public_us(key)
        )

    def _each(
        self, use: Use, message: Any, key: TransitKey, operation: Any, count: Any, *, us: float = SHORT_US
    ) -> Any:
        """Run an operation over the items of a message; `use` is what does it all with another key."""
        return self._work.each(
            operation,
            message.items,
            microseconds=us,
            count=partial(count, message.mount.number, key),
            again=self._again(use, message, key),
        )

    def _export(self, message: m.ExportKey, key: TransitKey) -> Any:
        return self._work.apart(self._exported, message, key, again=self._again(self._export, message, key))

    def _signing_request(self, message: m.MakeSigningRequest, key: TransitKey) -> Any:
        again = self._again(self._signing_request, message, key)
        request = self._work.in_thread(self._requested, message, key, again=again)
        request.add_done_callback(partial(self._counting.requested, message.mount.number, key, message.version))
        return request

    def _requested(self, message: m.MakeSigningRequest, key: TransitKey) -> m.Certified:
        return m.Certified(key.type.name, signing_request(key, message.version, message.template))

    def _exported(self, message: m.ExportKey, key: TransitKey) -> m.ExportedKey:
        return m.ExportedKey(key.type.name, export(key, message.kind, message.version, message.form))

    # Versions that are not known here.

    def _again(self, use: Use, message: Any, key: TransitKey) -> Again:
        """Return what does with a newer key what was in vain with this one, if the store has one."""
        return lambda outcome: self._context.spawn(self._use_newer(use, message, key, outcome))

    async def _use_newer(self, use: Use, message: Any, key: TransitKey, outcome: list[Any] | UnknownVersion) -> Any:
        newer = await self._newer((message.mount.number, message.name), key)
        if isinstance(outcome, UnknownVersion):
            if newer is None:
                raise outcome
            return use(message, newer)
        if newer is None:
            return outcome
        places = [place for place, result in enumerate(outcome) if result.__class__ is UnknownVersion]
        some = msgspec.structs.replace(message, items=[message.items[place] for place in places])
        made = use(some, newer)
        while isinstance(made, asyncio.Future):
            made = await made
        for place, result in zip(places, made, strict=True):
            outcome[place] = result
        return outcome


def _private_us(key: TransitKey) -> int:
    """Return about how long decrypting or signing takes."""
    own = SHORT_US if key.scheme is None else key.scheme.sign_us
    return own + DERIVE_US * key.policy.derived


def _public_us(key: TransitKey) -> int:
    """Return about how long encrypting or verifying takes."""
    own = SHORT_US if key.scheme is None else key.scheme.verify_us
    return own + DERIVE_US * key.policy.derived
