"""Keys that come from outside and go elsewhere, from request to answer."""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kms_actors.transit.exchange import importing
from kms_actors.transit.exchange.wrapping import wrap
from kms_actors.transit.schemes.scheme import (
    pem,
    pkcs8,
    subject_public_key_info,
)
from tests.actors.transit_tenant import opened
from tests.http.transit_api import DELETE, FOX, LIST, READ, WRITE, Api
from tests.http.wrapping_key import planted, wrapping_key

#: Types whose keys are bytes, with sizes that fit.
SYMMETRIC = {
    "aes128-gcm96": 16,
    "aes256-gcm96": 32,
    "chacha20-poly1305": 32,
    "xchacha20-poly1305": 32,
    "hmac": 77,
    "aes192-cmac": 24,
}


@pytest.fixture(autouse=True, scope="module")
def slow_keys() -> None:
    """Make what takes long before there is an event loop to hold."""
    wrapping_key()
    private_key("rsa-2048")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        await planted(tenant)
        yield Api(tenant)


@cache
def private_key(type_name: str, number: int = 0) -> Any:
    """Return a private key that fits a type."""
    if type_name == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if type_name == "mldsa-65":
        return mldsa.MLDSA65PrivateKey.generate()
    if type_name.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(type_name[4:]))
    curves = {"ecdsa-p256": ec.SECP256R1(), "ecdsa-p384": ec.SECP384R1(), "ecdsa-p521": ec.SECP521R1()}
    return ec.generate_private_key(curves[type_name])


