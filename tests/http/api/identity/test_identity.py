"""Paths of identity/: what they ask of the vault, and how that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kms_actors import request_context
from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken, TokenProof
from kms_actors.errors import NotFound
from kms_actors.identity import messages as identity
from kms_actors.identity.messages import FoundAlias, FoundEntity, FoundGroup, ListedGroup, LoginMount, Wanted
from kms_actors.identity.records import Alias, Entity, Group, GroupType
from kms_actors.messages import AuthenticateToken
from tests.http.conftest import ROOT_SERVICE_TOKEN, VAULT_ID

if TYPE_CHECKING:
    from tests.http.conftest import Service

E, A, G = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "eab")
TIME = 1_700_000_000_123_456_789
SHOWN_TIME = "2023-11-14T22:13:20.123456789Z"
ALIAS = Alias(
    id=A,
    name="ann",
    mount_accessor="auth_door_5678",
    mount_type="door",
    mount_path="auth/door/",
    metadata={"team": "red"},
    custom_metadata={"note": "x"},
    created=TIME,
    updated=TIME,
    merged_from=("m",),
)
ENTITY = Entity(
    id=E,
    name="Ann",
    metadata={"a": "b"},
    policies=("p",),
    created=TIME,
    updated=TIME,
    aliases=(ALIAS,),
    merged=("m",),
)
GROUP = Group(id=G, name="staff", type=GroupType.EXTERNAL, policies=("g",), created=TIME, updated=TIME, alias=ALIAS)
DOOR = LoginMount("auth_door_5678", "door", "auth/door/", 4)
PLACE = {"mount_accessor": "auth_door_5678", "mount_path": "auth/door/", "mount_type": "door", "name": "ann"}
TOLD = {
    "canonical_id": E,
    "creation_time": SHOWN_TIME,
    "custom_metadata": {"note": "x"},
    "id": A,
    "last_update_time": SHOWN_TIME,
    "local": False,
    "merged_from_canonical_ids": ["m"],
    "metadata": {"team": "red"},
    **PLACE,
}


async def ask(service: Service, method: str, path: str, answer: Any = None, **body: Any) -> tuple[Any, Any]:
    """Return the HTTP answer, and the message that was asked, which is answered with `answer`."""
    asked = service.backend.only_tenant.asked
    for kind in vars(identity).values():
        if isinstance(kind, type):
            service.backend.only_tenant.answers[kind] = answer
    before = len(asked)
    json = body if method in {"POST", "PUT"} else None
    response = await service.call(method, f"/v1/identity/{path}", "root", json=json)
    return response, asked[-1] if len(asked) > before else None


class TestRequests:
    @pytest.mark.parametrize(
        ("path", "body", "message"),
        [
            ("entity", {}, identity.WriteEntity()),
            ("entity", {"id": "", "name": ""}, identity.WriteEntity()),
            (
                "entity",
                {"id": E, "name": "n", "metadata": ["a=b", "c=d=e"], "policies": "B, a", "disabled": "true"},
                identity.WriteEntity(E, "n", {"a": "b", "c": "d=e"}, ("B", "a"), True),
            ),
            (
                f"entity/id/{E}",
                {"id": "other", "metadata": None, "policies": []},
                identity.WriteEntity(E, "", {}, ()),
            ),
            ("entity/name/a/b", {"name": "x", "id": E}, identity.WriteEntity(E, "a/b")),
            ("entity/batch-delete", {"entity_ids": [E, "x"]}, identity.DeleteEntities((E, "x"))),
            (
                "entity/merge",
                {"from_entity_ids": E, "to_entity_id": A, "force": True, "conflicting_alias_ids_to_keep": [G]},
                identity.MergeEntities((E,), A, (G,)),
            ),
            (
                "entity-alias",
                {"name": "n", "mount_accessor": "auth_door_5678", "entity_id": E, "custom_metadata": {"a": 1}},
                identity.WriteAlias(None, "n", DOOR, E, {"a": "1"}),
            ),
            (f"entity-alias/id/{A}", {"canonical_id": E}, identity.WriteAlias(A, "", None, E, None)),
            ("group", {}, identity.WriteGroup()),
            (
                "group",
                {"name": "g", "type": "external", "policies": ["P"], "metadata": {"a": "b"}},
                identity.WriteGroup(None, "g", GroupType.EXTERNAL, {"a": "b"}, ("P",)),
            ),
            (
                f"group/id/{G}",
                {"member_entity_ids": f"{E},{A}", "member_group_ids": []},
                identity.WriteGroup(G, entities=(E, A), groups=()),
            ),
            ("group/name/a%20b", {"id": ""}, identity.WriteGroup("", "a b")),
            (
                "group-alias",
                {"name": "n", "mount_accessor": "auth_door_5678", "canonical_id": G},
                identity.WriteGroupAlias(None, "n", DOOR, G),
            ),
            (
                f"group-alias/id/{A}",
                {"name": "n", "mount_accessor": "auth_door_5678"},
                identity.WriteGroupAlias(A, "n", DOOR, ""),
            ),
            ("lookup/entity", {"name": "n", "id": ""}, identity.FindEntity(Wanted(name="n"))),
            ("lookup/entity", {"alias_id": A}, identity.FindEntity(Wanted(alias_id=A))),
            (
                "lookup/group",
                {"alias_name": "n", "alias_mount_accessor": "x"},
                identity.FindGroup(Wanted(accessor="x", alias="n")),
            ),
            ("lookup/group", {"id": G}, identity.FindGroup(Wanted(G))),
        ],
    )
    async def test_writes_ask_for_what_is_sent(
        self, service: Service, path: str, body: dict[str, Any], message: Any
    ) -> None:
        answer, asked = await ask(service, "POST", path, **body)
        assert answer.status == 204
        assert asked == message

    @pytest.mark.parametrize(
        ("method", "path", "message"),
        [
            ("GET", f"entity/id/{E}", identity.FindEntity(Wanted(E))),
            ("GET", "entity/name/a/b", identity.FindEntity(Wanted(name="a/b"))),
            ("DELETE", f"entity/id/{E}", identity.DeleteEntities((E,))),
            ("DELETE", "entity/name/n", identity.DeleteEntities(name="n")),
            ("LIST", "entity/id", identity.ListEntities()),
            ("GET", f"entity/id?list=true&limit=2&after={E}", identity.ListEntities(E, 2)),
            ("LIST", "entity/name", identity.ListEntities()),
            ("GET", f"entity-alias/id/{A}", identity.FindAlias(A)),
            ("DELETE", f"entity-alias/id/{A}", identity.DeleteAlias(A)),
            ("LIST", "entity-alias/id?limit=-1", identity.ListAliases()),
            ("GET", f"group/id/{G}", identity.FindGroup(Wanted(G))),
            ("GET", "group/name/n", identity.FindGroup(Wanted(name="n"))),
            ("DELETE", f"group/id/{G}", identity.DeleteGroup(G)),
            ("DELETE", "group/name/n", identity.DeleteGroup(name="n")),
            ("LIST", "group/id", identity.ListGroups()),
            ("LIST", "group/name", identity.ListGroups()),
            ("LIST", "group-alias/id", identity.ListGroups()),
            ("GET", f"group-alias/id/{A}", identity.FindGroupAlias(A)),
            ("DELETE", f"group-alias/id/{A}", identity.DeleteGroupAlias(A)),
        ],
    )
    async def test_others_ask_for_what_the_path_names(
        self, service: Service, method: str, path: str, message: Any
    ) -> None:
        _, asked = await ask(service, method, path, NotFound())
        assert asked == message

    @pytest.mark.parametrize(
        ("path", "body", "text"),
        [
            ("entity", {"metadata": "novalue"}, "metadata"),
            ("entity", {"metadata": {"a": []}}, "metadata"),
            ("entity/merge", {}, "missing entity id to merge to"),
            ("entity/merge", {"to_entity_id": E}, "missing entity ids to merge from"),
            ("entity/batch-delete", {}, "missing entity ids to delete"),
            ("entity/batch-delete", {"entity_ids": ["x"] * 10_001}, "at most 10000"),
            ("entity-alias", {"name": "n"}, "must be provided"),
            ("entity-alias", {"name": "n", "mount_accessor": "canary"}, "invalid mount accessor"),
            ("entity-alias", {"name": "n", "mount_accessor": "kv_9b1c"}, "invalid mount accessor"),
            (f"entity-alias/id/{A}", {"custom_metadata": {"a": ""}}, "custom_metadata"),
            ("group", {"name": ""}, "empty group name"),
            ("group-alias", {}, "missing alias name"),
            ("group-alias", {"name": "n"}, "missing mount_accessor"),
            ("lookup/entity", {}, "not supplied"),
            ("lookup/entity", {"name": "n", "id": "i"}, "conflict"),
            ("lookup/group", {"alias_name": "n"}, "needs to be set"),
            ("lookup/group", {"alias_mount_accessor": "n"}, "needs to be set"),
        ],
    )
    async def test_what_cannot_be_asked_is_told(
        self, service: Service, path: str, body: dict[str, Any], text: str
    ) -> None:
        answer, asked = await ask(service, "POST", path, **body)
        assert (answer.status, asked) == (400, None)
        (error,) = answer.errors
        assert text in error
        assert "canary" not in error

    @pytest.mark.parametrize("path", ["entity", "group", f"entity/id/{E}", "lookup/entity"])
    async def test_are_for_those_who_administer_the_vault(self, service: Service, path: str) -> None:
        for token in ("data", "operator"):
            assert (await service.call("POST", f"/v1/identity/{path}", token, json={})).status == 403
        assert (await service.call("POST", f"/v1/identity/{path}", json={})).status == 403

    async def test_the_token_mount_has_aliases_too(self, service: Service) -> None:
        accessor = (await service.call("GET", "/v1/sys/auth", "root")).json["data"]["token/"]["accessor"]
        _, asked = await ask(service, "POST", "entity-alias", name="n", mount_accessor=accessor)
        assert asked.mount == LoginMount(accessor, "token", "auth/token/", None)


class TestReplies:
    async def test_what_was_made_is_told_what_was_changed_is_not(self, service: Service) -> None:
        for path, made, told in (
            ("entity", ENTITY, {"aliases": None, "id": E, "name": "Ann"}),
            ("group", GROUP, {"id": G, "name": "staff"}),
        ):
            answer, _ = await ask(service, "POST", path, made, name="n")
            assert (answer.status, answer.json["data"], answer.json["mount_type"]) == (200, told, "identity")
            assert (await ask(service, "POST", path, name="n"))[0].status == 204
        body = {"name": "n", "mount_accessor": "auth_door_5678"}
        for path in ("entity-alias", "group-alias"):
            answer, _ = await ask(service, "POST", path, FoundAlias(ALIAS, E), **body)
            assert answer.json["data"] == {"canonical_id": E, "id": A}

    async def test_an_entity_is_shown_whole(self, service: Service) -> None:
        shown = {
            "aliases": [TOLD],
            "creation_time": SHOWN_TIME,
            "direct_group_ids": ["d"],
            "disabled": False,
            "group_ids": ["c", "d"],
            "id": E,
            "inherited_group_ids": ["c"],
            "last_update_time": SHOWN_TIME,
            "merged_entity_ids": ["m"],
            "metadata": {"a": "b"},
            "name": "Ann",
            "namespace_id": "root",
            "policies": ["p"],
        }
        found = FoundEntity(ENTITY, ("d",), ("c",))
        for method, path in (("GET", f"entity/id/{E}"), ("GET", "entity/name/n"), ("POST", "lookup/entity")):
            answer, _ = await ask(service, method, path, found, name="n")
            assert answer.json["data"] == shown
            assert list(answer.json["data"]) == sorted(shown)

    async def test_a_group_is_shown_whole(self, service: Service) -> None:
        of_group = {name: value for name, value in TOLD.items() if name not in {"custom_metadata", "local"}}
        shown = {
            "alias": {**of_group, "canonical_id": G},
            "creation_time": SHOWN_TIME,
            "id": G,
            "last_update_time": SHOWN_TIME,
            "member_entity_ids": ["e"],
            "member_group_ids": ["g"],
            "metadata": None,
            "modify_index": 1,
            "name": "staff",
            "namespace_id": "root",
            "parent_group_ids": ["p"],
            "policies": ["g"],
            "type": "external",
        }
        found = FoundGroup(GROUP, ("e",), ("g",), ("p",), more=True)
        for method, path in (("GET", f"group/id/{G}"), ("GET", "group/name/n"), ("POST", "lookup/group")):
            answer, _ = await ask(service, method, path, found, name="n")
            assert answer.json["data"] == shown
            assert answer.json["warnings"] == ["the group has more members than the 1 that are shown"]

    async def test_an_alias_is_shown_whole(self, service: Service) -> None:
        for path in (f"entity-alias/id/{A}", f"group-alias/id/{A}"):
            answer, _ = await ask(service, "GET", path, FoundAlias(ALIAS, E))
            assert answer.json["data"] == {**TOLD, "namespace_id": "root"}

    async def test_lists_have_what_there_is_to_know(self, service: Service) -> None:
        info = {"canonical_id": E, "custom_metadata": {"note": "x"}, "local": False, "metadata": {"team": "red"}}
        group = {"alias": {"id": A, **PLACE}, "name": "staff", "num_member_entities": 3, "num_parent_groups": 1}
        plain = Entity(id=A, name="a", created=TIME, updated=TIME)
        listed = [ListedGroup(GROUP, 3, 1)]
        for path, found, keys, key_info in (
            (
                "entity/id",
                [ENTITY, plain],
                [E, A],
                {E: {"aliases": [{"id": A, **PLACE}], "name": "Ann"}, A: {"name": "a"}},
            ),
            ("entity/name", [ENTITY, plain], ["Ann", "a"], None),
            ("entity-alias/id", [FoundAlias(ALIAS, E)], [A], {A: {**info, **PLACE}}),
            ("group/id", listed, [G], {G: group}),
            ("group/name", listed, ["staff"], None),
            ("group-alias/id", listed, [A], {A: {**info, **PLACE, "canonical_id": G}}),
        ):
            answer, _ = await ask(service, "LIST", path, found)
            assert answer.json["data"] == {"keys": keys, **({"key_info": key_info} if key_info else {})}

    @pytest.mark.parametrize("path", [f"entity/id/{E}", "entity/name/n", f"group/id/{G}", "group/name/n"])
    async def test_what_is_not_there_is_not_found(self, service: Service, path: str) -> None:
        answer, _ = await ask(service, "GET", path)
        assert (answer.status, answer.errors) == (404, [])

    async def test_a_lookup_tells_nothing_of_what_is_not_there(self, service: Service) -> None:
        for path in ("lookup/entity", "lookup/group"):
            assert (await ask(service, "POST", path, name="n"))[0].status == 204

    async def test_no_group_has_an_alias(self, service: Service) -> None:
        bare = ListedGroup(Group(id=G, name="g", created=TIME, updated=TIME), 0, 0)
        assert (await ask(service, "LIST", "group-alias/id", [bare]))[0].status == 404

    async def test_an_empty_name_is_nobodys(self, service: Service) -> None:
        for method in ("GET", "DELETE"):
            for kind in ("entity", "group"):
                answer, asked = await ask(service, method, f"{kind}/name/")
                assert (answer.status, asked) in {(404, None), (405, None)}


async def test_a_change_rests_on_what_the_bearers_entity_gives(service: Service) -> None:
    tenant = service.backend.only_tenant
    service.backend.proof = TokenProof(right=Right.ROOT, created=0.0)
    bearer = ServicePrincipal(ServiceToken.root(0.0), VAULT_ID, entity=(E, b"stamp"))
    seen: list[Any] = []

    async def note(_: Any) -> None:
        seen.append(request_context.current().bearer)

    tenant.answers[AuthenticateToken] = bearer
    tenant.answers[identity.WriteEntity] = note
    answer = await service.call("POST", "/v1/identity/entity", ROOT_SERVICE_TOKEN, json={})
    assert answer.status == 204
    assert [each.entity for each in seen] == [(E, b"stamp")]
