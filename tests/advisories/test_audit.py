"""Audit devices: no file that somebody could run or that lies elsewhere, and no secret in any of them."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.api import Api
from tests.support.tenant import Tenant

CANARY: Final = "canary-2c77a1e0-secret"
ENCODED: Final = base64.b64encode(CANARY.encode()).decode()
FILE: Final = {"type": "file", "options": {"file_path": "audit.log"}}


@pytest.fixture
def folder(directory: Path, tenant: Tenant) -> Path:
    return directory / "audit/vaults" / tenant.vault_id


@pytest.mark.parametrize(
    "options",
    [
        {"file_path": "/tmp/x.sh"},
        {"file_path": "../x.sh"},
        {"file_path": "a/../../x.sh"},
        {"file_path": "..\\x.sh"},
        {"file_path": "sub/x.sh"},
        {"file_path": "%2e%2e/x.sh"},
        {"file_path": "x\u0000.sh"},
        {"file_path": "."},
        {"file_path": "audit.log", "mode": "0755"},
        {"file_path": "audit.log", "mode": "0777"},
        {"file_path": "audit.log", "mode": "0100"},
        {"file_path": "audit.log", "mode": "4644"},
    ],
)
def test_cve_2025_6000_no_path_of_a_caller_is_code(
    options: dict[str, str], tenant: Tenant, cluster: Api, directory: Path
) -> None:
    """An audit file in the folder of plugins, with a mode that runs and the caller's prefix, was code (54997, too).

    Here a device names a file in its vault's own folder, never another place, and no mode runs.
    """
    before = set(_files(directory.parent))
    for operator in (tenant.operator, cluster):
        for further in ({}, {"prefix": "#!/bin/sh\n"}):
            answer = operator.put("sys/audit/code", {"type": "file", "options": options | further})
            assert answer.status == 400, answer.body
    assert not {path for path in set(_files(directory.parent)) - before if "kms.sqlite" not in path.name}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("mode", [None, "0600", "0640"])
def test_cve_2025_6000_a_file_that_is_written_cannot_be_run(mode: str | None, tenant: Tenant, folder: Path) -> None:
    options = FILE["options"] | ({} if mode is None else {"mode": mode})  # type: ignore[operator]
    assert tenant.operator.put("sys/audit/file", FILE | {"options": options}).status == 204
    tenant.user.get("secret/data/a")
    written = folder / "audit.log"
    assert not written.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH | stat.S_ISUID | stat.S_ISGID)
    assert not os.access(written, os.X_OK)
    tenant.operator.put("sys/seal")


def asked(tenant: Tenant) -> list[Any]:
    """Send and be answered secrets in all the forms that bodies have."""
    user, root, operator = tenant.user, tenant.root, tenant.operator
    user.post("transit/keys/k", {"exportable": True, "allow_plaintext_backup": True})
    backup = user.get("transit/backup/k").data["backup"]
    keys = user.get("transit/export/encryption-key/k").data["keys"]
    datakey = user.post("transit/datakey/plaintext/k").data["plaintext"]
    random = user.post("sys/tools/random/32").data["random_bytes"]
    for body in (
        CANARY.encode(),
        f'"{CANARY}"'.encode(),
        f'["{CANARY}"]'.encode(),
        f'{{"data": {{"a": "{CANARY}"'.encode(),
        f'{{"data": "{CANARY}"}}'.encode(),
        f'{{"data": {{"a": ["{CANARY}", {{"b": "{CANARY}"}}]}}, "x": "{CANARY}"}}'.encode(),
        b"\xff\xfe" + CANARY.encode("utf-16"),
    ):
        for media in ("application/json", "application/octet-stream", "application/ocsp-request", "text/plain"):
            for path in ("secret/data/a", "transit/encrypt/k", "auth/token/create", "identity/entity"):
                root.call("POST", path, body, {"Content-Type": media})
    user.post("transit/encrypt/k", {"plaintext": ENCODED})
    user.post("transit/decrypt/k", {"ciphertext": CANARY, "context": ENCODED})
    user.get(f"secret/data/a?version={CANARY}")
    # Pairs, headers and maps that are none: what cannot be read is repeated nowhere.
    for wrong in (CANARY, [CANARY], [f"a={CANARY}", CANARY], {"a": {"b": CANARY}}, {"a": [CANARY]}, 1.5):
        user.post("secret/metadata/a", {"custom_metadata": wrong})
        operator.post("identity/entity", {"name": "e", "metadata": wrong})
        operator.post("auth/token/create", {"meta": wrong})
        operator.put("sys/audit/none", {"type": "file", "options": wrong})
        operator.post("sys/mounts/secret/tune", {"passthrough_request_headers": wrong, "options": wrong})
    return [backup, *keys.values(), datakey, random]


def test_cve_2025_62513_and_62705_and_ghsa_8xxq_mq9m_xmhw_what_is_not_known_to_be_harmless_is_masked(
    tenant: Tenant, folder: Path
) -> None:
    """Raw bodies (62513), answers of bytes (62705) and malformed pairs (8xxq) went into audit logs as they were.

    They were masked by a list of what is secret. Here a string is masked wherever it stands, unless its field is on
    the list of those that are shown.
    """
    assert tenant.root.put("sys/audit/file", FILE).status == 204
    answered = asked(tenant)
    text = (folder / "audit.log").read_text(encoding="utf-8")
    assert len(text.splitlines()) > 200
    for secret in (CANARY, ENCODED, *answered, tenant.root.token, tenant.user.token):
        assert str(secret) not in text, str(secret)[:12]
    tenant.operator.put("sys/seal")


def test_ghsa_8xxq_mq9m_xmhw_errors_repeat_nothing_malformed(tenant: Tenant) -> None:
    for wrong in (CANARY, [CANARY], {"a": {"b": CANARY}}):
        for answer in (
            tenant.user.post("secret/metadata/a", {"custom_metadata": wrong}),
            tenant.operator.post("identity/entity", {"name": "f", "metadata": wrong}),
            tenant.operator.post("auth/token/create", {"meta": wrong}),
        ):
            assert answer.status == 200 or CANARY not in answer.body.decode()
