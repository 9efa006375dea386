"""KV version 1, its way to version 2, and lists of all that lies below a folder, as clients ask for them.

The clients are hvac and the command lines `vault` and `bao`; then the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
from hvac import exceptions

from kms_actors.auth.build import attenuate
from kms_actors.auth.principal import Capability
from tests.conformance.vault_cli import VaultCli, find_vault
from tests.support.api import ENVELOPE, Api
from tests.support.reference import find_bao
from tests.support.tenant import Tenant

UNSUPPORTED = "1 error occurred:\n\t* unsupported operation\n\n"
BINARIES = {"vault": find_vault, "bao": find_bao}


@pytest.fixture
def client(tenant: Tenant) -> Iterator[Any]:
    client = hvac.Client(url=tenant.operator.address, token=tenant.operator.token)
    yield client
    client.adapter.close()


@pytest.fixture(params=BINARIES)
def cli(request: pytest.FixtureRequest, tenant: Tenant, tmp_path: Path) -> VaultCli:
    """A command line of the tenant's operator."""
    assert tenant.operator.token is not None
    (tmp_path / ".vault-token").write_text(tenant.operator.token)
    return VaultCli(BINARIES[request.param](), tenant.operator.address, tmp_path)


@pytest.fixture
def plain(tenant: Tenant) -> Api:
    """The operator of a tenant with a mount of version 1 at `plain/`."""
    assert tenant.operator.post("sys/mounts/plain", {"type": "kv"}).status == 204
    return tenant.operator


class TestHvac:
    def test_version_1(self, client: Any) -> None:
        client.sys.enable_secrets_engine("kv", path="plain", options={"version": "1"})
        kv = client.secrets.kv.v1
        assert kv.create_or_update_secret("app/db", secret={"a": "1"}, mount_point="plain").status_code == 204
        assert kv.create_or_update_secret("app/db", secret={"b": 2}, mount_point="plain").status_code == 204
        kv.create_or_update_secret("app/ttl", secret={"ttl": "30m"}, method="PUT", mount_point="plain")
        found = kv.read_secret("app/db", mount_point="plain")
        assert (found["data"], found["lease_duration"], found["renewable"]) == ({"b": 2}, 2_764_800, False)
        assert kv.read_secret("app/ttl", mount_point="plain")["lease_duration"] == 1800
        assert kv.list_secrets("app", mount_point="plain")["data"]["keys"] == ["db", "ttl"]
        assert kv.list_secrets("", mount_point="plain")["data"]["keys"] == ["app/"]
        kv.delete_secret("app/db", mount_point="plain")
        with pytest.raises(exceptions.InvalidPath):
            kv.read_secret("app/db", mount_point="plain")
        with pytest.raises(exceptions.InvalidRequest, match="missing data fields"):
            kv.create_or_update_secret("app/db", secret={}, method="POST", mount_point="plain")

    def test_enabling_versions(self, client: Any) -> None:
        client.sys.enable_secrets_engine("kv", path="plain")
        client.secrets.kv.v1.create_or_update_secret("a", secret={"x": "1"}, mount_point="plain")
        client.sys.tune_mount_configuration("plain", options={"version": "2"})
        assert client.sys.read_mount_configuration("plain")["data"]["options"] == {"version": "2"}
        kv = client.secrets.kv.v2
        found = kv.read_secret_version("a", mount_point="plain", raise_on_deleted_version=True)["data"]
        assert (found["data"], found["metadata"]["version"]) == ({"x": "1"}, 1)
        kv.create_or_update_secret("a", secret={"x": "2"}, cas=1, mount_point="plain")
        kv.delete_metadata_and_all_versions("a", mount_point="plain")
        with pytest.raises(exceptions.InvalidRequest, match="cannot downgrade mount from version 2"):
            client.sys.tune_mount_configuration("plain", options={"version": "1"})


