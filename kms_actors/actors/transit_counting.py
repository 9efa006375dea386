"""Which version of a key did what, told from the items and the results of an operation.

Requests pay for this, so the common case comes first: a batch, mostly of one item, that one version did alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from kms_actors.transit.items import DecryptResult, EncryptResult, MacResult, Signed, SignResult, VerifyResult
from kms_actors.transit.key import TransitKey
from kms_actors.transit.messages import DataKey
from kms_actors.transit.usage import DATA_KEY, DECRYPT, ENCRYPT, SIGN, VERIFY, version_of


class Add(Protocol):
    """Takes in that a version of a key did something `number` times; mounts are given by number."""

    def __call__(self, mount: int, key: TransitKey, version: int, operation: str, number: int = 1) -> None: ...


class Counting:
    """What one request does with its key. Each method is told items and results, those of a slice or all."""

    __slots__ = ("_add", "_key", "_mount")

    def __init__(self, add: Add, mount: int, key: TransitKey) -> None:
        self._add = add
        self._mount = mount
        self._key = key

    def encrypted(self, _: Any, results: Sequence[EncryptResult]) -> None:
        self._take(ENCRYPT, [result[1] for result in results if result.__class__ is tuple])

    def decrypted(self, items: Sequence[Any], results: Sequence[DecryptResult]) -> None:
        opened = zip(items, results, strict=True)
        self._take_named(DECRYPT, [item.ciphertext for item, result in opened if result.__class__ is bytes])

    def rewrapped(self, items: Sequence[Any], results: Sequence[EncryptResult]) -> None:
        opened = zip(items, results, strict=True)
        self._take_named(DECRYPT, [item.ciphertext for item, result in opened if result.__class__ is tuple])
        self.encrypted(items, results)

    def data_keys_made(self, _: Any, results: Sequence[DataKey]) -> None:
        self._take(DATA_KEY, [made.encrypted[1] for made in results])

    def signed(self, _: Any, results: Sequence[SignResult]) -> None:
        self._take(SIGN, [result.key_version for result in results if isinstance(result, Signed)])

    def requested(self, version: int, request: asyncio.Task[Any]) -> None:
        """Take in a certificate signing request, once it is made."""
        if not request.cancelled() and request.exception() is None:
            self._take(SIGN, [version or self._key.latest.number])

    def macs_made(self, operation: str, key_version: int, _: Any, results: Sequence[MacResult]) -> None:
        made = sum(result.__class__ is str for result in results)
        if made:
            self._add(self._mount, self._key, key_version or self._key.latest.number, operation, made)

    def signatures_verified(self, items: Sequence[Any], results: Sequence[VerifyResult]) -> None:
        verified = zip(items, results, strict=True)
        self._take_named(VERIFY, [item.signature for item, result in verified if result is True])

    def macs_verified(self, items: Sequence[Any], results: Sequence[VerifyResult]) -> None:
        verified = zip(items, results, strict=True)
        self._take_named(VERIFY, [item.mac for item, result in verified if result is True])

    def _take_named(self, operation: str, texts: list[str]) -> None:
        """Take in the uses of the versions that ciphertexts or signatures name."""
        latest = self._key.latest.prefix
        if [text.startswith(latest) for text in texts].count(True) == len(texts):
            self._take(operation, [self._key.latest.number] * len(texts))
        else:
            self._take(operation, [version_of(text) for text in texts])

    def _take(self, operation: str, versions: list[int]) -> None:
        if not versions:
            return
        first = versions[0]
        if versions.count(first) == len(versions):
            self._add(self._mount, self._key, first, operation, len(versions))
            return
        for version, number in Counter(versions).items():
            self._add(self._mount, self._key, version, operation, number)
