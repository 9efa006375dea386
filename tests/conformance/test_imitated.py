"""Clients that no registry has, or that need servers of their own: the calls they make, in their order and form."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

from tests.support.api import b64
from tests.support.node import PATIENCE
from tests.support.tenant import Tenant

JSON = "application/json"


def curl(tenant: Tenant, method: str, path: str, body: Any, media_type: str) -> tuple[int, Any]:
    """Send a request as a script does; return status and answer."""
    assert tenant.user.token is not None
    command = ["curl", "--silent", "--write-out", "\n%{http_code}", "--request", method]
    for header in (f"X-Vault-Token: {tenant.user.token}", f"Content-Type: {media_type}"):
        command += ["--header", header]
    command += ["--data", json.dumps(body), f"{tenant.user.address}/v1/{path}"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=PATIENCE, check=True)
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(answer)


def test_a_command_line_that_sends_cas_0_with_every_put_writes_each_secret_once(tenant: Tenant) -> None:
    put = {"options": {"cas": 0}, "data": {"password": "one"}}
    assert curl(tenant, "PUT", "secret/data/app", put, JSON)[0] == 200
    status, answer = curl(tenant, "PUT", "secret/data/app", put | {"data": {"password": "two"}}, JSON)
    assert status == 400
    assert answer == {"errors": ["check-and-set parameter did not match the current version"]}
    assert tenant.user.get("secret/data/app").data["data"] == {"password": "one"}
    for right in ({"data": {"password": "two"}}, {"options": {"cas": 2}, "data": {"password": "three"}}):
        assert curl(tenant, "PUT", "secret/data/app", right, JSON)[0] == 200
    assert tenant.user.get("secret/data/app").data["data"] == {"password": "three"}


def test_a_command_line_that_patches_as_plain_json_is_told_the_type_to_send(tenant: Tenant) -> None:
    tenant.user.put("secret/data/app", {"data": {"password": "one"}})
    patch = {"data": {"user": "app"}}
    status, answer = curl(tenant, "PATCH", "secret/data/app", patch, JSON)
    assert (status, list(answer)) == (415, ["errors"])
    assert "application/merge-patch+json" in answer["errors"][0]
    assert tenant.user.get("secret/data/app").data["data"] == {"password": "one"}
    assert curl(tenant, "PATCH", "secret/data/app", patch, "application/merge-patch+json")[0] == 200
    assert tenant.user.get("secret/data/app").data["data"] == {"password": "one", "user": "app"}


def test_kes_keeps_its_keys_in_kv_and_seals_them_by_a_key(tenant: Tenant) -> None:
    """MinIO KES: a login by AppRole, keys that are made once, sealed by Transit with a context."""
    root = tenant.root
    rules = (
        'path "secret/data/kes/*" { capabilities = ["create", "read"] }\n'
        'path "secret/metadata/kes/*" { capabilities = ["list", "delete"] }\n'
        'path "transit/+/kes" { capabilities = ["update"] }\n'
    )
    root.put("sys/policies/acl/kes", {"policy": rules})
    root.post("sys/auth/approle", {"type": "approle"})
    root.post("auth/approle/role/kes", {"token_policies": "kes", "token_ttl": "20m", "token_max_ttl": "30m"})
    root.post("transit/keys/kes", {"derived": True})
    ids = {
        "role_id": root.get("auth/approle/role/kes/role-id").data["role_id"],
        "secret_id": root.post("auth/approle/role/kes/secret-id").data["secret_id"],
    }
    anyone = root.with_token(None).with_headers(**{"X-Vault-Namespace": tenant.vault_id})
    health = anyone.get("sys/health").json  # KES sends no namespace there, which OpenBao refuses
    assert (health["initialized"], health["sealed"]) == (True, False)
    kes = root.with_token(anyone.put("auth/approle/login", ids).json["auth"]["client_token"])
    context = b64("minio-key")
    sealed = kes.put("transit/encrypt/kes", {"plaintext": b64("key"), "context": context}).data["ciphertext"]
    assert sealed.startswith("vault:v1:")
    made = {"options": {"cas": 0}, "data": {"minio-key": sealed}}
    assert kes.put("secret/data/kes/minio-key", made).status == 200
    again = kes.put("secret/data/kes/minio-key", made)
    assert again.status == 403  # its policy lets it create, not update: what is there stays
    read = kes.get("secret/data/kes/minio-key").data["data"]["minio-key"]
    assert kes.put("transit/decrypt/kes", {"ciphertext": read, "context": context}).data["plaintext"] == b64("key")
    assert kes.put("transit/decrypt/kes", {"ciphertext": read, "context": b64("other")}).status == 400
    assert kes.list("secret/metadata/kes").data["keys"] == ["minio-key"]
    assert kes.delete("secret/metadata/kes/minio-key").status == 204
    assert kes.get("secret/data/kes/minio-key").status == 404


def test_pg_tde_keeps_its_principal_keys_by_a_short_token(tenant: Tenant) -> None:
    """Percona's encryption for PostgreSQL: its questions about a mount, and a token below 256 characters."""
    token = tenant.root.post("auth/token/create", {}).json["auth"]["client_token"]
    assert len(token) < 256
    pg_tde = tenant.root.with_token(token)
    mount = pg_tde.get("sys/mounts/secret").json
    assert (mount["data"]["type"], mount["data"]["options"]["version"]) == ("kv", "2")
    assert pg_tde.get("secret/metadata/?list=true").status in {200, 404}
    assert pg_tde.get("secret/data/principal-1").status == 404
    assert pg_tde.post("secret/data/principal-1", {"data": {"key": b64("x" * 32)}}).status == 200
    assert pg_tde.get("secret/data/principal-1").data["data"] == {"key": b64("x" * 32)}
    assert pg_tde.get("secret/metadata/?list=true").data["keys"] == ["principal-1"]


def test_cert_manager_looks_after_its_token(tenant: Tenant) -> None:
    """What controllers that hold a token ask beside what they came for."""
    made = tenant.root.post("auth/token/create", {"ttl": "1h", "policies": ["default"]}).json["auth"]
    controller = tenant.root.with_token(made["client_token"])
    assert controller.get("sys/health").status == 200
    before = controller.get("auth/token/lookup-self").data
    assert (before["type"], before["renewable"]) == ("service", True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*Z", before["expire_time"])
    assert controller.post("auth/token/renew-self", {"increment": "2h"}).json["auth"]["lease_duration"] == 7200
    assert controller.post("auth/token/revoke-self").status == 204
    assert controller.get("auth/token/lookup-self").status == 403