PAIRS = ["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "mldsa-65"]


async def wrapped(api: Api, target: Any, hash_name: str = "SHA256") -> str:
    """Wrap bytes or a private key as the command line does: under the mount's public key."""
    _, data = await api(READ, "wrapping_key")
    public = load_pem_public_key(data["public_key"].encode())
    assert isinstance(public, RSAPublicKey)
    material = target if isinstance(target, bytes) else pkcs8(target)
    return base64.b64encode(wrap(public, material, hash_name)).decode()


async def imported(api: Api, target: Any, name: str = "k", **sent: Any) -> None:
    status = await api(WRITE, f"keys/{name}/import", {"ciphertext": await wrapped(api, target), **sent})
    assert status == (204, None)


async def add_version(api: Api, name: str = "k", **sent: Any) -> None:
    assert await api(WRITE, f"keys/{name}/import_version", sent) == (204, None)


async def key(api: Api, name: str = "k") -> dict[str, Any]:
    data: dict[str, Any] = (await api(READ, f"keys/{name}"))[1]
    return data


def public_pem(private: Any) -> str:
    return pem(subject_public_key_info(private.public_key()))


async def test_the_wrapping_key_is_made_once_and_is_no_key_of_the_list(tmp_path: Path) -> None:
    async with opened(tmp_path, actors=2) as (_, [one, other]):
        first = (await Api(one)(READ, "wrapping_key"))[1]["public_key"]
        assert (await Api(other)(READ, "wrapping_key"))[1] == {"public_key": first}
        public = load_pem_public_key(first.encode())
        assert isinstance(public, RSAPublicKey)
        assert (public.key_size, first[-1]) == (4096, "\n")
        await Api(one).post("keys/k")
        assert (await Api(one)(LIST, "keys"))[1] == {"keys": ["k"]}


@pytest.mark.parametrize("type_name", SYMMETRIC)
async def test_symmetric_keys_are_those_that_were_given(api: Api, type_name: str) -> None:
    material = os.urandom(SYMMETRIC[type_name])
    await imported(api, material, type=type_name, exportable=True)
    kind = {"hmac": "hmac-key", "aes192-cmac": "cmac-key"}.get(type_name, "encryption-key")
    assert (await api(READ, f"export/{kind}/k"))[1]["keys"] == {"1": base64.b64encode(material).decode()}
    shown = await key(api)
    assert (shown["imported_key"], shown["imported_key_allow_rotation"]) == (True, False)
    assert shown.get("key_size") == (77 if type_name == "hmac" else None)


@pytest.mark.parametrize("type_name", PAIRS)
async def test_imported_pairs_sign_under_the_public_key_that_was_given(api: Api, type_name: str) -> None:
    private = private_key(type_name)
    await imported(api, private, type=type_name)
    await imported(api, private_key("ecdsa-p256", 1), "other", type="ecdsa-p256")
    signature = (await api.post("sign/k", input=FOX))["signature"]
    assert (await api.post("verify/k", input=FOX, signature=signature))["valid"]
    shown = (await key(api))["keys"]["1"]["public_key"]
    if type_name in ("ed25519", "mldsa-65"):
        assert base64.b64decode(shown) == private.public_key().public_bytes_raw()
    else:
        assert shown == public_pem(private)


@pytest.mark.parametrize("type_name", PAIRS)
async def test_a_public_key_verifies_and_later_gets_its_private_key(api: Api, type_name: str) -> None:
    private = private_key(type_name)
    await imported(api, private, "whole", type=type_name)
    assert await api(WRITE, "keys/k/import", {"type": type_name, "public_key": public_pem(private)}) == (204, None)
    signature = (await api.post("sign/whole", input=FOX))["signature"]
    assert (await api.post("verify/k", input=FOX, signature=signature))["valid"]
    assert await api.refused("sign/k", input=FOX) == "requested version for signing does not contain a private part"
    assert (await api.post("hmac/k", input=FOX))["hmac"].startswith("vault:v1:")
    await add_version(api, ciphertext=await wrapped(api, private))
    assert (await key(api))["latest_version"] == 1
    signature = (await api.post("sign/k", input=FOX))["signature"]
    assert (await api.post("verify/whole", input=FOX, signature=signature))["valid"]


async def test_derived_keys_use_hkdf(api: Api) -> None:
    for name, type_name, target in (
        ("a", "aes128-gcm96", os.urandom(16)),
        ("e", "ed25519", private_key("ed25519")),
    ):
        await imported(api, target, name, type=type_name, derived=True)
        assert (await key(api, name))["kdf"] == "hkdf_sha256"
    ciphertext = (await api.post("encrypt/a", plaintext=FOX, context=FOX))["ciphertext"]
    assert (await api.post("decrypt/a", ciphertext=ciphertext, context=FOX))["plaintext"] == FOX
    assert (await api.post("sign/e", input=FOX, context=FOX))["signature"].startswith("vault:v1:")


@pytest.mark.parametrize("name", ["sha1", "SHA224", "SHA384", "SHA512"])
async def test_hash_functions(api: Api, name: str) -> None:
    sent = {"ciphertext": await wrapped(api, os.urandom(32), name), "hash_function": name}
    assert await api(WRITE, "keys/k/import", sent) == (204, None)


async def test_versions_are_added_also_after_a_rotation(api: Api) -> None:
    first, third = os.urandom(32), os.urandom(32)
    await imported(api, first, allow_rotation=True, exportable=True)
    await api.post("keys/k/rotate")
    await add_version(api, ciphertext=await wrapped(api, third))
    keys = (await api(READ, "export/encryption-key/k"))[1]["keys"]
    assert (keys["1"], keys["3"]) == (base64.b64encode(first).decode(), base64.b64encode(third).decode())
    assert (await key(api)).items() >= {"imported_key": True, "imported_key_allow_rotation": True}.items()


async def test_public_versions(api: Api) -> None:
    one, two = private_key("ecdsa-p256"), private_key("ecdsa-p256", 2)
    await api(WRITE, "keys/k/import", {"type": "ecdsa-p256", "public_key": public_pem(one)})
    await add_version(api, public_key=public_pem(two))
    await add_version(api, version=1, ciphertext=await wrapped(api, one))
    signature = (await api.post("sign/k", input=FOX, key_version=1))["signature"]
    assert signature.startswith("vault:v1:")
    path, more = "keys/k/import_version", await wrapped(api, one)
    assert await api.refused(path, version=2, ciphertext=more) == "cannot import key, key pair does not match"
    assert (
        await api.refused(path, version=1, ciphertext=more) == "private key imported, key version cannot be updated"
    )
    assert await api.refused(path, version=9, ciphertext=more) == "no such key version"
    assert (
        await api.refused(path, version=2, public_key=public_pem(two))
        == "cannot add a public key to a key version that already has a public key set"
    )


async def test_rotation_needs_to_be_allowed(api: Api) -> None:
    await imported(api, bytes(32))
    assert await api.refused("keys/k/rotate") == "imported key k does not allow rotation within Vault"
    needed = "allow_rotation must be set to true if auto-rotation is enabled"
    assert await api.refused("keys/k/config", auto_rotate_period="2h") == needed
    assert await api.refused("keys/j/import", ciphertext="", auto_rotate_period="2h") == needed


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"type": "zz"}, "unknown key type: zz"),
        ({"type": "ml-dsa"}, "import is not supported for key type ml-dsa"),
        ({"hash_function": "MD5", "ciphertext": ""}, "unknown hash function: MD5"),
        ({"ciphertext": "!"}, "illegal base64 data at input byte 0"),
        ({"ciphertext": ""}, "provided ciphertext is too short"),
        (
            {"ciphertext": "QQ==", "public_key": "x"},
            "only one of the following fields, ciphertext and public_key, can be set",
        ),
        ({"ciphertext": base64.b64encode(bytes(600)).decode()}, "crypto/rsa: decryption error"),
        ({"public_key": "x"}, "provided type does not support public_key import"),
        (
            {"type": "ecdsa-p256", "public_key": "x"},
            "error importing key: error parsing public key: not in PEM format",
        ),
        ({"type": "rsa-2048"}, "error importing key: error parsing public key: not in PEM format"),
        (
            {"type": "rsa-2048", "derived": True, "public_key": "x"},
            "key derivation and convergent encryption not supported for keys of type rsa-2048",
        ),
        (
            {"type": "ed25519", "derived": True, "public_key": "x"},
            f"error importing key: {importing.HKDF_ONLY}",
        ),
    ],
)
async def test_refusals(api: Api, sent: dict[str, Any], text: str) -> None:
    assert await api.refused("keys/k/import", **sent) == text


