"""Where the records of identities lie in the store.

("identity", "count", group)                how many entities a group has
("identity", "duty", id)                    Duty
("identity", "entity", entity)              Entity, with its aliases
("identity", "group", group)                Group
("identity", "group-mount", hash, alias)    Pointer: the aliases of groups at a mount, by the hash of its accessor
("identity", "groups")                      how many groups there are
("identity", "index", kind, id or hash)     Pointer, by the id of an alias, or by the keyed hash of a name
("identity", "member", group, entity)       Membership: the members of a group
("identity", "member-of", entity, group)    Membership: what an entity is in by itself
("identity", "mount", hash, alias)          Pointer: the aliases of entities at a mount, likewise
("identity", "subgroup", group, member)     Membership: the groups in a group
("identity", "subgroup-of", member, group)  Membership: the groups that a group is in

All but the counts are sealed, and all ids are random: who reads the store learns how many there are, which of them
belong together, and no name. Indices lie behind what they lead to: so a backup, which reads in the order of keys, has
no entity without the indices that it had then.
"""

from __future__ import annotations

import hmac
from typing import Final
from uuid import UUID

from kms_actors.keyring.keyring import Keyring
from kms_actors.store.keyspace import TenantKeys

AREA: Final = "identity"

#: Kinds of indices, by what they are asked.
ALIAS: Final = "alias"
ALIAS_NAME: Final = "alias-name"
ENTITY_NAME: Final = "entity-name"
GROUP_ALIAS: Final = "group-alias"
GROUP_ALIAS_NAME: Final = "group-alias-name"
GROUP_NAME: Final = "group-name"
MERGED: Final = "merged"

#: Aliases by mount: of entities, and of groups.
MOUNT: Final = "mount"
GROUP_MOUNT: Final = "group-mount"

#: Kinds of memberships: of entities in groups, of groups in groups, each from both sides.
MEMBER: Final = "member"
MEMBER_OF: Final = "member-of"
SUBGROUP: Final = "subgroup"
SUBGROUP_OF: Final = "subgroup-of"

_LABEL: Final = b"identity"


def is_id(text: str) -> bool:
    """Tell whether a text is an id, in the one form that they have here."""
    if len(text) != 36:
        return False
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


class IdentityKeys:
    """Keys of one vault's identities. What is given as an id must be one, see `is_id`."""

    def __init__(self, keys: TenantKeys, keyring: Keyring) -> None:
        self._keys = keys
        self._hash_key = keyring.derive(_LABEL)

    def entity(self, entity: str) -> bytes:
        return self._keys.key(AREA, "entity", UUID(entity))

    def group(self, group: str) -> bytes:
        return self._keys.key(AREA, "group", UUID(group))

    @property
    def groups(self) -> bytes:
        """Return where it is counted how many groups there are."""
        return self._keys.key(AREA, "groups")

    def count(self, group: str) -> bytes:
        """Return where it is counted how many entities a group has."""
        return self._keys.key(AREA, "count", UUID(group))

    def duty(self, duty: str) -> bytes:
        return self._keys.key(AREA, "duty", UUID(duty))

    def by_id(self, kind: str, id_: str) -> bytes:
        """Return the key of an index by id: ALIAS, GROUP_ALIAS or MERGED."""
        return self._keys.key(AREA, "index", kind, UUID(id_))

    def by_name(self, kind: str, name: str) -> bytes:
        """Return the key of an index by name, whose case does not count: ENTITY_NAME or GROUP_NAME."""
        return self._keys.key(AREA, "index", kind, self._hash(kind, name.lower()))

    def by_alias(self, kind: str, accessor: str, name: str) -> bytes:
        """Return the key of an index by mount and name, whose case does not count: ALIAS_NAME or GROUP_ALIAS_NAME."""
        return self._keys.key(AREA, "index", kind, self._hash(kind, accessor, name.lower()))

    def at_mount(self, kind: str, accessor: str, alias: str) -> bytes:
        """Return the key of an alias among those of its mount: MOUNT or GROUP_MOUNT."""
        return self._keys.key(AREA, kind, self._hash("mount", accessor), UUID(alias))

    def link(self, kind: str, one: str, other: str) -> bytes:
        """Return the key of a membership: MEMBER, MEMBER_OF, SUBGROUP or SUBGROUP_OF."""
        return self._keys.key(AREA, kind, UUID(one), UUID(other))

    def links(self, kind: str, one: str) -> tuple[bytes, bytes]:
        """Return the range of all memberships of a kind that begin with `one`."""
        return self._keys.span(AREA, kind, UUID(one))

    def all_at_mount(self, kind: str, accessor: str) -> tuple[bytes, bytes]:
        """Return the range of all aliases at a mount: MOUNT or GROUP_MOUNT."""
        return self._keys.span(AREA, kind, self._hash("mount", accessor))

    def all(self, *parts: str) -> tuple[bytes, bytes]:
        """Return the range of all records of a kind: `entity`, `group`, or an index."""
        return self._keys.span(AREA, *parts)

    def listed(self, id_: str, *parts: str) -> bytes:
        """Return the key of an id among the records of a kind."""
        return self._keys.key(AREA, *parts, UUID(id_))

    def last(self, key: bytes) -> str:
        """Return the id that a key ends with."""
        return str(self._keys.parts(key)[-1])

    def _hash(self, *parts: str) -> bytes:
        """Return 32 bytes that tell nothing of the parts to who lacks the key; each has its length before it."""
        encoded = [part.encode() for part in parts]
        joined = b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
        return hmac.digest(self._hash_key, joined, "sha256")
