"""Rules of policies: by no other spelling, no list and no template is more done than they say."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.advisories.conftest import Bearer, token_of
from tests.support.api import Api
from tests.support.tenant import Tenant

_ALL: Final = '"create", "read", "update", "patch", "delete", "list", "scan", "sudo"'


def but_for(folder: str, denied: str) -> str:
    """Return a policy that gives all of a folder but one thing in it."""
    return (
        f'path "{folder}/*" {{ capabilities = [{_ALL}] }}\n'
        f'path "{folder}/{denied}" {{ capabilities = ["deny"] }}\n'
        f'path "{folder}/{denied}/*" {{ capabilities = ["deny"] }}'
    )


#: Rules for a folder, and what is less specific than all of them.
DENIED: Final = ("team/private", "team/private/", "team/private*")
GIVEN: Final = ("*", "team/*", "+/+", "+/private/", "team/+/*", "team/pri*", "+/*")


@pytest.mark.parametrize("denied", DENIED)
@pytest.mark.parametrize("given", GIVEN)
def test_ghsa_xp3c_3jw3_4vcr_no_list_goes_past_a_deny(
    denied: str, given: str, tenant: Tenant, bearer: Bearer
) -> None:
    """LIST was allowed by a wildcard although another rule, more specific, denied the folder.

    Here a list is a path and an operation like any other: the one rule that speaks for it decides.
    """
    assert tenant.user.post("secret/data/team/private/x", {"data": {"a": "b"}}).status == 200
    caller = bearer(
        f'path "secret/metadata/{given}" {{ capabilities = ["list", "scan", "read"] }}\n'
        f'path "secret/metadata/{denied}" {{ capabilities = ["deny"] }}'
    )
    for answer in (
        caller.list("secret/metadata/team/private"),
        caller.list("secret/metadata/team/private/"),
        caller.get("secret/metadata/team/private?list=true"),
        caller.get("secret/metadata/team/private/?list=true"),
        caller.call("SCAN", "secret/metadata/team/private/"),
        caller.get("secret/metadata/team/private?scan=true"),
    ):
        assert answer.status == 403
        assert b'"x"' not in answer.body
    assert b"private/x" not in caller.call("SCAN", "secret/metadata/team/").body


#: Folders of things whose names are one in capitals and without, and how one is made there.
NAMES: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("auth/userpass/users", "userpass", {"password": "a password of a user"}),
    ("auth/approle/role", "approle", {"token_policies": "default"}),
    ("auth/jwt/role", "jwt", {"role_type": "jwt", "user_claim": "sub", "bound_audiences": "x"}),
    (
        "auth/kubernetes/role",
        "kubernetes",
        {"bound_service_account_names": "a", "bound_service_account_namespaces": "b"},
    ),
    ("auth/token/roles", "", {}),
    ("sys/policies/acl", "", {"policy": 'path "a" { capabilities = ["read"] }'}),
    ("sys/policy", "", {"policy": 'path "a" { capabilities = ["read"] }'}),
    ("sys/policies/password", "", {"policy": 'length = 20 rule "charset" { charset = "abc" }'}),
    ("sys/quotas/rate-limit", "", {"rate": 1000}),
    ("identity/entity/name", "", {"metadata": {"a": "b"}}),
    ("identity/group/name", "", {"metadata": {"a": "b"}}),
    ("transit/keys", "", {}),
    ("secret/data", "", {"data": {"a": "b"}}),
)


@pytest.mark.parametrize(("folder", "login", "fields"), NAMES, ids=[each[0] for each in NAMES])
def test_ghsa_fg5x_7whg_6c28_a_name_in_capitals_is_decided_about_as_the_same_name(
    folder: str, login: str, fields: dict[str, Any], tenant: Tenant, bearer: Bearer
) -> None:
    """A rule for `users/ann` was silent of `users/ANN`, which was the same user.

    Here routes say which names have one spelling, and rules and checks see paths with that. Things whose names differ
    by capitals are two.
    """
    operator = tenant.operator
    if login:
        assert operator.post(f"sys/auth/{login}", {"type": login}).status == 204
    assert operator.post(f"{folder}/ann", fields).status in {200, 204}
    before = operator.get(f"{folder}/ann").json["data"]
    caller = bearer(but_for(folder, "ann"))
    capitals = ("ann", "ANN", "Ann", "aNN", "%41nn", *(("%20ann", "ann%20") if "polic" in folder else ()))
    assert {caller.get(f"{folder}/{name}").status for name in capitals} <= {403, 404}
    assert caller.get(f"{folder}/ann").status == 403
    for name in capitals:
        caller.post(f"{folder}/{name}", fields | {"password": "of somebody else", "token_policies": ["x"], "rate": 1})
        caller.post(f"{folder}/{name}/password", {"password": "of somebody else"})
        caller.post(f"{folder}/{name}/policies", {"token_policies": "x"})
        caller.post(f"{folder}/{name}/token-ttl", {"token_ttl": 77})
        caller.post(f"{folder}/{name}/rotate")
        caller.delete(f"{folder}/{name}")
    assert operator.get(f"{folder}/ann").json["data"] == before


@pytest.mark.parametrize("folder", ["sys/policies/acl", "sys/policy", "identity/entity/name", "identity/group/name"])
def test_ghsa_fg5x_7whg_6c28_a_rule_in_capitals_speaks_for_the_same_name(
    folder: str, tenant: Tenant, bearer: Bearer
) -> None:
    """The other way round: who writes a rule as he wrote the name has denied the name."""
    body = {"policy": "# nothing"} if "polic" in folder else {}
    assert tenant.operator.post(f"{folder}/Ann", body).status in {200, 204}
    caller = bearer(but_for(folder, "Ann"))
    for name in ("Ann", "ann", "ANN"):
        assert caller.get(f"{folder}/{name}").status == 403, name
        assert caller.post("sys/capabilities-self", {"path": f"{folder}/{name}"}).data["capabilities"] == ["deny"]


@pytest.mark.parametrize("folder", ["sys/policies/acl", "sys/policy"])
def test_ghsa_fg5x_7whg_6c28_a_rule_for_a_folder_of_policies_speaks_for_what_is_in_it(
    folder: str, tenant: Tenant, bearer: Bearer
) -> None:
    assert tenant.operator.post(f"{folder}/team/app", {"policy": "# nothing"}).status == 204
    caller = bearer(but_for(folder, "team"))
    for name in ("team/app", "TEAM/app", "team/APP", "%20Team/app%20", "t%45am%2Fapp"):
        for answer in (
            caller.get(f"{folder}/{name}"),
            caller.post(f"{folder}/{name}", {"policy": "# of somebody else"}),
            caller.delete(f"{folder}/{name}"),
        ):
            assert answer.status == 403, name
    for name in ("team", "team/", "TEAM", "Team/", "%20team"):
        assert caller.list(f"{folder}/{name}").status == 403, name
    assert tenant.operator.get(f"{folder}/team/app").data["version"] == 1


def test_ghsa_fg5x_7whg_6c28_what_may_be_done_is_told_by_the_same_name(tenant: Tenant, bearer: Bearer) -> None:
    tenant.operator.post("sys/auth/userpass", {"type": "userpass"})
    caller = bearer(but_for("auth/userpass/users", "ann"))
    asked = [f"auth/userpass/users/{name}" for name in ("ann", "ANN", "bob", "BOB")]
    told = caller.post("sys/capabilities-self", {"paths": asked}).data
    assert [told[path] == ["deny"] for path in asked] == [True, True, False, False]


#: A value of an entity that would mean more than itself, and where another's secret would be reached by it.
WILD: Final = ("*", "+", "a*", "a/+", "../bob", "+/x", "bob/*", "a/../bob", "%2a", "{{identity.entity.id}}")


@pytest.mark.parametrize("value", WILD)
def test_ghsa_59w7_v8rr_pr4p_a_value_in_a_template_is_no_pattern(value: str, tenant: Tenant, nobody: Api) -> None:
    """Names and metadata with `*`, `+` and `/` became part of the rule that a template makes.

    Here such a value withholds all that the policies give, unless the policy itself says that it takes it.
    """
    caller = logged_in(
        tenant,
        nobody,
        value,
        'path "secret/data/{{identity.entity.metadata.team}}/*" '
        '{ capabilities = ["read", "list", "update", "create"] }',
    )
    for name in ("bob", "a", "b/c", "x"):
        assert tenant.user.post(f"secret/data/{name}/x", {"data": {"a": "b"}}).status == 200
        assert caller.get(f"secret/data/{name}/x").status == 403
        assert caller.post(f"secret/data/{name}/x", {"data": {"a": "c"}}).status == 403


def test_ghsa_hr5j_3j78_4vh2_a_template_that_denies_is_not_dropped(tenant: Tenant, nobody: Api) -> None:
    """A rule that denies by a template was left out where its value was refused: what it denied was allowed.

    Here what one rule cannot be is given by none.
    """
    policy = (
        f'path "secret/data/*" {{ capabilities = [{_ALL}] }}\n'
        'path "secret/data/{{identity.entity.metadata.team}}/*" { capabilities = ["deny"] }'
    )
    assert tenant.user.post("secret/data/a/x", {"data": {"a": "b"}}).status == 200
    harmless = logged_in(tenant, nobody, "b", policy)
    assert harmless.get("secret/data/a/x").status == 200  # the policy is one that gives something
    caller = logged_in(tenant, nobody, "+", policy)
    assert caller.get("secret/data/a/x").status == 403


def logged_in(tenant: Tenant, nobody: Api, value: str, policy: str) -> Api:
    """Return a user whose entity has a value in its metadata, and who has this policy."""
    operator = tenant.operator
    operator.post("sys/auth/userpass", {"type": "userpass"})
    assert operator.put("sys/policies/acl/filled", {"policy": policy}).status == 204
    assert (
        operator.post("auth/userpass/users/ann", {"password": "password", "token_policies": "filled"}).status == 204
    )
    login = nobody.post("auth/userpass/login/ann", {"password": "password"})
    entity = login.json["auth"]["entity_id"]
    assert operator.post(f"identity/entity/id/{entity}", {"metadata": {"team": value}}).status in {200, 204}
    assert operator.get(f"identity/entity/id/{entity}").data["metadata"] == {"team": value}
    return nobody.with_token(token_of(login))


TRAVERSALS: Final = (
    "labs/../other",
    "labs/./../other",
    "labs/%2e%2e/other",
    "labs/%2E%2e/other",
    "labs/..%2fother",
    "labs%2f..%2fother",
    "labs//../other",
    "labs/..\\other",
    "labs/%5c..%5cother",
    "labs/x/../../other",
    "labs/..;/other",
    "labs/%252e%252e/other",
)


@pytest.mark.parametrize("path", TRAVERSALS)
def test_cve_2026_3605_a_path_that_is_not_canonical_reaches_nothing(
    path: str, tenant: Tenant, bearer: Bearer
) -> None:
    """Who had a glob of a KV mount deleted secrets outside of it, by paths that the router read otherwise.

    Here a path with two readings is refused, and router, rules and engines see one text.
    """
    assert tenant.user.post("secret/data/other", {"data": {"a": "b"}}).status == 200
    caller = bearer(f'path "secret/data/labs/*" {{ capabilities = [{_ALL}] }}')
    for verb in ("DELETE", "GET", "POST", "PATCH"):
        body = {"data": {"a": "c"}} if verb in {"POST", "PATCH"} else None
        headers = {"Content-Type": "application/merge-patch+json"} if verb == "PATCH" else {}
        answer = caller.call(verb, f"secret/data/{path}", body, headers)
        assert b'"b"' not in answer.body
    for prefix in ("metadata", "delete", "destroy", "undelete"):
        caller.delete(f"secret/{prefix}/{path}")
        caller.put(f"secret/{prefix}/{path}", {"versions": [1]})
    assert tenant.user.get("secret/data/other").data["data"] == {"a": "b"}
    assert tenant.user.get("secret/data/other").data["metadata"]["version"] == 1


@pytest.mark.parametrize("prefix", ["metadata", "delete", "destroy", "undelete"])
def test_cve_2026_3605_a_glob_of_data_gives_nothing_of_its_neighbours(
    prefix: str, tenant: Tenant, bearer: Bearer
) -> None:
    assert tenant.user.post("secret/data/labs/x", {"data": {"a": "b"}}).status == 200
    caller = bearer(f'path "secret/data/labs/*" {{ capabilities = [{_ALL}] }}')
    assert caller.get("secret/data/labs/x").status == 200
    assert caller.delete(f"secret/{prefix}/labs/x").status == 403
    assert caller.put(f"secret/{prefix}/labs/x", {"versions": [1]}).status == 403


ROOT_SPELLINGS: Final = ("root", "Root", "ROOT", " root", "root ", "\troot", "rOOt\n", "root\u0000", "\uff52oot")


@pytest.mark.parametrize("name", ROOT_SPELLINGS)
@pytest.mark.parametrize("where", ["entity", "group"])
def test_cve_2025_5999_and_64761_no_spelling_of_root_gives_root(
    where: str, name: str, tenant: Tenant, nobody: Api
) -> None:
    """Policies of entities (CVE-2025-5999) and of groups (CVE-2025-64761) were compared with `root` as written.

    Here a policy's name gets its one spelling where it comes in, and `root` counts only where it is alone.
    """
    caller = logged_in(tenant, nobody, "a", "# nothing")
    entity = caller.get("auth/token/lookup-self").data["entity_id"]
    if where == "entity":
        tenant.operator.post(f"identity/entity/id/{entity}", {"policies": [name]})
    else:
        tenant.operator.post("identity/group", {"name": "g", "policies": [name], "member_entity_ids": [entity]})
    for again in (
        caller,
        nobody.with_token(token_of(nobody.post("auth/userpass/login/ann", {"password": "password"}))),
    ):
        assert again.get("sys/mounts").status == 403
        assert again.get("secret/data/a").status == 403
        told = again.get("auth/token/lookup-self").data
        assert "root" not in (*told["policies"], *(told.get("identity_policies") or ()))