class TestCommandLines:
    def test_version_1(self, cli: VaultCli) -> None:
        cli("secrets", "enable", "-path=plain", "-version=1", "kv")
        assert "Success! Data written to: plain/app/db" in cli("kv", "put", "plain/app/db", "a=1", "ttl=30m").out
        assert cli("kv", "get", "-mount=plain", "app/db").table == {"a": "1", "ttl": "30m"}
        assert cli("kv", "get", "-field=a", "plain/app/db").out.strip() == "1"
        got = json.loads(cli("read", "-format=json", "plain/app/db").out)
        assert (got["lease_duration"], got["data"]) == (1800, {"a": "1", "ttl": "30m"})
        assert cli("kv", "list", "plain/").out.split()[-1] == "app/"
        assert cli("kv", "list", "-mount=plain", "app").out.split()[-1] == "db"
        assert cli("kv", "get", "plain/nosuch", code=2).err.startswith("No value found at plain/nosuch")
        assert cli("kv", "patch", "plain/app/db", "b=2", code=2).err != ""
        cli("kv", "delete", "plain/app/db")
        assert "No value found" in cli("kv", "list", "plain/", code=2).err
        listed = {row["Path"]: row for row in cli("secrets", "list", "-detailed").columns}
        assert listed["plain/"]["Options"] == "map[version:1]"
        assert listed["secret/"]["Options"] == "map[version:2]"

    def test_enabling_versions(self, cli: VaultCli) -> None:
        cli("secrets", "enable", "-path=plain", "kv-v1")
        cli("kv", "put", "plain/app/db", "a=1")
        assert "Success!" in cli("kv", "enable-versioning", "plain").out
        sections = cli("kv", "get", "plain/app/db").sections
        assert sections["Data"].split()[-2:] == ["a", "1"]
        assert "version            1" in sections["Metadata"]
        cli("kv", "put", "plain/app/db", "a=2")
        cli("kv", "rollback", "-version=1", "plain/app/db")
        assert cli("kv", "get", "-field=a", "plain/app/db").out.strip() == "1"
        cli("kv", "enable-versioning", "plain")

    def test_lists_of_all_below_are_of_bao(self, tenant: Tenant, tmp_path: Path) -> None:
        assert tenant.user.token is not None
        (tmp_path / ".vault-token").write_text(tenant.user.token)
        bao = VaultCli(find_bao(), tenant.user.address, tmp_path)
        for path in ("a", "dir/b", "dir/deep/c"):
            bao("kv", "put", "-mount=secret", path, "x=1")
        assert bao("kv", "scan", "-mount=secret").out.split()[2:] == ["a", "dir/b", "dir/deep/c"]
        assert bao("scan", "secret/metadata/dir").out.split()[2:] == ["b", "deep/c"]
        detailed = json.loads(bao("list", "-detailed", "-format=json", "secret/detailed-metadata").out)
        assert detailed["data"]["key_info"]["a"]["current_version"] == 1
        assert detailed["data"]["key_info"]["dir/"] == {}


def test_an_answer_is_what_is_there_and_how_long_it_is_good(plain: Api) -> None:
    assert (plain.post("plain/a", {"ttl": "1h", "path": "p", "n": 2**70}).status) == 204
    answer = plain.get("plain/a")
    assert tuple(answer.json) == ENVELOPE
    assert answer.json | {"request_id": ""} == {
        "request_id": "",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 3600,
        "data": {"n": 2**70, "path": "p", "ttl": "1h"},
        "wrap_info": None,
        "warnings": None,
        "auth": None,
        "mount_type": "kv",
    }
    assert plain.get("plain/a?version=2").json["warnings"] == [
        "Endpoint ignored these unrecognized parameters: [version]"
    ]
    assert plain.put("plain/form", b"x=1&path=y").status == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert plain.call("PUT", "plain/form", b"x=1&path=y&x=%C3%A9", form).status == 204
    assert plain.get("plain/form").data == {"path": "y", "x": ["1", "é"]}


