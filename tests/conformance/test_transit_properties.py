"""Misuse of Transit, drawn at random for every type of key, alone and between good items of a batch."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kms_actors.transit.key_types import KEY_TYPES, Parameters
from tests.support.api import Answer, Api, b64
from tests.support.node import Node
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer
from tests.transit.keys import VARIANTS, variant_id

examples = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Kept(NamedTuple):
    """A key on the node, of two versions."""

    name: str
    type: str
    parameters: Parameters = Parameters()
    derived: bool = False
    convergent: bool = False

    def given(self, context: str = "ctx") -> dict[str, str]:
        """Return the context where one is needed."""
        return {"context": b64(context)} if self.derived else {}

    @property
    def aead(self) -> bool:
        return KEY_TYPES[self.type].cipher is not None


KEYS = [Kept(variant_id(variant), *variant) for variant in VARIANTS]
KEYS += [Kept(f"{name}-derived", name, derived=True) for name, row in KEY_TYPES.items() if row.derivation]
KEYS += [Kept(f"{name}-conv", name, Parameters(), True, True) for name, row in KEY_TYPES.items() if row.convergent]
ENCRYPTING = [key for key in KEYS if KEY_TYPES[key.type].encryption]
#: Each key with each of its proofs: operation, and field of what it makes.
PROOFS = [
    *((key, "sign", "signature") for key in KEYS if KEY_TYPES[key.type].signing),
    *((key, "hmac", "hmac") for key in KEYS if KEY_TYPES[key.type].hmac),
    *((key, "cmac", "cmac") for key in KEYS if KEY_TYPES[key.type].cmac),
]


@pytest.fixture(scope="module")
def user(node: Node, issuer: Issuer) -> Api:
    api = make_tenant(node, issuer).user
    for key in KEYS:
        options = {"derived": key.derived, "convergent_encryption": key.convergent, "type": key.type}
        assert api.post(f"transit/keys/{key.name}", {**options, **key.parameters._asdict()}).status == 200
        assert api.post(f"transit/keys/{key.name}/rotate").status == 200
    return api


def batch(api: Api, path: str, items: list[dict[str, Any]], status: int = 200, **sent: Any) -> list[Any]:
    answer = api.post(f"transit/{path}", {"batch_input": items, **sent})
    assert answer.status == status, answer.body
    results: list[Any] = answer.json["data"]["batch_results"]
    assert len(results) == len(items)
    return results


def refused(answer: Answer) -> bool:
    """Tell whether a request was refused as a mistake of its caller, in words."""
    return answer.status == 400 and all(answer.errors)


def encrypted(api: Api, key: Kept, plaintext: bytes, **sent: Any) -> str:
    text: str = api.post(f"transit/encrypt/{key.name}", {"plaintext": b64(plaintext), **key.given(), **sent}).data[
        "ciphertext"
    ]
    return text


def blob_of(text: str) -> bytes:
    return base64.b64decode(text.rpartition(":")[2])


def between(good: dict[str, Any], bad: dict[str, Any]) -> list[dict[str, Any]]:
    return [good, bad, good]


# What was tampered with.

#: Ways to change a blob at a place, with some bytes and another blob of the same key.
CHANGES: Mapping[str, Callable[[bytes, int, bytes, bytes], bytes]] = {
    "flip": lambda blob, place, _, __: _flipped(blob, place % (8 * len(blob))),
    "cut": lambda blob, place, _, __: blob[: place % len(blob)],
    "cut front": lambda blob, place, _, __: blob[1 + place % len(blob) :],
    "extend": lambda blob, _, more, __: blob + more,
    "splice": lambda blob, place, _, other: blob[: place % 30] + other[place % 30 :],
    "replace": lambda _, __, more, ___: more,
}
#: What is drawn must not depend on a blob, since signatures have many lengths.
CHANGE = st.tuples(st.sampled_from(list(CHANGES)), st.integers(0, 40_000), st.binary(min_size=1, max_size=80))


def _flipped(blob: bytes, bit: int) -> bytes:
    return bytes(byte ^ (1 << bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(blob))


def changed(text: str, other: str, change: tuple[str, int, bytes]) -> str:
    """Return another ciphertext or proof; a change that changes nothing is not looked at."""
    name, place, more = change
    blob = CHANGES[name](blob_of(text), place, more, blob_of(other))
    assume(blob not in (blob_of(text), blob_of(other)))
    return f"vault:v2:{b64(blob)}"


@examples
@given(st.sampled_from(ENCRYPTING), st.binary(max_size=60), st.binary(max_size=20), CHANGE)
def test_a_tampered_ciphertext_never_decrypts(
    user: Api, key: Kept, plaintext: bytes, data: bytes, change: tuple[str, int, bytes]
) -> None:
    more = {"associated_data": b64(data)} if key.aead else {}
    text, other = encrypted(user, key, plaintext, **more), encrypted(user, key, plaintext + b"x", **more)
    good = {"ciphertext": text, **key.given(), **more}
    bad = {**good, "ciphertext": changed(text, other, change)}
    assert refused(user.post(f"transit/decrypt/{key.name}", bad))
    assert refused(user.post(f"transit/rewrap/{key.name}", bad))
    before, result, after = batch(user, f"decrypt/{key.name}", between(good, bad), 400)
    assert (before["plaintext"], after["plaintext"]) == (b64(plaintext), b64(plaintext))
    assert result["error"]
    assert not result.get("plaintext")
    _, result, _ = batch(user, f"rewrap/{key.name}", between(good, bad))
    assert result["error"]
    assert not result.get("ciphertext")


@examples
@given(st.sampled_from(ENCRYPTING), st.binary(max_size=60), st.sampled_from(["version", "context", "data", "key"]))
def test_a_ciphertext_means_nothing_elsewhere(user: Api, key: Kept, plaintext: bytes, what: str) -> None:
    more = {"associated_data": b64("here")} if key.aead else {}
    good = {"ciphertext": encrypted(user, key, plaintext, **more), **key.given(), **more}
    bad, path = dict(good), key.name
    if what == "context":
        assume(key.derived)
        bad |= key.given("elsewhere")
    elif what == "data":
        assume(key.aead)
        bad |= {"associated_data": b64("elsewhere")}
    elif what == "key":
        path = next(
            other.name
            for other in ENCRYPTING
            if other != key and (other.aead, other.derived) == (key.aead, key.derived)
        )
    else:
        bad["ciphertext"] = good["ciphertext"].replace(":v2:", ":v1:")
    assert refused(user.post(f"transit/decrypt/{path}", bad))
    if path == key.name:
        _, result, after = batch(user, f"decrypt/{path}", between(good, bad), 400)
        assert (bool(result["error"]), after["plaintext"]) == (True, b64(plaintext))


@examples
@given(st.sampled_from(PROOFS), st.binary(max_size=60), CHANGE)
def test_a_tampered_proof_never_verifies(
    user: Api, proof: tuple[Kept, str, str], message: bytes, change: tuple[str, int, bytes]
) -> None:
    key, kind, field = proof
    asked = {"input": b64(message), **key.given()}
    text = user.post(f"transit/{kind}/{key.name}", asked).data[field]
    other = user.post(f"transit/{kind}/{key.name}", {**asked, "input": b64(message + b"x")}).data[field]
    good = {**asked, field: text}
    bad = {**good, field: changed(text, other, change)}
    answer = user.post(f"transit/verify/{key.name}", bad)
    assert refused(answer) or answer.data["valid"] is False
    answer = user.post(f"transit/verify/{key.name}", {"batch_input": between(good, bad)})
    before, result, after = answer.json["data"]["batch_results"]
    assert (before["valid"], result.get("valid", False), after["valid"]) == (True, False, True)


# Nonces.


@examples
@given(
    st.sampled_from([key for key in ENCRYPTING if key.aead]),
    st.binary(min_size=1, max_size=40) | st.binary(min_size=12, max_size=12) | st.binary(min_size=24, max_size=24),
)
def test_no_key_takes_a_nonce(user: Api, key: Kept, nonce: bytes) -> None:
    good = {"plaintext": b64("x"), **key.given()}
    bad = {**good, "nonce": b64(nonce)}
    for path in ("encrypt", "datakey/plaintext", "datakey/wrapped"):
        answer = user.post(f"transit/{path}/{key.name}", bad)
        assert answer.errors == ["nonce provided when not allowed"]
    before, result, after = batch(user, f"encrypt/{key.name}", between(good, bad), 400)
    assert result["error"] == "nonce provided when not allowed"
    assert before["ciphertext"]
    assert after["ciphertext"]
    # Beside a batch, fields of the request play no part; nor does one where something is decrypted.
    (made,) = batch(user, f"encrypt/{key.name}", [good], nonce=b64(nonce))
    text = made["ciphertext"]
    assert not blob_of(text).startswith(nonce) or len(nonce) < 8
    for path in ("decrypt", "rewrap"):
        sent = {"ciphertext": text, **key.given(), "nonce": b64(nonce)}
        answer = user.post(f"transit/{path}/{key.name}", sent)
        shown = "" if refused(answer) else answer.data.get("ciphertext", "")
        assert not shown or not blob_of(shown).startswith(nonce) or len(nonce) < 8


@examples
@given(st.lists(st.binary(max_size=3), min_size=2, max_size=30), st.sampled_from(ENCRYPTING))
def test_nonces_come_again_for_equal_items_of_convergent_keys_only(
    user: Api, plaintexts: list[bytes], key: Kept
) -> None:
    assume(key.aead)
    items = [{"plaintext": b64(plaintext), **key.given()} for plaintext in plaintexts]
    texts = [result["ciphertext"] for result in batch(user, f"encrypt/{key.name}", items)]
    nonces = [blob_of(text)[: KEY_TYPES[key.type].nonce_bytes] for text in texts]
    assert len(set(nonces)) == (len(set(plaintexts)) if key.convergent else len(plaintexts))


# Options that do not go together.

OPTIONS: Mapping[str, list[Any]] = {
    "hash_algorithm": ["sha1", "sha2-512", "sha3-256", "none", "md5", ""],
    "signature_algorithm": ["pss", "pkcs1v15", "x"],
    "marshaling_algorithm": ["asn1", "jws", "x"],
    "salt_length": ["auto", "hash", "0", "20", "9999", "-2", "x"],
    "prehashed": [True, False],
    "padding_scheme": ["oaep", "pkcs1v15", "x", ""],
    "associated_data": [b64("ad"), ""],
    "context": [b64("ctx"), ""],
    "key_version": [0, 1, 2, 3, -1, 2**63 - 1],
    "mac_length": [0, 8, 16, 17, -1],
    "bits": [128, 256, 512, 129, 0, -1],
    "nonce": [b64(bytes(12)), ""],
    "type": ["rsa-2048", "x", ""],
    "convergent_encryption": [True],
}
USES: Mapping[str, Callable[[Kept], bool]] = {
    "encrypt": lambda key: KEY_TYPES[key.type].encryption,
    "decrypt": lambda key: KEY_TYPES[key.type].encryption,
    "rewrap": lambda key: KEY_TYPES[key.type].encryption,
    "datakey/plaintext": lambda key: KEY_TYPES[key.type].encryption,
    "sign": lambda key: KEY_TYPES[key.type].signing,
    "verify": lambda key: KEY_TYPES[key.type].signing,
    "hmac": lambda key: KEY_TYPES[key.type].hmac,
    "cmac": lambda key: KEY_TYPES[key.type].cmac,
}
SENT = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in OPTIONS.items()})


@settings(examples, max_examples=200)
@given(st.sampled_from(KEYS), st.sampled_from(list(USES)), SENT, st.booleans())
def test_any_option_on_any_key_is_answered_or_refused_in_words(
    user: Api, key: Kept, use: str, sent: dict[str, Any], in_batch: bool
) -> None:
    item = {"plaintext": b64("x"), "input": b64("x"), "ciphertext": f"vault:v2:{b64(bytes(64))}"}
    item["signature"] = item["ciphertext"]
    answer = user.post(
        f"transit/{use}/{key.name}", {**sent, "batch_input": [{**item, **sent}, item]} if in_batch else item | sent
    )
    assert answer.status in (200, 400), answer.body
    if answer.status == 400 and "errors" in answer.json:
        assert all(answer.errors)
    if not USES[use](key):
        found = answer.json
        assert "errors" in found or all(result["error"] for result in found["data"]["batch_results"])


@examples
@given(
    st.sampled_from(list(KEY_TYPES)),
    st.fixed_dictionaries(
        {},
        optional={
            "derived": st.booleans(),
            "convergent_encryption": st.booleans(),
            "key_size": st.sampled_from([0, 16, 31, 513, -1, 2**40]),
            "parameter_set": st.sampled_from(["", "44", "45", "x"]),
            "hybrid_key_type_pqc": st.sampled_from(["", "ml-dsa", "x"]),
            "hybrid_key_type_ec": st.sampled_from(["", "ed25519", "rsa-2048"]),
            "auto_rotate_period": st.sampled_from(["0", "1s", "-1h"]),
        },
    ),
)
def test_no_key_is_made_with_options_that_do_not_go_together(user: Api, type_name: str, sent: dict[str, Any]) -> None:
    row = KEY_TYPES[type_name]
    parameters = Parameters(*(sent.get(name, "") for name in Parameters._fields))
    size = sent.get("key_size", 0)
    odd = (
        (sent.get("derived", False) and not row.derivation)
        or (sent.get("convergent_encryption", False) and not (sent.get("derived") and row.convergent))
        or (size != 0 and size not in row.key_size)
        or parameters not in (set(row.schemes) or {Parameters()})
        or sent.get("auto_rotate_period", "0") != "0"
    )
    assume(odd)
    assert refused(user.post("transit/keys/odd", {"type": type_name, **sent}))
    assert user.get("transit/keys/odd").status == 404


# What is too large.


@examples
@given(
    st.sampled_from(["rsa-2048", "rsa-3072", "rsa-4096"]), st.integers(-3, 300), st.sampled_from(["oaep", "pkcs1v15"])
)
def test_rsa_takes_what_fits_and_no_more(user: Api, name: str, excess: int, scheme: str) -> None:
    largest = int(name[4:]) // 8 - {"oaep": 2 * 32 + 2, "pkcs1v15": 11}[scheme]
    good = {"plaintext": b64("x"), "padding_scheme": scheme}
    sent = {**good, "plaintext": b64(bytes(largest + excess))}
    answer = user.post(f"transit/encrypt/{name}", sent)
    if excess <= 0:
        assert answer.data["ciphertext"]
        return
    assert refused(answer)
    _, result, after = batch(user, f"encrypt/{name}", between(good, sent), 400)
    assert "message too long" in result["error"]
    assert after["ciphertext"]


BEYOND = st.integers(10_001, 2**80) | st.integers(-(2**80), -1)


@examples
@given(st.sampled_from(KEYS), BEYOND)
def test_numbers_beyond_all_bounds_are_refused(user: Api, key: Kept, number: int) -> None:
    asked = {"input": b64("x"), "plaintext": b64("x"), **key.given()}
    row = KEY_TYPES[key.type]
    uses = [("encrypt", row.encryption), ("sign", row.signing), ("hmac", row.hmac), ("cmac", row.cmac)]
    for use, has in uses:
        if has:
            assert refused(user.post(f"transit/{use}/{key.name}", {**asked, "key_version": number})), use
    if row.cmac:
        assert refused(user.post(f"transit/cmac/{key.name}", {**asked, "mac_length": number}))
    if row.encryption:
        assert refused(user.post(f"transit/datakey/plaintext/{key.name}", {**asked, "bits": number}))
        assert refused(user.post(f"transit/datakeys/plaintext/{key.name}", {**asked, "count": number}))
    for sent in ({"min_decryption_version": number}, {"min_encryption_version": number}):
        answer = user.post(f"transit/keys/{key.name}/config", sent)
        assert refused(answer) or number < 0, sent
    user.post(f"transit/keys/{key.name}/config", {"min_decryption_version": 1, "min_encryption_version": 0})
    if number > 128 * 1024:
        assert refused(user.post("transit/random", {"bytes": number}))


# What is no base64.

NO_BASE64 = st.text("AQgw+/=-_ \té", max_size=12).map("CANARY!{}".format)


@examples
@given(st.sampled_from(KEYS), NO_BASE64)
def test_what_is_no_base64_is_refused_and_not_repeated(user: Api, key: Kept, text: str) -> None:
    row = KEY_TYPES[key.type]
    context = {"context": b64("ctx")} if key.derived else {}
    asked: list[tuple[str, dict[str, str], str]] = []
    if row.encryption:
        good = {"plaintext": b64("x"), **context}
        asked += [("encrypt", good, "plaintext")]
        asked += [("encrypt", good, "context")] * key.derived + [("encrypt", good, "associated_data")] * key.aead
        opened = {"ciphertext": encrypted(user, key, b"x"), **context}
        asked += [("decrypt", opened, "ciphertext"), ("decrypt", opened, "context")]
    for use, has in (("sign", row.signing), ("hmac", row.hmac), ("cmac", row.cmac)):
        asked += [(use, {"input": b64("x"), **context}, "input")] * has
    for use, good, field in asked:
        bad = {**good, field: f"vault:v2:{text}" if field == "ciphertext" else text}
        answer = user.post(f"transit/{use}/{key.name}", bad)
        assert refused(answer), (use, field)
        several = user.post(f"transit/{use}/{key.name}", {"batch_input": between(good, bad)})
        assert several.status in (200, 400), (use, field)  # 200: MACs, whose items have errors of their own
        for body in (answer.body, several.body):
            assert b"CANARY" not in body
        if field in good:  # else contexts are mixed, and the batch is refused as a whole
            before, result, after = several.json["data"]["batch_results"]
            assert (before.get("error", ""), bool(result["error"]), after.get("error", "")) == ("", True, "")


# Versions.


@examples
@given(
    st.sampled_from(KEYS),
    st.integers(-3, 5).map(str)
    | st.integers(-(2**70), 2**70).map(str)
    | st.sampled_from(["", "01", "+1", "+2", "-0", " 1", "1 ", "1.0", "1e0", "0x1", "\u0661", "\u00b2", "1_0", "v1"]),
)
def test_a_version_is_the_number_that_it_says_or_none(user: Api, key: Kept, number: str) -> None:
    row = KEY_TYPES[key.type]
    says = int(number) if re.fullmatch("[+-]?[0-9]{1,19}", number) else None
    body = "A" * 40
    if row.encryption:
        body = encrypted(user, key, b"x", key_version=1).rpartition(":")[2]
        answer = user.post(f"transit/decrypt/{key.name}", {"ciphertext": f"vault:v{number}:{body}", **key.given()})
        # Ciphertexts of version 0 are of version 1, as in the API.
        assert (answer.status == 200) is (says in (0, 1)), answer.body
        assert answer.status == 200 or refused(answer)
    for _, kind, field in (proof for proof in PROOFS if proof[0] is key):
        asked = {"input": b64("x"), "key_version": 1, **key.given()}
        made = user.post(f"transit/{kind}/{key.name}", asked).data[field].rpartition(":")[2]
        answer = user.post(f"transit/verify/{key.name}", {**asked, field: f"vault:v{number}:{made}"})
        assert (answer.status == 200 and answer.data["valid"]) is (says == 1), (kind, answer.body)
        assert answer.status == 200 or refused(answer)
