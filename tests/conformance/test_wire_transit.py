"""Transit over the wire: key objects, encryption, batches and refusals."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from tests.support.api import ENVELOPE, Answer, Api, b64
from tests.support.tenant import Tenant

HELLO: Final = b64("hello")


def test_key_object(tenant: Tenant) -> None:
    key = tenant.user.post("transit/keys/new").data
    assert isinstance(key.pop("keys")["1"], int)
    key.pop("soft_deleted", None)
    assert key == {
        "allow_plaintext_backup": False,
        "auto_rotate_period": 0,
        "deletion_allowed": False,
        "derived": False,
        "exportable": False,
        "imported_key": False,
        "latest_version": 1,
        "min_available_version": 0,
        "min_decryption_version": 1,
        "min_encryption_version": 0,
        "name": "new",
        "supports_decryption": True,
        "supports_derivation": True,
        "supports_encryption": True,
        "supports_signing": False,
        "type": "aes256-gcm96",
    }
    again = tenant.user.post("transit/keys/new", {"type": "aes128-gcm96"}).data
    assert (again["type"], again["latest_version"]) == ("aes256-gcm96", 1)


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("encrypt/orders", {}, "missing plaintext to encrypt"),
        ("encrypt/orders", {"plaintext": "not base64"}, "illegal base64 data at input byte 3"),
        ("encrypt/orders", {"plaintext": "aGk"}, "illegal base64 data at input byte 0"),
        (
            "encrypt/orders",
            {"plaintext": HELLO, "key_version": 9},
            "requested version for encryption is higher than the latest key version",
        ),
        (
            "encrypt/orders",
            {"plaintext": HELLO, "key_version": 1},
            "requested version for encryption is less than the minimum encryption key version",
        ),
        ("encrypt/orders", {"plaintext": HELLO, "key_version": -1}, "requested version for encryption is negative"),
        ("encrypt/orders", {"batch_input": []}, "missing batch input to process"),
        ("encrypt/orders", {"plaintext": HELLO, "nonce": b64(bytes(12))}, "nonce provided when not allowed"),
        ("decrypt/orders", {}, "missing ciphertext to decrypt"),
        ("decrypt/nothing", {"ciphertext": "vault:v1:AAAA"}, "encryption key not found"),
        ("decrypt/orders", {"ciphertext": "AAAA"}, "invalid ciphertext: no prefix"),
        ("decrypt/orders", {"ciphertext": "vault:v2"}, "invalid ciphertext: wrong number of fields"),
        (
            "decrypt/orders",
            {"ciphertext": "vault:vx:AAAA"},
            "invalid ciphertext: version number could not be decoded",
        ),
        ("decrypt/orders", {"ciphertext": "vault:v9:AAAA"}, "invalid ciphertext: version is too new"),
        ("decrypt/orders", {"ciphertext": "vault:v2:%%%%"}, "invalid ciphertext: could not decode base64"),
        ("decrypt/orders", {"ciphertext": "vault:v2:AAAA"}, "invalid ciphertext length"),
        (
            "decrypt/orders",
            {"ciphertext": "vault:v1:AAAA"},
            "ciphertext or signature version is disallowed by policy (too old)",
        ),
        ("decrypt/orders", {"ciphertext": f"vault:v2:{b64(bytes(40))}"}, "cipher: message authentication failed"),
        ("rewrap/nothing", {"ciphertext": "vault:v1:AAAA"}, "encryption key not found"),
        ("keys/nothing/rotate", {}, "key not found"),
        ("keys/nothing/config", {"deletion_allowed": True}, "no existing key named nothing could be found"),
        (
            "keys/orders/config",
            {"min_decryption_version": 9},
            "cannot set min decryption version of 9, latest key version is 3",
        ),
        ("keys/orders/config", {"min_decryption_version": -1}, "min decryption version cannot be negative"),
        (
            "keys/orders/config",
            {"auto_rotate_period": "5m"},
            "auto rotate period must be 0 to disable or at least an hour",
        ),
        ("keys/other", {"type": "nothing"}, "unknown key type nothing"),
    ],
)
def test_transit_refusals(user: Api, path: str, body: Any, error: str) -> None:
    answer = user.post(f"transit/{path}", body)
    assert (answer.status, answer.errors) == (400, [error])


def test_the_size_of_the_cache(user: Api) -> None:
    assert user.get("transit/cache-config").data == {"size": 0}
    assert user.post("transit/cache-config", {"size": 500}).data == {"size": 500}
    assert user.get("transit/cache-config").data == {"size": 500}
    refused = user.post("transit/cache-config", {"size": 2})
    assert (refused.status, refused.errors) == (400, ["size must be 0 or a value greater or equal to 10"])


def test_derived_keys(user: Api) -> None:
    sent = {"salt": "sodium chloride", "key_index_from": 0, "key_index_to": 2}
    answer = user.post("transit/derivedkeys/plaintext/orders", sent)
    assert tuple(answer.json) == ENVELOPE
    assert list(answer.data) == ["0", "1", "key_version"]
    for index in ("0", "1"):
        opened = user.post("transit/decrypt/orders", {"ciphertext": answer.data[index]["ciphertext"]})
        assert opened.data == {"plaintext": answer.data[index]["plaintext"]}
    assert set(user.post("transit/derivedkeys/wrapped/orders", sent).data["0"]) == {"ciphertext"}


def test_key_deletion_must_be_allowed(user: Api) -> None:
    answer = user.delete("transit/keys/orders")
    text = "error deleting policy orders: deletion is not allowed for this key"
    assert (answer.status, answer.errors) == (400, [text])
    missing = user.delete("transit/keys/nothing")
    text = "error deleting policy nothing: could not delete key; not found"
    assert (missing.status, missing.errors) == (400, [text])


def test_encrypt_creates_a_missing_key(tenant: Tenant) -> None:
    encrypted = tenant.user.put("transit/encrypt/upserted", {"plaintext": HELLO}).data
    assert set(encrypted) == {"ciphertext", "key_version"}
    assert re.fullmatch(r"vault:v1:[A-Za-z0-9+/]{44}", encrypted["ciphertext"])
    decrypted = tenant.user.put("transit/decrypt/upserted", {"ciphertext": encrypted["ciphertext"]})
    assert decrypted.data == {"plaintext": HELLO}


def test_empty_plaintext_is_a_plaintext(user: Api) -> None:
    ciphertext = user.put("transit/encrypt/orders", {"plaintext": ""}).data["ciphertext"]
    assert user.put("transit/decrypt/orders", {"ciphertext": ciphertext}).data == {"plaintext": ""}


def test_associated_data_is_bound(user: Api) -> None:
    bound = {"plaintext": HELLO, "associated_data": b64("for this")}
    ciphertext = user.put("transit/encrypt/orders", bound).data["ciphertext"]
    refused = user.put("transit/decrypt/orders", {"ciphertext": ciphertext})
    assert refused.errors == ["cipher: message authentication failed"]
    opened = user.put("transit/decrypt/orders", {"ciphertext": ciphertext, "associated_data": b64("for this")})
    assert opened.data == {"plaintext": HELLO}


def batch(answer: Answer) -> Any:
    assert tuple(answer.json) == ENVELOPE
    return answer.json["data"]["batch_results"]


def test_batches_keep_order_and_references(user: Api) -> None:
    items = [{"plaintext": b64(text), "reference": text} for text in ("one", "two")]
    encrypted = batch(user.post("transit/encrypt/orders", {"batch_input": items}))
    assert [set(item) for item in encrypted] == [{"ciphertext", "key_version", "reference"}] * 2
    decrypted = batch(user.post("transit/decrypt/orders", {"batch_input": encrypted}))
    assert decrypted == items


def test_batch_with_failures_is_400_unless_told_otherwise(user: Api) -> None:
    mixed = [{"plaintext": HELLO}, {"plaintext": "!"}]
    answer = user.post("transit/encrypt/orders", {"batch_input": mixed})
    good, bad = batch(answer)
    assert answer.status == 400
    assert good["ciphertext"].startswith("vault:v3:")
    assert bad["error"] == "illegal base64 data at input byte 0"
    for code, status in ((207, 207), (600, 400)):
        partly = {"batch_input": mixed, "partial_failure_response_code": code}
        assert user.post("transit/encrypt/orders", partly).status == status
    partly = {"batch_input": mixed[1:], "partial_failure_response_code": 207}
    assert user.post("transit/encrypt/orders", partly).status == 400


def test_batch_of_rewrap_is_always_200(user: Api) -> None:
    old = user.post("transit/encrypt/orders", {"plaintext": HELLO, "key_version": 2}).data["ciphertext"]
    answer = user.post("transit/rewrap/orders", {"batch_input": [{"ciphertext": old}, {"ciphertext": "x"}]})
    good, bad = batch(answer)
    assert answer.status == 200
    assert (good["key_version"], bad["error"]) == (3, "invalid ciphertext: no prefix")
