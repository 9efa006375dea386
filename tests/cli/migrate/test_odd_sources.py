"""What `kms-cli migrate` does with a source that has been used for long, and with a token that sees a part of it.

The kind: something that is copied by the settings of today, and was written under others; a part that is not shown,
and takes the rest with it.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from tests.cli.migrate.conftest import Sides, good
from tests.support.api import Api, b64

_MOVES = {"exportable": True, "allow_plaintext_backup": True}


def lines(sides: Sides, *further: str) -> list[str]:
    """Return what a run says that was not copied, or is different."""
    done = sides.run(*further)
    told = [line for line in done.output.splitlines() if line.startswith(("not copied: ", "different: ", "Error: "))]
    assert done.exit_code == bool(told), done.output
    return told


def write(api: Api, path: str, *numbers: int) -> None:
    for number in numbers:
        good(api.post(path, {"data": {"n": number}}))


def versions(api: Api, path: str) -> dict[str, Any]:
    """Return the versions of a secret by their numbers, as its metadata shows them."""
    found: dict[str, Any] = api.get(path).data["versions"]
    return found


# Secrets.


def test_versions_stay_that_were_written_when_more_of_them_were_kept(sides: Sides) -> None:
    source, target = sides.source, sides.target
    good(source.post("sys/mounts/team", {"type": "kv", "options": {"version": "2"}}))
    for path in ("secret/metadata/a", "team/config"):
        good(source.post(path, {"max_versions": 15}))
    for mount in ("secret", "team"):
        write(source, f"{mount}/data/a", *range(12))
    for path in ("secret/metadata/a", "team/config"):
        good(source.post(path, {"max_versions": 3}))
    assert lines(sides) == []
    for mount in ("secret", "team"):
        assert len(versions(target, f"{mount}/metadata/a")) == 12
        assert target.get(f"{mount}/data/a?version=1").data["data"] == {"n": 0}
    assert target.get("secret/metadata/a").data["max_versions"] == 3
    # What is written next has the others go, on both sides.
    write(source, "secret/data/a", 12)
    assert lines(sides) == []
    assert sorted(map(int, versions(target, "secret/metadata/a"))) == [11, 12, 13]


def test_a_version_that_stays_is_not_deleted_by_what_was_set_after_it(sides: Sides) -> None:
    source, target = sides.source, sides.target
    good(source.post("sys/mounts/team", {"type": "kv", "options": {"version": "2"}}))
    for mount, place in (("secret", "secret/metadata/a"), ("team", "team/config")):
        write(source, f"{mount}/data/a", 1)
        good(source.post(place, {"delete_version_after": "1h"}))
        write(source, f"{mount}/data/a", 2)
        good(source.post(place, {"delete_version_after": "2h"}))
    assert lines(sides) == []
    for mount in ("secret", "team"):
        there, here = (versions(api, f"{mount}/metadata/a") for api in (source, target))
        assert here["1"]["deletion_time"] == ""
        ends, end = (
            datetime.datetime.fromisoformat(each["2"]["deletion_time"][:19]).timestamp() for each in (there, here)
        )
        assert abs(ends - end) <= 60, "it ends when it does there, and not so long after the copy"
    assert target.get("secret/metadata/a").data["delete_version_after"] == "2h0m0s"
    assert target.get("team/config").data["delete_version_after"] == "2h0m0s"


def test_what_a_mount_of_the_target_deletes_and_the_source_does_not_is_told(sides: Sides) -> None:
    good(sides.target.post("secret/config", {"delete_version_after": "1h"}))
    write(sides.source, "secret/data/a", 1)
    told = lines(sides)
    assert "different: secret/config: delete_version_after" in told
    if sides.option == "--to":
        assert "different: secret/metadata/a: version 1 will be deleted here alone" in told


def test_settings_that_were_taken_back_are_taken_back(sides: Sides) -> None:
    source, target = sides.source, sides.target
    write(source, "secret/data/a", 1)
    settings = {"custom_metadata": {"a": "b"}, "max_versions": 4, "cas_required": True, "delete_version_after": "5h"}
    good(source.post("secret/metadata/a", settings))
    assert lines(sides) == []
    nothing = {"custom_metadata": {}, "max_versions": 0, "cas_required": False, "delete_version_after": "0s"}
    good(source.post("secret/metadata/a", nothing))
    assert lines(sides) == []
    assert not target.get("secret/metadata/a").data["custom_metadata"]


def test_a_secret_of_null_is_an_empty_one(sides: Sides) -> None:
    good(sides.source.post("secret/data/a", {"data": None}))
    assert lines(sides) == []
    assert not sides.target.get("secret/data/a").data["data"]


# Policies and keys.


def test_a_policy_ends_when_it_does_there(sides: Sides) -> None:
    if sides.vault and sides.option == "--from":
        pytest.skip("policies of Vault do not end")
    source, target = sides.source, sides.target
    text = 'path "secret/data/a" { capabilities = ["read"] }'
    beside = {"expiration": "2050-01-01T00:00:00Z", "allow_wildcards_in_identity_templates": True}
    good(source.post("sys/policies/acl/ends", {"policy": text, **beside}))
    good(source.post("sys/policies/acl/careful", {"policy": text, "cas_required": True, "cas": -1}))
    if sides.vault:  # which would give for ever
        differences = {"careful": "cas_required", "ends": "expiration"}
        told = lines(sides)
        assert {f"different: sys/policies/acl/{name}: {what}" for name, what in differences.items()} < set(told)
        return
    assert lines(sides) == []
    found = target.get("sys/policies/acl/ends").data
    assert {name: found[name] for name in beside} == beside
    assert target.get("sys/policies/acl/careful").data["cas_required"] is True
    changed = text.replace("data/a", "data/b")
    good(source.post("sys/policies/acl/careful", {"policy": changed, "cas": 1}))
    assert lines(sides) == []
    assert target.get("sys/policies/acl/careful").data["policy"] == changed


def test_settings_of_a_key_that_were_changed_since_come_along(sides: Sides) -> None:
    source, target = sides.source, sides.target
    good(source.post("transit/keys/a", _MOVES))
    sealed = source.post("transit/encrypt/a", {"plaintext": b64("x")}).data["ciphertext"]
    for _ in range(2):
        good(source.post("transit/keys/a/rotate"))
    assert lines(sides) == []
    assert target.post("transit/decrypt/a", {"ciphertext": sealed}).status == 200
    settings = {"min_decryption_version": 2, "deletion_allowed": True, "auto_rotate_period": "48h"}
    good(source.post("transit/keys/a/config", settings))
    assert lines(sides) == []
    assert target.get("transit/keys/a").data["min_decryption_version"] == 2
    assert target.post("transit/decrypt/a", {"ciphertext": sealed}).status == 400


def test_a_dry_run_tells_of_types_without_a_backup(sides: Sides) -> None:
    if sides.option == "--from":
        pytest.skip("OpenBao has none of these types")
    for kind in ("aes128-cmac", "hybrid"):
        good(sides.source.post(f"transit/keys/{kind}", {"type": kind, **_MOVES, **_further(kind)}))
    told = lines(sides, "--dry-run")
    assert [line.partition(" have ")[0] for line in told] == [
        f"not copied: transit/keys/{kind}: keys of the type {kind}" for kind in ("aes128-cmac", "hybrid")
    ]
    assert lines(sides) == told


def _further(kind: str) -> dict[str, str]:
    return (
        {"parameter_set": "65", "hybrid_key_type_pqc": "ml-dsa", "hybrid_key_type_ec": "ecdsa-p256"}
        if kind == "hybrid"
        else {}
    )


def test_keys_of_ml_dsa_are_compared_by_what_is_public(sides: Sides) -> None:
    """OpenBao drops the connection of who exports one that was restored. Vault 1.14 takes it for another type."""
    if sides.vault and sides.option == "--from":
        pytest.skip("Vault 1.14 has no keys of ML-DSA")
    good(sides.source.post("transit/keys/a", {"type": "mldsa-44", **_MOVES}))
    if sides.vault:
        assert lines(sides)[0] == "not copied: transit/keys/a: the server does not know the type mldsa-44"
        assert sides.target.get("transit/keys/a").status == 404
        return
    assert lines(sides, "--json") == []
    there, here = (side.get("transit/keys/a").data["keys"]["1"]["public_key"] for side in sides[:2])
    assert there == here


# What a token does not see.


@pytest.mark.parametrize(
    ("denied", "told"),
    [
        ("team/", "not copied: team/: 403"),
        ("secret/metadata/hidden/", "not copied: secret/hidden/: secret/metadata/hidden/: 403"),
        ("more/keys", "not copied: more/: more/keys: 403"),
        ("sys/policies/acl", "not copied: sys/policies/acl: 403"),
        ("sys/policies/password", "not copied: sys/policies/password: 403"),
        ("sys/auth", "not copied: sys/auth: 403"),
        ("secret/config", "not copied: secret/config: 403"),
    ],
)
def test_what_is_not_shown_is_named_and_the_rest_is_copied(sides: Sides, denied: str, told: str) -> None:
    source, target = sides.source, sides.target
    for path in ("a", "hidden/b"):
        write(source, f"secret/data/{path}", 1)
    good(source.post("sys/mounts/team", {"type": "kv", "options": {"version": "1"}}))
    good(source.post("team/x", {"a": "1"}))
    good(source.post("sys/mounts/more", {"type": "transit"}))
    sees = ["create", "read", "update", "delete", "list", "sudo"]
    rules = {"*": sees, "sys/auth/*": sees, denied: ["deny"], denied.rstrip("/"): ["deny"]}
    policy = "".join(f'path "{path}" {{ capabilities = {json.dumps(given)} }}\n' for path, given in rules.items())
    good(source.post("sys/policies/acl/sees", {"policy": policy}))
    token = source.post("auth/token/create", {"policies": ["sees"]}).json["auth"]["client_token"]
    narrow = Sides(Api(source.address, token), target, sides.option)
    for further in (["--dry-run"], []):
        found = lines(narrow, *further)
        assert len(found) == 1, found
        assert found[0].startswith(told), "what is told before is what comes"
    assert target.get("secret/data/a").status == 200
    assert target.get("secret/data/hidden/b").status == (404 if "hidden" in denied else 200)
