"""Entities, aliases and groups as answers show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from kms_actors.errors import NotFound
from kms_actors.identity.messages import FoundAlias, FoundEntity, FoundGroup, ListedGroup
from kms_actors.identity.records import Alias, Entity, Group
from kms_http.routing import Call, Reply
from kms_http.times import rfc3339

_NAMESPACE = "root"

#: Paths of mounts of logins, by accessor.
_Paths: TypeAlias = Mapping[str, str]


def show_nothing(_: Call, __: Any) -> Reply:
    """Answer a change without words."""
    return Reply(status=204)


def show_written_entity(_: Call, made: Entity | None) -> Reply:
    """Answer with the id of an entity that was made."""
    if made is None:
        return Reply(status=204)
    return Reply(data={"aliases": None, "id": made.id, "name": made.name})


def show_written_group(_: Call, made: Group | None) -> Reply:
    """Answer with the id of a group that was made."""
    return Reply(status=204) if made is None else Reply(data={"id": made.id, "name": made.name})


def show_written_alias(_: Call, written: FoundAlias | None) -> Reply:
    """Answer with the ids of an alias that was made or changed."""
    if written is None:
        return Reply(status=204)
    return Reply(data={"canonical_id": written.owner, "id": written.alias.id})


def show_entity(call: Call, found: FoundEntity | None) -> Reply:
    """Answer a read of an entity."""
    if found is None:
        raise NotFound
    return look_up_entity(call, found)


def look_up_entity(call: Call, found: FoundEntity | None) -> Reply:
    """Answer a lookup of an entity, which says nothing of what is not there."""
    paths = _paths(call)
    if found is None:
        return Reply(status=204)
    entity = found.entity
    return Reply(
        data={
            "aliases": [_entity_alias(paths, alias, entity.id) for alias in entity.aliases],
            "creation_time": rfc3339(entity.created),
            "direct_group_ids": found.direct,
            "disabled": entity.disabled,
            "group_ids": sorted((*found.direct, *found.inherited)),
            "id": entity.id,
            "inherited_group_ids": found.inherited,
            "last_update_time": rfc3339(entity.updated),
            "merged_entity_ids": entity.merged or None,
            "metadata": entity.metadata or None,
            "name": entity.name,
            "namespace_id": _NAMESPACE,
            "policies": entity.policies,
        }
    )


def show_alias(call: Call, found: FoundAlias) -> Reply:
    """Answer a read of an alias, of an entity or a group."""
    return Reply(data={**_entity_alias(_paths(call), found.alias, found.owner), "namespace_id": _NAMESPACE})


def show_group(call: Call, found: FoundGroup | None) -> Reply:
    """Answer a read of a group."""
    if found is None:
        raise NotFound
    return look_up_group(call, found)


def look_up_group(call: Call, found: FoundGroup | None) -> Reply:
    """Answer a lookup of a group, which says nothing of what is not there."""
    if found is None:
        return Reply(status=204)
    group = found.group
    data = {
        "alias": {} if group.alias is None else _alias(_paths(call), group.alias, group.id),
        "creation_time": rfc3339(group.created),
        "id": group.id,
        "last_update_time": rfc3339(group.updated),
        "member_entity_ids": found.entities or None,
        "member_group_ids": found.groups or None,
        "metadata": group.metadata or None,
        "modify_index": group.changes,
        "name": group.name,
        "namespace_id": _NAMESPACE,
        "parent_group_ids": found.parents or None,
        "policies": group.policies,
        "type": group.type.value,
    }
    more = f"the group has more members than the {len(found.entities)} that are shown"
    return Reply(data=data, warnings=(more,) if found.more else ())


def list_entities(call: Call, found: Sequence[Entity]) -> Reply:
    """Answer a list of entities by id."""
    paths = _paths(call)
    info = {entity.id: _entity_info(paths, entity) for entity in found}
    return Reply(data={"key_info": info, "keys": list(info)})


def list_entity_names(_: Call, found: Sequence[Entity]) -> Reply:
    """Answer a list of entities by name."""
    return Reply(data={"keys": sorted(entity.name for entity in found)})


def list_aliases(call: Call, found: Sequence[FoundAlias]) -> Reply:
    """Answer a list of aliases of entities."""
    paths = _paths(call)
    info = {each.alias.id: _alias_info(paths, each.alias, each.owner) for each in found}
    return Reply(data={"key_info": info, "keys": list(info)})


def list_groups(call: Call, found: Sequence[ListedGroup]) -> Reply:
    """Answer a list of groups by id."""
    paths = _paths(call)
    info = {each.group.id: _group_info(paths, each) for each in found}
    return Reply(data={"key_info": info, "keys": list(info)})


def list_group_names(_: Call, found: Sequence[ListedGroup]) -> Reply:
    """Answer a list of groups by name."""
    return Reply(data={"keys": sorted(each.group.name for each in found)})


def list_group_aliases(call: Call, found: Sequence[ListedGroup]) -> Reply:
    """Answer a list of aliases of groups."""
    paths = _paths(call)
    groups = (each.group for each in found)
    known = {group.alias.id: _alias_info(paths, group.alias, group.id) for group in groups if group.alias is not None}
    if not known:
        raise NotFound
    info = dict(sorted(known.items()))
    return Reply(data={"key_info": info, "keys": list(info)})


def _paths(call: Call) -> _Paths:
    """Return where mounts of logins are now: they may have been moved since an alias was made."""
    return {mount.accessor: mount.path for mount in call.mounts if mount.for_logins}


def _alias(paths: _Paths, alias: Alias, owner: str) -> dict[str, Any]:
    return {
        "canonical_id": owner,
        "creation_time": rfc3339(alias.created),
        "id": alias.id,
        "last_update_time": rfc3339(alias.updated),
        "merged_from_canonical_ids": alias.merged_from or None,
        "metadata": alias.metadata or None,
        **_place(paths, alias),
    }


def _entity_alias(paths: _Paths, alias: Alias, owner: str) -> dict[str, Any]:
    own = {"custom_metadata": alias.custom_metadata, "local": False}
    return dict(sorted({**_alias(paths, alias, owner), **own}.items()))


def _place(paths: _Paths, alias: Alias) -> dict[str, Any]:
    return {
        "mount_accessor": alias.mount_accessor,
        "mount_path": paths.get(alias.mount_accessor, alias.mount_path),
        "mount_type": alias.mount_type,
        "name": alias.name,
    }


def _entity_info(paths: _Paths, entity: Entity) -> dict[str, Any]:
    aliases = [{"id": alias.id, **_place(paths, alias)} for alias in entity.aliases]
    return {"aliases": aliases, "name": entity.name} if aliases else {"name": entity.name}


def _group_info(paths: _Paths, each: ListedGroup) -> dict[str, Any]:
    group = each.group
    alias = {} if group.alias is None else {"alias": {"id": group.alias.id, **_place(paths, group.alias)}}
    return {
        **alias,
        "name": group.name,
        "num_member_entities": each.entities,
        "num_parent_groups": each.parents,
    }


def _alias_info(paths: _Paths, alias: Alias, owner: str) -> dict[str, Any]:
    return {
        "canonical_id": owner,
        "custom_metadata": alias.custom_metadata,
        "local": False,
        "metadata": alias.metadata or None,
        **_place(paths, alias),
    }
