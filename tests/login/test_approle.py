"""The rules of AppRole: what a role may be, what a secret id of it may be, and what a login proves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.errors import InvalidRequest
from kms_actors.login.approle import Role, SecretId, make_secret_id, proved, used, write
from kms_actors.login.parameters import TokenParameters

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
DAY = 86_400


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"role_id": ""}, "invalid role_id supplied, or failed to generate a role_id"),
        ({"role_id": "x" * 513}, "invalid role_id supplied, or failed to generate a role_id"),
        ({"secret_id_num_uses": -1}, "secret_id_num_uses cannot be negative"),
        ({"secret_id_num_uses": 1 << 40}, "secret_id_num_uses is at most 2147483648"),
        ({"secret_id_bound_cidrs": ("1.2.3.4",)}, "secret_id_bound_cidrs: failed to validate CIDR blocks"),
        ({"secret_id_bound_cidrs": ("10.0.0.0/8",) * 257}, "secret_id_bound_cidrs: more than 256 blocks"),
        ({"bind_secret_id": False}, "at least one constraint should be enabled on the role"),
        ({"token_type": "x"}, "invalid 'token_type' value"),
    ],
)
def test_what_a_role_cannot_be_is_refused(sent: dict[str, Any], text: str) -> None:
    for before in (None, Role(role_id="r")):
        with pytest.raises(InvalidRequest) as refused:
            write(before, sent, (), "new")
        assert str(refused.value).startswith(text)


def test_a_role_is_what_was_said_of_it() -> None:
    made = write(None, {"local_secret_ids": True, "token_policies": ("a",)}, ("token_policies",), "new").role
    assert (made.role_id, made.local_secret_ids, made.spelled) == ("new", True, ("token_policies",))
    with pytest.raises(InvalidRequest, match="local_secret_ids can only be modified during role creation"):
        write(made, {"local_secret_ids": False}, (), "other")
    after = write(made, {"token_policies": ("b",), "secret_id_ttl": 5, "token_type": "default-batch"}, (), "other")
    assert (after.role.role_id, after.role.parameters.policies, after.role.spelled) == ("new", ("b",), ())
    assert after.warnings == ("default-batch has no useful meaning; adjusting to batch",)
    assert (
        write(None, {"bind_secret_id": False, "token_bound_cidrs": ("::1",)}, (), "new").role.bind_secret_id is False
    )


@pytest.mark.parametrize(
    ("sent", "older", "alone", "refused"),
    [
        ({"token_period": 7201}, ("token_period",), False, True),
        ({"token_period": 7201}, (), True, True),
        ({"token_period": 7201}, (), False, False),  # a login then cuts it
        ({"token_period": 7200}, ("token_period",), False, False),
    ],
)
def test_a_period_longer_than_a_token_of_the_mount_may_live_is_refused(
    sent: dict[str, Any], older: tuple[str, ...], alone: bool, refused: bool
) -> None:
    if refused:
        with pytest.raises(InvalidRequest, match="period is greater than the backend's maximum lease TTL"):
            write(None, sent, older, "new", 7200, alone=alone)
    else:
        assert write(None, sent, older, "new", 7200, alone=alone).role.parameters.period == sent["token_period"]


def test_who_writes_a_role_is_told_that_its_longest_life_is_cut() -> None:
    (warning,) = write(None, {"token_max_ttl": 7201}, (), "new", 7200).warnings
    assert warning.startswith("token_max_ttl is greater than the backend mount's maximum TTL value")
    assert write(None, {"token_max_ttl": 7200}, (), "new", 7200).warnings == ()
    assert write(None, {"token_max_ttl": 7201}, (), "new", 7200, alone=True).warnings == ()


@given(
    st.integers(0, 5),
    st.integers(0, 100),
    st.fixed_dictionaries({}, optional={"num_uses": st.integers(-1, 7), "ttl": st.integers(0, 150)}),
    st.integers(1, 60),
)
def test_a_secret_id_is_no_more_than_its_role_allows(uses: int, ttl: int, sent: dict[str, int], most: int) -> None:
    role = Role(role_id="r", secret_id_num_uses=uses, secret_id_ttl=ttl)
    try:
        made = make_secret_id(role, sent, "a", NOW, most)
    except InvalidRequest:
        assert sent.get("num_uses", uses) != uses or sent.get("ttl", ttl) != ttl
        return
    assert not uses or 0 < made.uses <= uses
    assert not ttl or 0 < made.ttl <= ttl
    assert made.ends == (NOW + min(made.ttl, most) * SECOND if made.ttl else 0)
    assert not made.ended(NOW)
    assert made.ended(made.ends) == bool(made.ends)


@given(st.integers(1, 20))
def test_a_secret_id_is_used_as_often_as_it_says(uses: int) -> None:
    left: SecretId | None = SecretId(accessor="a", created=NOW, updated=NOW, uses=uses)
    count = 0
    while left is not None:
        left = used(left, NOW)
        count += 1
    assert count == uses
    unbounded = SecretId(accessor="a", created=NOW, updated=NOW)
    assert used(unbounded, NOW) is unbounded


def test_a_secret_id_binds_its_tokens_closer() -> None:
    role = Role(role_id="r", parameters=TokenParameters(bound_cidrs=("10.0.0.0/8",), policies=("p",)))
    made = make_secret_id(role, {"token_bound_cidrs": ("10.1.2.3/32",), "metadata": "a=b"}, "a", NOW, DAY)
    outcome = proved("app", role, made, "10.1.2.3")
    assert outcome.parameters == TokenParameters(bound_cidrs=("10.1.2.3",), policies=("p",))
    assert (outcome.alias, outcome.metadata) == ("r", {"a": "b", "role_name": "app"})
    assert proved("app", role, None, "").parameters == role.parameters
