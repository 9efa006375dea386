"""One entity out of several.

The reference lets two aliases at one mount into an entity, or drops one and shows it on; here which one stays is
always said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import msgspec

from kms_actors.errors import InvalidRequest
from kms_actors.identity.limits import MAX_MERGED_IDS
from kms_actors.identity.records import Alias, Entity


def merge(target: Entity, sources: Sequence[Entity], keep: Set[str], now: int) -> Entity:
    """Return `target` with the aliases of `sources`; of those at one mount, the one whose id is in `keep`.

    Policies and metadata are the target's alone. Raises InvalidRequest where it is not said which alias stays.
    """
    at_mount: dict[str, list[Alias]] = {}
    for entity in (target, *sources):
        for alias in entity.aliases:
            at_mount.setdefault(alias.mount_accessor, []).append(_from(alias, entity, target))
    aliases = tuple(_kept(found, keep) for found in at_mount.values())
    merged = (*target.merged, *(id_ for entity in sources for id_ in (entity.id, *entity.merged)))
    if len(merged) > MAX_MERGED_IDS:
        raise InvalidRequest(f"an entity takes in {MAX_MERGED_IDS} others at most")
    return msgspec.structs.replace(target, aliases=aliases, merged=merged, updated=now)


def _from(alias: Alias, entity: Entity, target: Entity) -> Alias:
    if entity is target:
        return alias
    return msgspec.structs.replace(alias, merged_from=(*alias.merged_from, entity.id))


def _kept(aliases: Sequence[Alias], keep: Set[str]) -> Alias:
    if len(aliases) == 1:
        return aliases[0]
    kept = [alias for alias in aliases if alias.id in keep]
    if len(kept) == 1:
        return kept[0]
    raise InvalidRequest(f"{_which(kept)} conflicting_alias_ids_to_keep: {_ids(aliases)}")


def _which(kept: Sequence[Alias]) -> str:
    found = "neither were present" if not kept else "more than one was present"
    return f"conflicting mount accessors in following alias IDs and {found} in"


def _ids(aliases: Iterable[Alias]) -> str:
    return ", ".join(sorted(alias.id for alias in aliases))
