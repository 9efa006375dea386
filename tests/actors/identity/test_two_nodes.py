"""What one node changes of identities, another answers by: whatever it has kept, within the lease."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.errors import NotFound
from kms_actors.identity import messages as identity
from kms_actors.identity.messages import Resolved, ResolveEntity
from tests.actors.node.test_two_nodes import pair, soon
from tests.actors.node_service import VAULT


async def resolved(tenant: TenantHandle, entity: str) -> Resolved | None:
    try:
        found: Resolved = await tenant.ask(ResolveEntity(entity))
    except NotFound:
        return None
    return found


@pytest.mark.parametrize("change", ["disabled", "policies", "group", "members", "merged", "deleted"])
async def test_what_is_kept_elsewhere_is_dropped(tmp_path: Path, change: str) -> None:
    async with pair(tmp_path) as (first, second, _):
        here, there = await first.tenant(VAULT), await second.tenant(VAULT)
        ann = (await here.ask(identity.WriteEntity(name="ann", policies=("own",)))).id
        bob = (await here.ask(identity.WriteEntity(name="bob"))).id
        red = (await here.ask(identity.WriteGroup(name="red", policies=("red",), entities=(ann,)))).id
        before = await resolved(there, ann)
        assert before is not None
        assert before.policies == ("own", "red")
        messages: dict[str, Any] = {
            "disabled": identity.WriteEntity(ann, disabled=True),
            "policies": identity.WriteEntity(ann, policies=()),
            "group": identity.WriteGroup(red, policies=("blue",)),
            "members": identity.WriteGroup(red, entities=(bob,)),
            "merged": identity.MergeEntities((ann,), bob),
            "deleted": identity.DeleteEntities((ann,)),
        }
        await here.ask(messages[change])
        after = await resolved(here, ann)
        assert after != before

        async def same() -> bool:
            return await resolved(there, ann) == after

        await soon(same)
