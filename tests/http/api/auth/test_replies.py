"""What a look at a token tells: its fields in order, the optional ones too, and no more than that."""

from __future__ import annotations

import msgspec
import pytest

from kms_actors.auth.principal import Right
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken
from kms_http.api.auth.replies import rfc3339, shown
from tests.http.conftest import NOW, VAULT_ID, FakePrincipal

RECORD = ServiceToken(
    accessor="a1",
    right=Right.POLICY,
    policies=("app", "default"),
    display_name="token-app",
    created=NOW,
    path="auth/token/create/app",
    expires_at=NOW + 60,
    creation_ttl=3600,
    explicit_max_ttl=7200,
    metadata={"a": "b"},
)
OPTIONAL = {
    "bound_cidrs": ("10.0.0.0/8",),
    "period": 60,
    "role": "app",
    "renewed": NOW + 1,
}


@pytest.mark.parametrize("more", [{}, OPTIONAL, *({name: value} for name, value in OPTIONAL.items())])
def test_fields_stand_in_order(more: dict[str, object]) -> None:
    data = shown(ServicePrincipal(msgspec.structs.replace(RECORD, **more), VAULT_ID), "text", NOW + 2)
    assert [*data] == sorted(data)
    named = {"renewed": {"last_renewal", "last_renewal_time"}}
    expected = set().union(*(named.get(name, {name}) for name in more))
    bare = shown(ServicePrincipal(RECORD, VAULT_ID), "text", NOW + 2)
    assert {*data} - {*bare} == expected
    assert {name: data[name] for name in bare} == bare


def test_policies_of_an_identity_are_shown_with_those_of_other_namespaces() -> None:
    data = shown(ServicePrincipal(RECORD, VAULT_ID, identity_policies=("staff",)), "text", NOW)
    assert [*data] == sorted(data)
    assert (data["identity_policies"], data["external_namespace_policies"]) == (("staff",), {})


def test_a_biscuits_fields_stand_in_order_too() -> None:
    data = shown(FakePrincipal(VAULT_ID, Right.DATA, expires_at=NOW + 60), "text", NOW)
    assert [*data] == sorted(data)
    assert (data["ttl"], data["creation_time"], data["creation_ttl"]) == (60, int(NOW), 60)


def test_times_are_those_of_the_record() -> None:
    data = shown(ServicePrincipal(RECORD, VAULT_ID), "text", NOW + 2)
    assert (data["issue_time"], data["expire_time"], data["ttl"]) == (
        "2027-01-15T08:00:00.250000Z",
        "2027-01-15T08:01:00.250000Z",
        58,
    )
    assert (data["id"], data["creation_time"], data["creation_ttl"]) == ("text", int(NOW), 3600)


def test_a_token_lives_for_a_second_at_least_while_it_lives() -> None:
    principal = ServicePrincipal(RECORD, VAULT_ID)
    assert shown(principal, "", NOW + 59.9)["ttl"] == 1
    endless = ServicePrincipal(ServiceToken.root(NOW), VAULT_ID)
    assert (shown(endless, "", NOW)["ttl"], shown(endless, "", NOW)["expire_time"]) == (0, None)


def test_a_time_is_the_same_however_often_it_is_asked_for() -> None:
    assert rfc3339(NOW) == rfc3339(NOW) == "2027-01-15T08:00:00.250000Z"
    assert rfc3339(int(NOW)) == "2027-01-15T08:00:00Z"
