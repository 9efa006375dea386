"""What the fields of requests take, and what they refuse: Vault's weak typing, to the value."""

from __future__ import annotations

from typing import Any

import pytest

from kms_http.api.login.fields import to_names
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
    to_time,
)

HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("converter", "sent", "taken"),
    [
        (to_int, "+7", 7),
        (to_int, "0x1F", 31),
        (to_int, "-010", -8),
        (to_int, "0_7", 7),
        (to_int, "0b11", 3),
        (to_int, "00", 0),
        (to_int, "1_000", 1000),
        (to_int, "0x7fff_ffff_ffff_ffff", (1 << 63) - 1),
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
        (to_names, " a , ,b,", ("a", "", "b", "")),
        (to_names, [None, ""], ("", "")),
        (to_names, "", ()),
        (to_int_list, "1,2", [1, 2]),
        (to_int_list, ["3"], [3]),
        (to_int_list, 4, [4]),
        (to_int_list, {}, []),
        (to_duration, "-90m", -HOUR * 3 // 2),
        (to_period, "1h", HOUR),
        (to_period, "3600", HOUR),
        (to_duration, "03600", HOUR),
        (to_duration, "0" * 40 + "3600", HOUR),
        (to_time, "010", 10.0),
        (to_period, None, 0),
    ],
)
def test_taken(converter: Converter, sent: Any, taken: Any) -> None:
    assert converter(sent) == taken


@pytest.mark.parametrize(
    ("converter", "sent"),
    [
        (to_int, "08"),
        (to_int, "0x"),
        (to_int, "_1"),
        (to_int, "1__0"),
        (to_int, "0x8000000000000000"),
        (to_int, "0" * 69),
        (to_duration, "0x10"),
        (to_duration, "9" * 30),
        (to_duration, "9" * 5000),
        (to_time, str(1 << 63)),
        (to_time, "9" * 5000),
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
