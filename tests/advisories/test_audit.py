"""Audit devices: no file that somebody could run or that lies elsewhere, and no secret in any of them."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path
from typing import Final

import pytest

from kms_actors.ceremony.root import decode_token
from tests.advisories.conftest import token_of
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


def sent(tenant: Tenant) -> None:
    """Send secrets in all the forms that bodies and queries have."""
    user, root, operator = tenant.user, tenant.root, tenant.operator
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
    user.post("transit/decrypt/k", {"ciphertext": CANARY, "context": ENCODED})
    user.get(f"secret/data/a?version={CANARY}")
    # Pairs, headers and maps that are none: what cannot be read is repeated nowhere.
    for wrong in (CANARY, [CANARY], [f"a={CANARY}", CANARY], {"a": {"b": CANARY}}, {"a": [CANARY]}, 1.5):
        user.post("secret/metadata/a", {"custom_metadata": wrong})
        operator.post("identity/entity", {"name": "e", "metadata": wrong})
        operator.post("auth/token/create", {"meta": wrong})
        operator.put("sys/audit/none", {"type": "file", "options": wrong})
        operator.post("sys/mounts/secret/tune", {"passthrough_request_headers": wrong, "options": wrong})


def answered(tenant: Tenant) -> list[str]:
    """Be answered secrets in all the forms that answers have; return those that are not the canary."""
    user = tenant.user
    for size in (2_000, 1):  # large ones are masked in steps, small ones in one go
        assert user.post("secret/data/b", {"data": {"a": {"b": [CANARY * size]}}}).status == 200
        assert CANARY in user.get("secret/data/b").body.decode()
    assert tenant.root.post("cubbyhole/a", {"a": CANARY}).status == 204
    assert CANARY in tenant.root.get("cubbyhole/a").body.decode()
    wrapped = user.with_headers(**{"X-Vault-Wrap-TTL": "1m"}).get("secret/data/b").json["wrap_info"]["token"]
    assert CANARY in user.post("sys/wrapping/unwrap", {"token": wrapped}).body.decode()  # kept, and given as it is
    user.post("transit/keys/k", {"exportable": True, "allow_plaintext_backup": True})
    ciphertext = user.post("transit/encrypt/k", {"plaintext": ENCODED}).data["ciphertext"]
    batch = {"batch_input": [{"ciphertext": ciphertext}] * 2}
    assert user.post("transit/decrypt/k", {"ciphertext": ciphertext}).data["plaintext"] == ENCODED
    assert user.post("transit/decrypt/k", batch).data["batch_results"][1]["plaintext"] == ENCODED
    keys = user.get("transit/export/encryption-key/k").data["keys"]
    return [
        wrapped,
        user.get("transit/backup/k").data["backup"],
        *keys.values(),
        user.post("transit/datakey/plaintext/k").data["plaintext"],
        user.post("sys/tools/random/32").data["random_bytes"],
        *_logged_in(tenant),
        *_of_ceremonies(tenant),
    ]


def _logged_in(tenant: Tenant) -> list[str]:
    operator, password = tenant.operator, "a password of ann"
    for kind in ("userpass", "approle"):
        assert operator.post(f"sys/auth/{kind}", {"type": kind}).status == 204
    assert operator.post("auth/userpass/users/ann", {"password": password}).status == 204
    assert operator.post("auth/approle/role/app", {"token_policies": "default"}).status == 204
    nobody = operator.with_token(None).with_headers(**{"X-Vault-Namespace": tenant.vault_id})
    secret = operator.post("auth/approle/role/app/secret-id").data["secret_id"]
    role = operator.get("auth/approle/role/app/role-id").data["role_id"]
    return [
        password,
        secret,
        token_of(nobody.post("auth/userpass/login/ann", {"password": password})),
        token_of(nobody.post("auth/approle/login", {"role_id": role, "secret_id": secret})),
        token_of(operator.post("auth/token/create", {"type": "batch", "policies": ["default"]})),
    ]


def _of_ceremonies(tenant: Tenant) -> list[str]:
    """Make a root token and other shares, by the spelling whose answers stand in an envelope."""
    operator = tenant.operator
    begun = operator.post("sys/generate-root-token/attempt").data
    for share in tenant.shares[:3]:
        made = operator.post("sys/generate-root-token/update", {"key": share, "nonce": begun["nonce"]}).data
    token = decode_token(made["encoded_token"], begun["otp"])
    nonce = operator.post("sys/rotate/root/init", {"secret_shares": 3, "secret_threshold": 2}).data["nonce"]
    for share in tenant.shares[:3]:
        rekeyed = operator.post("sys/rotate/root/update", {"key": share, "nonce": nonce}).data
    shares = [*tenant.shares[:3], *rekeyed["keys"], *rekeyed["keys_base64"]]
    return [begun["otp"], made["encoded_token"], token, *shares]


def test_cve_2025_62513_and_62705_and_ghsa_8xxq_mq9m_xmhw_what_is_not_known_to_be_harmless_is_masked(
    tenant: Tenant, folder: Path
) -> None:
    """Raw bodies (62513), answers of bytes (62705) and malformed pairs (8xxq) went into audit logs as they were.

    They were masked by a list of what is secret. Here a string is masked wherever it stands, unless its field is on
    the list of those that are shown.
    """
    assert tenant.root.put("sys/audit/file", FILE).status == 204
    secrets = [CANARY, ENCODED, *answered(tenant), str(tenant.root.token), str(tenant.user.token)]
    sent(tenant)
    text = (folder / "audit.log").read_text(encoding="utf-8")
    assert len(text.splitlines()) > 250
    for place, secret in enumerate(secrets):
        assert len(secret) > 16, place
        assert secret not in text, (place, secret[:8])
    tenant.operator.put("sys/seal")


def test_ghsa_8xxq_mq9m_xmhw_errors_repeat_nothing_malformed(tenant: Tenant) -> None:
    for wrong in (CANARY, [CANARY], {"a": {"b": CANARY}}):
        for answer in (
            tenant.user.post("secret/metadata/a", {"custom_metadata": wrong}),
            tenant.operator.post("identity/entity", {"name": "f", "metadata": wrong}),
            tenant.operator.post("auth/token/create", {"meta": wrong}),
        ):
            assert answer.status == 200 or CANARY not in answer.body.decode()
