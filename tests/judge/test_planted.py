"""The judge proves itself: histories that cannot have happened are refused, and their neighbours that can are not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.judge.history import UNKNOWN, judge

_CLIENT = itertools.count()


def call(op: str, began: int, ended: int, object_: str = "", **told: Any) -> dict[str, Any]:
    return {"object": object_, "client": next(_CLIENT), "op": op, "call": began, "return": ended, **told}


def put(began: int, ended: int, value: str, version: int = 0, cas: int | None = None, *, no: bool = False) -> Any:
    return call("put", began, ended, "kv/a", value=value, version=version, cas=cas, refused=no)


def get(began: int, ended: int, value: str, version: int) -> Any:
    return call("get", began, ended, "kv/a", value=value, version=version)


def gate(op: str, began: int, ended: int, *, no: bool = False) -> Any:
    return call(op, began, ended, "gate/a", refused=no)


def uses(op: str, began: int, ended: int, number: int = 0, *, no: bool = False) -> Any:
    return call(op, began, ended, "uses/a", uses=number, refused=no)


BAD = {
    "a read that is stale": [put(1, 2, "x", 1), put(3, 4, "y", 2), get(5, 6, "x", 1)],
    "a read before its write": [get(1, 2, "x", 1), put(3, 4, "x", 1)],
    "a value that nobody wrote": [put(1, 2, "x", 1), get(3, 4, "z", 1)],
    "a write that is lost": [put(1, 2, "x", 1), put(1, 2, "y", 1)],
    "a write that is undone": [put(1, 2, "x", 1), get(3, 4, "x", 1), get(5, 6, "", 0)],
    "two winners of one version": [put(1, 2, "o", 1), put(3, 9, "x", 2, 1), put(3, 9, "y", 2, 1)],
    "a refusal without a reason": [put(1, 2, "x", 1), put(3, 4, "y", cas=1, no=True)],
    "an unknown write that comes and goes": [
        put(1, 2, "x", 1),
        put(3, UNKNOWN, "y", cas=1),
        get(5, 6, "y", 2),
        get(7, 8, "x", 1),
    ],
    "a change after a seal": [gate("close", 1, 2), gate("change", 3, 4)],
    "a change after a revocation that was not answered, but seen": [
        gate("close", 1, UNKNOWN),
        gate("change", 3, 4, no=True),
        gate("change", 5, 6),
    ],
    "a refusal before a revocation": [gate("change", 1, 2, no=True), gate("close", 3, 4)],
    "a use too many": [uses("make", 1, 2, 2), uses("use", 3, 4), uses("use", 3, 4), uses("use", 3, 4)],
    "a use too few": [uses("make", 1, 2, 2), uses("use", 3, 4), uses("use", 5, 6, no=True)],
    "a use of what is not made": [uses("use", 1, 2), uses("make", 3, 4, 2)],
}

GOOD = {
    "a read beside a write": [put(1, 4, "x", 1), get(2, 3, "", 0), get(2, 3, "x", 1)],
    "one winner of one version": [put(1, 2, "o", 1), put(3, 9, "x", 2, 1), put(3, 9, "y", cas=1, no=True)],
    "an unknown write that comes late": [
        put(1, 2, "x", 1),
        put(3, UNKNOWN, "y", cas=1),
        get(5, 6, "x", 1),
        get(7, 8, "y", 2),
    ],
    "an unknown write that never comes": [put(1, 2, "x", 1), put(3, UNKNOWN, "y"), get(5, 6, "x", 1)],
    "a change beside a seal": [gate("close", 1, 4), gate("change", 2, 3)],
    "a change between seals": [gate("close", 1, 2), gate("open", 3, 4), gate("change", 5, 6), gate("close", 7, 8)],
    "all uses": [uses("make", 1, 2, 2), uses("use", 3, 9), uses("use", 3, 9), uses("use", 3, 9, no=True)],
    "an unknown use that counts": [
        uses("make", 1, 2, 2),
        uses("use", 3, UNKNOWN),
        uses("use", 5, 6),
        uses("use", 7, 8, no=True),
    ],
    "an unknown use that does not": [
        uses("make", 1, 2, 2),
        uses("use", 3, UNKNOWN),
        uses("use", 5, 6),
        uses("use", 7, 8),
    ],
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_have_happened_is_refused(name: str) -> None:
    assert len(judge(BAD[name]).illegal) == 1


@pytest.mark.parametrize("name", GOOD)
def test_what_can_have_happened_is_not(name: str) -> None:
    verdict = judge(GOOD[name])
    assert (verdict.illegal, verdict.unknown) == ([], [])


def test_one_bad_object_among_many_is_named() -> None:
    good = [line | {"object": f"kv/{number}"} for number in range(50) for line in GOOD["a read beside a write"]]
    verdict = judge([*good, *(line | {"object": "kv/bad"} for line in BAD["a write that is lost"])])
    assert verdict.illegal == ["kv/bad"]
    assert verdict.summary["objects"] == 51
    assert verdict.summary["operations"] == 152