@pytest.mark.parametrize(
    ("type_name", "target", "text"),
    [
        ("aes256-gcm96", bytes(31), "invalid key size 31 bytes for key type aes256-gcm96"),
        ("hmac", bytes(31), "invalid key size 31 bytes for key type hmac"),
        ("ecdsa-p384", "ecdsa-p256", "invalid curve: expected P-384, got P-256"),
        ("rsa-3072", "rsa-2048", "invalid key size: expected 384 bytes, got 256 bytes"),
        ("rsa-2048", "ecdsa-p256", "invalid key type: expected rsa-2048, got *ecdsa.PrivateKey"),
        ("ecdsa-p256", "ed25519", "invalid key type: expected ecdsa-p256, got ed25519.PrivateKey"),
        ("ed25519", bytes(32), "error parsing asymmetric key: not a private key in PKCS#8"),
    ],
)
async def test_keys_that_do_not_fit(api: Api, type_name: str, target: Any, text: str) -> None:
    blob = await wrapped(api, private_key(target) if isinstance(target, str) else target)
    assert await api.refused("keys/k/import", type=type_name, ciphertext=blob) == f"error importing key: {text}"


async def test_keys_that_are_there(api: Api) -> None:
    blob = await wrapped(api, bytes(32))
    await api.post("keys/made")
    assert (
        await api.refused("keys/made/import", ciphertext=blob)
        == "the import path cannot be used with an existing key; use import-version to rotate an existing "
        "imported key"
    )
    convergent = "import cannot be used on keys with convergent encryption enabled"
    assert await api.refused("keys/k/import", ciphertext=blob, convergent_encryption=True) == convergent
    assert (
        await api.refused("keys/made/import_version", ciphertext=blob)
        == "the import_version endpoint can only be used with an imported key"
    )
    assert (
        await api.refused("keys/none/import_version", ciphertext=blob)
        == "no key found with name none; to import a new key, use the import/ endpoint"
    )
    await imported(api, bytes(32))
    assert (
        await api.refused("keys/k/import_version", ciphertext=blob, version=1)
        == "provided type does not support importing key versions"
    )


