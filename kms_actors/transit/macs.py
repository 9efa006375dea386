"""HMACs and CMACs by a loaded key, made and verified. Contexts play no part, also for derived keys."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from typing import Final

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from kms_actors.errors import InvalidRequest, UnknownVersion
from kms_actors.transit import (
    ciphertext,
    go_base64,
)
from kms_actors.transit.digests import (
    check_hmac_algorithm,
    hmac_of,
)
from kms_actors.transit.items import (
    CmacItem,
    HmacItem,
    MacItem,
    MacResult,
    VerifyResult,
    each,
)
from kms_actors.transit.key import TransitKey
from kms_actors.transit.version import Version

#: Bytes of a whole CMAC: one block of AES.
CMAC_BYTES: Final = 16
#: Of a shortened one: who may have MACs verified could find a shorter one by trial (SP 800-38B, appendix A).
LEAST_CMAC_BYTES: Final = 8


def make_hmacs(
    key: TransitKey, items: Sequence[HmacItem | InvalidRequest], algorithm: str, key_version: int = 0
) -> list[MacResult]:
    """Return the HMAC of each item by one version; 0 means the latest."""
    _check(key, "HMAC", allowed=key.type.hmac)
    version = _version(key, key_version, "HMAC")
    check_hmac_algorithm(algorithm)
    secret = hmac_key(key, version)
    return each(items, lambda item: ciphertext.encode(version.prefix, hmac_of(algorithm, secret, item.input)))


def verify_hmacs(key: TransitKey, items: Sequence[MacItem | InvalidRequest], algorithm: str) -> list[VerifyResult]:
    """Tell of each item whether its HMAC is right."""
    if key.policy.soft_deleted:
        return key.refusals(items)
    _check(key, "HMAC", allowed=key.type.hmac)
    check_hmac_algorithm(algorithm)

    def verified(item: MacItem) -> bool:
        version, given = _parse(key, item.mac, "HMAC")
        return hmac.compare_digest(given, hmac_of(algorithm, hmac_key(key, version), item.input))

    return each(items, verified)


def make_cmacs(key: TransitKey, items: Sequence[CmacItem | InvalidRequest], key_version: int = 0) -> list[MacResult]:
    """Return the AES-CMAC (RFC 4493) of each item by one version; 0 means the latest."""
    _check(key, "CMAC", allowed=key.type.cmac)
    version = _version(key, key_version, "CMAC")
    cmac = _cmac(version)
    return each(items, lambda item: ciphertext.encode(version.prefix, cmac(item.input, item.length)))


def verify_cmacs(key: TransitKey, items: Sequence[MacItem | InvalidRequest]) -> list[VerifyResult]:
    """Tell of each item whether its CMAC is right; one that is shorter than asked for is wrong."""
    if key.policy.soft_deleted:
        return key.refusals(items)
    _check(key, "CMAC", allowed=key.type.cmac)

    def verified(item: MacItem) -> bool:
        version, given = _parse(key, item.mac, "CMAC")
        return hmac.compare_digest(given, _cmac(version)(item.input, item.length))

    return each(items, verified)


def hmac_key(key: TransitKey, version: Version) -> bytes:
    """Return what a version makes HMACs with."""
    return version.record.key if key.type.hmac_by_key else version.record.hmac_key


def _check(key: TransitKey, kind: str, *, allowed: bool) -> None:
    key.check_usable()
    if not allowed:
        raise InvalidRequest(f"key type {key.type.name} does not support {kind}")


def _version(key: TransitKey, number: int, kind: str) -> Version:
    policy = key.policy
    if number in (0, policy.latest_version):
        return key.latest
    if 0 < policy.min_encryption_version > number:
        raise InvalidRequest(f"cannot generate {kind}: version is too old (disallowed by policy)")
    if number < 0:
        raise InvalidRequest("key version does not exist (cannot be negative)")
    if number > policy.latest_version:
        raise UnknownVersion(f"key version does not exist; latest key version is {policy.latest_version}")
    return key.version(number)


def _parse(key: TransitKey, text: str, kind: str) -> tuple[Version, bytes]:
    if not text.startswith(ciphertext.PREFIX):
        raise InvalidRequest(f"invalid {kind} to verify: no prefix")
    number, body = ciphertext.split(text, kind, key.policy.latest_version)
    try:
        given = go_base64.decode(body)
    except InvalidRequest as error:
        raise InvalidRequest(f"unable to decode verification {kind} as base64: {error}") from None
    if number < key.policy.min_decryption_version:
        raise InvalidRequest(f"cannot verify {kind}: version is too old (disallowed by policy)")
    return key.version(number), given


def _cmac(version: Version) -> Callable[[bytes, int], bytes]:
    """Return what makes CMACs of an input, of a length in bytes."""
    prepared = CMAC(AES(version.record.key))

    def compute(data: bytes, length: int) -> bytes:
        if length and not LEAST_CMAC_BYTES <= length <= CMAC_BYTES:
            raise InvalidRequest(f"invalid mac_length; must be 0, or between {LEAST_CMAC_BYTES} and {CMAC_BYTES}")
        running = prepared.copy()
        running.update(data)
        return running.finalize()[: length or CMAC_BYTES]

    return compute
