"""Transit: encrypt, decrypt and rewrap, single or in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.transit.go_base64 import decode, encode
from kms_actors.transit.items import (
    DecryptItem,
    DecryptResult,
    Encrypted,
    EncryptItem,
    EncryptResult,
    Plaintext,
    RewrapItem,
)
from kms_actors.transit.key_types import DEFAULT_TYPE
from kms_actors.transit.messages import Decrypt, Encrypt, Rewrap
from kms_http.api.transit import batch as batches
from kms_http.api.transit.batch import Row
from kms_http.fields import (
    Fields,
    to_any,
    to_bool,
    to_int,
    to_str,
)
from kms_http.routing import (
    EXISTENCE,
    Call,
    Endpoint,
    Operation,
    Reply,
    Route,
)
from kms_http.wire import json_codec
from kms_http.wire.body import READ_AT_ONCE


class _PlainBatch(msgspec.Struct, forbid_unknown_fields=True):
    batch_input: list[Plaintext]


_PLAIN_BATCH: Final = msgspec.json.Decoder(_PlainBatch)
_BEGINNING: Final = b'{"batch_input"'
_MISSING_PLAINTEXT: Final = "missing plaintext to encrypt"
_MISSING_CIPHERTEXT: Final = "missing ciphertext to decrypt"


def _build_encrypt(call: Call) -> Encrypt:
    values = call.values
    batch = values.get("batch_input")
    items: Sequence[EncryptItem | Plaintext | InvalidRequest]
    if batch is None:
        if "plaintext" not in values:
            raise InvalidRequest(_MISSING_PLAINTEXT)
        items = batches.one(call, partial(_encrypt_item, values))
        with_context = bool(values.get("context"))
    elif _is_plain(batch):
        items, with_context = batch, False
    else:
        rows = batches.rows(batch, ("plaintext", _MISSING_PLAINTEXT))
        with_context = batches.all_or_none_with_context(rows)
        items = batches.each(call, rows, partial(_encrypt_item, values))
    assert call.mount is not None
    return Encrypt(
        call.mount,
        call.captures["name"],
        items,
        call.grants,
        with_context,
        values.get("type", DEFAULT_TYPE),
        values.get("convergent_encryption", False),
    )


def _read_plain_batch(body: bytes) -> Mapping[str, Any] | None:
    """Read a batch of plaintexts and nothing else: its items come out decoded, at a third of the time.

    It takes less than the API does, of base64 too: whatever it refuses is read, and refused, in the general way.
    """
    if not body.startswith(_BEGINNING) or len(body) > READ_AT_ONCE:
        return None
    json_codec.check(body)
    try:
        batch = _PLAIN_BATCH.decode(body).batch_input
    except (msgspec.MsgspecError, ValueError):
        return None
    return {"batch_input": batch} if batch else None


def _written(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a batch as it was sent, if `_read_plain_batch` has read it."""
    batch = values.get("batch_input")
    if not _is_plain(batch):
        return values
    assert batch is not None
    return {"batch_input": [{"plaintext": encode(item.plaintext)} for item in batch]}


def _is_plain(batch: Any) -> bool:
    return batch.__class__ is list and bool(batch) and batch[0].__class__ is Plaintext


def _render_encrypted(call: Call, results: list[EncryptResult]) -> Reply:
    if call.values.get("batch_input") is None:
        return Reply(data=_show_encrypted(batches.single(results)))
    if _is_plain(call.values["batch_input"]):
        made = [result for result in results if not isinstance(result, InvalidRequest)]
        if len(made) == len(results):
            shown = [{"ciphertext": text, "key_version": version, "reference": ""} for text, version in made]
            return Reply(data={"batch_results": shown})
    return batches.reply(call, *batches.render(call, results, _show_encrypted, {}))


def _build_decrypt(call: Call) -> Decrypt:
    batch = call.values.get("batch_input")
    items: Sequence[DecryptItem | InvalidRequest]
    if batch is None:
        if not call.values.get("ciphertext"):
            raise InvalidRequest(_MISSING_CIPHERTEXT)
        items = batches.one(call, partial(_decrypt_item, call.values))
    else:
        rows = batches.rows(batch, ("ciphertext", _MISSING_CIPHERTEXT))
        batches.all_or_none_with_context(rows)
        items = batches.each(call, rows, partial(_decrypt_item, call.values))
    assert call.mount is not None
    return Decrypt(call.mount, call.captures["name"], items)


