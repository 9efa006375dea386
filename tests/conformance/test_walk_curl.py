"""The walk by curl, as in the users' guide: each answer's status, content type and JSON."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.node import NewNode
from tests.support.tokens import Issuer, new_vault_id


@dataclass(frozen=True)
class Curl:
    """`curl` with a token."""

    address: str
    token: str

    def __call__(self, path: str, *options: str, status: int = 200) -> Any:
        """Return the JSON of the answer, which must have `status`; None where there is no body."""
        report = "\n%{http_code}\n%{content_type}"
        done = subprocess.run(
            [
                "curl",
                "-sS",
                "-w",
                report,
                "-H",
                f"X-Vault-Token: {self.token}",
                *options,
                f"{self.address}/v1/{path}",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        body, code, content_type = done.stdout.rsplit("\n", 2)
        assert int(code) == status, body
        if status == 204:
            assert body == ""
            return None
        assert content_type == "application/json"
        return json.loads(body)


def put(fields: dict[str, Any]) -> tuple[str, ...]:
    return ("-X", "PUT", "-d", json.dumps(fields))


@pytest.fixture(autouse=True)
def curl_is_here() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed: `apt-get install curl`")


def test_walk(new_node: NewNode, issuer: Issuer) -> None:
    node = new_node()
    vault_id, other_id = new_vault_id(), new_vault_id()
    operator = Curl(node.address, issuer.cluster_operator())
    tenant_operator = Curl(node.address, issuer.tenant_operator(vault_id))
    tenant = Curl(node.address, issuer.tenant(vault_id))
    other_operator = Curl(node.address, issuer.tenant_operator(other_id))
    other = Curl(node.address, issuer.tenant(other_id))

    assert operator("sys/health", status=501)["initialized"] is False
    assert operator("auth/token/lookup-self")["data"]["policies"] == ["default"]
    initialise_and_unseal(operator)
    assert operator("sys/health")["sealed"] is False
    root_token = initialise_and_unseal(tenant_operator)
    initialise_and_unseal(other_operator)

    secret = {"passcode": "my-long-passcode"}
    assert tenant("secret/data/creds", "-d", json.dumps({"data": secret}))["data"]["version"] == 1
    assert tenant("secret/data/creds")["data"]["data"] == secret
    assert tenant("secret/metadata?list=true")["data"]["keys"] == ["creds"]
    assert tenant("secret/metadata", "-X", "LIST")["data"]["keys"] == ["creds"]
    assert Curl(node.address, root_token)("secret/data/creds")["data"]["data"] == secret
    other("secret/data/creds", status=404)

    plaintext = base64.b64encode(b"hello\n").decode()
    assert tenant("transit/keys/orders", "-X", "POST")["data"]["latest_version"] == 1
    ciphertext = tenant("transit/encrypt/orders", *put({"plaintext": plaintext}))["data"]["ciphertext"]
    assert tenant("transit/decrypt/orders", *put({"ciphertext": ciphertext}))["data"] == {"plaintext": plaintext}
    tenant("transit/keys/orders/rotate", "-X", "POST")
    rewrapped = tenant("transit/rewrap/orders", *put({"ciphertext": ciphertext}))["data"]
    assert rewrapped["key_version"] == 2
    refused = other("transit/decrypt/orders", *put({"ciphertext": ciphertext}), status=400)
    assert refused == {"errors": ["encryption key not found"]}

    tenant_operator("sys/seal", "-X", "PUT", status=204)
    assert tenant("secret/data/creds", status=503) == {"errors": ["Vault is sealed"]}
    other("secret/data/creds", "-d", json.dumps({"data": secret}))
    operator("sys/seal", "-X", "PUT", status=204)
    assert other("secret/data/creds", status=503) == {"errors": ["Vault is sealed"]}
    assert operator("sys/health", status=503)["sealed"] is True


def initialise_and_unseal(operator: Curl) -> str:
    """Make five shares, give three; return the root token."""
    made = operator("sys/init", *put({"secret_shares": 5, "secret_threshold": 3}))
    progress = [operator("sys/unseal", *put({"key": key})) for key in made["keys_base64"][:3]]
    assert [(status["progress"], status["sealed"]) for status in progress] == [(1, True), (2, True), (0, False)]
    return str(made["root_token"])


def test_bearer_token_works_as_well(new_node: NewNode, issuer: Issuer) -> None:
    node = new_node()
    bearer = f"Authorization: Bearer {issuer.cluster_operator()}"
    done = subprocess.run(
        ["curl", "-sS", "-H", bearer, f"{node.address}/v1/auth/token/lookup-self"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(done.stdout)["data"]["type"] == "service"
