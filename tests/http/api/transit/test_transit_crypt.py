"""Transit encrypt, decrypt and rewrap from request to answer, in the words of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, KmsError, PermissionDenied, UnsupportedOperation, UnsupportedPath
from kms_actors.messages import Grants
from kms_http.api.transit.routes import ROUTES
from kms_http.routing import EXISTENCE, Router
from tests.actors.transit_tenant import opened
from tests.http.transit_api import DELETE, FOX, LIST, READ, WRITE, Api, call_of

MISSING_CONTEXT = (
    "missing 'context' for key derivation; the key was created using a derived key, which means additional, "
    "per-request information must be included in order to perform operations with the key"
)
MIXED = "context should be set either in all the request blocks or in none"
FORGED = "cipher: message authentication failed"
TOO_HIGH = "requested version for encryption is higher than the latest key version"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        api = Api(tenant)
        await api.post("keys/k")
        yield api


async def encrypted(api: Api, name: str = "k", **sent: Any) -> str:
    text: str = (await api.post(f"encrypt/{name}", **{"plaintext": FOX, **sent}))["ciphertext"]
    return text


async def test_encrypt_then_decrypt(api: Api) -> None:
    data = await api.post("encrypt/k", plaintext=FOX)
    assert list(data) == ["ciphertext", "key_version"]
    assert data["ciphertext"].startswith("vault:v1:")
    assert data["key_version"] == 1
    assert await api.post("decrypt/k", ciphertext=data["ciphertext"]) == {"plaintext": FOX}


async def test_an_empty_plaintext_is_one(api: Api) -> None:
    text = await encrypted(api, plaintext="")
    assert await api.post("decrypt/k", ciphertext=text) == {"plaintext": ""}


async def test_a_number_is_taken_for_its_digits(api: Api) -> None:
    text = await encrypted(api, plaintext=1234)
    assert await api.post("decrypt/k", ciphertext=text) == {"plaintext": "1234"}


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({}, "missing plaintext to encrypt"),
        ({"plaintext": "!!notb64"}, "illegal base64 data at input byte 0"),
        ({"plaintext": "aGVsbG8"}, "illegal base64 data at input byte 4"),
        ({"plaintext": FOX, "context": "!!"}, "illegal base64 data at input byte 0"),
        ({"plaintext": FOX, "key_version": 99}, TOO_HIGH),
        ({"plaintext": FOX, "key_version": -1}, "requested version for encryption is negative"),
        ({"plaintext": FOX, "nonce": "MTIzNDU2Nzg5MDEy"}, "nonce provided when not allowed"),
        (
            {"plaintext": FOX, "associated_data": "!!"},
            "unable to get associated_data/additional_data from factory[0]: illegal base64 data at input byte 0",
        ),
        ({"batch_input": []}, "missing batch input to process"),
        ({"batch_input": "x"}, "failed to parse batch input: source data must be an array or slice, got string"),
    ],
)
async def test_encrypt_refuses(api: Api, sent: dict[str, Any], error: str) -> None:
    assert await api.refused("encrypt/k", **sent) == error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "missing ciphertext to decrypt"),
        ("", "missing ciphertext to decrypt"),
        ("xx", "invalid ciphertext: no prefix"),
        ("vault:v1", "invalid ciphertext: wrong number of fields"),
        ("vault:v1:", "invalid ciphertext length"),
        ("vault:v0:AAAA", "invalid ciphertext length"),
        ("vault:v9:AAAA", "invalid ciphertext: version is too new"),
        ("vault:v1:" + "A" * 54 + "==", FORGED),
    ],
)
@pytest.mark.parametrize("operation", ["decrypt", "rewrap"])
async def test_decrypt_and_rewrap_refuse(api: Api, operation: str, text: str | None, error: str) -> None:
    sent: dict[str, Any] = {} if text is None else {"ciphertext": text}
    assert await api.refused(f"{operation}/k", **sent) == error
    assert await api.refused(f"{operation}/nosuch", ciphertext="vault:v1:AAAA") == "encryption key not found"


async def test_text_of_a_wrong_type_has_no_prefix_where_existence_is_checked(api: Api) -> None:
    assert (await api.refused("encrypt/k", plaintext=[])).startswith("error converting input for field")
    assert (await api.refused("decrypt/k", ciphertext=[])).startswith("Field validation failed: error converting")


async def test_associated_data_must_be_the_same(api: Api) -> None:
    text = await encrypted(api, associated_data="YWQ=")
    assert await api.post("decrypt/k", ciphertext=text, associated_data="YWQ=") == {"plaintext": FOX}
    assert await api.refused("decrypt/k", ciphertext=text) == FORGED
    assert await api.refused("decrypt/k", ciphertext=text, associated_data="YXg=") == FORGED
    moved = await api.post("rewrap/k", ciphertext=text, associated_data="YWQ=")
    assert await api.post("decrypt/k", ciphertext=moved["ciphertext"], associated_data="YWQ=") == {"plaintext": FOX}


async def test_derived_and_convergent_keys(api: Api) -> None:
    await api.post("keys/der", derived=True)
    assert await api.refused("encrypt/der", plaintext=FOX) == MISSING_CONTEXT
    text = await encrypted(api, "der", context="Yw==")
    assert await api.post("decrypt/der", ciphertext=text, context="Yw==") == {"plaintext": FOX}
    assert await api.refused("decrypt/der", ciphertext=text) == MISSING_CONTEXT
    assert await api.refused("decrypt/der", ciphertext=text, context="ZA==") == FORGED
    await api.post("keys/conv", derived=True, convergent_encryption=True)
    assert await encrypted(api, "conv", context="Yw==") == await encrypted(api, "conv", context="Yw==")
    refused = await api.refused("encrypt/conv", plaintext=FOX, context="Yw==", nonce="MTIzNDU2Nzg5MDEy")
    assert refused == "nonce provided when not allowed"


async def test_context_on_a_key_that_is_not_derived_is_ignored(api: Api) -> None:
    assert await api.post("decrypt/k", ciphertext=await encrypted(api, context="Yw==")) == {"plaintext": FOX}


async def test_versions(api: Api) -> None:
    old = await encrypted(api)
    await api.post("keys/k/rotate")
    await api.post("keys/k/rotate")
    assert (await encrypted(api)).startswith("vault:v3:")
    assert (await encrypted(api, key_version=1)).startswith("vault:v1:")
    assert (await encrypted(api, key_version="2")).startswith("vault:v2:")
    assert (await api.post("rewrap/k", ciphertext=old))["key_version"] == 3
    assert (await api.post("rewrap/k", ciphertext=old, key_version=2))["ciphertext"].startswith("vault:v2:")
    await api.post("keys/k/config", min_decryption_version=2)
    too_old = "ciphertext or signature version is disallowed by policy (too old)"
    assert await api.refused("decrypt/k", ciphertext=old) == too_old
    assert await api.refused("encrypt/k", plaintext=FOX, key_version=1) == "no such key version"
    await api.post("keys/k/config", min_encryption_version=3)
    below = "requested version for encryption is less than the minimum encryption key version"
    assert await api.refused("encrypt/k", plaintext=FOX, key_version=2) == below


async def test_a_missing_key_is_made(api: Api) -> None:
    await encrypted(api, "up1", type="chacha20-poly1305")
    await encrypted(api, "up2", context="Yw==", convergent_encryption=True)
    assert (await api(READ, "keys/up1"))[1]["type"] == "chacha20-poly1305"
    made = (await api(READ, "keys/up2"))[1]
    assert (made["derived"], made["convergent_encryption"]) == (True, True)
    assert await api.refused("encrypt/up3", plaintext=FOX, type="nosuch") == "unknown key type nosuch"
    assert await api.refused("encrypt/up3", plaintext=FOX, convergent_encryption=True) == (
        "convergent encryption requires derivation to be enabled, so context is required"
    )
    assert await api.refused("encrypt/up3") == "missing plaintext to encrypt"
    assert (await api(LIST, "keys"))[1] == {"keys": ["k", "up1", "up2"]}


async def test_a_missing_key_is_made_also_for_a_plaintext_that_is_none(api: Api) -> None:
    assert await api.refused("encrypt/up", plaintext="!") == "illegal base64 data at input byte 0"
    assert (await api(LIST, "keys"))[1] == {"keys": ["k", "up"]}


async def test_that_a_key_is_missing_is_told_before_what_is_wrong_with_a_request(api: Api) -> None:
    await api.post("config/keys", disable_upsert=True)
    wrong: dict[str, dict[str, Any]] = {
        "encrypt": {"plaintext": "!"},
        "decrypt": {"ciphertext": "x", "context": "!"},
        "rewrap": {"ciphertext": "x", "associated_data": "!"},
        "datakey/wrapped": {"bits": 7},
        "hmac": {},
    }
    for operation, sent in wrong.items():
        assert await api.refused(f"{operation}/nosuch", **sent) == "encryption key not found"
    assert await api.refused("hmac/nosuch", batch_input="x") == "encryption key not found"
    assert await api.refused("sign/nosuch", batch_input=[]) == "signing key not found"
    assert await api.refused("sign/nosuch", input="!") == "signing key not found"
    assert await api.refused("sign/nosuch", hash_algorithm="none", input=FOX) == "signing key not found"
    assert await api.refused("decrypt/nosuch") == "missing ciphertext to decrypt"
    assert await api.refused("decrypt/nosuch", batch_input=[]) == "missing batch input to process"


async def test_making_needs_create_and_using_needs_update(api: Api) -> None:
    api.grants = Grants(create=False)
    with pytest.raises(PermissionDenied):
        await api(WRITE, "encrypt/up", {"plaintext": FOX})
    api.grants = Grants(update=False)
    await encrypted(api, "up")
    with pytest.raises(PermissionDenied):
        await api(WRITE, "encrypt/up", {"plaintext": FOX})


async def test_upsert_can_be_forbidden(api: Api) -> None:
    assert await api(READ, "config/keys") == (200, {"disable_upsert": False})
    assert await api.post("config/keys", disable_upsert=True) == {"disable_upsert": True}
    assert await api.refused("encrypt/up", plaintext=FOX) == "encryption key not found"


async def test_batches_keep_order_and_references(api: Api) -> None:
    await api.post("keys/k/rotate")
    items = [{"plaintext": FOX}, {"plaintext": "dHdv", "reference": "r1"}, {"plaintext": "", "key_version": 1}]
    status, results = await api.batch("encrypt/k", *items, plaintext="ignored!")
    assert status == 200
    assert [list(result) for result in results] == [["ciphertext", "key_version", "reference"]] * 3
    assert [(result["key_version"], result["reference"]) for result in results] == [(2, ""), (2, "r1"), (1, "")]
    sealed = [{"ciphertext": result["ciphertext"], "reference": "x"} for result in results]
    assert await api.batch("decrypt/k", *sealed) == (
        200,
        [{"plaintext": text, "reference": "x"} for text in (FOX, "dHdv", "")],
    )


async def test_a_batch_with_failures_is_400_with_all_results(api: Api) -> None:
    bad = [{"plaintext": "!!"}, {"plaintext": FOX, "key_version": 99, "reference": "r"}]
    status, results = await api.batch("encrypt/k", {"plaintext": FOX}, *bad, {"plaintext": FOX, "nonce": "AAAA"})
    assert status == 400
    assert results[0]["key_version"] == 1
    assert results[1:] == [
        {"error": "illegal base64 data at input byte 0", "reference": ""},
        {"error": TOO_HIGH, "reference": "r"},
        {"error": "nonce provided when not allowed", "reference": ""},
    ]
    text = results[0]["ciphertext"]
    sealed = [{"ciphertext": text}, {"ciphertext": "bad"}, {"ciphertext": text, "associated_data": "eg=="}]
    assert await api.batch("decrypt/k", *sealed) == (
        400,
        [
            {"plaintext": FOX, "reference": ""},
            {"plaintext": "", "error": "invalid ciphertext: no prefix", "reference": ""},
            {"plaintext": "", "error": FORGED, "reference": ""},
        ],
    )


@pytest.mark.parametrize(("code", "status"), [(207, 207), ("207", 207), (599, 599), (200, 200)])
async def test_a_caller_chooses_the_status_of_a_partial_failure(api: Api, code: Any, status: int) -> None:
    items = [{"plaintext": FOX}, {"plaintext": "!!"}]
    assert (await api.batch("encrypt/k", *items, partial_failure_response_code=code))[0] == status


@pytest.mark.parametrize("code", [0, -1, 100, 199, 204, 304, 600, 10**9])
async def test_a_status_that_cannot_carry_results_is_not_used(api: Api, code: int) -> None:
    sent = {"batch_input": [{"plaintext": FOX}, {"plaintext": "!!"}], "partial_failure_response_code": code}
    reply = await api.reply(WRITE, "encrypt/k", sent)
    assert reply.status == 400
    assert reply.warnings == (
        "invalid HTTP response code override from partial_failure_response_code, reverting to 400",
    )


async def test_the_chosen_status_is_for_partial_failures_only(api: Api) -> None:
    assert (await api.batch("encrypt/k", {"plaintext": FOX}, partial_failure_response_code=207))[0] == 200
    assert (await api.batch("encrypt/k", {"plaintext": "!!"}, partial_failure_response_code=207))[0] == 400


async def test_a_rewrap_batch_is_200_whatever_fails(api: Api) -> None:
    text = await encrypted(api)
    await api.post("keys/k/rotate")
    status, results = await api.batch("rewrap/k", {"ciphertext": text, "reference": "r0"}, {"ciphertext": "bad"}, {})
    assert status == 200
    assert (results[0]["key_version"], results[0]["reference"]) == (2, "r0")
    assert results[1:] == [
        {"error": "invalid ciphertext: no prefix", "reference": ""},
        {"error": "missing ciphertext to decrypt", "reference": ""},
    ]


@pytest.mark.parametrize(
    ("items", "problems"),
    [
        ([{"plaintext": FOX}, {}], ["'[1].plaintext' missing plaintext to encrypt"]),
        (["x"], ["[0] expected a map, got 'string'"]),
        ([None], ["[0] expected a map, got '<nil>'"]),
        ([{"plaintext": 1}], ["'[0].plaintext' expected type 'string', got unconvertible type 'json.Number'"]),
        ([{"plaintext": None}], ["'[0].plaintext' expected type 'string', got unconvertible type '<nil>'"]),
        (
            [{"plaintext": FOX, "key_version": "1", "reference": 5}],
            [
                "'[0].key_version' expected type 'int', got unconvertible type 'string'",
                "'[0].reference' expected type 'string', got unconvertible type 'json.Number'",
            ],
        ),
        (
            [{"plaintext": FOX, "key_version": True}],
            ["'[0].key_version' expected type 'int', got unconvertible type 'bool'"],
        ),
        (
            [{"plaintext": FOX, "key_version": 1.5}],
            ["error decoding json.Number into [0].key_version: strconv.ParseInt: invalid syntax"],
        ),
    ],
)
async def test_a_batch_of_another_shape_is_refused_as_a_whole(
    api: Api, items: list[Any], problems: list[str]
) -> None:
    listed = "\n".join(f"* {problem}" for problem in problems)
    expected = f"failed to parse batch input: {len(problems)} error(s) decoding:\n\n{listed}"
    assert await api.refused("encrypt/k", batch_input=items) == expected


async def test_a_batch_for_decryption_needs_ciphertexts(api: Api) -> None:
    assert await api.refused("decrypt/k", batch_input=[{}]) == (
        "failed to parse batch input: 1 error(s) decoding:\n\n* '[0].ciphertext' missing ciphertext to decrypt"
    )
    assert (await api.batch("decrypt/k", {"ciphertext": ""}))[1] == [
        {"plaintext": "", "error": "missing ciphertext to decrypt", "reference": ""}
    ]


async def test_contexts_come_in_all_items_or_in_none(api: Api) -> None:
    await api.post("keys/der", derived=True)
    mixed = [{"plaintext": FOX, "context": "YQ=="}, {"plaintext": FOX}]
    assert await api.refused("encrypt/der", batch_input=mixed) == MIXED
    assert await api.refused("encrypt/new", batch_input=mixed) == MIXED
    text = await encrypted(api, "der", context="YQ==")
    mixed = [{"ciphertext": text, "context": "YQ=="}, {"ciphertext": text}]
    assert await api.refused("decrypt/der", batch_input=mixed) == MIXED
    status, results = await api.batch(
        "encrypt/der", {"plaintext": FOX, "context": "YQ=="}, {"plaintext": FOX, "context": "Yg=="}
    )
    assert status == 200
    assert results[0]["ciphertext"] != results[1]["ciphertext"]


async def test_an_index_tells_which_associated_data_is_bad(api: Api) -> None:
    _, results = await api.batch("encrypt/k", {"plaintext": FOX}, {"plaintext": FOX, "associated_data": "!!"})
    assert results[1]["error"] == (
        "unable to get associated_data/additional_data from factory[1]: illegal base64 data at input byte 0"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["plaintext", "ciphertext", "input", "context", "associated_data", "nonce", "reference", "key_version", "x"]
NAMES += ["signature", "hmac", "cmac", "mac_length", "padding_scheme", "prehashed", "salt_length", "hash_algorithm"]
SENT = st.dictionaries(
    st.sampled_from([*NAMES, "batch_input", "partial_failure_response_code", "bits", "format", "algorithm", "type"]),
    JSON | st.lists(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4), max_size=4),
    max_size=5,
)
PATHS = ["encrypt/k", "decrypt/k", "rewrap/k", "hmac/k", "datakey/plaintext/k", "hash", "random", "keys/new"]
PATHS += ["sign/k", "sign/k/sha1", "verify/k", "verify/k/none", "cmac/k", "cmac/k/8"]


@settings(max_examples=250, deadline=None)
@given(path=st.sampled_from(PATHS), sent=SENT)
def test_any_request_becomes_a_message_or_is_refused(path: str, sent: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        endpoint, call = call_of(WRITE, path, sent, Grants())
        assert endpoint.build(call) is not None


@pytest.mark.parametrize(
    ("path", "operation", "error"),
    [
        ("encrypt/k", READ, UnsupportedOperation),
        ("keys", READ, UnsupportedOperation),
        ("keys/k/rotate", READ, UnsupportedOperation),
        ("keys/k/nosuch", WRITE, UnsupportedPath),
        ("keys/a b", WRITE, UnsupportedPath),
        ("keys/-a", WRITE, UnsupportedPath),
        ("nosuch", READ, UnsupportedPath),
    ],
)
def test_other_paths_and_operations_are_told_apart(path: str, operation: Any, error: type[KmsError]) -> None:
    with pytest.raises(error):
        Router(ROUTES).resolve(path, operation)


@pytest.mark.parametrize(
    ("path", "operation", "capability"),
    [
        ("encrypt/k", WRITE, EXISTENCE),
        ("decrypt/k", WRITE, Capability.UPDATE),
        ("rewrap/k", WRITE, Capability.UPDATE),
        ("datakey/plaintext/k", WRITE, Capability.UPDATE),
        ("hmac/k", WRITE, Capability.UPDATE),
        ("hash", WRITE, Capability.UPDATE),
        ("random/16", WRITE, Capability.UPDATE),
        ("keys/k", WRITE, Capability.UPDATE),
        ("keys/k", READ, Capability.READ),
        ("keys/k", DELETE, Capability.DELETE),
        ("keys/", LIST, Capability.LIST),
        ("keys/k/rotate", WRITE, Capability.UPDATE),
        ("keys/k/config", WRITE, Capability.UPDATE),
        ("keys/k/trim", WRITE, Capability.UPDATE),
        ("keys/k/soft-delete", DELETE, Capability.DELETE),
        ("keys/k/soft-delete-restore", WRITE, Capability.UPDATE),
        ("config/keys", READ, Capability.READ),
        ("config/keys", WRITE, Capability.UPDATE),
        ("cache-config", READ, Capability.READ),
        ("cache-config", WRITE, Capability.UPDATE),
    ],
)
def test_each_endpoint_needs_the_capability_of_the_api(path: str, operation: Any, capability: Any) -> None:
    _, endpoint, _ = Router(ROUTES).resolve(path, operation)
    assert endpoint.capability is capability


@pytest.mark.parametrize("scheme", ["oaep", "pkcs1v15"])
async def test_rsa_with_each_padding(api: Api, scheme: str) -> None:
    await api.post("keys/r", type="rsa-2048")
    text = (await api.post("encrypt/r", plaintext=FOX, padding_scheme=scheme))["ciphertext"]
    assert await api.post("decrypt/r", ciphertext=text, padding_scheme=scheme) == {"plaintext": FOX}
    moved = await api.post("rewrap/r", ciphertext=text, decrypt_padding_scheme=scheme, encrypt_padding_scheme="oaep")
    assert await api.post("decrypt/r", ciphertext=moved["ciphertext"]) == {"plaintext": FOX}
    _, [item] = await api.batch("encrypt/r", {"plaintext": FOX}, padding_scheme=scheme)
    sent = {"ciphertext": item["ciphertext"], "padding_scheme": scheme}
    assert await api.batch("decrypt/r", sent) == (200, [{"plaintext": FOX, "reference": ""}])
    made = await api.post("datakey/plaintext/r", padding_scheme=scheme)
    opened = await api.post("decrypt/r", ciphertext=made["ciphertext"], padding_scheme=scheme)
    assert opened == {"plaintext": made["plaintext"]}


async def test_what_rsa_refuses(api: Api) -> None:
    await api.post("keys/r", type="rsa-2048")
    await api.post("keys/k")
    refused = api.refused
    wrong = "failed to RSA decrypt the ciphertext: crypto/rsa: decryption error"
    assert await refused("decrypt/r", ciphertext="vault:v1:AAAA") == wrong
    assert await refused("decrypt/r", ciphertext="vault:v1:" + "A" * 342 + "==") == wrong
    assert await refused("encrypt/r", plaintext="eHh4" * 64) == (
        "failed to RSA encrypt the plaintext: crypto/rsa: message too long for RSA key size"
    )
    assert await refused("encrypt/r", plaintext=FOX, associated_data="YWQ=") == (
        "'[0].associated_data' provided for non-AEAD cipher suite rsa-2048"
    )
    assert await refused("encrypt/r", plaintext=FOX, padding_scheme="x") == (
        "unsupported padding_scheme; must be one of oaep, pkcs1v15"
    )
    assert await refused("encrypt/k", plaintext=FOX, padding_scheme="oaep") == (
        "padding_scheme is not valid for key type aes256-gcm96"
    )
    _, results = await api.batch(
        "encrypt/r", *[{"plaintext": FOX}] * 3, {"plaintext": FOX, "associated_data": "YWQ="}
    )
    assert results[3]["error"] == "'[3].associated_data' provided for non-AEAD cipher suite rsa-2048"


@pytest.mark.parametrize("operation", ["encrypt", "decrypt", "rewrap", "hmac", "sign", "verify"])
async def test_batches_of_ten_thousand(api: Api, operation: str) -> None:
    """In slices, and in order: each item has its own reference, and one of them is wrong."""
    await api.post("keys/big", type="ed25519" if operation in ("sign", "verify") else "aes256-gcm96")
    item = {
        "encrypt": {"plaintext": FOX},
        "hmac": {"input": FOX},
        "sign": {"input": FOX},
    }.get(operation)
    if operation in ("decrypt", "rewrap"):
        item = {"ciphertext": (await api.post("encrypt/big", plaintext=FOX))["ciphertext"]}
    if operation == "verify":
        item = {"input": FOX, "signature": (await api.post("sign/big", input=FOX))["signature"]}
    assert item is not None
    items = [{**item, "reference": str(number)} for number in range(10_000)]
    field = next(iter(item))
    items[7_777][field] = "*"
    status, results = await api.batch(f"{operation}/big", *items)
    assert status == (400 if operation in ("encrypt", "decrypt") else 200)
    assert [result["reference"] for result in results] == [str(number) for number in range(10_000)]
    assert [number for number, result in enumerate(results) if "error" in result] == [7_777]
