"""What the fields of requests take, and what they refuse: Vault's weak typing, to the value."""

from __future__ import annotations

from typing import Any

import pytest

from kms_http.fields import (
    Converter,
    WrongType,
    to_bool,
    to_duration,
    to_int,
    to_int_list,
    to_list,
    to_map,
    to_period,
    to_str,
)

HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("converter", "sent", "taken"),
    [
        (to_int, "+7", 7),
        (to_int, True, 1),
        (to_int, None, 0),
        (to_int, "", 0),
        (to_bool, 1, True),
        (to_bool, 0, False),
        (to_bool, "T", True),
        (to_bool, "", False),
        (to_bool, None, False),
        (to_str, 1.5, "1.5"),
        (to_str, True, "1"),
        (to_map, [], {}),
        (to_map, None, {}),
        (to_list, "a, b", ["a", "b"]),
        (to_list, {}, []),
        (to_int_list, "1,2", [1, 2]),
        (to_int_list, ["3"], [3]),
        (to_int_list, 4, [4]),
        (to_int_list, {}, []),
        (to_duration, "-90m", -HOUR * 3 // 2),
        (to_period, "1h", HOUR),
        (to_period, "3600", HOUR),
        (to_period, None, 0),
    ],
)
def test_taken(converter: Converter, sent: Any, taken: Any) -> None:
    assert converter(sent) == taken


@pytest.mark.parametrize(
    ("converter", "sent"),
    [
        (to_int, 1.0),
        (to_int, 1.5),
        (to_int, 2**63),
        (to_int, " 1"),
        (to_int, []),
        (to_bool, 5),
        (to_bool, -1),
        (to_bool, 1.0),
        (to_bool, "yes"),
        (to_bool, {}),
        (to_str, []),
        (to_map, ["x"]),
        (to_map, "x"),
        (to_int_list, "1, 2"),
        (to_int_list, {"x": 1}),
        (to_int_list, [1] * 10_001),
        (to_duration, True),
        (to_duration, 1.5),
        (to_duration, "1 h"),
        (to_period, -1),
        (to_period, "-1h"),
    ],
)
def test_refused(converter: Converter, sent: Any) -> None:
    with pytest.raises(WrongType):
        converter(sent)
