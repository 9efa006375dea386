"""Messages of identities."""

from __future__ import annotations

from kms_actors.identity.records import Alias, Entity, Group
from kms_actors.messages import Command, Message, Query
from kms_actors.policy.templates import Subject


class ResolveEntity(Query, frozen=True):
    """What an entity may do now. Answer: Resolved, in the turn where it is kept; raises NotFound if it is gone.

    An entity that was merged into another answers as that one.
    """

    entity_id: str


class Resolved(Message, frozen=True):
    """An entity with all its groups. `policies` are its own and those of the groups it is in, by others too; sorted.

    `stamp` is another for whatever else would be resolved. `changed`: what was kept of it before is out of date, see
    `kms_actors.actors.identity.resolving.entity_for`.
    """

    entity_id: str
    name: str
    disabled: bool
    policies: tuple[str, ...]
    subject: Subject
    groups: tuple[str, ...] = ()  # ids, sorted
    stamp: bytes = b""
    changed: bool = False


class LoginMount(Message, frozen=True):
    """A mount that aliases are of. `number` is None for that of tokens, which is always there."""

    accessor: str
    type: str
    path: str  # with its trailing slash: `auth/userpass/`
    number: int | None


class Wanted(Message, frozen=True):
    """Which entity or group is looked for: by one of these. `accessor` and `alias` go together."""

    id: str = ""
    name: str = ""
    alias_id: str = ""
    accessor: str = ""
    alias: str = ""


class ListPage(Query, frozen=True):
    """Base of lists in the order of ids, behind `after`; `limit` 0 is all.

    Answer: records. Raises NotFound where there are none, InvalidRequest for more than a list may have, see `limits`.
    """

    after: str = ""
    limit: int = 0


# Entities.


class WriteEntity(Command, frozen=True):
    """Make an entity, or change the one of `id`, or else of `name`. None is left as it is.

    Answer: the Entity if it was made, None if it was changed. Raises InvalidRequest for an id that no entity has.
    """

    id: str | None = None
    name: str = ""
    metadata: dict[str, str] | None = None
    policies: tuple[str, ...] | None = None
    disabled: bool | None = None


class FindEntity(Query, frozen=True):
    """Answer: FoundEntity, or None."""

    wanted: Wanted


class FoundEntity(Message, frozen=True):
    """An entity, and the ids of the groups it is in: by itself, and by others alone; both sorted."""

    entity: Entity
    direct: tuple[str, ...] = ()
    inherited: tuple[str, ...] = ()


class DeleteEntities(Command, frozen=True):
    """Remove entities, with their aliases and memberships; those that are not there are no matter. Answer: None."""

    ids: tuple[str, ...] = ()
    name: str = ""


class MergeEntities(Command, frozen=True):
    """Put the aliases and memberships of entities into another, whose id stands for theirs from then on.

    Where two have aliases at one mount, `keep` has the id of the one that stays. Answer: None.
    """

    sources: tuple[str, ...]
    target: str
    keep: tuple[str, ...] = ()


class CountEntities(Query, frozen=True):
    """Answer: how many entities there are."""


class ListEntities(ListPage, frozen=True):
    """All entities."""


# Their aliases.


class WriteAlias(Command, frozen=True):
    """Make an alias, or change the one of `id`, or else of its mount and name. None and "" are left as they are.

    An alias that is made without an `entity` gets one of its own. Answer: FoundAlias, or None where nothing changed.
    """

    id: str | None
    name: str
    mount: LoginMount | None
    entity: str
    custom_metadata: dict[str, str] | None


class FindAlias(Query, frozen=True):
    """Answer: FoundAlias; raises NotFound."""

    id: str


class FoundAlias(Message, frozen=True):
    """An alias, and the id of the entity or group that it is of."""

    alias: Alias
    owner: str


class DeleteAlias(Command, frozen=True):
    """Answer: None."""

    id: str


class ListAliases(ListPage, frozen=True):
    """All aliases of entities: FoundAlias each."""


# Groups.


class WriteGroup(Command, frozen=True):
    """Make a group, or change the one of `id`, or else of `name`. None is left as it is; members are given whole.

    Answer: the Group if it was made, None if it was changed. Raises InvalidRequest for members that are not there, a
    group that would be within itself, and what an external group cannot have.
    """

    id: str | None = None
    name: str = ""
    type: str | None = None  # a GroupType, if it is to be made
    metadata: dict[str, str] | None = None
    policies: tuple[str, ...] | None = None
    entities: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None


class FindGroup(Query, frozen=True):
    """Answer: FoundGroup, or None."""

    wanted: Wanted


class FoundGroup(Message, frozen=True):
    """A group and the ids of its members, and of the groups it is in by itself; all sorted.

    `more`: it has further entities, that logins have put there.
    """

    group: Group
    entities: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    more: bool = False


class DeleteGroup(Command, frozen=True):
    """Remove a group; its members are in it no more. Answer: None."""

    id: str = ""
    name: str = ""


class ListGroups(Query, frozen=True):
    """All groups, in the order of their ids. Answer: ListedGroup each; raises NotFound."""


class ListedGroup(Message, frozen=True):
    """A group, and how many entities it has and groups it is in."""

    group: Group
    entities: int
    parents: int


class WriteGroupAlias(Command, frozen=True):
    """Make the alias of an external group, in the place of any it has; or change the one of `id`.

    One that is made without a `group` gets one of its own. Answer: FoundAlias, or None where nothing changed.
    """

    id: str | None
    name: str
    mount: LoginMount
    group: str


class FindGroupAlias(Query, frozen=True):
    """Answer: FoundAlias; raises NotFound."""

    id: str


class DeleteGroupAlias(Command, frozen=True):
    """Remove the alias of a group; who is in it by that is in it no more. Answer: None."""

    id: str
