"""What `kms-cli migrate` keeps beside secrets, and what it says of what it cannot keep; in both directions.

The kind: something that is left behind without a word, or that is another thing on the other side and passes for the
same.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from kms_actors.cli.migrate.server import Server, ServerFailed
from kms_actors.secret import SecretBytes
from tests.cli.migrate.conftest import Sides, good
from tests.support.api import Api, b64
from tests.support.jwt import Signer
from tests.support.web import site

_MOVES = {"exportable": True, "allow_plaintext_backup": True}
#: Kinds whose material is symmetric, is not, and is none that encrypts or signs.
_TYPES = ("aes256-gcm96", "chacha20-poly1305", "ed25519", "rsa-2048", "hmac")


def lines(sides: Sides, *further: str) -> list[str]:
    """Return what a run says that was not copied, or is different."""
    told = sides.run(*further).output.splitlines()
    return [line for line in told if line.startswith(("not copied: ", "different: "))]


def make_key(api: Api, name: str, kind: str = "aes256-gcm96", /, **config: Any) -> None:
    further = {"key_size": 32} if kind == "hmac" else {}
    good(api.post(f"transit/keys/{name}", {"type": kind, **config, **further}))


# Mounts.


def test_settings_of_a_mount_say_how_many_versions_are_kept(sides: Sides) -> None:
    source, target = sides.source, sides.target
    good(source.post("sys/mounts/team", {"type": "kv", "options": {"version": "2"}, "seal_wrap": True}))
    for mount in ("secret", "team"):
        good(
            source.post(f"{mount}/config", {"max_versions": 15, "cas_required": True, "delete_version_after": "900h"})
        )
        for number in range(13):
            body = {"data": {"n": number}, "options": {"cas": number}}
            good(source.post(f"{mount}/data/many", body))
    assert lines(sides) == []
    for mount in ("secret", "team"):
        config = target.get(f"{mount}/config").data
        assert (config["max_versions"], config["cas_required"], config["delete_version_after"]) == (
            15,
            True,
            "900h0m0s",
        )
        assert target.get(f"{mount}/data/many?version=1").data["data"] == {"n": 0}
    assert target.get("sys/mounts").data["team/"]["seal_wrap"] is True

    # What somebody has changed in the target stays, and is told.
    good(target.post("team/config", {"max_versions": 20}))
    assert lines(sides) == ["different: team/config: max_versions"]
    assert target.get("team/config").data["max_versions"] == 20


# Secrets.

_SAID = "versions have the time of the copy"


def told_times(api: Api, path: str) -> Any:
    """Return the times of a secret and its versions, as a server tells them."""
    found = api.get(f"secret/metadata/{path}").data
    versions = [(number, each["created_time"], each["deletion_time"]) for number, each in found["versions"].items()]
    return found["created_time"], found["updated_time"], versions


def test_times_are_kept_on_the_way_in_and_on_the_way_out_it_is_told_that_they_are_not(sides: Sides) -> None:
    source, target = sides.source, sides.target
    for number in range(4):
        good(source.post("secret/data/a", {"data": {"n": number}}))
    good(source.post("secret/metadata/a", {"delete_version_after": "500h"}))
    good(source.post("secret/data/a", {"data": {"n": 4}}))  # the first one that is to be deleted some day
    good(source.post("secret/delete/a", {"versions": [2]}))
    good(source.post("secret/data/half", {"data": {"n": 0}}))
    good(target.post("secret/data/half", {"data": {"n": 0}}))  # an interrupted run had come as far
    done = sides.run()
    assert done.exit_code == 0, done.output
    kept = sides.option == "--from"
    assert (_SAID in done.output) is not kept
    for path in ("a", "half"):
        assert (told_times(target, path) == told_times(source, path)) is kept
    states = target.get("secret/metadata/a").data["versions"]
    assert [bool(states[str(number)]["deletion_time"]) for number in (2, 5)] == [True, True]
    assert [target.get(f"secret/data/a?version={number}").status for number in (2, 5)] == [404, 200]
    again = sides.run()
    assert again.exit_code == 0, again.output


def test_a_token_that_may_set_no_times_copies_all_but_these(sides: Sides) -> None:
    good(sides.source.post("secret/data/a", {"data": {"n": 1}}))
    rules = {
        "*": ["create", "read", "update", "delete", "list"],
        "sys/*": ["create", "read", "update", "list", "sudo"],
    }
    policy = "".join(f'path "{path}" {{ capabilities = {json.dumps(given)} }}\n' for path, given in rules.items())
    good(sides.target.post("sys/policies/acl/copies", {"policy": policy}))
    made = sides.target.post("auth/token/create", {"policies": ["copies"]}).json["auth"]["client_token"]
    done = Sides(sides.source, Api(sides.target.address, made), sides.option).run()
    why = (
        ": a token that sets times has `sudo` below"
        if sides.option == "--from"
        else ", for the server's API sets none"
    )
    assert _SAID + why in done.output
    assert not [line for line in done.output.splitlines() if line.startswith(("different: ", "not copied: secret"))]
    assert sides.target.get("secret/data/a").data["data"] == {"n": 1}


def test_what_a_token_may_not_see_or_write_is_named_and_the_rest_is_copied(sides: Sides) -> None:
    source, target = sides.source, sides.target
    good(source.post("sys/auth/approle", {"type": "approle"}))
    good(source.post("sys/auth/userpass", {"type": "userpass"}))
    for name in ("config", "hidden", "other"):
        good(source.post(f"auth/approle/role/{name}", {"token_ttl": "10m"}))
        good(source.post(f"sys/policies/acl/{name}", {"policy": 'path "a" { capabilities = ["read"] }'}))
    good(source.post("secret/data/a", {"data": {"n": 1}}))
    denied = ("auth/approle/role/hidden", "auth/userpass/users", "sys/policies/acl/hidden")
    rules = ["*", "sys/auth", "sys/auth/*", *denied]
    sees = ["create", "read", "update", "delete", "list", "sudo"]
    policy = "".join(
        f'path "{path}" {{ capabilities = {json.dumps(["deny"] if path in denied else sees)} }}\n' for path in rules
    )
    good(source.post("sys/policies/acl/sees", {"policy": policy}))
    made = source.post("auth/token/create", {"policies": ["sees"]}).json["auth"]["client_token"]
    done = Sides(Api(source.address, made), target, sides.option).run()
    told = [line for line in done.output.splitlines() if line.startswith(("different: ", "not copied: "))]
    assert done.exit_code == 1
    places = [line.removeprefix("not copied: ").partition(": ")[0].rstrip("/") for line in told]
    assert sorted(set(places)) == ["auth/approle/role/hidden", "auth/userpass", "sys/policies/acl/hidden"], (
        done.output
    )
    assert all("403" in line for line in told)
    assert target.get("secret/data/a").data["data"] == {"n": 1}
    assert target.get("auth/approle/role/config").data["token_ttl"] == 600


# Keys.


def test_another_key_of_the_same_name_does_not_pass_for_it(sides: Sides) -> None:
    for side in sides[:2]:
        for kind in _TYPES:
            make_key(side, kind, kind, **_MOVES)
        make_key(side, "stays")
    told = lines(sides)
    for kind in _TYPES:
        place = f"transit/keys/{kind}"
        assert f"different: {place}: another key" in told
        assert f"not copied: {place}: there is a key of this name already, and it is another one" in told
    assert [line.partition(": it may")[0] for line in told if "stays" in line] == ["not copied: transit/keys/stays"]
    assert len(told) == 2 * len(_TYPES) + 1


def test_another_key_does_not_pass_for_it_by_the_time_at_which_it_was_made(sides: Sides) -> None:
    """Symmetric keys that may not be exported show nothing but that; they are made until two are of one second."""
    source, target = sides.source, sides.target
    for name in map(str, range(30)):
        make_key(source, name, **_MOVES)
        make_key(target, name)
        if source.get(f"transit/keys/{name}").data["keys"] == target.get(f"transit/keys/{name}").data["keys"]:
            break
    for further in (["--dry-run"], ["--no-compare"]):
        told = lines(sides, *further)
        assert f"not copied: transit/keys/{name}: there is a key of this name already, and it is another one" in told
    assert f"different: transit/keys/{name}: another key" in lines(sides)


def test_versions_that_were_made_meanwhile_come_along(sides: Sides) -> None:
    source, target, made = sides.source, sides.target, {}
    for kind in (*_TYPES, "ahead"):
        make_key(source, kind, "aes256-gcm96" if kind == "ahead" else kind, **_MOVES)
    assert lines(sides) == []
    for kind in _TYPES:
        good(source.post(f"transit/keys/{kind}/rotate"))
        good(source.post(f"transit/keys/{kind}/rotate"))
        made[kind] = source.post(f"transit/hmac/{kind}", {"input": b64("x")}).data["hmac"]
        assert made[kind].startswith("vault:v3:")
    # Versions of the target alone are not written over: what they have sealed would be lost.
    good(target.post("transit/keys/ahead/rotate"))
    sealed = target.post("transit/encrypt/ahead", {"plaintext": b64("x")}).data["ciphertext"]
    assert lines(sides) == ["different: transit/keys/ahead: latest_version"]
    for kind, code in made.items():
        assert target.post(f"transit/hmac/{kind}", {"input": b64("x")}).data["hmac"] == code
    good(source.post("transit/keys/ahead/rotate"))
    good(source.post("transit/keys/ahead/rotate"))
    assert "not copied: transit/keys/ahead: there is a key of this name already, and it is another one" in lines(
        sides
    )
    assert target.post("transit/decrypt/ahead", {"ciphertext": sealed}).data["plaintext"] == b64("x")


# Logins and policies.


def test_roles_and_configurations_of_jwt_are_copied_and_compared(sides: Sides) -> None:
    source, target = sides.source, sides.target
    good(source.post("sys/auth/people", {"type": "jwt", "description": "ours"}))
    config = {"jwt_validation_pubkeys": [Signer.make("ES256").pem], "bound_issuer": "https://issuer.example"}
    good(source.post("auth/people/config", {**config, "default_role": "app"}))
    role = {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": ["kms"],
        "bound_claims": {"team": ["a", "b"]},
        "claim_mappings": {"mail": "mail"},
        "groups_claim": "groups",
        "token_policies": ["app"],
        "token_ttl": "20m",
        "token_bound_cidrs": ["10.0.0.0/8"],
        "expiration_leeway": 30,
    }
    good(source.post("auth/people/role/app", role))
    done = sides.run()
    assert done.exit_code == 0, done.output
    assert {"JWT roles: 1", "configurations of logins: 1"} <= set(done.output.splitlines())
    found = target.get("auth/people/role/app").data
    assert (found["bound_claims"], found["token_ttl"], found["bound_audiences"]) == (
        role["bound_claims"],
        1200,
        ["kms"],
    )
    assert target.get("auth/people/config").data["bound_issuer"] == config["bound_issuer"]
    # What a role gives no more it gives here no more.
    good(source.post("auth/people/role/app", {**role, "token_policies": []}))
    assert lines(sides) == []
    assert target.get("auth/people/role/app").data["token_policies"] == []


def test_roles_and_policies_become_as_they_are_there(sides: Sides) -> None:
    for side, ttl in zip(sides[:2], (600, 900), strict=True):
        good(side.post("sys/auth/approle", {"type": "approle"}))
        good(side.post("auth/approle/role/app", {"token_ttl": ttl}))
    rule = 'length = 20\nrule "charset" {\n  charset = "abcdefghij"\n}'
    good(sides.source.post("sys/policies/password/short", {"policy": rule}))
    assert lines(sides) == []
    assert sides.target.get("sys/policies/password/short").data["policy"].strip() == rule
    assert sides.target.get("auth/approle/role/app").data["token_ttl"] == 600


# What is told.


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]", b'{"ok": true}', b""])
def test_an_answer_of_something_else_is_not_taken_for_nothing(body: bytes) -> None:
    async def answered(_: web.BaseRequest) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    with site(answered) as address:
        server = Server(address, SecretBytes(b"t"))
        with pytest.raises(ServerFailed, match=r"secret/metadata/a: .*none of this API"):
            server.read("secret/metadata/a")
        server.close()


def test_a_dry_run_tells_what_cannot_be_copied_and_writes_nothing(sides: Sides) -> None:
    source = sides.source
    make_key(source, "stays")
    make_key(source, "moves", **_MOVES)
    good(source.post("sys/auth/pods", {"type": "kubernetes"}))
    good(source.post("sys/auth/approle", {"type": "approle"}))
    good(source.post("auth/approle/role/app", {}))
    good(source.post("auth/token/roles/short", {"token_explicit_max_ttl": "1h"}))
    good(source.post("identity/group", {"name": "team"}))
    good(source.post("identity/entity", {"name": "ann"}))
    good(source.post("sys/quotas/rate-limit/all", {"rate": 1000}))
    looked = json.loads(sides.run("--dry-run", "--json").stdout)
    assert [each["what"] for each in looked["not_copied"]] == [
        "auth/pods/",
        "auth/token/roles (1)",
        "identity/group/id (1)",
        "sys/quotas/rate-limit (1)",
        "transit/keys/stays",
    ]
    assert any(text.startswith("entities are not copied") for text in looked["not_kept"])
    found = {each["path"]: each["number"] for each in looked["found"]}
    assert (found["transit/"], found["auth/approle/"]) == (2, 1)
    assert sides.target.get("transit/keys/moves").status == 404
    assert "approle/" not in sides.target.get("sys/auth").data
    done = json.loads(sides.run("--json").stdout)
    assert done["not_copied"] == looked["not_copied"], "what is told before is what comes"


def test_a_dry_run_tells_what_is_in_the_way_in_the_target(sides: Sides) -> None:
    source, target = sides.source, sides.target
    for side, engine, method in ((source, "kv", "approle"), (target, "transit", "userpass")):
        good(side.post("sys/mounts/taken", {"type": engine}))
        good(side.post("sys/auth/taken", {"type": method}))
        make_key(side, "another", **_MOVES)
        make_key(side, "new", **(_MOVES if side is source else {}))
    for number in range(3):
        good(target.post("secret/data/longer", {"data": {"n": number}}))
    for path in ("longer", "shorter"):
        good(source.post(f"secret/data/{path}", {"data": {"n": 0}}))
    looked = json.loads(sides.run("--dry-run", "--json").stdout)
    assert [each["what"] for each in looked["not_copied"]] == [
        "secret/metadata/longer",
        "sys/auth/taken/",
        "sys/mounts/taken/",
        "transit/keys/another",
        "transit/keys/new",
    ]
    assert json.loads(sides.run("--json").stdout)["not_copied"] == looked["not_copied"]


@pytest.mark.parametrize("other", ["bao"], indirect=True)
@pytest.mark.parametrize("sides", ["--from"], indirect=True)
def test_an_engine_that_is_not_here_is_told_of_once(sides: Sides) -> None:
    good(sides.source.post("sys/mounts/pki", {"type": "pki"}))
    try:
        for further in (["--dry-run"], []):
            assert lines(sides, *further) == ["not copied: sys/mounts/pki/: the engine pki is not copied"]
    finally:
        good(sides.source.delete("sys/mounts/pki"))


@pytest.mark.parametrize("other", ["bao"], indirect=True)
@pytest.mark.parametrize("sides", ["--from"], indirect=True)
def test_a_namespace_of_the_other_server_is_named(sides: Sides) -> None:
    good(sides.source.post("sys/namespaces/team"))
    inner = sides.source.with_headers(**{"X-Vault-Namespace": "team"})
    good(inner.post("sys/mounts/own", {"type": "kv", "options": {"version": "2"}}))
    good(inner.post("own/data/a", {"data": {"n": 1}}))
    (told,) = lines(sides)
    assert told.startswith("not copied: sys/namespaces (1): further namespaces are not copied")
    assert lines(sides, "--other-namespace", "team") == []
    assert sides.target.get("own/data/a").data["data"] == {"n": 1}


@pytest.mark.parametrize("number", [2**70 + 1, Decimal("0.1000000000000000000055")])
def test_a_number_that_a_server_rounds_is_told(sides: Sides, number: int | Decimal) -> None:
    """Which servers keep all digits is another matter: what passes for the same is the same."""
    source, target = (
        Server(each.address, SecretBytes((each.token or "").encode())) for each in (sides.source, sides.target)
    )
    source.write("secret/data/long", {"data": {"n": number}})
    told = lines(sides)
    there, here = (each.read("secret/data/long")["data"]["n"] for each in (source, target))
    source.close()
    target.close()
    assert told == ([] if there == here else ["different: secret/data/long: version 1 is another one"])
    if sides.option == "--from" and isinstance(there, int):
        assert here == there, "whole numbers are kept here"
