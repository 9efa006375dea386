"""What entities and groups give to who logs in, and take from him, by HTTP against a real node."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.support.api import Api
from tests.support.tenant import Tenant

READ = 'path "secret/data/{}" {{ capabilities = ["create", "read", "update"] }}'


class Ann(NamedTuple):
    """Somebody who has logged in."""

    root: Api
    api: Api
    entity: str
    auth: Any

    def may(self, place: str) -> bool:
        status = self.api.post(f"secret/data/{place}", {"data": {}}).status
        assert status in (200, 403)
        return status == 200


@pytest.fixture
def ann(tenant: Tenant) -> Ann:
    root = tenant.root
    for name in ("own", "red", "staff", "token"):
        assert root.put(f"sys/policies/acl/{name}", {"policy": READ.format(name)}).status == 204
    assert root.post("sys/auth/userpass", {"type": "userpass"}).status == 204
    body = {"password": "p", "token_policies": ["token"]}
    assert root.post("auth/userpass/users/ann", body).status == 204
    nobody = root.with_token(None).with_headers(**{"X-Vault-Namespace": tenant.vault_id})
    auth = nobody.post("auth/userpass/login/ann", {"password": "p"}).json["auth"]
    return Ann(root, root.with_token(auth["client_token"]), auth["entity_id"], auth)


def made(answer: Any) -> str:
    return str(answer.json["data"]["id"])


def test_policies_of_the_entity_and_its_groups_come_on_top_of_the_tokens(ann: Ann) -> None:
    assert [place for place in ("own", "red", "staff", "token") if ann.may(place)] == ["token"]
    ann.root.post(f"identity/entity/id/{ann.entity}", {"policies": "own"})
    red = made(ann.root.post("identity/group", {"name": "red", "policies": "red", "member_entity_ids": [ann.entity]}))
    staff = made(ann.root.post("identity/group", {"name": "staff", "policies": "staff", "member_group_ids": [red]}))
    assert all(ann.may(place) for place in ("own", "red", "staff", "token"))
    shown = ann.api.get("auth/token/lookup-self").json["data"]
    assert (shown["entity_id"], shown["policies"]) == (ann.entity, ["default", "token"])
    assert shown["identity_policies"] == ["own", "red", "staff"]
    ann.root.post(f"identity/group/id/{staff}", {"policies": []})
    assert not ann.may("staff")
    ann.root.delete(f"identity/group/id/{red}")
    assert [place for place in ("own", "red", "staff", "token") if ann.may(place)] == ["own", "token"]


def test_a_disabled_entity_can_do_nothing_until_it_is_enabled(ann: Ann, tenant: Tenant) -> None:
    entity = f"identity/entity/id/{ann.entity}"
    assert ann.may("token")
    assert ann.root.post(entity, {"disabled": True}).status == 204
    for refused in (ann.api.get("auth/token/lookup-self"), ann.api.post("secret/data/token", {"data": {}})):
        assert (refused.status, refused.errors) == (403, ["permission denied"])
    nobody = ann.root.with_token(None).with_headers(**{"X-Vault-Namespace": tenant.vault_id})
    assert nobody.post("auth/userpass/login/ann", {"password": "p"}).status == 403
    assert ann.root.post(entity, {"disabled": False}).status == 204
    assert ann.may("token")


def test_a_removed_entity_takes_its_tokens_along(ann: Ann) -> None:
    assert ann.may("token")
    assert ann.root.delete(f"identity/entity/id/{ann.entity}").status == 204
    assert ann.api.get("auth/token/lookup-self").status == 403


def test_tokens_of_a_merged_entity_have_what_the_other_gives(ann: Ann) -> None:
    other = made(ann.root.post("identity/entity", {"name": "other", "policies": "own"}))
    body = {"from_entity_ids": [ann.entity], "to_entity_id": other}
    assert ann.root.post("identity/entity/merge", body).status == 204
    assert [place for place in ("own", "token") if ann.may(place)] == ["own", "token"]


def test_templates_are_filled_by_who_asks(ann: Ann) -> None:
    accessor = ann.root.get("sys/auth").json["data"]["userpass/"]["accessor"]
    rules = "\n".join(
        READ.format(f"{{{{{{{{identity.{what}}}}}}}}}")
        for what in ("entity.name", "entity.metadata.team", f"entity.aliases.{accessor}.name")
    )
    rules = rules.replace("{{{{", "{{").replace("}}}}", "}}")
    assert ann.root.put("sys/policies/acl/token", {"policy": rules}).status == 204
    ann.root.post(f"identity/entity/id/{ann.entity}", {"name": "anna", "metadata": {"team": "blue"}})
    assert [place for place in ("anna", "ann", "blue", "red") if ann.may(place)] == ["anna", "ann", "blue"]


def test_nobody_gets_at_identities_without_being_allowed(ann: Ann) -> None:
    """But for his own, which the policy `default` shows him."""
    assert ann.api.get("identity/entity/id").status in (403, 405)
    assert ann.api.post("identity/entity", {"name": "x"}).status == 403
    assert ann.api.get(f"identity/entity/id/{ann.entity}").status == 200
    ann.root.put("sys/policies/acl/token", {"policy": 'path "identity/entity" { capabilities = ["update"] }'})
    assert ann.api.post("identity/entity", {"name": "x"}).status == 200
    assert ann.api.post("identity/group", {"name": "x"}).status == 403
