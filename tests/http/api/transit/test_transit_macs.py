"""HMACs and CMACs, from request to answer."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.actors.transit_tenant import opened
from tests.http.transit_api import FOX, Api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("", {}),
        ("/sha3-384", {}),
        ("", {"hash_algorithm": "sha2-512"}),
        ("", {"algorithm": "sha2-512"}),
        ("/sha2-512", {"hash_algorithm": "sha1", "algorithm": "sha1"}),
    ],
)
async def test_hmacs_verify_with_the_hash_named_in_any_way(api: Api, path: str, sent: dict[str, str]) -> None:
    await api.post("keys/k")
    name = path.removeprefix("/") or next(iter(sent.values()), "sha2-256")
    made = (await api.post(f"hmac/k/{name}", input=FOX))["hmac"]
    assert await api.post(f"verify/k{path}", input=FOX, hmac=made, **sent) == {"valid": True}
    assert await api.post(f"verify/k{path}", input="AAAA", hmac=made, **sent) == {"valid": False}


async def test_hashes_no_hmac_has(api: Api) -> None:
    await api.post("keys/k")
    sent: dict[str, Any] = {"input": FOX, "hmac": "vault:v1:AAAA"}
    assert await api.refused("verify/k/nosuch", **sent) == 'unsupported algorithm "nosuch"'
    none: dict[str, Any] = {"hash_algorithm": "none", "prehashed": True, "signature_algorithm": "pkcs1v15"}
    assert await api.refused("verify/k", **sent, **none) == 'unsupported algorithm "none"'


async def test_a_signature_wins_over_an_hmac(api: Api) -> None:
    await api.post("keys/k", type="ed25519")
    signature = (await api.post("sign/k", input=FOX))["signature"]
    assert await api.post("verify/k", input=FOX, signature=signature, hmac="nonsense") == {"valid": True}


async def test_a_batch_of_hmacs_to_verify(api: Api) -> None:
    await api.post("keys/k")
    made = (await api.post("hmac/k", input=FOX))["hmac"]
    items = [
        {"input": FOX, "hmac": made, "reference": "a"},
        {"input": "AAAA", "hmac": made},
        {"hmac": made},
        {"input": FOX, "hmac": ""},
        {"input": FOX, "hmac": "x"},
    ]
    assert await api.batch("verify/k", *items) == (
        200,
        [
            {"valid": True, "reference": "a"},
            {"reference": ""},
            {"error": "missing input", "reference": ""},
            {"error": "invalid HMAC to verify: no prefix", "reference": ""},
            {"error": "invalid HMAC to verify: no prefix", "reference": ""},
        ],
    )


@pytest.mark.parametrize("type_name", ["aes128-cmac", "aes192-cmac", "aes256-cmac"])
async def test_cmacs(api: Api, type_name: str) -> None:
    info = await api.post("keys/k", type=type_name)
    assert not any(info[f"supports_{use}"] for use in ("encryption", "decryption", "signing", "derivation"))
    whole = (await api.post("cmac/k", input=FOX))["cmac"]
    assert await api.post("verify/k", input=FOX, cmac=whole) == {"valid": True}
    assert await api.post("verify/k", input="AAAA", cmac=whole) == {"valid": False}
    assert await api.post("verify/k", input=FOX, cmac=whole, mac_length=8) == {"valid": False}
    short = (await api.post("cmac/k/8", input=FOX, mac_length=4))["cmac"]
    assert len(base64.b64decode(short.removeprefix("vault:v1:"))) == 8
    assert (await api.post("cmac/k", input=FOX, mac_length="8"))["cmac"] == short
    assert await api.post("verify/k", input=FOX, cmac=short, mac_length=8) == {"valid": True}


async def test_a_batch_of_cmacs(api: Api) -> None:
    await api.post("keys/k", type="aes256-cmac")
    items: list[dict[str, Any]] = [
        {"input": FOX, "reference": "a"},
        {"input": FOX, "mac_length": 9},
        {},
        {"input": "*"},
    ]
    status, results = await api.batch("cmac/k", *items, mac_length=12)
    assert status == 200
    sizes = [len(base64.b64decode(result["cmac"].removeprefix("vault:v1:"))) for result in results[:2]]
    assert sizes == [12, 9]
    assert results[2:] == [
        {"error": "missing input for CMAC", "reference": ""},
        {"error": "unable to decode input as base64: illegal base64 data at input byte 0", "reference": ""},
    ]
    checked = [
        {"input": FOX, "cmac": results[0]["cmac"]},
        {"input": FOX, "cmac": results[1]["cmac"], "mac_length": 9},
        {"input": FOX, "cmac": results[1]["cmac"]},
    ]
    assert await api.batch("verify/k", *checked, mac_length=12) == (
        200,
        [{"valid": True, "reference": ""}, {"valid": True, "reference": ""}, {"reference": ""}],
    )


async def test_cmacs_that_cannot_be(api: Api) -> None:
    await api.post("keys/k", type="aes256-cmac")
    await api.post("keys/a")
    assert await api.refused("cmac/nosuch", input=FOX) == "encryption key not found"
    assert await api.refused("cmac/k") == "missing input for CMAC"
    assert await api.refused("cmac/k/17", input=FOX) == "invalid mac_length; must be 0, or between 8 and 16"
    assert await api.refused("cmac/k/x", input=FOX) == "error parsing url-set mac_length: not a whole number"
    assert await api.refused("cmac/a", input=FOX) == "key type aes256-gcm96 does not support CMAC"
    assert await api.refused("hmac/k", input=FOX) == "key type aes256-cmac does not support HMAC"
    assert await api.refused("encrypt/k", plaintext=FOX) == (
        "message encryption not supported for key type aes256-cmac"
    )
