"""Transit: HMACs and CMACs, single or in batches. A batch is 200 whatever became of its items."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.transit.ciphertext import parse_int64
from kms_actors.transit.digests import DEFAULT_ALGORITHM
from kms_actors.transit.items import CmacItem, HmacItem, MacResult
from kms_actors.transit.messages import MakeCmac, MakeHmac
from kms_http.api.transit import batch as batches
from kms_http.api.transit.batch import Row
from kms_http.fields import (
    Fields,
    to_any,
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


def mac_length(call: Call) -> int:
    """Return the bytes of the CMACs of a request; the path wins."""
    text = call.captures.get("url_mac_length")
    if not text:
        length: int = call.values.get("mac_length", 0)
        return length
    number = parse_int64(text)
    if number is None:
        raise InvalidRequest("error parsing url-set mac_length: not a whole number")
    return number


def _build_hmac(call: Call) -> MakeHmac:
    items = batches.late(call, _hmac_item, _hmac_item)
    assert call.mount is not None
    algorithm = call.captures.get("urlalgorithm") or call.values.get("algorithm", DEFAULT_ALGORITHM)
    return MakeHmac(call.mount, call.captures["name"], items, algorithm, call.values.get("key_version", 0))


def _build_cmac(call: Call) -> MakeCmac:
    length = mac_length(call)
    items = batches.late(call, partial(_cmac_item, length), partial(_only_cmac_item, length))
    assert call.mount is not None
    return MakeCmac(call.mount, call.captures["name"], items, call.values.get("key_version", 0))


def _render(name: str, call: Call, results: list[MacResult]) -> Reply:
    if call.values.get("batch_input") is None:
        return Reply(data={name: batches.single(results)})
    data, _ = batches.render(call, results, lambda result: {name: result}, {})
    return Reply(data=data)


def _hmac_item(row: Row, _: int = 0) -> HmacItem:
    if "input" not in row:
        raise InvalidRequest("missing input for HMAC")
    return HmacItem(batches.decoded_input(row))


def _cmac_item(length: int, row: Row, _: int = 0) -> CmacItem:
    if "input" not in row:
        raise InvalidRequest("missing input for CMAC")
    return CmacItem(batches.decoded_input(row), row.get("mac_length", length))


def _only_cmac_item(length: int, request: Row, _: int = 0) -> CmacItem:
    return _cmac_item(length, {"input": request["input"]} if "input" in request else {})


def _write(build: Any, name: str, **fields: Any) -> dict[Operation, Endpoint]:
    declared = Fields(input=to_str, key_version=to_int, batch_input=to_any, **fields)
    return {Operation.WRITE: Endpoint(build, partial(_render, name), Capability.UPDATE, declared)}


_HMAC: Final = _write(_build_hmac, "hmac", algorithm=to_str)
_CMAC: Final = _write(_build_cmac, "cmac", mac_length=to_int)

ROUTES: Final = (
    Route("hmac/{name}", _HMAC),
    Route("hmac/{name}/{urlalgorithm}", _HMAC),
    Route("cmac/{name}", _CMAC),
    Route("cmac/{name}/{url_mac_length}", _CMAC),
)
