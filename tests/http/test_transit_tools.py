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


@pytest.mark.parametrize(
    ("path", "sent", "error"),
    [
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
