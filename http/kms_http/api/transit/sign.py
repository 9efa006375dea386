"""Transit: signatures made, and signatures, HMACs and CMACs verified. A batch is 200 whatever became of its items."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest
from kms_actors.messages import Message
from kms_actors.transit.digests import DEFAULT_ALGORITHM
from kms_actors.transit.items import MacItem, Signed, SignItem, SignResult, VerifyItem, VerifyResult
from kms_actors.transit.messages import Sign, Verify, VerifyCmacs, VerifyHmacs
from kms_actors.transit.signature import DEFAULT, SignatureParameters, parameters
from kms_http.api.transit import batch as batches
from kms_http.api.transit.batch import Row
from kms_http.api.transit.macs import mac_length
from kms_http.fields import (
    Fields,
    to_any,
    to_bool,
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

#: What can be verified, in the order in which a single request is searched for it.
_PROOFS: Final = ("signature", "hmac", "cmac")
_PARAMETERS: Final = frozenset(
    {"hash_algorithm", "algorithm", "prehashed", "signature_algorithm", "marshaling_algorithm", "salt_length"}
)


def _build_sign(call: Call) -> Sign:
    how = _parameters(call)
    items = batches.late(call, _sign_item, _only_item)
    assert call.mount is not None
    return Sign(call.mount, call.captures["name"], items, how, call.values.get("key_version", 0))


def _render_signed(call: Call, results: list[SignResult]) -> Reply:
    if call.values.get("batch_input") is None:
        return Reply(data=_show_signed("public_key", batches.single(results)))
    # The API spells the key of a batch's items without an underscore.
    data, _ = batches.render(call, results, partial(_show_signed, "publickey"), {"key_version": 0})
    return Reply(data=data)


def _build_verify(call: Call) -> Message:
    batch = call.values.get("batch_input")
    rows = [call.values] if batch is None else batches.rows(batch)
    proof = _proof(call.values) if batch is None else _proof_of_all(rows)
    assert call.mount is not None
    place = call.mount, call.captures["name"]
    in_batch = batch is not None
    if proof == "signature":
        return Verify(*place, batches.each(call, rows, partial(_verify_item, in_batch)), _parameters(call))
    length = mac_length(call)
    items = batches.each(call, rows, partial(_mac_item, proof, length, in_batch))
    if proof == "cmac":
        return VerifyCmacs(*place, items)
    return VerifyHmacs(*place, items, _hash_name(call))


def _render_verified(call: Call, results: list[VerifyResult]) -> Reply:
    batch = call.values.get("batch_input")
    if batch is None:
        return Reply(data={"valid": batches.single(results)})
    if "signature" in batch[0]:
        data, _ = batches.render(call, results, lambda valid: {"valid": valid}, {"valid": False})
    else:
        # Of MACs the API leaves out what is not valid.
        data, _ = batches.render(call, results, lambda valid: {"valid": True} if valid else {}, {})
    return Reply(data=data)


def _parameters(call: Call) -> SignatureParameters:
    if not call.captures.get("urlalgorithm") and _PARAMETERS.isdisjoint(call.values):
        return DEFAULT
    values = call.values
    return parameters(
        _hash_name(call),
        prehashed=values.get("prehashed", False),
        signature_algorithm=values.get("signature_algorithm", ""),
        marshaling_algorithm=values.get("marshaling_algorithm", "asn1"),
        salt_length=values.get("salt_length", "auto"),
    )


def _hash_name(call: Call) -> str:
    values = call.values
    name: str = (
        call.captures.get("urlalgorithm")
        or values.get("hash_algorithm")
        or values.get("algorithm")
        or DEFAULT_ALGORITHM
    )
    return name


def _proof(values: Row) -> str:
    for proof in _PROOFS:
        if proof in values:
            return proof
    raise InvalidRequest("neither a 'signature' nor an 'hmac' were given to verify")


def _proof_of_all(rows: Sequence[Row]) -> str:
    found = {next((proof for proof in _PROOFS if proof in row), "") for row in rows}
    if len(found - {""}) > 1:
        raise InvalidRequest("elements of batch_input must all provide 'signature' or all provide 'hmac'")
    proof = max(found)
    if not proof:
        raise InvalidRequest("no batch_input elements have 'signature' or 'hmac'")
    if "" in found:
        raise InvalidRequest(f"some elements of batch_input are missing '{proof}'")
    return proof


def _sign_item(row: Row, _: int = 0) -> SignItem:
    return SignItem(_input(row, required=True), _context(row))


def _only_item(row: Row, _: int = 0) -> SignItem:
    return SignItem(_input(row, required=False), _context(row))


def _verify_item(in_batch: bool, row: Row, _: int = 0) -> VerifyItem:
    return VerifyItem(_input(row, required=in_batch), row["signature"], _context(row))


def _mac_item(proof: str, length: int, in_batch: bool, row: Row, _: int = 0) -> MacItem:
    return MacItem(_input(row, required=in_batch), row[proof], row.get("mac_length", length))


def _input(row: Row, *, required: bool) -> bytes:
    if required and "input" not in row:
        raise InvalidRequest("missing input")
    return batches.decoded_input(row)


def _context(row: Row) -> bytes:
    try:
        return batches.context(row)
    except InvalidRequest:
        raise InvalidRequest("failed to base64-decode context") from None


def _show_signed(public_key: str, signed: Signed) -> dict[str, Any]:
    shown: dict[str, Any] = {"key_version": signed.key_version, "signature": signed.signature}
    if signed.public_key:
        shown[public_key] = signed.public_key
    return shown


_COMMON: Final[dict[str, Any]] = {
    "input": to_str,
    "context": to_str,
    "hash_algorithm": to_str,
    "algorithm": to_str,
    "prehashed": to_bool,
    "signature_algorithm": to_str,
    "marshaling_algorithm": to_str,
    "salt_length": to_str,
    "batch_input": to_any,
}


def _write(build: Any, render: Any, **fields: Any) -> dict[Operation, Endpoint]:
    return {Operation.WRITE: Endpoint(build, render, Capability.UPDATE, Fields(**_COMMON, **fields))}


_SIGN: Final = _write(_build_sign, _render_signed, key_version=to_int)
_VERIFY: Final = _write(
    _build_verify, _render_verified, signature=to_str, hmac=to_str, cmac=to_str, mac_length=to_int
)

ROUTES: Final = (
    Route("sign/{name}", _SIGN),
    Route("sign/{name}/{urlalgorithm}", _SIGN),
    Route("verify/{name}", _VERIFY),
    Route("verify/{name}/{urlalgorithm}", _VERIFY),
)
