"""Paths of identities, and the messages they become.

Source: Vault's API pages `identity/entity`, `identity/entity-alias`, `identity/group`, `identity/group-alias` and
`identity/lookup`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kms_actors.auth.principal import Capability
from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.identity.messages import (
    DeleteAlias,
    DeleteEntities,
    DeleteGroup,
    DeleteGroupAlias,
    FindAlias,
    FindEntity,
    FindGroup,
    FindGroupAlias,
    ListAliases,
    ListEntities,
    ListGroups,
    MergeEntities,
    Wanted,
    WriteAlias,
    WriteEntity,
    WriteGroup,
    WriteGroupAlias,
)
from kms_actors.messages import Message
from kms_http.api.identity import replies
from kms_http.api.identity.requests import (
    LOOKUP,
    PAGE,
    custom,
    limit,
    mount_of,
    sent_or_captured,
    to_pairs,
    to_texts,
    wanted,
)
from kms_http.fields import Fields, to_bool, to_str
from kms_http.routing import NO_FIELDS, TENANT_ADMIN, Call, Endpoint, Operation, Reply, Route

Build = Callable[[Call], Message]
Render = Callable[[Call, Any], Reply]


def _name(call: Call) -> str:
    name = call.captures["name"]
    if not name:
        raise NotFound
    return name


# Entities.


def _write_entity(call: Call) -> WriteEntity:
    return WriteEntity(
        sent_or_captured(call, "id") or None,
        sent_or_captured(call, "name") or "",
        call.values.get("metadata"),
        call.values.get("policies"),
        call.values.get("disabled"),
    )


def _merge(call: Call) -> MergeEntities:
    values = call.values
    target, sources = values.get("to_entity_id"), values.get("from_entity_ids")
    if not target:
        raise InvalidRequest("missing entity id to merge to")
    if not sources:
        raise InvalidRequest("missing entity ids to merge from")
    return MergeEntities(sources, target, values.get("conflicting_alias_ids_to_keep", ()))


def _delete_entities(call: Call) -> DeleteEntities:
    if not call.values.get("entity_ids"):
        raise InvalidRequest("missing entity ids to delete")
    return DeleteEntities(call.values["entity_ids"])


def _list_entities(call: Call) -> ListEntities:
    return ListEntities(call.values.get("after", ""), limit(call))


# Aliases.


def _write_alias(call: Call) -> WriteAlias:
    values = call.values
    id_, name, accessor = sent_or_captured(call, "id"), values.get("name", ""), values.get("mount_accessor", "")
    if not id_ and not (name and accessor):
        raise InvalidRequest("'id' or 'mount_accessor' and 'name' must be provided")
    return WriteAlias(
        id_ or None,
        name,
        mount_of(call, accessor) if accessor else None,
        values.get("canonical_id") or values.get("entity_id", ""),
        custom(call),
    )


def _write_group_alias(call: Call) -> WriteGroupAlias:
    values = call.values
    if not values.get("name"):
        raise InvalidRequest("missing alias name")
    if not values.get("mount_accessor"):
        raise InvalidRequest("missing mount_accessor")
    return WriteGroupAlias(
        sent_or_captured(call, "id") or None,
        values["name"],
        mount_of(call, values["mount_accessor"]),
        values.get("canonical_id", ""),
    )


# Groups.


def _write_group(call: Call) -> WriteGroup:
    values = call.values
    if values.get("name") == "":
        raise InvalidRequest("empty group name")
    return WriteGroup(
        sent_or_captured(call, "id"),
        sent_or_captured(call, "name") or "",
        values.get("type"),
        values.get("metadata"),
        values.get("policies"),
        values.get("member_entity_ids"),
        values.get("member_group_ids"),
    )


def _write(build: Build, render: Render, fields: Fields) -> Endpoint:
    return Endpoint(build, render, Capability.UPDATE, fields, TENANT_ADMIN)


def _read(build: Build, render: Render) -> Endpoint:
    return Endpoint(build, render, Capability.READ, rights=TENANT_ADMIN)


def _delete(build: Build) -> Endpoint:
    return Endpoint(build, replies.show_nothing, Capability.DELETE, rights=TENANT_ADMIN)


def _list(build: Build, render: Render, fields: Fields = NO_FIELDS) -> Endpoint:
    return Endpoint(build, render, Capability.LIST, fields, TENANT_ADMIN)


_ENTITY: Final = {"metadata": to_pairs, "policies": to_texts, "disabled": to_bool}
_GROUP: Final = {
    "type": to_str,
    "metadata": to_pairs,
    "policies": to_texts,
    "member_entity_ids": to_texts,
    "member_group_ids": to_texts,
}
_GROUP_ALIAS: Final = {"name": to_str, "mount_accessor": to_str, "canonical_id": to_str}
_ALIAS: Final = {**_GROUP_ALIAS, "entity_id": to_str, "custom_metadata": to_pairs}


def _writes(build: Build, render: Render, **fields: Any) -> dict[Operation, Endpoint]:
    return {Operation.WRITE: _write(build, render, Fields(**fields))}


IDENTITY_ROUTES: Final = (
    Route("identity/entity", _writes(_write_entity, replies.show_written_entity, **_ENTITY, id=to_str, name=to_str)),
    Route("identity/entity/id", {Operation.LIST: _list(_list_entities, replies.list_entities, PAGE)}),
    Route(
        "identity/entity/id/{id}",
        {
            Operation.READ: _read(lambda call: FindEntity(Wanted(call.captures["id"])), replies.show_entity),
            **_writes(_write_entity, replies.show_written_entity, **_ENTITY, name=to_str),
            Operation.DELETE: _delete(lambda call: DeleteEntities((call.captures["id"],))),
        },
    ),
    Route("identity/entity/name", {Operation.LIST: _list(lambda _: ListEntities(), replies.list_entity_names)}),
    Route(
        "identity/entity/name/{name...}",
        spelling={"name": str.lower},
        operations={
            Operation.READ: _read(lambda call: FindEntity(Wanted(name=_name(call))), replies.show_entity),
            **_writes(_write_entity, replies.show_written_entity, **_ENTITY, id=to_str),
            Operation.DELETE: _delete(lambda call: DeleteEntities(name=_name(call))),
        },
    ),
    Route("identity/entity/batch-delete", _writes(_delete_entities, replies.show_nothing, entity_ids=to_texts)),
    Route(
        "identity/entity/merge",
        _writes(
            _merge,
            replies.show_nothing,
            from_entity_ids=to_texts,
            to_entity_id=to_str,
            force=to_bool,
            conflicting_alias_ids_to_keep=to_texts,
        ),
    ),
    Route("identity/entity-alias", _writes(_write_alias, replies.show_written_alias, **_ALIAS, id=to_str)),
    Route(
        "identity/entity-alias/id",
        {
            Operation.LIST: _list(
                lambda call: ListAliases(call.values.get("after", ""), limit(call)), replies.list_aliases, PAGE
            )
        },
    ),
    Route(
        "identity/entity-alias/id/{id}",
        {
            Operation.READ: _read(lambda call: FindAlias(call.captures["id"]), replies.show_alias),
            **_writes(_write_alias, replies.show_written_alias, **_ALIAS),
            Operation.DELETE: _delete(lambda call: DeleteAlias(call.captures["id"])),
        },
    ),
    Route("identity/group", _writes(_write_group, replies.show_written_group, **_GROUP, id=to_str, name=to_str)),
    Route("identity/group/id", {Operation.LIST: _list(lambda _: ListGroups(), replies.list_groups)}),
    Route(
        "identity/group/id/{id}",
        {
            Operation.READ: _read(lambda call: FindGroup(Wanted(call.captures["id"])), replies.show_group),
            **_writes(_write_group, replies.show_written_group, **_GROUP, name=to_str),
            Operation.DELETE: _delete(lambda call: DeleteGroup(call.captures["id"])),
        },
    ),
    Route("identity/group/name", {Operation.LIST: _list(lambda _: ListGroups(), replies.list_group_names)}),
    Route(
        "identity/group/name/{name...}",
        spelling={"name": str.lower},
        operations={
            Operation.READ: _read(lambda call: FindGroup(Wanted(name=_name(call))), replies.show_group),
            **_writes(_write_group, replies.show_written_group, **_GROUP, id=to_str),
            Operation.DELETE: _delete(lambda call: DeleteGroup(name=_name(call))),
        },
    ),
    Route("identity/group-alias", _writes(_write_group_alias, replies.show_written_alias, **_GROUP_ALIAS, id=to_str)),
    Route("identity/group-alias/id", {Operation.LIST: _list(lambda _: ListGroups(), replies.list_group_aliases)}),
    Route(
        "identity/group-alias/id/{id}",
        {
            Operation.READ: _read(lambda call: FindGroupAlias(call.captures["id"]), replies.show_alias),
            **_writes(_write_group_alias, replies.show_written_alias, **_GROUP_ALIAS),
            Operation.DELETE: _delete(lambda call: DeleteGroupAlias(call.captures["id"])),
        },
    ),
    Route(
        "identity/lookup/entity",
        {Operation.WRITE: _write(lambda call: FindEntity(wanted(call)), replies.look_up_entity, LOOKUP)},
    ),
    Route(
        "identity/lookup/group",
        {Operation.WRITE: _write(lambda call: FindGroup(wanted(call)), replies.look_up_group, LOOKUP)},
    ),
)
