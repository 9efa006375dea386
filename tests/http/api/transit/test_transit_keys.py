"""Transit keys as objects, from request to answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kms_actors.errors import InvalidRequest, NotFound
from tests.actors.transit_tenant import opened
from tests.http.transit_api import DELETE, FOX, LIST, READ, WRITE, Api

#: A new key of the default type, but for its name and the time of its version.
NEW = {
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
    "soft_deleted": False,
    "supports_decryption": True,
    "supports_derivation": True,
    "supports_encryption": True,
    "supports_signing": False,
    "type": "aes256-gcm96",
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


async def created(api: Api, name: str, **sent: Any) -> dict[str, Any]:
    data: dict[str, Any] = await api.post(f"keys/{name}", **sent)
    assert list(data) == sorted(data)
    for seconds in data.get("keys", {}).values():
        assert isinstance(seconds, int)
        assert abs(seconds - time.time()) < 60
    return data


@pytest.mark.parametrize("type_name", ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"])
async def test_a_new_symmetric_key(api: Api, type_name: str) -> None:
    data = await created(api, "a", type=type_name)
    assert list(data.pop("keys")) == ["1"]
    assert data == {**NEW, "name": "a", "type": type_name}
    assert (await api(READ, "keys/a"))[1].items() >= data.items()


async def test_the_default_type(api: Api) -> None:
    assert (await created(api, "a"))["type"] == "aes256-gcm96"
    assert await api.refused("keys/b", type="") == "unknown key type "


async def test_a_new_hmac_key_lists_no_versions(api: Api) -> None:
    nothing = dict.fromkeys(["supports_decryption", "supports_derivation", "supports_encryption"], False)
    assert await created(api, "h", type="hmac") == {
        **NEW, **nothing, "name": "h", "type": "hmac", "key_size": 32
    }  # fmt: skip
    assert (await created(api, "h2", type="hmac", key_size="64"))["key_size"] == 64


async def test_derived_and_convergent_keys_say_so(api: Api) -> None:
    data = await created(api, "d", derived=True)
    assert (data["derived"], data["kdf"], data["convergent_encryption"]) == (True, "hkdf_sha256", False)
    assert "convergent_encryption_version" not in data
    data = await created(api, "c", derived=True, convergent_encryption=True)
    assert (data["convergent_encryption"], data["convergent_encryption_version"]) == (True, -1)


async def test_periods_are_shown_in_seconds(api: Api) -> None:
    assert (await created(api, "a", auto_rotate_period="24h"))["auto_rotate_period"] == 86400
    assert (await created(api, "b", auto_rotate_period=7200))["auto_rotate_period"] == 7200


async def test_creating_again_is_fine_and_changes_nothing(api: Api) -> None:
    data = await created(api, "a")
    assert await created(api, "a", type="chacha20-poly1305", exportable=True) == data


@pytest.mark.parametrize("type_name", ["ed25519", "rsa-2048", "hmac"])
async def test_creating_again_ignores_options_that_do_not_go_together(api: Api, type_name: str) -> None:
    data = await created(api, "a")
    assert await created(api, "a", type=type_name, derived=True, convergent_encryption=True) == data
    assert "not supported for keys of type" in await api.refused(
        "keys/b", type=type_name, derived=True, convergent_encryption=True
    )
    assert await api.refused("keys/a", type="nosuch") == "unknown key type nosuch"


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ({"type": "nosuch"}, "unknown key type nosuch"),
        ({"type": "hmac", "key_size": 8}, "invalid key_size 8"),
        ({"key_size": 16}, "key_size is not valid for algorithm aes256-gcm96"),
        ({"convergent_encryption": True}, "convergent encryption requires derivation to be enabled"),
        ({"auto_rotate_period": "10m"}, "auto rotate period must be 0 to disable or at least an hour"),
        (
            {"type": "hmac", "derived": True},
            "key derivation and convergent encryption not supported for keys of type hmac",
        ),
    ],
)
async def test_creation_refuses_in_the_words_of_the_api(api: Api, sent: dict[str, Any], error: str) -> None:
    assert await api.refused("keys/a", **sent) == error
    with pytest.raises(NotFound):
        await api(READ, "keys/a")


async def test_list(api: Api) -> None:
    with pytest.raises(NotFound):
        await api(LIST, "keys")
    for name in ("b", "a.b-c_d", "c"):
        await created(api, name)
    assert await api(LIST, "keys") == (200, {"keys": ["a.b-c_d", "b", "c"]})
    assert await api(LIST, "keys", {"after": "a.b-c_d", "limit": "1"}) == (200, {"keys": ["b"]})
    assert await api(LIST, "keys", {"limit": "-1"}) == (200, {"keys": ["a.b-c_d", "b", "c"]})
    with pytest.raises(NotFound):
        await api(LIST, "keys", {"after": "c"})


async def test_the_life_of_a_key(api: Api) -> None:
    await created(api, "a")
    await api.post("keys/a/rotate")
    data = await api.post("keys/a/rotate")
    assert (data["latest_version"], list(data["keys"])) == (3, ["1", "2", "3"])
    data = await api.post("keys/a/config", min_decryption_version=2, min_encryption_version="3")
    assert (data["min_decryption_version"], data["min_encryption_version"]) == (2, 3)
    assert list(data["keys"]) == ["2", "3"]
    data = await api.post("keys/a/trim", min_available_version=2)
    assert data["min_available_version"] == 2
    every = {
        "deletion_allowed": True,
        "exportable": True,
        "allow_plaintext_backup": True,
        "auto_rotate_period": "48h",
    }
    data = await api.post("keys/a/config", **every)
    assert data.items() >= {**every, "auto_rotate_period": 172800}.items()
    assert await api(READ, "keys/a") == (200, {**data, "usage": {}})
    assert await api(DELETE, "keys/a") == (204, None)
    with pytest.raises(NotFound):
        await api(READ, "keys/a")


async def test_a_minimum_of_zero_warns(api: Api) -> None:
    await created(api, "a")
    reply = await api.reply(WRITE, "keys/a/config", {"min_decryption_version": 0})
    assert reply.warnings == ("since Vault 0.3, transit key numbering starts at 1; forcing minimum to 1",)
    assert isinstance(reply.data, dict)
    assert reply.data["min_decryption_version"] == 1


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("keys/nosuch/rotate", "key not found"),
        ("keys/nosuch/config", "no existing key named nosuch could be found"),
        ("keys/nosuch/trim", "invalid key name"),
    ],
)
async def test_changing_a_missing_key(api: Api, path: str, error: str) -> None:
    assert await api.refused(path) == error


async def test_deleting(api: Api) -> None:
    missing = "error deleting policy nosuch: could not delete key; not found"
    assert await api.refused("keys/nosuch", DELETE) == missing
    await created(api, "a")
    assert await api.refused("keys/a", DELETE) == "error deleting policy a: deletion is not allowed for this key"


async def test_trim_needs_its_parameter(api: Api) -> None:
    await created(api, "a")
    assert await api.refused("keys/a/trim") == "missing min_available_version"


async def test_soft_deletion(api: Api) -> None:
    await created(api, "a")
    assert await api(DELETE, "keys/nosuch/soft-delete") == (204, None)
    status, data = await api(DELETE, "keys/a/soft-delete")
    assert (status, data["soft_deleted"]) == (200, True)
    again = await api.reply(DELETE, "keys/a/soft-delete")
    assert again.warnings == ("key was already marked as soft deleted",)
    assert await api.refused("encrypt/a", plaintext=FOX) == "refusing to use soft-deleted key"
    assert await api.refused("keys/a/rotate") == "refusing to use soft-deleted key"
    assert (await api.post("keys/a/config"))["soft_deleted"]
    assert not (await api.post("keys/a/soft-delete-restore"))["soft_deleted"]
    again = await api.reply(WRITE, "keys/a/soft-delete-restore")
    assert again.warnings == ("key was already restored",)


SOFT = "refusing to use soft-deleted key"


async def test_a_soft_deleted_key_fails_batches_item_by_item(api: Api) -> None:
    await created(api, "a")
    await api.post("keys/e", type="ed25519")
    ciphertext = (await api.post("encrypt/a", plaintext=FOX))["ciphertext"]
    signature = (await api.post("sign/e", input=FOX))["signature"]
    mac = (await api.post("hmac/a", input=FOX))["hmac"]
    for name in ("a", "e"):
        await api(DELETE, f"keys/{name}/soft-delete")
    status, results = await api.batch("encrypt/a", {"plaintext": FOX}, {"plaintext": "!", "reference": "r"})
    assert (status, [item["error"] for item in results]) == (400, [SOFT, "illegal base64 data at input byte 0"])
    status, results = await api.batch("decrypt/a", {"ciphertext": ciphertext})
    assert (status, results) == (400, [{"plaintext": "", "error": SOFT, "reference": ""}])
    assert await api.batch("rewrap/a", {"ciphertext": ciphertext}) == (200, [{"error": SOFT, "reference": ""}])
    signed = {"key_version": 0, "error": SOFT, "reference": ""}
    assert await api.batch("sign/e", {"input": FOX}) == (200, [signed])
    verified = {"valid": False, "error": SOFT, "reference": ""}
    assert await api.batch("verify/e", {"input": FOX, "signature": signature}) == (200, [verified])
    assert await api.batch("verify/a", {"input": FOX, "hmac": mac}) == (200, [{"error": SOFT, "reference": ""}])
    assert await api.refused("hmac/a", batch_input=[{"input": FOX}]) == SOFT
    for path, sent in (
        ("decrypt/a", {"ciphertext": ciphertext}),
        ("verify/e", {"input": FOX, "signature": signature}),
    ):
        assert await api.refused(path, **sent) == SOFT


@pytest.mark.parametrize(
    ("type_name", "name", "starts"),
    [
        ("ed25519", "ed25519", ""),
        ("ecdsa-p256", "P-256", "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
        ("ecdsa-p384", "P-384", "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE"),
        ("ecdsa-p521", "P-521", "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQ"),
        ("rsa-2048", "rsa-2048", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"),
    ],
)
async def test_key_pairs_show_name_public_key_and_time(api: Api, type_name: str, name: str, starts: str) -> None:
    data = await api.post("keys/k", type=type_name)
    version = data.pop("keys")["1"]
    rsa, curve25519 = type_name.startswith("rsa"), type_name == "ed25519"
    uses = {"supports_encryption": rsa, "supports_decryption": rsa, "supports_derivation": curve25519}
    assert data == {**NEW, **uses, "supports_signing": True, "name": "k", "type": type_name}
    assert list(version) == ["certificate_chain", "creation_time", "name", "public_key"]
    assert (version["certificate_chain"], version["name"]) == ("", name)
    assert version["creation_time"].endswith("Z")
    assert version["public_key"].startswith(starts)
    assert version["public_key"].endswith("=" if curve25519 else "\n-----END PUBLIC KEY-----\n")
    assert (await api(READ, "keys/k"))[1]["keys"]["1"] == version


async def test_derived_signing_keys_show_a_public_key_for_a_context_only(api: Api) -> None:
    data = await api.post("keys/k", type="ed25519", derived=True)
    assert data["keys"]["1"]["public_key"] == ""
    shown = [(await api(READ, "keys/k", {"context": c}))[1]["keys"]["1"]["public_key"] for c in ("Y3R4", "Y3R5")]
    assert len(set(shown)) == 2
    assert all(len(key) == 44 for key in shown)


async def test_the_size_of_the_cache_is_kept(api: Api) -> None:
    assert await api(READ, "cache-config") == (200, {"size": 0})
    assert await api.post("cache-config", size="456") == {"size": 456}
    assert await api.post("config/keys", disable_upsert=True) == {"disable_upsert": True}
    assert await api(READ, "cache-config") == (200, {"size": 456})
    assert await api.post("cache-config", size=10) == {"size": 10}
    assert await api(READ, "config/keys") == (200, {"disable_upsert": True})
    assert await api.post("cache-config") == {"size": 0}


@pytest.mark.parametrize("size", [9, 1, -1])
async def test_a_cache_is_unlimited_or_for_ten_keys_at_least(api: Api, size: int) -> None:
    assert await api.refused("cache-config", size=size) == "size must be 0 or a value greater or equal to 10"
    assert await api(READ, "cache-config") == (200, {"size": 0})


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"auto_rotate_period": -1}, "auto_rotate_period"),
        ({"auto_rotate_period": True}, "auto_rotate_period"),
        ({"exportable": 5}, "exportable"),
        ({"key_size": 32.0}, "key_size"),
    ],
)
async def test_values_that_are_almost_of_a_type(api: Api, sent: dict[str, Any], field: str) -> None:
    assert f'field "{field}"' in await api.refused("keys/k", **sent)


async def test_a_context_is_checked_for_keys_that_are_there(api: Api) -> None:
    with pytest.raises(NotFound):
        await api(READ, "keys/none", {"context": "!"})
    await created(api, "k")
    with pytest.raises(InvalidRequest, match="failed to base64-decode context"):
        await api(READ, "keys/k", {"context": "!"})


async def test_an_empty_name_of_a_hash_is_none(api: Api) -> None:
    await created(api, "h", type="hmac")
    assert await api.refused("hmac/h", input="aGk=", algorithm="") == 'unsupported algorithm ""'
    assert await api.refused("hash", input="aGk=", algorithm="") == "unsupported algorithm "
