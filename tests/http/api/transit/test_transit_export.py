"""Export of key material, from request to answer."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kms_actors.errors import NotFound
from tests.actors.transit_tenant import opened
from tests.http.transit_api import READ, Api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


async def test_what_is_exported(api: Api) -> None:
    await api.post("keys/k", exportable=True)
    await api.post("keys/k/rotate")
    status, data = await api(READ, "export/encryption-key/k")
    assert status == 200
    assert list(data) == ["keys", "name", "type"]
    assert (data["name"], data["type"], list(data["keys"])) == ("k", "aes256-gcm96", ["1", "2"])
    assert {len(base64.b64decode(material)) for material in data["keys"].values()} == {32}
    assert (await api(READ, "export/encryption-key/k/latest"))[1]["keys"] == {"2": data["keys"]["2"]}
    assert (await api(READ, "export/encryption-key/k/v1"))[1]["keys"] == {"1": data["keys"]["1"]}


async def test_forms(api: Api) -> None:
    await api.post("keys/k", type="rsa-2048", exportable=True)
    texts = {
        form: (await api(READ, "export/signing-key/k", {"format": form}))[1]["keys"]["1"]
        for form in ("", "der", "pem")
    }
    assert texts[""].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert texts[""].endswith("-----END RSA PRIVATE KEY-----\n")
    assert texts["pem"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert base64.b64decode(texts["der"])[0] == 0x30


@pytest.mark.parametrize(
    ("path", "sent", "error"),
    [
        ("export/nosuch/k", {}, "invalid export type: nosuch"),
        ("export/hmac-key/k", {"format": "x"}, "invalid format: x"),
        ("export/nosuch/missing", {}, "invalid export type: nosuch"),
        ("export/signing-key/k", {}, "signing not supported for the key"),
        ("export/hmac-key/k/9", {}, "version does not exist or cannot be found"),
        ("export/hmac-key/k/x", {}, "invalid key version"),
        ("export/public-key/k", {}, "unknown key type aes256-gcm96 for export type public-key"),
        ("export/hmac-key/closed", {}, "private key material is not exportable"),
    ],
)
async def test_refusals(api: Api, path: str, sent: dict[str, str], error: str) -> None:
    await api.post("keys/k", exportable=True)
    await api.post("keys/closed")
    assert await api.refused(path, READ, **sent) == error


async def test_a_missing_key_is_not_found(api: Api) -> None:
    with pytest.raises(NotFound):
        await api(READ, "export/hmac-key/missing")