async def test_nothing_was_wrapped_before_there_was_a_key_for_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, [tenant]):
        text = await Api(tenant).refused("keys/k/import", ciphertext=base64.b64encode(bytes(600)).decode())
        assert text == "crypto/rsa: decryption error"


@pytest.mark.parametrize("type_name", [*SYMMETRIC, *PAIRS])
async def test_what_is_exported_wrapped_is_imported_elsewhere(api: Api, type_name: str) -> None:
    public = (await api(READ, "wrapping_key"))[1]["public_key"]
    await api(WRITE, "keys/there/import", {"type": "rsa-4096", "public_key": public})
    options = {"key_size": 40} if type_name == "hmac" else {}
    await api.post("keys/k", type=type_name, exportable=True, **options)
    status, data = await api(READ, "byok-export/there/k/latest", {"hash": "SHA512"})
    assert (status, data["name"], data["type"], list(data["keys"])) == (200, "k", type_name, ["1"])
    sent = {"type": type_name, "ciphertext": data["keys"]["1"], "hash_function": "SHA512", "exportable": True}
    assert await api(WRITE, "keys/copy/import", sent) == (204, None)
    if type_name in PAIRS:
        signature = (await api.post("sign/copy", input=FOX))["signature"]
        assert (await api.post("verify/k", input=FOX, signature=signature))["valid"]
    else:
        kind = {"hmac": "hmac-key", "aes192-cmac": "cmac-key"}.get(type_name, "encryption-key")
        exported = [(await api(READ, f"export/{kind}/{name}"))[1]["keys"] for name in ("k", "copy")]
        assert exported[0] == exported[1]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("none/open", "no such destination key to export to"),
        ("pair/none", "no such source key for export"),
        ("pair/closed", "key is not exportable"),
        ("open/open", "message signing not supported for key type aes256-gcm96"),
        ("curve/open", "unsupported key type in use; must be a rsa key"),
        ("pair/open/x", "invalid key version"),
        ("pair/open/0", "version for export is below minimum decryption version"),
        ("pair/open/2", "version does not exist or cannot be found"),
        ("gone/open", "for destination key: refusing to use soft-deleted key"),
        ("pair/public", "private key not imported for key version selected"),
        ("pair/lattice", "import is not supported for key type ml-dsa"),
    ],
)
async def test_refusals_of_wrapped_exports(api: Api, path: str, text: str) -> None:
    await api.post("keys/open", exportable=True)
    await api.post("keys/closed")
    await api.post("keys/curve", type="ecdsa-p256")
    await api.post("keys/lattice", type="ml-dsa", parameter_set="44", exportable=True)
    public = {"public_key": public_pem(private_key("rsa-2048")), "type": "rsa-2048", "exportable": True}
    for name in ("pair", "gone", "public"):
        await api(WRITE, f"keys/{name}/import", public)
    await api(DELETE, "keys/gone/soft-delete")
    assert await api.refused(f"byok-export/{path}", READ) == text


async def test_other_nodes_use_what_was_imported(tmp_path: Path) -> None:
    async with opened(tmp_path, actors=2) as (_, [one, other]):
        await planted(one)
        await imported(Api(one), bytes(32))
        ciphertext = (await Api(one).post("encrypt/k", plaintext=FOX))["ciphertext"]
        assert (await Api(other).post("decrypt/k", ciphertext=ciphertext))["plaintext"] == FOX