def _render_decrypted(call: Call, results: list[DecryptResult]) -> Reply:
    if call.values.get("batch_input") is None:
        return Reply(data=_show_plaintext(batches.single(results)))
    return batches.reply(call, *batches.render(call, results, _show_plaintext, {"plaintext": ""}))


def _build_rewrap(call: Call) -> Rewrap:
    batch = call.values.get("batch_input")
    items: Sequence[RewrapItem | InvalidRequest]
    if batch is None:
        if not call.values.get("ciphertext"):
            raise InvalidRequest(_MISSING_CIPHERTEXT)
        items = batches.one(call, partial(_rewrap_item, call.values))
    else:
        rows = batches.rows(batch)
        batches.all_or_none_with_context(rows)
        items = batches.each(call, rows, partial(_rewrap_item, call.values))
    assert call.mount is not None
    return Rewrap(call.mount, call.captures["name"], items)


def _render_rewrapped(call: Call, results: list[EncryptResult]) -> Reply:
    if call.values.get("batch_input") is None:
        return Reply(data=_show_encrypted(batches.single(results)))
    # A batch of rewraps is 200 whatever became of its items.
    data, _ = batches.render(call, results, _show_encrypted, {})
    return Reply(data=data)


def _encrypt_item(request: Row, row: Row, index: int = 0) -> EncryptItem | Plaintext:
    plaintext = decode(row["plaintext"])
    if len(row) == 1 and len(request) == 1:
        return Plaintext(plaintext)
    batches.refuse_nonce(row)
    return EncryptItem(
        plaintext,
        batches.context(row),
        batches.associated_data(row, index),
        row.get("key_version", 0),
        _padding("padding_scheme", row, request),
        index,
    )


def _decrypt_item(request: Row, row: Row, index: int = 0) -> DecryptItem:
    ciphertext = row.get("ciphertext")
    if not ciphertext:
        raise InvalidRequest(_MISSING_CIPHERTEXT)
    if len(row) == 1 and len(request) == 1:
        return DecryptItem(ciphertext)
    batches.refuse_nonce(row)
    return DecryptItem(
        ciphertext,
        batches.context(row),
        batches.associated_data(row, index),
        _padding("padding_scheme", row, request),
        index,
    )


def _rewrap_item(request: Row, row: Row, index: int = 0) -> RewrapItem:
    item = _decrypt_item({}, row, index)
    return RewrapItem(
        item.ciphertext,
        item.context,
        item.associated_data,
        row.get("key_version", 0),
        _padding("decrypt_padding_scheme", row, request),
        _padding("encrypt_padding_scheme", row, request),
        index,
    )


def _padding(name: str, row: Row, request: Row) -> str:
    """Return an item's padding scheme, or that of the request."""
    chosen: str = row.get(name) or request.get(name, "")
    return chosen


def _show_encrypted(result: Encrypted) -> dict[str, Any]:
    return {"ciphertext": result[0], "key_version": result[1]}


def _show_plaintext(plaintext: bytes) -> dict[str, Any]:
    return {"plaintext": encode(plaintext)}


_COMMON: Final[dict[str, Any]] = {
    "context": to_str,
    "associated_data": to_str,
    "nonce": to_str,
    "batch_input": to_any,
}
_PARTIAL: Final[dict[str, Any]] = {"partial_failure_response_code": to_int}

ROUTES: Final = (
    Route(
        "encrypt/{name}",
        {
            Operation.WRITE: Endpoint(
                _build_encrypt,
                _render_encrypted,
                EXISTENCE,
                Fields(
                    existence_checked=True,
                    plaintext=to_str,
                    key_version=to_int,
                    type=to_str,
                    convergent_encryption=to_bool,
                    padding_scheme=to_str,
                    **_COMMON,
                    **_PARTIAL,
                ),
                read=_read_plain_batch,
                written=_written,
            )
        },
    ),
    Route(
        "decrypt/{name}",
        {
            Operation.WRITE: Endpoint(
                _build_decrypt,
                _render_decrypted,
                Capability.UPDATE,
                Fields(ciphertext=to_str, padding_scheme=to_str, **_COMMON, **_PARTIAL),
            )
        },
    ),
    Route(
        "rewrap/{name}",
        {
            Operation.WRITE: Endpoint(
                _build_rewrap,
                _render_rewrapped,
                Capability.UPDATE,
                Fields(
                    ciphertext=to_str,
                    key_version=to_int,
                    decrypt_padding_scheme=to_str,
                    encrypt_padding_scheme=to_str,
                    **_COMMON,
                ),
            )
        },
    ),
)
