"""Transit data keys, HMACs, hashes and random bytes, from request to answer."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.actors.transit_tenant import opened
from tests.http.transit_api import FOX, WRITE, Api

SHA2_256 = "9ecb36561341d18eb65484e833efea61edc74b84cf5e6ae1b81c63533e25fc8f"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        api = Api(tenant)
        await api.post("keys/k")
        yield api


@pytest.mark.parametrize(("sent", "length"), [({}, 32), ({"bits": 128}, 16), ({"bits": "512"}, 64)])
async def test_a_data_key_is_given_encrypted_and_in_the_clear(api: Api, sent: dict[str, Any], length: int) -> None:
    data = await api.post("datakey/plaintext/k", **sent)
    assert list(data) == ["ciphertext", "key_version", "plaintext"]
    assert len(base64.b64decode(data["plaintext"])) == length
    assert await api.post("decrypt/k", ciphertext=data["ciphertext"]) == {"plaintext": data["plaintext"]}


async def test_a_wrapped_data_key_is_given_encrypted_only(api: Api) -> None:
    data = await api.post("datakey/wrapped/k", associated_data="YWQ=")
    assert list(data) == ["ciphertext", "key_version"]
    assert await api.post("decrypt/k", ciphertext=data["ciphertext"], associated_data="YWQ=")


async def test_a_data_key_of_a_derived_key_needs_a_context(api: Api) -> None:
    await api.post("keys/der", derived=True)
    assert (await api.refused("datakey/wrapped/der")).startswith("missing 'context' for key derivation")
    assert await api.post("datakey/wrapped/der", context="YQ==")


async def test_data_keys_are_made_many_at_once(api: Api) -> None:
    data = await api.post("datakeys/plaintext/k", count=600, bits=128)
    assert (list(data), data["key_version"]) == (["key_pairs", "key_version"], 1)
    pairs = data["key_pairs"]
    assert len({pair["plaintext"] for pair in pairs}) == 600
    assert {len(base64.b64decode(pair["plaintext"])) for pair in pairs} == {16}
    for pair in (pairs[0], pairs[-1]):
        opened_again = await api.post("decrypt/k", ciphertext=pair["ciphertext"])
        assert opened_again["plaintext"] == pair["plaintext"]
    [wrapped] = (await api.post("datakeys/wrapped/k"))["key_pairs"]
    assert list(wrapped) == ["ciphertext"]


async def test_derived_keys_come_again_for_the_same_input_and_no_other(api: Api) -> None:
    sent = {"salt": "sodium chloride", "info": "disk", "key_index_from": 3, "key_index_to": 6}
    data = await api.post("derivedkeys/plaintext/k", **sent)
    assert list(data) == ["3", "4", "5", "key_version"]
    assert data["key_version"] == 1
    assert list(data["3"]) == ["ciphertext", "plaintext"]
    keys = [data[index]["plaintext"] for index in ("3", "4", "5")]
    assert [len(base64.b64decode(key)) for key in keys] == [32] * 3
    assert await api.post("decrypt/k", ciphertext=data["4"]["ciphertext"]) == {"plaintext": keys[1]}
    again = await api.post("derivedkeys/plaintext/k", **{**sent, "key_index_from": 4, "key_index_to": 5})
    assert again["4"]["plaintext"] == keys[1]
    assert again["4"]["ciphertext"] != data["4"]["ciphertext"]
    for other in ({"salt": "x"}, {"info": ""}, {"info": "disk2"}):
        different = await api.post("derivedkeys/plaintext/k", **{**sent, **other})
        assert not set(keys) & {entry["plaintext"] for entry in different.values() if isinstance(entry, dict)}


async def test_derived_keys_are_of_the_version_that_encrypts_them(api: Api) -> None:
    sent = {"salt": "s", "key_index_from": 0, "key_index_to": 1, "bits": 128}
    first = await api.post("derivedkeys/plaintext/k", **sent)
    await api.post("keys/k/rotate")
    second = await api.post("derivedkeys/plaintext/k", **sent)
    assert (first["key_version"], second["key_version"]) == (1, 2)
    assert first["0"]["plaintext"] != second["0"]["plaintext"]
    assert len(base64.b64decode(second["0"]["plaintext"])) == 16
    old = await api.post("derivedkeys/plaintext/k", key_version=1, **sent)
    assert (old["0"]["plaintext"], old["key_version"]) == (first["0"]["plaintext"], 1)


async def test_many_derived_keys_may_be_wrapped_and_need_the_context_of_a_derived_key(api: Api) -> None:
    await api.post("keys/der", derived=True)
    sent: dict[str, Any] = {"salt": "s", "key_index_from": 1, "key_index_to": 501}
    assert (await api.refused("derivedkeys/wrapped/der", **sent)).startswith("missing 'context' for key derivation")
    data = await api.post("derivedkeys/wrapped/der", context="YQ==", **sent)
    assert len(data) == 501
    assert list(data["500"]) == ["ciphertext"]
    plain = await api.post("derivedkeys/plaintext/der", context="Yg==", **sent)
    opened_again = await api.post("decrypt/der", ciphertext=data["7"]["ciphertext"], context="YQ==")
    assert opened_again["plaintext"] == plain["7"]["plaintext"]  # the context is that of the encryption only


async def test_an_rsa_key_encrypts_derived_keys_too(api: Api) -> None:
    await api.post("keys/rsa", type="rsa-2048")
    data = await api.post("derivedkeys/plaintext/rsa", salt="s", key_index_from=0, key_index_to=2)
    assert (await api.post("decrypt/rsa", ciphertext=data["1"]["ciphertext"]))["plaintext"] == data["1"]["plaintext"]
    await api.post("keys/mac", type="hmac")
    error = await api.refused("derivedkeys/plaintext/mac", salt="s", key_index_from=0, key_index_to=2)
    assert error == "message encryption not supported for key type hmac"


DERIVE = {"salt": "s", "key_index_from": 0, "key_index_to": 1}
NO_KEY = "key_index_to must be above key_index_from, by at most 10000"


@pytest.mark.parametrize(
    ("path", "sent", "error"),
    [
        ("derivedkeys/zz/k", DERIVE, "Invalid path, must be 'plaintext' or 'wrapped'"),
        ("derivedkeys/wrapped/k", {**DERIVE, "bits": 100}, "invalid bit length"),
        ("derivedkeys/wrapped/k", {"key_index_from": 0, "key_index_to": 1}, "missing salt"),
        ("derivedkeys/wrapped/k", {**DERIVE, "salt": ""}, "missing salt"),
        ("derivedkeys/wrapped/k", {"salt": "s", "key_index_to": 1}, "missing key_index_from"),
        ("derivedkeys/wrapped/k", {"salt": "s", "key_index_from": 1}, "missing key_index_to"),
        ("derivedkeys/wrapped/k", {**DERIVE, "key_index_from": -1}, "key_index_from cannot be negative"),
        ("derivedkeys/wrapped/k", {**DERIVE, "key_index_from": 1}, NO_KEY),
        ("derivedkeys/wrapped/k", {**DERIVE, "key_index_to": 10_001}, NO_KEY),
        ("derivedkeys/wrapped/k", {**DERIVE, "nonce": "AAAA"}, "nonce provided when not allowed"),
        ("derivedkeys/wrapped/nosuch", DERIVE, "encryption key not found"),
        (
            "derivedkeys/wrapped/k",
            {**DERIVE, "key_version": 2},
            "requested version for encryption is higher than the latest key version",
        ),
        ("datakey/zz/k", {}, "Invalid path, must be 'plaintext' or 'wrapped'"),
        ("datakey/wrapped/k", {"bits": 100}, "invalid bit length"),
        ("datakey/wrapped/k", {"context": "!"}, "failed to base64-decode context"),
        ("datakey/wrapped/k", {"nonce": "AAAA"}, "nonce provided when not allowed"),
        ("datakey/wrapped/nosuch", {}, "encryption key not found"),
        ("datakeys/zz/k", {}, "Invalid path, must be 'plaintext' or 'wrapped'"),
        ("datakeys/wrapped/k", {"count": 0}, "count must be between 1 and 10000"),
        ("datakeys/wrapped/k", {"count": 10_001}, "count must be between 1 and 10000"),
        (
            "datakeys/wrapped/k",
            {"key_version": 2},
            "requested version for encryption is higher than the latest key version",
        ),
        ("datakeys/wrapped/nosuch", {}, "encryption key not found"),
        ("hmac/k", {}, "missing input for HMAC"),
        ("hmac/k", {"input": "!"}, "unable to decode input as base64: illegal base64 data at input byte 0"),
        ("hmac/k/none", {"input": FOX}, 'unsupported algorithm "none"'),
        ("hmac/k", {"input": FOX, "key_version": 5}, "key version does not exist; latest key version is 1"),
        ("hmac/k", {"batch_input": []}, "missing batch input to process"),
        ("hmac/nosuch", {"input": FOX}, "encryption key not found"),
        ("hash", {}, "input missing"),
        ("hash", {"input": "!"}, "unable to decode input as base64: illegal base64 data at input byte 0"),
        ("hash/sha1", {"input": FOX}, "unsupported algorithm sha1"),
        ("hash", {"input": FOX, "format": "x"}, 'unsupported encoding format x; must be "hex" or "base64"'),
        ("random", {"bytes": 0}, "'bytes' cannot be less than 1"),
        ("random", {"bytes": 131073}, "'bytes' should be less than 131072"),
        ("random", {"format": "x"}, 'unsupported encoding format "x"; must be "hex" or "base64"'),
        ("random/zz", {}, 'error parsing url-set byte count: strconv.Atoi: parsing "zz": invalid syntax'),
        ("random/zz/5", {}, 'unsupported entropy source "zz"; must be "platform" or "seal", or "all"'),
    ],
)
async def test_refusals_are_in_the_words_of_the_api(api: Api, path: str, sent: dict[str, Any], error: str) -> None:
    assert await api.refused(path, **sent) == error


async def test_an_algorithm_of_the_path_wins(api: Api) -> None:
    by_path = await api.post("hmac/k/sha2-512", input=FOX, algorithm="sha2-224")
    assert by_path == await api.post("hmac/k", input=FOX, algorithm="sha2-512")
    assert by_path != await api.post("hmac/k", input=FOX)
    assert by_path["hmac"].startswith("vault:v1:")


async def test_a_batch_of_hmacs_is_200_whatever_fails(api: Api) -> None:
    single = await api.post("hmac/k", input=FOX)
    status, results = await api.batch("hmac/k", {"input": FOX, "reference": "r"}, {"input": "!"}, {})
    assert status == 200
    assert results == [
        {**single, "reference": "r"},
        {"error": "unable to decode input as base64: illegal base64 data at input byte 0", "reference": ""},
        {"error": "missing input for HMAC", "reference": ""},
    ]


async def test_hash(api: Api) -> None:
    assert await api.post("hash", input=FOX) == {"sum": SHA2_256}
    assert await api.post("hash/sha2-256", input=FOX, format="base64", algorithm="sha3-512") == {
        "sum": base64.b64encode(bytes.fromhex(SHA2_256)).decode()
    }


@pytest.mark.parametrize(
    ("path", "sent", "length"),
    [("random", {}, 32), ("random/16", {}, 16), ("random/platform/7", {}, 7), ("random", {"bytes": 131072}, 131072)],
)
async def test_random(api: Api, path: str, sent: dict[str, Any], length: int) -> None:
    shown = (await api.post(path, **sent))["random_bytes"]
    assert len(base64.b64decode(shown)) == length
    assert len((await api.post(path, **sent, format="hex"))["random_bytes"]) == 2 * length


@pytest.mark.parametrize(("source", "warns"), [("platform", False), ("seal", True), ("all", True)])
async def test_there_is_one_source_of_randomness(api: Api, source: str, warns: bool) -> None:
    reply = await api.reply(WRITE, f"random/{source}")
    expected = ("no seal/entropy augmentation available, using platform entropy source",) if warns else ()
    assert reply.warnings == expected
