"""Wrapped answers and cubbyholes by real clients: the `vault` command line and hvac."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
from hvac import exceptions

from tests.conformance.test_vault_cli import vault_for
from tests.conformance.vault_cli import VaultCli
from tests.support.api import Api
from tests.support.node import Node
from tests.support.tenant import Tenant

NOT_VALID = "wrapping token is not valid or does not exist"


@pytest.fixture
def vault(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The command line of a vault's user, who has a biscuit."""
    return vault_for(tenant.user, tmp_path / "user")


@pytest.fixture
def root(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The command line of who has the root token, a service token."""
    return vault_for(tenant.root, tmp_path / "root")


@pytest.fixture
def nobody(tenant: Tenant, tmp_path: Path) -> VaultCli:
    """The command line of somebody without a token."""
    return vault_for(Api(tenant.user.address, ""), tmp_path / "nobody")


@pytest.fixture
def client(tenant: Tenant) -> Iterator[hvac.Client]:
    client = hvac.Client(url=tenant.user.address, token=tenant.user.token)
    yield client
    client.adapter.close()


def wrapped(vault: VaultCli, *arguments: str) -> str:
    """Run a command whose answer is wrapped; return the wrapping token."""
    command, *rest = arguments
    return vault(command, "-wrap-ttl=5m", *rest).table["wrapping_token:"]


class TestCommandLine:
    def test_a_secret_is_handed_on_wrapped(self, vault: VaultCli, nobody: VaultCli) -> None:
        vault("kv", "put", "secret/creds", "passcode=my-long-passcode")
        shown = vault("kv", "get", "-wrap-ttl=5m", "secret/creds").table
        assert (shown["wrapping_token_ttl:"], shown["wrapping_token_creation_path:"]) == ("5m", "secret/data/creds")
        token = shown["wrapping_token:"]
        found = vault("write", "-format=json", "sys/wrapping/lookup", f"token={token}").out
        assert json.loads(found)["data"]["creation_path"] == "secret/data/creds"
        given = json.loads(nobody("unwrap", "-format=json", token).out)
        assert given["data"]["data"] == {"passcode": "my-long-passcode"}
        assert NOT_VALID in nobody("unwrap", token, code=2).err
        assert NOT_VALID in vault("unwrap", token, code=2).err

    def test_a_field_of_what_was_wrapped_is_shown(self, vault: VaultCli) -> None:
        token = vault("write", "-field=wrapping_token", "-wrap-ttl=60", "sys/wrapping/wrap", "passcode=abc").out
        assert vault("unwrap", "-field=passcode", token).out == "abc"

    def test_any_command_takes_it(self, vault: VaultCli) -> None:
        vault("kv", "put", "secret/a", "x=1")
        token = wrapped(vault, "list", "secret/metadata")
        assert json.loads(vault("unwrap", "-format=json", token).out) == ["a"]
        token = wrapped(vault, "write", "-f", "transit/keys/orders")
        assert json.loads(vault("unwrap", "-format=json", token).out)["data"]["name"] == "orders"

    def test_a_wrap_is_renewed(self, vault: VaultCli) -> None:
        first = wrapped(vault, "write", "sys/wrapping/wrap", "a=b")
        second = vault("write", "-field=wrapping_token", "sys/wrapping/rewrap", f"token={first}").out
        assert second != first
        assert NOT_VALID in vault("unwrap", first, code=2).err
        assert vault("unwrap", "-field=a", second).out == "b"

    def test_a_cubbyhole_is_its_tokens_own(self, root: VaultCli, vault: VaultCli) -> None:
        root("write", "cubbyhole/box/one", "x=1", "y=two")
        root("write", "cubbyhole/two", "z=3")
        assert root("read", "cubbyhole/box/one").table == {"x": "1", "y": "two"}
        assert root("list", "cubbyhole").out.split()[-2:] == ["box/", "two"]
        assert root("kv", "get", "-field=z", "cubbyhole/two").out.strip() == "3"
        root("delete", "cubbyhole/two")
        assert "No value found" in root("read", "cubbyhole/two", code=2).err
        refused = vault("write", "cubbyhole/two", "z=3", code=2)
        assert "only supported by 'service' type tokens" in refused.err

    def test_a_new_token_is_handed_on_wrapped(self, root: VaultCli, nobody: VaultCli) -> None:
        shown = root("token", "create", "-policy=default", "-wrap-ttl=60").table
        inner = shown["wrapped_accessor:"]
        given = json.loads(nobody("unwrap", "-format=json", shown["wrapping_token:"]).out)["auth"]
        assert given["accessor"] == inner
        assert root("token", "lookup", "-accessor", inner).table["accessor"] == inner
        assert nobody.login(given["client_token"]).table["token_accessor"] == inner

    def test_whoever_hands_on_a_token_can_revoke_it_unseen(self, root: VaultCli, nobody: VaultCli) -> None:
        shown = root("token", "create", "-policy=default", "-wrap-ttl=60").table
        root("token", "revoke", "-accessor", shown["wrapped_accessor:"])
        given = json.loads(nobody("unwrap", "-format=json", shown["wrapping_token:"]).out)["auth"]
        assert "permission denied" in nobody("login", given["client_token"], code=2).err
        other = root("token", "create", "-wrap-ttl=60").table
        root("token", "revoke", "-accessor", other["wrapping_accessor:"])
        assert NOT_VALID in nobody("unwrap", other["wrapping_token:"], code=2).err

    def test_a_secret_id_is_handed_on_wrapped_and_so_is_what_it_logs_in_for(
        self, root: VaultCli, nobody: VaultCli, tenant: Tenant
    ) -> None:
        root("auth", "enable", "approle")
        root("write", "auth/approle/role/app", "token_policies=default")
        role_id = root("read", "-field=role_id", "auth/approle/role/app/role-id").out
        shown = root("write", "-f", "-wrap-ttl=60", "auth/approle/role/app/secret-id").table
        assert shown["wrapping_token_creation_path:"] == "auth/approle/role/app/secret-id"
        secret_id = json.loads(nobody("unwrap", "-format=json", shown["wrapping_token:"]).out)["data"]
        assert secret_id["secret_id_accessor"] == shown["wrapped_accessor:"]
        sent = {"role_id": role_id, "secret_id": secret_id["secret_id"]}
        headers = {"X-Vault-Namespace": tenant.vault_id, "X-Vault-Wrap-TTL": "60"}
        info = tenant.user.with_token(None).call("POST", "auth/approle/login", sent, headers).json["wrap_info"]
        assert info["creation_path"] == "auth/approle/login"
        auth = json.loads(nobody("unwrap", "-format=json", info["token"]).out)["auth"]
        assert (auth["accessor"], auth["policies"]) == (info["wrapped_accessor"], ["default"])

    def test_a_cubbyhole_is_read_by_the_last_use_of_its_token(self, root: VaultCli, tenant: Tenant) -> None:
        token = root("token", "create", "-policy=default", "-use-limit=2", "-field=token").out
        holder = tenant.root.with_token(token)
        assert holder.post("cubbyhole/secret", {"passcode": "abc"}).status == 204
        assert holder.get("cubbyhole/secret").data == {"passcode": "abc"}
        assert holder.get("cubbyhole/secret").status == 403

    def test_a_policy_has_answers_wrapped(self, root: VaultCli, tenant: Tenant) -> None:
        rule = 'path "secret/data/*" { capabilities = ["read"] min_wrapping_ttl = "1m" max_wrapping_ttl = "1h" }'
        assert tenant.root.put("sys/policies/acl/wrapped", {"policy": rule}).status == 204
        root("kv", "put", "secret/creds", "passcode=abc")
        reader = tenant.root.with_token(root("token", "create", "-policy=wrapped", "-field=token").out)
        for ttl, status in ((None, 403), ("30s", 403), ("2h", 403), ("5m", 200)):
            headers = {} if ttl is None else {"X-Vault-Wrap-TTL": ttl}
            answer = reader.call("GET", "secret/data/creds", None, headers)
            assert answer.status == status, ttl
            assert b"abc" not in answer.body


class TestHvac:
    def test_wrap_and_unwrap(self, client: hvac.Client, tenant: Tenant) -> None:
        token = client.sys.wrap(payload={"a": {"b": 1}}, ttl=60)["wrap_info"]["token"]
        assert client.sys.unwrap(token)["data"] == {"a": {"b": 1}}
        with pytest.raises(exceptions.InvalidRequest, match=NOT_VALID):
            client.sys.unwrap(token)
        token = client.sys.wrap(payload={"a": 1})["wrap_info"]["token"]
        own = hvac.Client(url=tenant.user.address, token=token)
        assert own.sys.unwrap()["data"] == {"a": 1}
        own.adapter.close()

    def test_a_read_is_wrapped(self, client: hvac.Client) -> None:
        client.secrets.kv.v2.create_or_update_secret("creds", {"passcode": "abc"})
        info = client.read("secret/data/creds", wrap_ttl="1m")["wrap_info"]
        assert (info["ttl"], info["creation_path"]) == (60, "secret/data/creds")
        assert client.sys.unwrap(info["token"])["data"]["data"] == {"passcode": "abc"}


def masked(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "request_id"}


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "secret/data/a?odd=1", None),
        ("GET", "secret/data/gone", None),
        ("LIST", "secret/metadata", None),
        ("GET", "secret/metadata/a", None),
        ("GET", "sys/mounts", None),
        ("GET", "auth/token/lookup-self", None),
        ("POST", "sys/capabilities-self", {"paths": ["secret/data/a"]}),
        ("POST", "sys/tools/hash", {"input": "", "odd": 1}),
        ("GET", "transit/keys/k", None),
        ("POST", "transit/hash", {"input": ""}),
    ],
)
def test_what_is_unwrapped_is_what_would_have_been_answered(
    tenant: Tenant, method: str, path: str, sent: dict[str, Any] | None
) -> None:
    user = tenant.user
    user.post("secret/data/a", {"data": {"z": 1.5, "é": [None, 10**30]}})
    user.post("secret/data/gone", {"data": {}})
    user.delete("secret/data/gone")
    user.post("transit/keys/k", {})
    user.get("transit/keys/k")
    bare = user.call(method, path, sent)
    info = user.call(method, path, sent, {"X-Vault-Wrap-TTL": "60"}).json["wrap_info"]
    given = user.post("sys/wrapping/unwrap", {"token": info["token"]})
    assert given.status == bare.status
    assert list(masked(given.json)) == [
        "lease_id",
        "renewable",
        "lease_duration",
        "data",
        "wrap_info",
        "warnings",
        "auth",
        "mount_type",
    ]
    # Of what varies by itself, a token's time left and a key's uses, nothing is between these two.
    assert {name: masked(bare.json)[name] for name in masked(given.json)} == masked(given.json)
    assert len(given.json["request_id"]) == 36


def test_nothing_of_it_is_in_the_log_or_the_metrics(tenant: Tenant, node: Node) -> None:
    user, secret = tenant.user, "canary-Zm9vYmFy"
    user.post("secret/data/canary", {"data": {"passcode": secret}})
    tokens = []
    for _ in range(3):
        answer = user.call("GET", "secret/data/canary", None, {"X-Vault-Wrap-TTL": "60"})
        assert secret.encode() not in answer.body
        tokens.append(answer.json["wrap_info"]["token"])
    assert secret.encode() in user.post("sys/wrapping/unwrap", {"token": tokens[0]}).body
    for again in (user, user.with_token(tokens[0]), user.with_token(None)):
        assert again.post("sys/wrapping/unwrap", {"token": tokens[0]}).status in (400, 403)
    assert user.with_token(tokens[1]).get("secret/data/canary").status == 403
    assert user.post("sys/wrapping/unwrap", {"token": tokens[1]}).status == 400
    assert user.call("POST", "sys/wrapping/wrap", {"passcode": secret}, {"X-Vault-Wrap-TTL": "x"}).status == 400
    tenant.root.post("cubbyhole/canary", {"passcode": secret})
    assert tenant.root.post(f"cubbyhole/{'x' * 5000}", {"passcode": secret}).status == 400
    metrics = Api(node.metrics_address).call("GET", "/metrics").body.decode()
    for shown in (node.log, metrics):
        for hidden in (secret, *tokens):
            assert hidden not in shown
    used = [line for line in node.log.splitlines() if "wrapping token refused" in line]
    assert sum("it was used before" in line for line in used) >= 2
