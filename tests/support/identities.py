"""Identities in a vault of a node: one of each kind of record."""

from __future__ import annotations

from typing import NamedTuple

from kms_actors.actors.node.directory import TenantHandle
from kms_actors.identity import messages as identity
from kms_actors.identity.messages import LoginMount, ResolveEntity, Wanted
from kms_actors.identity.records import GroupType
from kms_actors.messages import EnableMount

PATH = "auth/people/"


class Identities(NamedTuple):
    """Ids of what `identities` makes."""

    ann: str
    merged: str
    bob: str
    red: str
    staff: str
    external: str
    alias: str
    group_alias: str

    async def check(self, tenant: TenantHandle) -> None:
        """See that all of it is there, and works."""
        for entity in (self.ann, self.merged):
            found = await tenant.ask(ResolveEntity(entity))
            assert (found.entity_id, found.policies) == (self.ann, ("own", "red", "staff"))
        mount = login_mount(tenant)
        for wanted in (Wanted(name="ann"), Wanted(alias_id=self.alias), Wanted(accessor=mount.accessor, alias="a")):
            shown = await tenant.ask(identity.FindEntity(wanted))
            assert (shown.entity.id, shown.direct, shown.inherited) == (self.ann, (self.red,), (self.staff,))
        for wanted in (Wanted(name="outside"), Wanted(alias_id=self.group_alias), Wanted(self.external)):
            assert (await tenant.ask(identity.FindGroup(wanted))).group.id == self.external
        assert (await tenant.ask(identity.FindGroup(Wanted(self.red)))).entities == tuple(
            sorted((self.ann, self.bob))
        )


def login_mount(tenant: TenantHandle) -> LoginMount:
    mount = tenant.mounts.get(PATH)
    assert mount is not None
    return LoginMount(mount.accessor, mount.type, mount.path, mount.number)


async def identities(tenant: TenantHandle) -> Identities:
    """Make a login mount, entities of which two are one, and groups within each other and of a login."""
    await tenant.ask(EnableMount(PATH, "userpass", "", {}))
    mount = login_mount(tenant)

    async def entity(name: str, *policies: str) -> str:
        return str((await tenant.ask(identity.WriteEntity(name=name, policies=policies))).id)

    ann, merged, bob = await entity("ann", "own"), await entity("other"), await entity("bob")
    await tenant.ask(identity.MergeEntities((merged,), ann))
    alias = (await tenant.ask(identity.WriteAlias(None, "a", mount, ann, {"note": "x"}))).alias.id
    red = (await tenant.ask(identity.WriteGroup(name="red", policies=("red",), entities=(ann, bob)))).id
    staff = (await tenant.ask(identity.WriteGroup(name="staff", policies=("staff",), groups=(red,)))).id
    external = (await tenant.ask(identity.WriteGroup(name="outside", type=GroupType.EXTERNAL))).id
    group_alias = (await tenant.ask(identity.WriteGroupAlias(None, "g", mount, external))).alias.id
    return Identities(ann, merged, bob, red, staff, external, alias, group_alias)
