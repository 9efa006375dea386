"""Stored records of identities. Times are nanoseconds since 1970; ids are UUIDs as text."""

from __future__ import annotations

import enum

import msgspec

from kms_actors.keyring import stored


class GroupType(enum.StrEnum):
    """Whose members a group has: those it was given, or those whom a login says to be in it."""

    INTERNAL = "internal"
    EXTERNAL = "external"


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """How an entity, or an external group, is known to one login mount."""

    id: str
    name: str
    mount_accessor: str
    mount_type: str
    mount_path: str  # with its trailing slash: `auth/userpass/`
    metadata: dict[str, str] = {}  # as the mount said at the last login
    custom_metadata: dict[str, str] = {}
    created: int
    updated: int
    merged_from: tuple[str, ...] = ()  # ids of entities it belonged to before those were merged

    @property
    def mark(self) -> str:
        """Return what the alias of a group is known by, as long as it has this mount and name."""
        return f"{self.id}/{self.updated}"

    def __repr__(self) -> str:
        return "<Alias>"


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """A person or machine, however it logs in: at most one alias a mount."""

    id: str
    name: str
    metadata: dict[str, str] = {}
    policies: tuple[str, ...] = ()
    disabled: bool = False
    created: int
    updated: int
    aliases: tuple[Alias, ...] = ()
    merged: tuple[str, ...] = ()  # ids of entities that were merged into it
    format: int = stored.FORMAT

    def alias(self, alias_id: str) -> Alias | None:
        """Return the alias of this id."""
        return next((alias for alias in self.aliases if alias.id == alias_id), None)

    def alias_at(self, accessor: str) -> Alias | None:
        """Return the alias at the mount of this accessor."""
        return next((alias for alias in self.aliases if alias.mount_accessor == accessor), None)

    def __repr__(self) -> str:
        return "<Entity>"


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group without its members, which have records of their own. Only an external one has an alias."""

    id: str
    name: str
    type: GroupType = GroupType.INTERNAL
    metadata: dict[str, str] = {}
    policies: tuple[str, ...] = ()
    created: int
    updated: int
    changes: int = 1  # how often it was written
    alias: Alias | None = None
    format: int = stored.FORMAT

    def has(self, membership: Membership) -> bool:
        """Tell whether a membership of this group counts: one that an alias gave ends with that, or its change."""
        return membership.through == (self.alias.mark if self.alias is not None else "")

    def __repr__(self) -> str:
        return "<Group>"


class Membership(msgspec.Struct, frozen=True):
    """That an entity, or a group, is in a group; `through` is the mark of the alias that a login gave it by."""

    through: str = ""
    format: int = stored.FORMAT


class DutyKind(enum.StrEnum):
    """What is to be removed."""

    MOUNT = "mount"  # the aliases at a mount that is gone; the subject is its accessor
    MEMBERS = "members"  # memberships of a group that do not count, or of one that is gone; the subject is its id


class Duty(msgspec.Struct, frozen=True):
    """A removal that may take long, and goes on wherever it was left."""

    kind: DutyKind
    subject: str
    format: int = stored.FORMAT

    def __repr__(self) -> str:
        return "<Duty>"


class Pointer(msgspec.Struct, frozen=True):
    """What an index leads to: an entity or group; with the alias, or the name, that the index is of."""

    id: str
    alias: str = ""
    name: str = ""
    format: int = stored.FORMAT

    def __repr__(self) -> str:
        return "<Pointer>"
