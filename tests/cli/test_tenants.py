"""`kms-cli tenants` against a real node of two workers: what it prints, and what becomes of the vaults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from kms_actors.cli.client import main
from kms_actors.cli.tenants.table import short
from tests.support.api import Api, initialise, sealed, unseal
from tests.support.node import Node, sqlite_table, wait_until
from tests.support.tenant import Tenant, make_tenant
from tests.support.tokens import Issuer

LEASE = 2.0  # seconds after which a process has heard of a change
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Node]:
    further = "\n[tenants]\nrotation_check_seconds = 0.5\n"
    node = Node.for_issuer(tmp_path_factory.mktemp("node"), sqlite_table, issuer, further=further, forked=True)
    node.settings = "workers = 2"
    node.start()
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    yield node
    assert node.stop() == 0, node.log
    assert "Traceback" not in node.log


@pytest.fixture
def run(node: Node, issuer: Issuer, tmp_path: Path) -> Run:
    token = tmp_path / "operator.token"
    token.write_text(issuer.cluster_operator())

    def call(*arguments: object, code: int = 0) -> Result:
        words = ["tenants", "--address", node.address, "--token-file", token, *arguments]
        result = CliRunner().invoke(main, [str(word) for word in words])
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def tenant(node: Node, issuer: Issuer) -> Tenant:
    made = make_tenant(node, issuer)
    assert made.user.post("secret/data/app", {"data": {"a": "b"}}).status == 200
    assert made.user.post("secret/data/large", {"data": {"a": "x" * 600_000}}).status == 200
    assert made.user.post("transit/keys/orders").status == 200
    return made


def known(run: Run, vault_id: str) -> dict[str, object]:
    shown: dict[str, object] = json.loads(run("show", vault_id, "--json").output)
    return shown


def test_vaults_are_listed_as_a_table_and_as_json(run: Run, tenant: Tenant) -> None:
    title, *rows = run("list").output.splitlines()
    assert title.split()[:3] == ["VAULT", "STATE", "SEAL"]
    row = next(row.split() for row in rows if row.startswith(tenant.vault_id))
    assert row[1:5] == ["unsealed", "3", "of", "5"]
    listed = [json.loads(line) for line in run("list", "--json").output.splitlines()]
    assert tenant.vault_id in [each["vault_id"] for each in listed]
    assert [each["vault_id"] for each in listed] == sorted(each["vault_id"] for each in listed)


def test_a_vault_is_created_once(run: Run, node: Node, issuer: Issuer) -> None:
    printed = run("create", "vault_new", "--keys", 3, "--rate", "10", "--interval", "1m").output
    assert "State: created" in printed
    assert "Keys: 0 of 3 (its own)" in printed
    assert "Rate limit: 10 in 60 s, all addresses together" in printed
    assert "there is a vault vault_new" in run("create", "vault_new", code=1).output
    assert "there is no vault vault_none" in run("limit", "vault_none", "--keys", 1, code=1).output
    api = Api(node.address, issuer.tenant_operator("vault_new"))
    unseal(api, initialise(api, 1, 1)["keys_base64"])
    assert known(run, "vault_new")["state"] == "unsealed"
    run("limit", "vault_new", "--no-rate", "--keys", "default")
    assert known(run, "vault_new")["rate_limit"] is None


def test_what_is_more_than_a_vault_may_have_is_answered_429(run: Run, tenant: Tenant) -> None:
    """Of tokens, whoever makes them: those of wrapped answers count, batch tokens do not."""
    run("limit", tenant.vault_id, "--tokens", 2, "--secrets", 3, "--bytes", 700_000)
    time.sleep(LEASE + 0.5)  # both workers know of it then
    made = tenant.root.post("auth/token/create", {"ttl": "1h"})
    assert made.status == 200
    answer = tenant.root.post("auth/token/create", {"ttl": "1h"})
    assert answer.errors == ["this vault may have 2 tokens at most: the operator of the cluster sets the limit"]
    assert (
        tenant.root.post("auth/token/create", {"ttl": "1h", "type": "batch", "policies": ["default"]}).status == 200
    )
    wrapped = tenant.user.with_headers(**{"X-Vault-Wrap-TTL": "1m"}).get("secret/data/app")
    assert wrapped.status == 429
    token = made.json["auth"]["client_token"]
    assert tenant.root.post("auth/token/revoke", {"token": token}).status == 204
    assert tenant.root.post("auth/token/create", {"ttl": "1h"}).status == 200

    assert tenant.user.post("secret/data/big", {"data": {"a": "x" * 200_000}}).status == 429
    assert tenant.user.post("secret/data/new", {"data": {}}).status == 200
    assert tenant.user.post("secret/data/newer", {"data": {}}).status == 429
    assert tenant.user.post("secret/data/new", {"data": {"a": "b"}}).status == 200
    before = known(run, tenant.vault_id)["counts"]
    run("measure", tenant.vault_id)
    assert known(run, tenant.vault_id)["counts"] == before


def test_a_vault_is_sealed(run: Run, tenant: Tenant) -> None:
    assert "is sealed" in run("seal", tenant.vault_id).output
    wait_until(lambda: sealed(tenant.operator), "the vault is sealed on both workers")
    unseal(tenant.operator, tenant.shares)
    assert tenant.user.get("secret/data/app").status == 200


def test_an_exported_vault_is_restored_elsewhere(run: Run, tenant: Tenant, tmp_path: Path, issuer: Issuer) -> None:
    """In another store, by the shares of this one."""
    backup = tmp_path / "vault.backup"
    printed = run("export", tenant.vault_id, "--output", backup).output
    assert "Vaults: 1\n" in printed
    run("export", tenant.vault_id, "--output", backup, code=1)
    assert "complete" in run("export", tenant.vault_id, "--output", backup, "--resume", code=2).output
    assert "there is no vault" in run("export", "vault_none", "--output", tmp_path / "none", code=1).output
    assert not (tmp_path / "none").exists()

    other = Node.for_issuer(tmp_path, sqlite_table, issuer, forked=True)
    other.start()
    operator = Api(other.address, issuer.cluster_operator())
    unseal(operator, initialise(operator)["keys_base64"])
    assert other.stop() == 0
    arguments = ["restore", "--configuration", str(tmp_path / "node.toml"), "--input", str(backup)]
    restored = CliRunner().invoke(main, arguments)
    assert restored.exit_code == 0, restored.output
    other.start()
    unsealed_again = Api(other.address, issuer.cluster_operator())
    assert sealed(unsealed_again)
    assert other.stop() == 0


def test_an_interrupted_export_goes_on(run: Run, tenant: Tenant, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run("export", tenant.vault_id, "--output", whole)
    for length in (400, len(whole.read_bytes()) - 100):
        cut.write_bytes(whole.read_bytes()[:length])
        printed = run("export", tenant.vault_id, "--output", cut, "--resume").output
        assert "Vaults: 1\n" in printed
        assert (
            printed.splitlines()[1]
            == run("export", tenant.vault_id, "--output", tmp_path / f"{length}").output.splitlines()[1]
        )


def test_a_vault_is_measured(run: Run, tenant: Tenant) -> None:
    printed = run("measure", tenant.vault_id).output
    assert "Secrets: 2 of no bound" in printed
    assert "Keys: 1 of no bound" in printed
    assert "Mounts: 2 of 256" in printed
    shown = known(run, tenant.vault_id)
    assert shown["measured"]["bytes"] > 600_000  # type: ignore[index]
    assert shown["counts"]["tokens"] == 1  # type: ignore[index]


def test_a_vault_is_deleted_and_kept_and_at_last_gone(run: Run, tenant: Tenant, node: Node) -> None:
    assert "Nothing was done." in run("delete", tenant.vault_id, code=1).output
    assert "State: leaving" in run("delete", tenant.vault_id, "--wait", "1h", "--yes").output
    wait_until(lambda: tenant.user.get("secret/data/app").status == 503, "it is sealed")
    wait_until(lambda: "is to be deleted at" in tenant.user.get("secret/data/app").errors[0], "it says why")
    assert "State: sealed" in run("cancel", tenant.vault_id).output
    unseal(tenant.operator, tenant.shares)
    assert tenant.user.get("secret/data/app").status == 200
    run("delete", tenant.vault_id, "--wait", "0s", "--yes")
    wait_until(lambda: tenant.vault_id not in run("list").output, "it is gone")
    assert "there is no vault" in run("show", tenant.vault_id, code=1).output
    wait_until(lambda: tenant.operator.get("sys/init").json["initialized"] is False, "its id is free")
    wait_until(lambda: "vault deleted" in node.log, "it is told once that is certain")


def test_who_is_no_operator_is_told_so_in_one_line(run: Run, tenant: Tenant, tmp_path: Path) -> None:
    (tmp_path / "operator.token").write_text(tenant.operator.token or "")
    assert run("list", code=1).output == "Error: 403 permission denied; the token is to be a cluster operator's\n"


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB")])
def test_bytes_are_told_shortly(count: int, text: str) -> None:
    assert short(count) == text
