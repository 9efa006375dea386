"""`kms-cli migrate` between a node and the reference server, in both directions: all is there, and is compared.

`KMS_FAULT_SECRETS` says how many secrets there are beside those of each kind.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from kms_actors.cli.client import main
from kms_actors.cli.migrate import kv
from kms_actors.cli.migrate.findings import Report
from kms_actors.cli.migrate.server import Server
from kms_actors.secret import SecretBytes
from tests.cli.migrate.conftest import Sides, good
from tests.support.api import Api, b64

SECRETS: Final = int(os.environ.get("KMS_FAULT_SECRETS", "20"))
POLICY: Final = 'path "secret/data/app/*" { capabilities = ["read"] }'


def fill(api: Api) -> None:
    """Write something of each kind."""
    for number in range(1, 6):
        good(api.post("secret/data/app/db", {"data": {"n": number, "text": "ü" * number}}))
    good(api.post("secret/destroy/app/db", {"versions": [1]}))
    good(api.post("secret/delete/app/db", {"versions": [2]}))
    settings = {"max_versions": 7, "custom_metadata": {"owner": "team"}, "cas_required": True}
    good(api.post("secret/metadata/app/db", settings))
    good(api.post("secret/metadata/app/pruned", {"max_versions": 2}))
    for number in range(1, 6):
        good(api.post("secret/data/app/pruned", {"data": {"n": number}}))
    good(api.post("secret/data/top", {"data": {"a": [1, {"b": None}]}}))
    good(api.post("secret/metadata/empty", {"custom_metadata": {"a": "b"}}))
    for number in range(SECRETS):
        good(api.post(f"secret/data/many/s{number}", {"data": {"n": number}}))
    old = {"type": "kv", "options": {"version": "1"}, "description": "of before", "config": {"max_lease_ttl": "2h"}}
    good(api.post("sys/mounts/old", old))
    good(api.post("old/a/b", {"x": "y"}))
    good(api.post("sys/policies/acl/app", {"policy": POLICY}))
    for name, config in (
        ("moves", {"exportable": True, "allow_plaintext_backup": True}),
        ("signs", {"type": "ecdsa-p256", "exportable": True, "allow_plaintext_backup": True}),
        ("codes", {"type": "hmac", "key_size": 32, "exportable": True, "allow_plaintext_backup": True}),
        ("stays", {}),
    ):
        good(api.post(f"transit/keys/{name}", config))
        good(api.post(f"transit/keys/{name}/rotate"))
    good(api.post("sys/auth/approle", {"type": "approle"}))
    good(api.post("auth/approle/role/app", {"token_policies": "app", "token_ttl": "10m", "secret_id_num_uses": 3}))
    good(api.post("sys/auth/userpass", {"type": "userpass"}))
    good(api.post("auth/userpass/users/bob", {"password": "x", "token_policies": "app"}))


def test_all_is_copied_told_of_and_compared(sides: Sides) -> None:
    fill(sides.source)
    sealed = sides.source.post("transit/encrypt/moves", {"plaintext": b64("text")}).data["ciphertext"]
    looked = sides.run("--dry-run")
    assert looked.exit_code == 1, "of one key it is told that it stays"
    assert f"secret/ (kv-v2): {SECRETS + 4}" in looked.output
    assert sides.target.get("secret/metadata/app/db").status == 404

    done = sides.run()
    told = done.output.splitlines()
    assert done.exit_code == 1, "of one key it is told that it stays"
    left = [line for line in told if line.startswith("not copied: ")]
    assert len(left) == 1, done.output
    assert "transit/keys/stays: it may not be backed up" in left[0]
    assert not [line for line in told if line.startswith("different: ")], done.output
    assert {f"secrets: {SECRETS + 5}", "transit keys: 3", "AppRoles: 1", "users: 1"} <= set(told), done.output

    target = sides.target
    metadata = target.get("secret/metadata/app/db").data
    assert (metadata["current_version"], metadata["max_versions"], metadata["cas_required"]) == (5, 7, True)
    assert metadata["custom_metadata"] == {"owner": "team"}
    states = [(each["destroyed"], bool(each["deletion_time"])) for each in metadata["versions"].values()]
    assert states[0][0]
    assert states[1:] == [(False, True), *[(False, False)] * 3]
    assert target.get("secret/data/app/db?version=4").data["data"] == {"n": 4, "text": "üüüü"}
    assert target.get("secret/metadata/app/pruned").data["versions"].keys() == {"4", "5"}
    assert target.get("secret/data/top").data["data"] == {"a": [1, {"b": None}]}
    assert target.get("old/a/b").data == {"x": "y"}
    assert target.get("sys/mounts/old").data["config"]["max_lease_ttl"] == 7200
    assert target.get("sys/policies/acl/app").data["policy"] == POLICY
    assert target.post("transit/decrypt/moves", {"ciphertext": sealed}).data["plaintext"] == b64("text")
    role_id = sides.source.get("auth/approle/role/app/role-id").data
    assert target.get("auth/approle/role/app/role-id").data["role_id"] == role_id["role_id"]
    assert target.get("auth/approle/role/app").data["token_policies"] == ["app"]
    assert target.get("auth/userpass/users/bob").data["token_policies"] == ["app"]
    assert target.post("auth/userpass/login/bob", {"password": "x"}).status == 400

    again = sides.run()
    assert not [line for line in again.output.splitlines() if line.startswith("different: ")]
    assert target.get("secret/metadata/app/db").data["current_version"] == 5


def test_what_another_wrote_is_found_and_an_interrupted_secret_goes_on(sides: Sides) -> None:
    source, target = sides.source, sides.target
    for number in range(1, 5):
        good(source.post("secret/data/a", {"data": {"n": number}}))
        good(source.post("secret/data/b", {"data": {"n": number}}))
    for number in (1, 2):  # where one was interrupted
        good(target.post("secret/data/a", {"data": {"n": number}}))
    for number in (1, 2, 30, 4):  # what another wrote
        good(target.post("secret/data/b", {"data": {"n": number}}))
    for number in range(2):  # what is ahead
        good(target.post("secret/data/c", {"data": {"n": number}}))
    good(source.post("secret/data/c", {"data": {"n": 0}}))
    done = sides.run()
    assert done.exit_code == 1
    told = [line for line in done.output.splitlines() if line.startswith(("different: ", "not copied: "))]
    assert (
        "not copied: secret/metadata/c: 2 versions are there already, more than the 1 to copy: others wrote them"
        in told
    )
    assert "different: secret/data/b: version 3 is another one" in told
    assert not [line for line in told if "secret/data/a" in line]
    assert [target.get(f"secret/data/a?version={number}").data["data"]["n"] for number in range(1, 5)] == [1, 2, 3, 4]


def test_a_version_whose_answer_was_lost_is_not_written_twice(sides: Sides) -> None:
    good(sides.source.post("secret/data/a", {"data": {"n": 1}}))
    there, here = (Server(side.address, SecretBytes((side.token or "").encode())) for side in sides[:2])
    kv._write_version(here, "secret/", "a", 1, {"n": 1})
    kv._write_version(here, "secret/", "a", 1, {"n": 1})  # sent again
    assert sides.target.get("secret/metadata/a").data["current_version"] == 1
    report = Report()
    kv.copy_versioned(there, here, "secret/", "a", report)
    kv.compare_versioned(there, here, "secret/", "a", report)
    there.close()
    here.close()
    assert report.different == report.left == []


def test_the_commands_of_the_document_work(sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it stands there, but for the address."""
    good(sides.source.post("secret/data/a", {"data": {"n": 1}}))
    (tmp_path / "other.token").write_text("root", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[3] / "docs" / "tutorials" / "migration.md").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line.startswith("kms-cli migrate ")]
    written = [list(itertools.takewhile(lambda word: word not in {"|", ">"}, line)) for line in lines]
    assert len(written) == 4
    ours, other = (sides.target, sides.source) if sides.option == "--from" else (sides.source, sides.target)
    for _, *arguments in (line for line in written if sides.option in line):
        found = [other.address if each == "http://127.0.0.1:8500" else each for each in arguments]
        done = CliRunner().invoke(main, found, env={"VAULT_ADDR": ours.address, "VAULT_TOKEN": ours.token})
        assert done.exit_code == 0, done.output
    assert sides.target.get("secret/data/a").data["data"] == {"n": 1}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--from", "http://127.0.0.1:1", "--to", "http://127.0.0.1:2"], "give --from, or --to"),
        ([], "give --from, or --to"),
        (["--from", "127.0.0.1"], "the address is not like https://kms.example:8202"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], text: str) -> None:
    environment = {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "a", "MIGRATE_TOKEN": "b"}
    done = CliRunner().invoke(main, ["migrate", *arguments], env=environment)
    assert done.exit_code == 2
    assert text in done.output


