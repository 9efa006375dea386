"""Keys that are agreed on with a peer, from request to answer."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kms_actors.transit.schemes.scheme import (
    pem,
    subject_public_key_info,
)
from tests.actors.transit_tenant import opened
from tests.http.transit_api import DELETE, FOX, READ, WRITE, Api

CURVES: dict[str, ec.EllipticCurve] = {
    "ecdsa-p256": ec.SECP256R1(),
    "ecdsa-p384": ec.SECP384R1(),
    "ecdsa-p521": ec.SECP521R1(),
}
PEER = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


def public_pem(private: Any) -> str:
    return pem(subject_public_key_info(private.public_key()))


async def derived(api: Api, name: str, **sent: Any) -> None:
    assert await api(WRITE, f"derive-key/{name}", {"peer_public_key": public_pem(PEER), **sent}) == (204, None)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(("type_name", "size"), [("aes128-gcm96", 16), ("xchacha20-poly1305", 32)])
async def test_the_peer_has_the_same_key(api: Api, curve: str, type_name: str, size: int) -> None:
    await api.post("keys/base", type=curve)
    public = load_pem_public_key((await api(READ, "keys/base"))[1]["keys"]["1"]["public_key"].encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    peer = ec.generate_private_key(CURVES[curve])
    await derived(api, "k", base_key_name="base", peer_public_key=public_pem(peer), derived_key_type=type_name)
    await api.post("keys/k/config", exportable=True)
    shown = (await api(READ, "keys/k"))[1]
    assert (shown["type"], shown["imported_key"], shown["imported_key_allow_rotation"]) == (type_name, True, False)
    agreed = HKDF(SHA256(), size, None, None).derive(peer.exchange(ec.ECDH(), public))
    exported = (await api(READ, "export/encryption-key/k"))[1]["keys"]["1"]
    assert base64.b64decode(exported) == agreed


async def test_deriving_again_adds_a_version(api: Api) -> None:
    await api.post("keys/base", type="ecdsa-p256")
    await derived(api, "k", base_key_name="base")
    old = (await api.post("encrypt/k", plaintext=FOX))["ciphertext"]
    await api.post("keys/base/rotate")
    await derived(api, "k", base_key_name="base")
    await derived(api, "again", base_key_name="base", base_key_version=1)
    assert (await api(READ, "keys/k"))[1]["latest_version"] == 2
    assert (await api.post("decrypt/again", ciphertext=old))["plaintext"] == FOX


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"peer_public_key": ""}, "peer public key not provided"),
        ({"base_key_name": "none"}, "specified base key not found"),
        ({"base_key_name": ""}, "specified base key not found"),
        ({"base_key_name": "aes"}, "base key type aes256-gcm96 does not support key agreement"),
        ({"base_key_name": "wide"}, "base private key type ecdsa-p384 does not match peer public key curve"),
        ({"base_key_name": "gone"}, "refusing to use soft-deleted key"),
        (
            {"peer_public_key": "x"},
            "failed to parse supplied peer public key PEM: data does not contain any valid public keys",
        ),
        (
            {"peer_public_key": public_pem(ed25519.Ed25519PrivateKey.generate())},
            "supplied peer public key is not an ECDSA key",
        ),
        ({"derived_key_type": "zz"}, "unknown key type zz"),
        ({"derived_key_type": "hmac"}, "unknown key type hmac"),
        ({"key_derivation_algorithm": "zz"}, "key derivation algorithm zz not supported"),
        ({"base_key_version": 5}, "requested version of the base key is higher than the latest key version"),
        ({"base_key_version": -1}, "requested version of the base key is negative"),
    ],
)
async def test_refusals(api: Api, sent: dict[str, Any], text: str) -> None:
    await api.post("keys/base", type="ecdsa-p256")
    await api.post("keys/wide", type="ecdsa-p384")
    await api.post("keys/gone", type="ecdsa-p256")
    await api(DELETE, "keys/gone/soft-delete")
    await api.post("keys/aes")
    whole = {"base_key_name": "base", "peer_public_key": public_pem(PEER), **sent}
    assert await api.refused("derive-key/k", **whole) == text


async def test_keys_that_were_made_here_get_no_such_version(api: Api) -> None:
    await api.post("keys/base", type="ecdsa-p256")
    await api.post("keys/made")
    sent: dict[str, Any] = {"base_key_name": "base", "peer_public_key": public_pem(PEER)}
    assert (
        await api.refused("derive-key/made", **sent)
        == "the import_version endpoint can only be used with an imported key"
    )
    await derived(api, "short", base_key_name="base", derived_key_type="aes128-gcm96")
    assert (
        await api.refused("derive-key/short", **sent)
        == "error importing key: invalid key size 32 bytes for key type aes128-gcm96"
    )
