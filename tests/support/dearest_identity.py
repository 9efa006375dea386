"""The dearest that endpoints of identities take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from kms_http.routing import Operation
from tests.support.dear import DELETE, LIST, READ, WRITE, Dear, fields, nothing, text

_LONG: Final = "x" * 500


def _many_texts() -> list[str]:
    return ["x"] * 190_000


def _many_pairs() -> dict[str, str]:
    return dict.fromkeys(map(str, range(90_000)), "x")


def named(path: str, *lists: str) -> list[Dear]:
    """Return writes of an entity, a group or an alias whose fields are long, or many."""
    return [
        Dear(path, fields(name=text())),
        Dear(path, fields(name="x", metadata=_many_pairs, custom_metadata=_many_pairs)),
        Dear(path, fields(name="x", policies=lambda: [f"p{number}" for number in range(9_000)])),
        *(Dear(path, fields(name="x", **{each: _many_texts})) for each in lists),
    ]


def of_id(kind: str, *lists: str) -> dict[Operation, list[Dear]]:
    """Return what is done with one entity, group or alias."""
    return {
        READ: nothing(f"identity/{kind}/{_LONG}"),
        WRITE: named(f"identity/{kind}/{_LONG}", *lists),
        DELETE: nothing(f"identity/{kind}/{_LONG}"),
    }


_MEMBERS: Final = ("member_entity_ids", "member_group_ids")
ROWS: Final[Mapping[str, Mapping[Operation, list[Dear]]]] = {
    **{f"identity/{kind}": {WRITE: named(f"identity/{kind}")} for kind in ("entity", "entity-alias", "group-alias")},
    "identity/group": {WRITE: named("identity/group", *_MEMBERS)},
    **{
        f"identity/{kind}": {LIST: nothing(f"identity/{kind}")}
        for kind in ("entity/id", "entity/name", "entity-alias/id", "group/id", "group/name", "group-alias/id")
    },
    **{f"identity/{kind}/{{id}}": of_id(kind) for kind in ("entity/id", "entity-alias/id", "group-alias/id")},
    "identity/entity/name/{name...}": of_id("entity/name"),
    "identity/group/id/{id}": of_id("group/id", *_MEMBERS),
    "identity/group/name/{name...}": of_id("group/name", *_MEMBERS),
    "identity/entity/batch-delete": {WRITE: [Dear("identity/entity/batch-delete", fields(entity_ids=_many_texts))]},
    "identity/entity/merge": {
        WRITE: [Dear("identity/entity/merge", fields(from_entity_ids=_many_texts, to_entity_id=text(0.5)))]
    },
    "identity/lookup/entity": {WRITE: [Dear("identity/lookup/entity", fields(name=text()))]},
    "identity/lookup/group": {WRITE: [Dear("identity/lookup/group", fields(name=text()))]},
}


def preparation() -> Iterator[tuple[str, bytes]]:
    """Yield the writes that make what is listed: path and body."""
    for number in range(300):
        yield f"identity/entity/name/dear-{number}", json.dumps({"metadata": {"note": "x" * 500}}).encode()
        yield f"identity/group/name/dear-{number}", b"{}"
