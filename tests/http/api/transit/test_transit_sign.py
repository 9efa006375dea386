"""Signing and verifying, from request to answer."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA3_256, SHA256, SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from tests.actors.transit_tenant import opened
from tests.http.transit_api import DELETE, FOX, READ, WRITE, Api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


async def test_a_signature_is_made_and_verified(api: Api) -> None:
    await api.post("keys/k", type="ed25519")
    signed = await api.post("sign/k", input=FOX)
    assert signed.keys() == {"signature", "key_version"}
    assert signed["key_version"] == 1
    assert await api.post("verify/k", input=FOX, signature=signed["signature"]) == {"valid": True}
    assert await api.post("verify/k", input="AAAA", signature=signed["signature"]) == {"valid": False}


async def test_a_missing_input_is_the_empty_message(api: Api) -> None:
    await api.post("keys/k", type="ed25519")
    signature = (await api.post("sign/k"))["signature"]
    assert await api.post("verify/k", signature=signature, input="") == {"valid": True}


@pytest.mark.parametrize(
    ("path", "sent", "digest"),
    [
        ("", {}, SHA256()),
        ("/sha2-512", {}, SHA512()),
        ("/sha2-512", {"hash_algorithm": "sha3-256", "algorithm": "sha2-224"}, SHA512()),
        ("", {"hash_algorithm": "sha3-256", "algorithm": "sha2-512"}, SHA3_256()),
        ("", {"algorithm": "sha2-512"}, SHA512()),
        ("", {"hash_algorithm": "", "algorithm": "sha3-256"}, SHA3_256()),
    ],
)
async def test_the_hash_is_that_of_the_path_or_the_first_field_that_names_one(
    api: Api, path: str, sent: dict[str, str], digest: Any
) -> None:
    info = await api.post("keys/k", type="ecdsa-p256")
    public = load_pem_public_key(info["keys"]["1"]["public_key"].encode())
    signature = (await api.post(f"sign/k{path}", input=FOX, **sent))["signature"]
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(base64.b64decode(signature.removeprefix("vault:v1:")), base64.b64decode(FOX), ec.ECDSA(digest))
    assert await api.post(f"verify/k{path}", input=FOX, signature=signature, **sent) == {"valid": True}


async def test_every_parameter_reaches_the_key(api: Api) -> None:
    await api.post("keys/k", type="rsa-2048")
    sent = {
        "input": base64.b64encode(bytes(48)).decode(),
        "prehashed": "true",
        "hash_algorithm": "sha2-384",
        "signature_algorithm": "pss",
        "marshaling_algorithm": "jws",
        "salt_length": 20,
    }
    signature = (await api.post("sign/k", key_version="1", **sent))["signature"]
    assert not set("+/=") & set(signature)
    assert await api.post("verify/k", signature=signature, **sent) == {"valid": True}
    for name, other in (("salt_length", "hash"), ("signature_algorithm", "pkcs1v15"), ("prehashed", False)):
        assert await api.post("verify/k", signature=signature, **{**sent, name: other}) == {"valid": False}


@pytest.mark.parametrize("path", ["sign/k", "verify/k"])
@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"hash_algorithm": "x"}, 'invalid hash algorithm "x"'),
        ({"marshaling_algorithm": "x"}, 'invalid marshaling type "x"'),
        ({"salt_length": "x"}, "salt length neither 'auto', 'hash', nor an int: x"),
        ({"salt_length": -5}, "salt length is invalid: -5"),
        (
            {"hash_algorithm": "none"},
            "hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15",
        ),
        ({"input": "A"}, "unable to decode input as base64: illegal base64 data at input byte 0"),
        ({"context": "*"}, "failed to base64-decode context"),
        ({"batch_input": []}, "missing batch input to process"),
        ({"signature_algorithm": "x"}, "unsupported rsa signature algorithm x"),
    ],
)
async def test_bad_parameters(api: Api, path: str, sent: dict[str, Any], error: str) -> None:
    await api.post("keys/k", type="rsa-2048")
    assert await api.refused(path, **{"signature": "vault:v1:AAAA", "input": FOX, **sent}) == error


async def test_versions_of_signatures(api: Api) -> None:
    await api.post("keys/k", type="ed25519")
    await api.post("keys/k/rotate")
    old = await api.post("sign/k", input=FOX, key_version=1)
    assert (old["key_version"], (await api.post("sign/k", input=FOX))["key_version"]) == (1, 2)
    assert await api.post("verify/k", input=FOX, signature=old["signature"]) == {"valid": True}
    await api.post("keys/k/config", min_decryption_version=2, min_encryption_version=2)
    assert await api.refused("sign/k", input=FOX, key_version=1) == (
        "requested version for signing is less than the minimum encryption key version"
    )
    assert await api.refused("sign/k", input=FOX, key_version=-1) == "requested version for signing is negative"
    assert await api.refused("verify/k", input=FOX, signature=old["signature"]) == (
        "ciphertext or signature version is disallowed by policy (too old)"
    )


async def test_keys_that_are_missing_or_do_not_sign(api: Api) -> None:
    await api.post("keys/k")
    signature = "vault:v1:AAAA"
    assert await api.refused("sign/nosuch", input=FOX) == "signing key not found"
    assert await api.refused("verify/nosuch", input=FOX, signature=signature) == (
        "signature verification key not found"
    )
    assert await api.refused("verify/nosuch", input=FOX, hmac=signature) == "encryption key not found"
    assert await api.refused("sign/k", input=FOX) == "key type aes256-gcm96 does not support signing"
    assert await api.refused("verify/k", input=FOX, signature=signature) == (
        "key type aes256-gcm96 does not support verification"
    )


async def test_derived_keys_answer_with_the_public_key_of_the_context(api: Api) -> None:
    await api.post("keys/k", type="ed25519", derived=True)
    signed = await api.post("sign/k", input=FOX, context="Y3R4")
    status, info = await api(READ, "keys/k", {"context": "Y3R4"})
    assert status == 200
    assert signed["public_key"] == info["keys"]["1"]["public_key"]
    assert len(base64.b64decode(signed["public_key"])) == 32
    sent = {"input": FOX, "signature": signed["signature"]}
    assert await api.post("verify/k", **sent, context="Y3R4") == {"valid": True}
    assert await api.post("verify/k", **sent, context="Y3R5") == {"valid": False}
    assert (await api.refused("sign/k", input=FOX)).startswith("error deriving key: missing 'context'")
    assert (await api(READ, "keys/k"))[1]["keys"]["1"]["public_key"] == ""
    assert await api.refused("keys/k", READ, context="*") == "failed to base64-decode context"


async def test_a_batch_of_signatures(api: Api) -> None:
    await api.post("keys/k", type="ed25519", derived=True)
    items = [
        {"input": FOX, "context": "Y3R4", "reference": "a"},
        {"context": "Y3R4"},
        {"input": "*", "context": "Y3R4"},
        {"input": FOX, "reference": "d"},
        {"input": "", "context": "Y3R5"},
    ]
    status, results = await api.batch("sign/k", *items)
    assert status == 200
    assert [sorted(result) for result in results] == [
        ["key_version", "publickey", "reference", "signature"],
        ["error", "key_version", "reference"],
        ["error", "key_version", "reference"],
        ["error", "key_version", "reference"],
        ["key_version", "publickey", "reference", "signature"],
    ]
    assert [result["key_version"] for result in results] == [1, 0, 0, 0, 1]
    assert [result["reference"] for result in results] == ["a", "", "", "d", ""]
    assert results[1]["error"] == "missing input"
    assert results[2]["error"] == "unable to decode input as base64: illegal base64 data at input byte 0"
    assert results[3]["error"].startswith("error deriving key: missing 'context'")


async def test_a_batch_of_verifications(api: Api) -> None:
    await api.post("keys/k", type="ecdsa-p256")
    signature = (await api.post("sign/k", input=FOX))["signature"]
    items = [
        {"input": FOX, "signature": signature, "reference": "a"},
        {"input": "AAAA", "signature": signature},
        {"input": FOX, "signature": ""},
        {"signature": signature},
        {"input": FOX, "signature": "vault:v1:AAAA"},
    ]
    status, results = await api.batch("verify/k", *items)
    assert status == 200
    assert results == [
        {"valid": True, "reference": "a"},
        {"valid": False, "reference": ""},
        {"valid": False, "error": "invalid signature: no prefix", "reference": ""},
        {"valid": False, "error": "missing input", "reference": ""},
        {"valid": False, "error": "supplied signature is invalid", "reference": ""},
    ]


@pytest.mark.parametrize(
    ("items", "error"),
    [
        (
            [{"signature": "x"}, {"hmac": "x"}],
            "elements of batch_input must all provide 'signature' or all provide 'hmac'",
        ),
        ([{"signature": "x"}, {}], "some elements of batch_input are missing 'signature'"),
        ([{"hmac": "x"}, {}], "some elements of batch_input are missing 'hmac'"),
        ([{}, {}], "no batch_input elements have 'signature' or 'hmac'"),
    ],
)
async def test_batches_verify_one_kind_of_thing(api: Api, items: list[dict[str, str]], error: str) -> None:
    await api.post("keys/k", type="ed25519")
    assert await api.refused("verify/k", batch_input=[{"input": FOX, **item} for item in items]) == error


async def test_something_must_be_verified(api: Api) -> None:
    await api.post("keys/k", type="ed25519")
    text = "neither a 'signature' nor an 'hmac' were given to verify"
    assert await api.refused("verify/k", input=FOX) == text


async def test_a_soft_deleted_key_fails_items_when_it_signs(api: Api) -> None:
    await api.post("keys/k", type="ed25519")
    await api(DELETE, "keys/k/soft-delete")
    text = "refusing to use soft-deleted key"
    assert await api.refused("sign/k", input=FOX) == text
    assert await api.batch("sign/k", {"input": FOX}) == (200, [{"key_version": 0, "error": text, "reference": ""}])
    assert await api.refused("verify/k", input=FOX, signature="vault:v1:AAAA") == text


@pytest.mark.parametrize(
    "sent",
    [
        {"type": "ml-dsa", "parameter_set": "44"},
        {
            "type": "hybrid",
            "parameter_set": "65",
            "hybrid_key_type_pqc": "ml-dsa",
            "hybrid_key_type_ec": "ecdsa-p256",
        },
    ],
)
async def test_post_quantum_keys(api: Api, sent: dict[str, str]) -> None:
    info = await api.post("keys/k", **sent)
    assert info.items() >= sent.items()
    assert (info["supports_signing"], info["supports_encryption"]) == (True, False)
    signature = (await api.post("sign/k", input=FOX))["signature"]
    assert await api.post("verify/k", input=FOX, signature=signature) == {"valid": True}
    assert await api.post("verify/k", input="AAAA", signature=signature) == {"valid": False}
    rotated = await api.post("keys/k/rotate")
    assert rotated["keys"]["1"]["public_key"] != rotated["keys"]["2"]["public_key"]
    assert await api.post("verify/k", input=FOX, signature=signature) == {"valid": True}


async def test_wrong_types_are_named(api: Api) -> None:
    await api.post("keys/k", type="ed25519")
    text = await api.refused("sign/k", batch_input=[{"input": True}])
    assert "'[0].input' expected type 'string', got unconvertible type 'bool'" in text
    assert (await api.refused("sign/k", batch_input="x")).startswith("failed to parse batch input: ")
    assert "[0] expected a map" in await api.refused("verify/k", batch_input=["x"])
    with pytest.raises(Exception, match="prehashed"):
        await api(WRITE, "sign/k", {"input": FOX, "prehashed": "maybe"})


async def test_numbers_stand_for_texts_in_batches_but_of_encryption(api: Api) -> None:
    await api.post("keys/k", type="ed25519")
    await api.post("keys/a")
    mac = (await api.post("hmac/a", input="1234"))["hmac"]
    _, [made] = await api.batch("hmac/a", {"input": 1234, "reference": 7})
    assert made == {"hmac": mac, "reference": "7"}
    _, [signed, wrong] = await api.batch("sign/k", {"input": 1234, "context": 1234}, {"input": 1.5})
    assert wrong["error"] == "unable to decode input as base64: illegal base64 data at input byte 1"
    assert await api.post("verify/k", input="1234", signature=signed["signature"]) == {"valid": True}
    _, [verified] = await api.batch("verify/k", {"input": 1234, "signature": 5})
    assert verified == {"valid": False, "error": "invalid signature: no prefix", "reference": ""}
    _, [rewrapped] = await api.batch("rewrap/a", {"ciphertext": 5, "reference": 1.5})
    assert rewrapped == {"error": "invalid ciphertext: no prefix", "reference": "1.5"}
    text = await api.refused("rewrap/a", batch_input=[{"ciphertext": "x", "key_version": "1"}])
    assert "'[0].key_version' expected type 'int', got unconvertible type 'string'" in text
    assert "unconvertible type 'json.Number'" in await api.refused("decrypt/a", batch_input=[{"ciphertext": 5}])


async def test_public_keys_shown_are_those_that_verify(api: Api) -> None:
    info = await api.post("keys/k", type="ecdsa-p384")
    exported = (await api(READ, "export/public-key/k", {"format": "der"}))[1]["keys"]["1"]
    shown = load_pem_public_key(info["keys"]["1"]["public_key"].encode())
    assert load_der_public_key(base64.b64decode(exported)) == shown