def test_a_wrong_address_or_token_of_either_side_is_told_at_once_and_which(sides: Sides) -> None:
    ours, other = (sides.target, sides.source) if sides.option == "--from" else (sides.source, sides.target)
    nowhere = "http://127.0.0.1:1"
    for address, token, away, others, text in (
        (nowhere, ours.token, other.address, other.token, f"{nowhere}: no answer: connection refused (2 attempts)"),
        (ours.address, ours.token, nowhere, other.token, f"{nowhere}: no answer: connection refused (2 attempts)"),
        (ours.address, "wrong", other.address, other.token, f"{ours.address}: sys/mounts: 403 permission denied"),
        (ours.address, ours.token, other.address, "wrong", f"{other.address}: sys/mounts: 403 permission denied"),
    ):
        environment = {"VAULT_ADDR": address, "VAULT_TOKEN": token, "MIGRATE_TOKEN": others}
        done = CliRunner().invoke(main, ["migrate", sides.option, away], env=environment)
        assert (done.exit_code, done.output) == (1, f"Error: {text}\n")


def test_tokens_are_needed() -> None:
    environment = {"VAULT_ADDR": "http://127.0.0.1:1"}
    done = CliRunner().invoke(main, ["migrate", "--from", "http://127.0.0.1:1"], env=environment)
    assert done.exit_code == 2
    assert "no token: set VAULT_TOKEN, or give --token-file" in done.output
