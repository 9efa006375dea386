"""Identities by hvac: each of its methods for entities, aliases, groups and lookups, against a real node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hvac
import pytest
from hvac import exceptions

from tests.support.tenant import Tenant


@pytest.fixture
def client(tenant: Tenant) -> Iterator[Any]:
    client = hvac.Client(url=tenant.root.address, token=tenant.root.token)
    yield client
    client.adapter.close()


@pytest.fixture
def accessor(client: Any) -> str:
    client.sys.enable_auth_method("userpass")
    return str(client.sys.list_auth_methods()["data"]["userpass/"]["accessor"])


def made(answer: Any) -> str:
    return str(answer["data"]["id"])


class TestEntities:
    def test_by_id_and_by_name(self, client: Any) -> None:
        entities = client.secrets.identity
        ann = made(entities.create_or_update_entity("ann", metadata={"team": "red"}, policies="reader"))
        assert entities.create_or_update_entity("ann", policies=["writer"], disabled=True).status_code == 204
        for read in (entities.read_entity(ann), entities.read_entity_by_name("ann")):
            assert read["data"]["metadata"] == {"team": "red"}
            assert (read["data"]["policies"], read["data"]["disabled"]) == (["writer"], True)
        assert entities.update_entity(ann, name="anna", metadata={"team": "blue"}).status_code == 204
        assert entities.create_or_update_entity_by_name("anna", disabled=False).status_code == 204
        bob = made(entities.create_or_update_entity_by_name("bob"))
        for method in ("LIST", "GET"):
            assert entities.list_entities(method)["data"]["keys"] == sorted((ann, bob))
            assert entities.list_entities_by_name(method)["data"]["keys"] == ["anna", "bob"]
        assert entities.list_entities()["data"]["key_info"][bob] == {"name": "bob"}
        entities.delete_entity(ann)
        entities.delete_entity_by_name("bob")
        for read in (lambda: entities.read_entity(ann), lambda: entities.read_entity_by_name("bob")):
            with pytest.raises(exceptions.InvalidPath):
                read()
        with pytest.raises(exceptions.InvalidPath):
            entities.list_entities()

    def test_merged(self, client: Any, accessor: str) -> None:
        entities = client.secrets.identity
        ann, bob, carl = [made(entities.create_or_update_entity(name)) for name in ("ann", "bob", "carl")]
        entities.create_or_update_entity_alias("b", bob, accessor)
        entities.merge_entities(from_entity_ids=[bob, carl], to_entity_id=ann, force=True)
        shown = entities.read_entity(ann)["data"]
        assert shown["merged_entity_ids"] == [bob, carl]
        assert [alias["name"] for alias in shown["aliases"]] == ["b"]
        with pytest.raises(exceptions.InvalidRequest, match="merge from"):
            entities.merge_entities(from_entity_ids=bob, to_entity_id=ann)

    def test_looked_up(self, client: Any, accessor: str) -> None:
        entities = client.secrets.identity
        ann = made(entities.create_or_update_entity("ann"))
        alias = made(entities.create_or_update_entity_alias("a", ann, accessor))
        for wanted in (
            {"name": "ann"},
            {"entity_id": ann},
            {"alias_id": alias},
            {"alias_name": "a", "alias_mount_accessor": accessor},
        ):
            assert entities.lookup_entity(**wanted)["data"]["id"] == ann
        assert entities.lookup_entity(name="nobody").status_code == 204


class TestAliases:
    def test_of_entities(self, client: Any, accessor: str) -> None:
        entities = client.secrets.identity
        ann = made(entities.create_or_update_entity("ann"))
        alias = made(entities.create_or_update_entity_alias("a", ann, accessor))
        read = entities.read_entity_alias(alias)["data"]
        assert (read["canonical_id"], read["name"], read["mount_accessor"]) == (ann, "a", accessor)
        assert (read["mount_path"], read["mount_type"]) == ("auth/userpass/", "userpass")
        entities.update_entity_alias(alias, name="b", canonical_id=ann, mount_accessor=accessor)
        assert entities.read_entity_alias(alias)["data"]["name"] == "b"
        for method in ("LIST", "GET"):
            listed = entities.list_entity_aliases(method)["data"]
            assert listed["keys"] == [alias]
            assert listed["key_info"][alias]["canonical_id"] == ann
        assert entities.delete_entity_alias(alias).status_code == 204
        with pytest.raises(exceptions.InvalidPath):
            entities.read_entity_alias(alias)

    def test_of_groups(self, client: Any, accessor: str) -> None:
        groups = client.secrets.identity
        group = made(groups.create_or_update_group("staff", group_type="external"))
        alias = made(groups.create_or_update_group_alias("employees", mount_accessor=accessor, canonical_id=group))
        assert groups.read_group_alias(alias)["data"]["canonical_id"] == group
        groups.update_group_alias(alias, name="people", mount_accessor=accessor, canonical_id=group)
        assert groups.read_group(group)["data"]["alias"]["name"] == "people"
        for method in ("LIST", "GET"):
            assert groups.list_group_aliases(method)["data"]["keys"] == [alias]
        assert groups.lookup_group(alias_id=alias)["data"]["id"] == group
        groups.delete_group_alias(alias)
        with pytest.raises(exceptions.InvalidPath):
            groups.read_group_alias(alias)


class TestGroups:
    def test_by_id_and_by_name(self, client: Any) -> None:
        groups = client.secrets.identity
        ann = made(groups.create_or_update_entity("ann"))
        red = made(groups.create_or_update_group("red", metadata={"a": "b"}, policies=["r"], member_entity_ids=[ann]))
        top = made(groups.create_or_update_group_by_name("top", member_group_ids=[red]))
        shown = groups.read_group(red)["data"]
        assert (shown["member_entity_ids"], shown["parent_group_ids"]) == ([ann], [top])
        assert groups.read_group_by_name("top")["data"]["member_group_ids"] == [red]
        entity = groups.read_entity(ann)["data"]
        assert (entity["direct_group_ids"], entity["inherited_group_ids"]) == ([red], [top])
        assert groups.update_group(red, "red", policies=["x"], member_entity_ids=[]).status_code == 204
        assert groups.create_or_update_group_by_name("red", policies=["y"]).status_code == 204
        assert groups.read_group(red)["data"]["policies"] == ["y"]
        for method in ("LIST", "GET"):
            assert groups.list_groups(method)["data"]["keys"] == sorted((red, top))
            assert groups.list_groups_by_name(method)["data"]["keys"] == ["red", "top"]
        with pytest.raises(exceptions.InvalidRequest, match="cyclic"):
            groups.update_group(red, "red", member_group_ids=[top])
        for wanted in ({"name": "red"}, {"group_id": red}):
            assert groups.lookup_group(**wanted)["data"]["id"] == red
        groups.delete_group(red)
        groups.delete_group_by_name("top")
        with pytest.raises(exceptions.InvalidPath):
            groups.list_groups()


def test_what_is_not_there_is_told(client: Any) -> None:
    with pytest.raises(exceptions.InvalidRequest, match="identity tokens are not issued"):
        client.secrets.identity.list_named_keys()
