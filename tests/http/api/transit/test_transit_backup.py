"""Backups of single keys, from request to answer."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.actors.transit_tenant import opened
from tests.http.transit_api import FOX, LIST, READ, WRITE, Api

ALLOWED = {"exportable": True, "allow_plaintext_backup": True}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with opened(tmp_path) as (_, [tenant]):
        yield Api(tenant)


async def backup_of(api: Api, name: str = "k") -> str:
    status, data = await api(READ, f"backup/{name}")
    assert (status, list(data)) == (200, ["backup"])
    text: str = data["backup"]
    return text


async def test_a_restored_key_decrypts_what_the_first_one_encrypted(api: Api) -> None:
    await api.post("keys/k", **ALLOWED)
    old = (await api.post("encrypt/k", plaintext=FOX))["ciphertext"]
    await api.post("keys/k/rotate")
    backup = await backup_of(api)
    assert await api(WRITE, "restore/copy", {"backup": backup}) == (204, None)
    new = (await api.post("encrypt/copy", plaintext=FOX))["ciphertext"]
    assert (await api.post("decrypt/copy", ciphertext=old))["plaintext"] == FOX
    assert (await api.post("decrypt/k", ciphertext=new))["plaintext"] == FOX
    assert (await api(LIST, "keys"))[1]["keys"] == ["copy", "k"]


async def test_key_objects_tell_of_backups(api: Api) -> None:
    data = await api.post("keys/k", **ALLOWED)
    assert "backup_info" not in data
    backup = await backup_of(api)
    shown = (await api(READ, "keys/k"))[1]
    assert (list(shown["backup_info"]), shown["backup_info"]["version"]) == (["time", "version"], 1)
    assert json.loads(base64.b64decode(backup))["policy"]["backup_info"]["version"] == 1
    await api(WRITE, "restore/copy", {"backup": backup})
    assert (await api(READ, "keys/copy"))[1]["restore_info"]["version"] == 1


async def test_a_key_is_replaced_by_force_only(api: Api) -> None:
    await api.post("keys/k", **ALLOWED)
    backup = await backup_of(api)
    for _ in range(2):
        await api.post("keys/k/rotate")
    newest = (await api.post("encrypt/k", plaintext=FOX))["ciphertext"]
    assert await api.refused("restore", backup=backup) == 'key "k" already exists'
    assert await api(WRITE, "restore", {"backup": backup, "force": True}) == (204, None)
    assert await api.refused("decrypt/k", ciphertext=newest) == "invalid ciphertext: version is too new"
    assert (await api(READ, "keys/k"))[1]["latest_version"] == 1


async def test_archived_versions_come_back(api: Api) -> None:
    await api.post("keys/k", **ALLOWED)
    old = (await api.post("encrypt/k", plaintext=FOX))["ciphertext"]
    await api.post("keys/k/rotate")
    await api.post("keys/k/config", min_decryption_version=2)
    await api(WRITE, "restore/copy", {"backup": await backup_of(api)})
    await api.post("keys/copy/config", min_decryption_version=1)
    assert (await api.post("decrypt/copy", ciphertext=old))["plaintext"] == FOX


async def test_refusals(api: Api) -> None:
    await api.post("keys/closed")
    await api.post("keys/exportable", exportable=True)
    assert await api.refused("backup/closed", READ) == "exporting is disallowed on the policy"
    assert await api.refused("backup/exportable", READ) == "plaintext backup is disallowed on the policy"
    assert await api.refused("backup/none", READ) == 'key "none" not found'
    assert await api.refused("restore") == "'backup' must be supplied"
    assert await api.refused("restore/k", backup="!") == "illegal base64 data at input byte 0"
    assert await api.refused("restore/k", backup="QUJD") == "invalid backup: it is not the JSON of one"