@pytest.mark.parametrize(
    ("asked", "body", "status", "errors"),
    [
        ("GET plain", None, 404, []),
        ("GET plain/", None, 404, []),
        ("GET plain/none", None, 404, []),
        ("GET plain/dir/", None, 405, [UNSUPPORTED]),
        ("LIST plain/none", None, 404, []),
        ("POST plain", {"a": 1}, 400, ["missing path"]),
        ("POST plain/", {"a": 1}, 400, ["cannot write to a path ending in '/'"]),
        ("POST plain/a", {}, 400, ["missing data fields"]),
        ("POST plain/a", None, 400, ["missing data fields"]),
        ("POST plain/a", [1], 400, ["error parsing JSON"]),
        ("PATCH plain/a", {"a": 1}, 405, [UNSUPPORTED]),
        ("POST plain/a//b", {"a": 1}, 400, None),
        ("POST plain/a/../b", {"a": 1}, 400, None),
    ],
)
def test_refusals(plain: Api, asked: str, body: Any, status: int, errors: list[str] | None) -> None:
    method, _, path = asked.partition(" ")
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = plain.call(method, path, body, headers)
    assert answer.status == status
    if errors is not None:
        assert answer.errors == errors
    assert plain.delete("plain/none").status == plain.delete("plain").status == 204


def test_paths_are_taken_as_they_are(plain: Api) -> None:
    names = {
        "a b": "a%20b",
        "é": "%C3%A9",
        "a.b": "a.b",
        "...": "...",
        "x%": "x%25",
        "s/q": "s%2Fq",
        "config": "config",
    }
    for name, spelling in names.items():
        assert plain.post(f"plain/{spelling}", {"name": name}).status == 204
        assert plain.get(f"plain/{spelling}").data == {"name": name}
    assert plain.call("SCAN", "plain").data["keys"] == sorted(names, key=str.encode)


def test_a_narrowed_token_writes_what_it_may(plain: Api) -> None:
    assert plain.token is not None
    reader = plain.with_token(attenuate(plain.token, now=0.0, paths=["plain/app/*"]))
    assert reader.post("plain/app/a", {"a": 1}).status == 204
    assert reader.get("plain/app/a").data == {"a": 1}
    assert reader.list("plain/app").data["keys"] == ["a"]
    assert reader.call("SCAN", "plain/app").data["keys"] == ["a"]
    for method, path in (("GET", "plain/b"), ("LIST", "plain/"), ("SCAN", "plain/"), ("DELETE", "plain/b")):
        assert reader.call(method, path).status == 403


def test_a_token_narrowed_to_lists_may_not_scan(plain: Api) -> None:
    assert plain.token is not None
    plain.post("plain/app/a/b", {"a": 1})
    lister = plain.with_token(attenuate(plain.token, now=0.0, operations=[Capability.LIST]))
    assert lister.list("plain/app").data["keys"] == ["a/"]
    assert lister.call("SCAN", "plain/app").status == 403
    assert lister.get("plain/app?scan=true").status == 403


def test_the_preflight_tells_the_version(plain: Api) -> None:
    plain.post("sys/mounts/one", {"type": "kv-v1"})
    for mount, options in (("plain", {}), ("one", {"version": "1"}), ("secret", {"version": "2"})):
        shown = plain.get(f"sys/internal/ui/mounts/{mount}/some/where").data
        assert (shown["path"], shown["type"], shown["options"]) == (f"{mount}/", "kv", options)
        assert plain.get(f"sys/mounts/{mount}/tune").data.get("options", {}) == options
    assert plain.get("sys/mounts/plain/tune").data.keys() == {
        "default_lease_ttl",
        "description",
        "force_no_cache",
        "max_lease_ttl",
    }
    plain.post("sys/mounts/one/tune", {"default_lease_ttl": "1h"})
    plain.post("one/a", {"a": 1})
    assert plain.get("one/a").json["lease_duration"] == 3600
