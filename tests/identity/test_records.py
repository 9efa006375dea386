"""Stored forms of identities: their bytes stay readable, and what a newer program wrote is refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from kms_actors.actors.identity.places import IdentityKeys, is_id
from kms_actors.errors import FormatError
from kms_actors.identity.records import (
    Alias,
    Duty,
    DutyKind,
    Entity,
    Group,
    GroupType,
    Membership,
    Pointer,
)
from kms_actors.keyring import stored
from kms_actors.keyring.keyring import Keyring
from kms_actors.store.keyspace import TenantKeys

E, G = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
ALIAS = Alias(
    id=E,
    name="a",
    mount_accessor="auth_x_1",
    mount_type="x",
    mount_path="auth/x/",
    metadata={"k": "v"},
    custom_metadata={"c": "d"},
    created=1,
    updated=2,
    merged_from=(G,),
)
_ALIAS = (
    f'{{"id":"{E}","name":"a","mount_accessor":"auth_x_1","mount_type":"x","mount_path":"auth/x/",'
    f'"metadata":{{"k":"v"}},"custom_metadata":{{"c":"d"}},"created":1,"updated":2,"merged_from":["{G}"]}}'
)
#: Written by format 1 of the records: they must decode for ever.
GOLDEN: dict[str, Any] = {
    f'{{"id":"{E}","name":"n","metadata":{{"k":"v"}},"policies":["p"],"disabled":true,"created":1,"updated":2,'
    f'"aliases":[{_ALIAS}],"merged":["{G}"],"format":1}}': Entity(
        id=E,
        name="n",
        metadata={"k": "v"},
        policies=("p",),
        disabled=True,
        created=1,
        updated=2,
        aliases=(ALIAS,),
        merged=(G,),
    ),
    f'{{"id":"{G}","name":"g","type":"external","metadata":{{}},"policies":[],"created":1,"updated":2,"changes":3,'
    f'"alias":{_ALIAS},"format":1}}': Group(
        id=G, name="g", type=GroupType.EXTERNAL, created=1, updated=2, changes=3, alias=ALIAS
    ),
    '{"through":"x/2","format":1}': Membership("x/2"),
    f'{{"id":"{E}","alias":"{G}","name":"n","format":1}}': Pointer(E, G, "n"),
    '{"kind":"mount","subject":"auth_x_1","format":1}': Duty(DutyKind.MOUNT, "auth_x_1"),
    f'{{"kind":"members","subject":"{G}","format":1}}': Duty(DutyKind.MEMBERS, G),
}


@pytest.mark.parametrize(("text", "record"), GOLDEN.items())
def test_stored_bytes_stay_readable(text: str, record: msgspec.Struct) -> None:
    assert stored.encode(record).decode() == text
    assert stored.decode(text.encode(), type(record), "record") == record
    with pytest.raises(FormatError, match="format 2"):
        stored.decode(text.replace('"format":1', '"format":2').encode(), type(record), "record")


def test_records_show_nothing_of_what_they_hold() -> None:
    for record in (*GOLDEN.values(), ALIAS):
        if not isinstance(record, Membership):
            assert "auth_x" not in repr(record)
            assert E not in repr(record)


def test_an_id_has_one_form() -> None:
    assert is_id(E)
    for other in (
        E.upper().replace("1", "A"),
        E.replace("-", ""),
        f"{{{E}}}",
        f"urn:uuid:{E}",
        E + " ",
        "",
        "x" * 36,
    ):
        assert not is_id(other)


def test_names_lie_where_only_the_keyring_leads() -> None:
    tenant = TenantKeys(7)
    one, other = (IdentityKeys(tenant, Keyring.generate(0.0)) for _ in range(2))
    assert tenant.parts(one.entity(E)) == ("identity", "entity", UUID(E))
    assert one.by_name("entity-name", "Ann") == one.by_name("entity-name", "aNN")
    assert one.by_name("entity-name", "ann") != other.by_name("entity-name", "ann")
    assert one.by_alias("alias-name", "ab", "c") != one.by_alias("alias-name", "a", "bc")
    assert one.by_name("entity-name", "x")[-33:] != one.by_name("group-name", "x")[-33:]
    assert one.last(one.link("member", G, E)) == E
