from __future__ import annotations

import pytest

from kms_actors.errors import InvalidRequest
from kms_http.api.login.fields import TOKEN_FIELDS
from kms_http.fields import Fields

FIELDS = Fields(existence_checked=True, **TOKEN_FIELDS)


def test_values_become_what_parameters_take() -> None:
    sent = {
        "token_ttl": "1h",
        "token_max_ttl": 7200,
        "token_period": "",
        "token_explicit_max_ttl": None,
        "token_policies": " a,,b ",
        "token_bound_cidrs": ["10.0.0.0/8"],
        "token_type": None,
        "token_no_default_policy": "true",
    }
    assert FIELDS.parse(sent)[0] == {
        "token_ttl": 3600,
        "token_max_ttl": 7200,
        "token_period": 0,
        "token_policies": ("a", "", "b"),  # those of nothing go where names are checked
        "token_bound_cidrs": ("10.0.0.0/8",),
        "token_type": "",
        "token_no_default_policy": True,
    }


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"""error converting input for field "token_ttl": .*negative"""):
        FIELDS.parse({"token_ttl": -1})


@pytest.mark.parametrize("name", ["token_ttl", "token_max_ttl", "token_explicit_max_ttl", "token_period"])
def test_a_bound_below_a_second_is_one_second_and_not_none(name: str) -> None:
    assert FIELDS.parse({name: "500ms"})[0] == {name: 1}
