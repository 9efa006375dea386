"""Transit: data keys and derived keys, hashes and random bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.exact_json import RawJson, dumps
from kms_actors.messages import Message
from kms_actors.mounts import Mount
from kms_actors.transit.data_keys import DataKeys
from kms_actors.transit.derived_keys import Derivation
from kms_actors.transit.digests import DEFAULT_ALGORITHM
from kms_actors.transit.go_base64 import encode
from kms_actors.transit.items import EncryptItem, HmacItem
from kms_actors.transit.messages import DataKey, MakeDataKey, MakeDataKeys, MakeDerivedKeys, MakeHash, MakeRandom
from kms_http.api.transit import batch as batches
from kms_http.api.transit.batch import Row
from kms_http.fields import (
    Converter,
    Fields,
    to_int,
    to_str,
)
from kms_http.routing import (
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)

#: Data keys, or derived keys, that one request may ask for.
MAX_DATA_KEYS: Final = 10_000
#: Data keys that are rendered in one go.
_RENDERED_TOGETHER: Final = 200
#: Fields that go into each of the keys, and how long they may be together.
_KEY_TEXTS: Final = ("context", "associated_data", "salt", "info")
_MOST_TEXT: Final = 1 << 20
_RANDOM_SOURCES: Final = ("platform", "seal", "all")
_MAX_RANDOM: Final = 128 * 1024
_ONE_SOURCE: Final = "no seal/entropy augmentation available, using platform entropy source"
_UTF8: Final = ("utf-8", "surrogatepass")
_FORMATS: Final[Mapping[str, Callable[[bytes], str]]] = {"hex": bytes.hex, "base64": encode}


def _build_data_key(call: Call) -> MakeDataKey:
    return MakeDataKey(*_data_key(call))


def _build_data_keys(call: Call) -> MakeDataKeys:
    mount, name, length, item = _data_key(call)
    count = call.values.get("count", 1)
    if isinstance(item, InvalidRequest):
        raise item
    if not 1 <= count <= MAX_DATA_KEYS:
        raise InvalidRequest(f"count must be between 1 and {MAX_DATA_KEYS}")
    return MakeDataKeys(mount, name, length, item, count)


def _build_derived_keys(call: Call) -> MakeDerivedKeys:
    mount, key, length, item = _data_key(call)
    for name in ("salt", "key_index_from", "key_index_to"):
        if name not in call.values:
            raise InvalidRequest(f"missing {name}")
    salt, info = call.values["salt"], call.values.get("info", "")
    if not salt:
        raise InvalidRequest("missing salt")
    first, end = call.values["key_index_from"], call.values["key_index_to"]
    if first < 0:
        raise InvalidRequest("key_index_from cannot be negative")
    if not first < end <= first + MAX_DATA_KEYS:
        raise InvalidRequest(f"key_index_to must be above key_index_from, by at most {MAX_DATA_KEYS}")
    derivation = Derivation(length, salt.encode(*_UTF8), info.encode(*_UTF8))
    return MakeDerivedKeys(mount, key, derivation, range(first, end), item)


def _data_key(call: Call) -> tuple[Mount, str, int, EncryptItem | InvalidRequest]:
    """Return what all these endpoints ask of keys; what is wrong with it is told after whether the key exists."""
    values = call.values
    if sum(len(values.get(name, "")) for name in _KEY_TEXTS) > _MOST_TEXT:
        raise InvalidRequest(f"{', '.join(_KEY_TEXTS)} must be at most {_MOST_TEXT} characters together")
    if call.captures["plaintext"] not in ("plaintext", "wrapped"):
        raise InvalidRequest("Invalid path, must be 'plaintext' or 'wrapped'")
    batches.refuse_nonce(values)
    try:
        context = batches.context(values)
    except InvalidRequest:
        raise InvalidRequest("failed to base64-decode context") from None
    bits = values.get("bits", 256)
    assert call.mount is not None
    item = batches.one(call, partial(_data_key_item, bits, context))[0]
    return call.mount, call.captures["name"], bits // 8, item


def _data_key_item(bits: int, context: bytes, values: Row, _: int) -> EncryptItem:
    if bits not in (128, 256, 512):
        raise InvalidRequest("invalid bit length")
    return EncryptItem(
        b"",
        context,
        batches.associated_data(values),
        values.get("key_version", 0),
        values.get("padding_scheme", ""),
    )


def _render_data_key(call: Call, made: list[DataKey]) -> Reply:
    (one,) = made
    pair = _pair(call, one)
    return Reply(data={"ciphertext": pair.pop("ciphertext"), "key_version": one.encrypted[1], **pair})


async def _render_data_keys(call: Call, made: DataKeys) -> Reply:
    pairs = await _pairs(call, made, lambda _: b"")
    return Reply(data=RawJson(b"".join((b'{"key_pairs":[', pairs, b'],"key_version":%d}' % made.version))))


async def _render_derived_keys(call: Call, made: DataKeys) -> Reply:
    first: int = call.values["key_index_from"]
    pairs = await _pairs(call, made, lambda number: b'"%d":' % (first + number))
    return Reply(data=RawJson(b"".join((b"{", pairs, b',"key_version":%d}' % made.version))))


async def _pairs(call: Call, made: DataKeys, name: Callable[[int], bytes]) -> memoryview:
    """Return all pairs as JSON, with commas between, each behind its name."""
    text = bytearray()
    for number, one in enumerate(made):
        text += b",%b%b" % (name(number), dumps(_pair(call, one)))
        if number % _RENDERED_TOGETHER == _RENDERED_TOGETHER - 1:
            await asyncio.sleep(0)
    return memoryview(text)[1:]


def _pair(call: Call, made: DataKey) -> dict[str, Any]:
    pair = {"ciphertext": made.encrypted[0]}
    if call.captures["plaintext"] == "plaintext":
        pair["plaintext"] = encode(made.plaintext)
    return pair


def _build_hash(call: Call) -> MakeHash:
    if "input" not in call.values:
        raise InvalidRequest("input missing")
    return _build_hash_of_anything(call)


def _build_hash_of_anything(call: Call) -> MakeHash:
    return MakeHash(
        batches.one(call, _hash_item),
        call.captures.get("urlalgorithm") or call.values.get("algorithm", DEFAULT_ALGORITHM),
    )


def _hash_item(row: Row, _: int) -> HmacItem:
    return HmacItem(batches.decoded_input(row))


def _render_hash(call: Call, digests: list[bytes | InvalidRequest]) -> Reply:
    digest = batches.single(digests)  # what is wrong with the input is told before what is wrong with the format
    return Reply(data={"sum": _FORMATS[_format(call, "hex")](digest)})


def _build_random(call: Call) -> Message:
    source, count = _random_request(call)
    if source not in _RANDOM_SOURCES:
        raise InvalidRequest(f'unsupported entropy source "{source}"; must be "platform" or "seal", or "all"')
    if count < 1:
        raise InvalidRequest("'bytes' cannot be less than 1")
    if count > _MAX_RANDOM:
        raise InvalidRequest("'bytes' should be less than 131072")
    _format(call, "base64", quote='"')
    return MakeRandom(count)


def _render_random(call: Call, data: bytes) -> Reply:
    source, _ = _random_request(call)
    return Reply(
        data={"random_bytes": _FORMATS[_format(call, "base64")](data)},
        warnings=() if source == "platform" else (_ONE_SOURCE,),
    )


def _random_request(call: Call) -> tuple[str, int]:
    """Return source and number of bytes; `random/<bytes>` names no source."""
    source, text = call.captures.get("source", "platform"), call.captures.get("urlbytes", "")
    if not text and source not in _RANDOM_SOURCES:
        source, text = "platform", source
    if not text:
        return source, call.values.get("bytes", 32)
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest(f'error parsing url-set byte count: strconv.Atoi: parsing "{text}": invalid syntax')
    return source, int(text)


def _format(call: Call, default: str, quote: str = "") -> str:
    chosen: str = call.values.get("format", default)
    if chosen not in _FORMATS:
        raise InvalidRequest(f'unsupported encoding format {quote}{chosen}{quote}; must be "hex" or "base64"')
    return chosen


def _write(build: Any, render: Any, **fields: Any) -> dict[Operation, Endpoint]:
    return {Operation.WRITE: Endpoint(build, render, Capability.UPDATE, Fields(**fields))}


_DATA_KEY_FIELDS: Final[Mapping[str, Converter]] = {
    "bits": to_int,
    "context": to_str,
    "associated_data": to_str,
    "nonce": to_str,
    "key_version": to_int,
    "padding_scheme": to_str,
}
_DATA_KEY: Final = _write(_build_data_key, _render_data_key, **_DATA_KEY_FIELDS)
_DATA_KEYS: Final = _write(_build_data_keys, _render_data_keys, count=to_int, **_DATA_KEY_FIELDS)
_DERIVED_KEYS: Final = _write(
    _build_derived_keys,
    _render_derived_keys,
    salt=to_str,
    info=to_str,
    key_index_from=to_int,
    key_index_to=to_int,
    **_DATA_KEY_FIELDS,
)
_HASH_FIELDS: Final[Mapping[str, Converter]] = {"input": to_str, "algorithm": to_str, "format": to_str}
_HASH: Final = _write(_build_hash, _render_hash, **_HASH_FIELDS)

#: Those of `sys/tools`, which need no mount; there, nothing to hash is an empty input.
HASH_OF_ANYTHING: Final = _write(_build_hash_of_anything, _render_hash, **_HASH_FIELDS)
RANDOM: Final = _write(_build_random, _render_random, bytes=to_int, format=to_str)

ROUTES: Final = (
    Route("datakey/{plaintext}/{name}", _DATA_KEY),
    Route("datakeys/{plaintext}/{name}", _DATA_KEYS),
    Route("derivedkeys/{plaintext}/{name}", _DERIVED_KEYS),
    Route("hash", _HASH),
    Route("hash/{urlalgorithm}", _HASH),
    Route("random", RANDOM),
    Route("random/{source}", RANDOM),
    Route("random/{source}/{urlbytes}", RANDOM),
)
