from __future__ import annotations

import itertools
from typing import Any

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.login.parameters import TokenParameters, changed, kind_of, shown

BATCH = "'token_type' cannot be 'batch' or 'default_batch' when set to generate "


def test_what_is_not_sent_is_left_alone() -> None:
    before = TokenParameters(ttl=60, policies=("a",))
    assert changed(before, {"token_period": 30, "name": "x"}).parameters == TokenParameters(
        ttl=60, policies=("a",), period=30
    )


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ({"token_num_uses": -1}, "'token_num_uses' cannot be negative"),
        ({"token_ttl": 100, "token_max_ttl": 50}, "'token_ttl' cannot be greater than 'token_max_ttl'"),
        ({"token_type": "x"}, "invalid 'token_type' value"),
        ({"token_type": "default_batch"}, "invalid 'token_type' value"),
        ({"token_type": "batch", "token_num_uses": 3}, BATCH + "tokens with limited use count"),
        ({"token_type": "batch", "token_period": 3, "token_num_uses": 3}, BATCH + "periodic tokens"),
        ({"token_type": "default-batch"}, "invalid 'token_type' value"),
        ({"token_ttl": -1}, "'token_ttl' cannot be negative, or longer than 9223372036 seconds"),
        ({"token_num_uses": 1 << 40}, "'token_num_uses' cannot be above 2147483648"),
        ({"token_policies": ["x" * 513]}, "token_policies: at most 128 names of at most 512 characters"),
        ({"token_policies": ["x"] * 129}, "token_policies: at most 128 names of at most 512 characters"),
        (
            {"token_bound_cidrs": ["x"]},
            "error parsing address in token_bound_cidrs: unable to convert to an IPv4 or IPv6 address or block",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_the_field_named(sent: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        changed(TokenParameters(), sent)
    assert str(refused.value) == text


def test_a_period_and_batch_meet_whichever_came_first() -> None:
    with pytest.raises(InvalidRequest):
        changed(TokenParameters(period=10), {"token_type": "batch"})
    with pytest.raises(InvalidRequest):
        changed(TokenParameters(type="batch"), {"token_period": 10})
    assert changed(TokenParameters(period=10), {"token_type": "batch", "token_period": 0}).parameters.type == "batch"


def test_defaults_of_a_mount_mean_nothing_in_a_role_and_are_put_right() -> None:
    found = changed(TokenParameters(), {"token_type": "default-batch"}, adjust_type=True)
    assert found.parameters == TokenParameters(type="batch")
    assert found.warnings == ("default-batch has no useful meaning; adjusting to batch",)
    assert changed(found.parameters, {"token_type": ""}).parameters.type == "default"


def test_all_are_shown() -> None:
    shown_now = shown(changed(TokenParameters(), {"token_policies": (" a ", ""), "token_ttl": 5}).parameters)
    assert shown_now == {
        "token_bound_cidrs": [],
        "token_explicit_max_ttl": 0,
        "token_max_ttl": 0,
        "token_no_default_policy": False,
        "token_num_uses": 0,
        "token_period": 0,
        "token_policies": ["a"],
        "token_strictly_bind_ip": False,
        "token_ttl": 5,
        "token_type": "default",
    }


def test_a_mount_says_which_kind_of_token_first_and_then_the_role() -> None:
    kinds = {
        (of_mount, of_role): kind_of(TokenParameters(type=of_role), of_mount)
        for of_mount, of_role in itertools.product(
            ("", "default-service", "default-batch", "service", "batch"), ("default", "service", "batch")
        )
    }
    assert [pair for pair, kind in kinds.items() if kind == "batch"] == [
        ("", "batch"),
        ("default-service", "batch"),
        ("default-batch", "default"),
        ("default-batch", "batch"),
        ("batch", "default"),
        ("batch", "service"),
        ("batch", "batch"),
    ]
