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
from kms_actors.transit.usage import CMAC, DATA_KEY, DECRYPT, ENCRYPT, HMAC, SIGN, VERIFY, version_of


class Add(Protocol):
    """Takes in that a version of a key did something `number` times; mounts are given by number."""

    def __call__(self, mount: int, key: TransitKey, version: int, operation: str, number: int = 1) -> None: ...


class Counting:
    """Each method is told the mount and the key, and items and results: those of a slice, or all."""

    __slots__ = ("_add",)

    def __init__(self, add: Add) -> None:
        self._add = add

    def encrypted(self, mount: int, key: TransitKey, _: Any, results: Sequence[EncryptResult]) -> None:
        if len(results) == 1:
            (result,) = results
            if result.__class__ is tuple:
                self._add(mount, key, result[1], ENCRYPT)
            return
        self._take(mount, key, ENCRYPT, [result[1] for result in results if result.__class__ is tuple])

    def decrypted(self, mount: int, key: TransitKey, items: Sequence[Any], results: Sequence[DecryptResult]) -> None:
        if len(results) == 1:
            if results[0].__class__ is bytes:
                self._add(mount, key, _version_of(key, items[0].ciphertext), DECRYPT)
            return
        opened = zip(items, results, strict=True)
        texts = [item.ciphertext for item, result in opened if result.__class__ is bytes]
        self._take_named(mount, key, DECRYPT, texts)

    def rewrapped(self, mount: int, key: TransitKey, items: Sequence[Any], results: Sequence[EncryptResult]) -> None:
        opened = zip(items, results, strict=True)
        texts = [item.ciphertext for item, result in opened if result.__class__ is tuple]
        self._take_named(mount, key, DECRYPT, texts)
        self.encrypted(mount, key, items, results)

    def data_keys_made(self, mount: int, key: TransitKey, _: Any, results: Sequence[DataKey]) -> None:
        self._take(mount, key, DATA_KEY, [made.encrypted[1] for made in results])

    def signed(self, mount: int, key: TransitKey, _: Any, results: Sequence[SignResult]) -> None:
        made = [result for result in results if result.__class__ is Signed]
        if made:  # by one version, as all that one request asks for
            self._add(mount, key, made[0].key_version, SIGN, len(made))

    def requested(self, mount: int, key: TransitKey, version: int, request: asyncio.Task[Any]) -> None:
        """Take in a certificate signing request, once it is made."""
        if not request.cancelled() and request.exception() is None:
            self._add(mount, key, version or key.latest.number, SIGN)

    def hmacs_made(self, mount: int, key: TransitKey, _: Any, results: Sequence[MacResult]) -> None:
        self._take_macs(mount, key, HMAC, results)

    def cmacs_made(self, mount: int, key: TransitKey, _: Any, results: Sequence[MacResult]) -> None:
        self._take_macs(mount, key, CMAC, results)

    def signatures_verified(
        self, mount: int, key: TransitKey, items: Sequence[Any], results: Sequence[VerifyResult]
    ) -> None:
        verified = zip(items, results, strict=True)
        self._take_named(mount, key, VERIFY, [item.signature for item, result in verified if result is True])

    def macs_verified(
        self, mount: int, key: TransitKey, items: Sequence[Any], results: Sequence[VerifyResult]
    ) -> None:
        verified = zip(items, results, strict=True)
        self._take_named(mount, key, VERIFY, [item.mac for item, result in verified if result is True])

    def _take_macs(self, mount: int, key: TransitKey, operation: str, results: Sequence[MacResult]) -> None:
        made = [result for result in results if result.__class__ is str]
        if made:  # by one version, too
            self._add(mount, key, _version_of(key, made[0]), operation, len(made))

    def _take_named(self, mount: int, key: TransitKey, operation: str, texts: list[str]) -> None:
        """Take in the uses of the versions that ciphertexts or signatures name."""
        prefix = key.latest.prefix
        if [text.startswith(prefix) for text in texts].count(True) == len(texts):
            self._take(mount, key, operation, [key.latest.number] * len(texts))
        else:
            self._take(mount, key, operation, [version_of(text) for text in texts])

    def _take(self, mount: int, key: TransitKey, operation: str, versions: list[int]) -> None:
        if not versions:
            return
        first = versions[0]
        if versions.count(first) == len(versions):
            self._add(mount, key, first, operation, len(versions))
            return
        for version, number in Counter(versions).items():
            self._add(mount, key, version, operation, number)


def _version_of(key: TransitKey, text: str) -> int:
    latest = key.latest
    return latest.number if text.startswith(latest.prefix) else version_of(text)
