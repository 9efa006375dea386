"""What help and documents say of the routes of identities."""

from __future__ import annotations

from typing import Final

from kms_http.describing.about import About, Texts

DESCRIPTION: Final = (
    "Entities are people and programs, whichever way they log in; aliases tie them to names at mounts of logins;\n"
    "groups have entities and other groups as members. All of them may have policies."
)

TEXTS: Final[Texts] = {
    "identity/entity": About("Make an entity, or change the one that is named."),
    "identity/entity/id": About("List the identifiers of entities."),
    "identity/entity/id/{id}": About("Read, change and delete an entity by its identifier."),
    "identity/entity/name": About("List the names of entities."),
    "identity/entity/name/{name...}": About("Read, change and delete an entity by its name."),
    "identity/entity/batch-delete": About("Delete several entities.", "", {}, ("entity_ids",)),
    "identity/entity/merge": About(
        "Merge entities into one.", "Their aliases become its own.", {}, ("from_entity_ids", "to_entity_id")
    ),
    "identity/entity-alias": About("Make an alias of an entity.", "", {}, ("name", "mount_accessor")),
    "identity/entity-alias/id": About("List the identifiers of aliases of entities."),
    "identity/entity-alias/id/{id}": About("Read, change and delete an alias of an entity."),
    "identity/group": About("Make a group, or change the one that is named."),
    "identity/group/id": About("List the identifiers of groups."),
    "identity/group/id/{id}": About("Read, change and delete a group by its identifier."),
    "identity/group/name": About("List the names of groups."),
    "identity/group/name/{name...}": About("Read, change and delete a group by its name."),
    "identity/group-alias": About("Make an alias of an external group.", "", {}, ("name", "mount_accessor")),
    "identity/group-alias/id": About("List the identifiers of aliases of groups."),
    "identity/group-alias/id/{id}": About("Read, change and delete an alias of a group."),
    "identity/lookup/entity": About("Find an entity by its identifier, its name, or an alias."),
    "identity/lookup/group": About("Find a group by its identifier, its name, or its alias."),
}
