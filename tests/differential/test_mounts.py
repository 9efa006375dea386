"""The same drawn requests to enable and tune mounts, to a node and to the reference: same statuses, same settings.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_WALKS` choose the walks; a failure names what makes them again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import pytest

from tests.differential.deviation import drawn_seed
from tests.differential.mount_walk import ENGINES, LOGIN, MOVES, walk
from tests.differential.pair import Answer, Pair, Side
from tests.differential.steps import Step

WALKS: Final = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "6"))
LENGTH: Final = 25

#: What each server makes itself, or calls its own.
_OWN: Final = frozenset({"accessor", "uuid", "running_plugin_version"})


class Deviation(NamedTuple):
    """A difference that is meant, with steps of which the last shows it; a walk begins anew after it."""

    reason: str
    applies: Callable[[Step, Answer, Answer], bool]
    example: tuple[Step, ...]


def _sent(step: Step) -> dict[str, Any]:
    body = step.body or {}
    return {**body, **(body.get("config") or {})}


def _refused(*, here: int, there: int) -> Callable[[Answer, Answer], bool]:
    return lambda ours, theirs: (ours.status, theirs.status) == (here, there)


_HERE_ALONE: Final = _refused(here=400, there=204)
_KV: Final = Step("POST", "sys/mounts/walked0", {"type": "kv-v1"})

DEVIATIONS: Final = (
    Deviation(
        "a setting that the mount has not, and that asks for nothing, is let pass: clients send all they know",
        lambda step, *answers: (
            _refused(here=204, there=400)(*answers) and _sent(step).get("token_type", "x") in {"", None}
        ),
        (_KV, Step("POST", "sys/mounts/walked0/tune", {"token_type": ""})),
    ),
    Deviation(
        "an option of a version where no engine has one is refused when a mount is tuned, too",
        lambda step, *answers: _refused(here=400, there=200)(*answers) and "version" in str(_sent(step)),
        (
            Step("POST", "sys/mounts/walked0", {"type": "transit"}),
            Step("POST", "sys/mounts/walked0/tune", {"options": {"version": "2"}}),
        ),
    ),
    Deviation(
        "a mount of KV is one of version 2 at once, so there is nothing to warn of",
        lambda _, ours, theirs: ours.status == 204 and any(text.startswith("Upgrading") for text in theirs.warnings),
        (_KV, Step("POST", "sys/mounts/walked0/tune", {"options": {"version": "2"}})),
    ),
    Deviation(
        "what asks for a setting that a mount of this type has not is refused, not dropped",
        lambda step, *answers: (
            _HERE_ALONE(*answers) and bool(_sent(step).keys() & {"token_type", "user_lockout_config"})
        ),
        (Step("POST", "sys/mounts/walked0", {"type": "kv", "config": {"token_type": "batch"}}),),
    ),
    Deviation(
        "a default that is longer than the system's longest is refused wherever the mount has no limit of its own",
        lambda step, *answers: _HERE_ALONE(*answers) and "9000h" in _sent(step).values(),
        (_KV, Step("POST", "sys/mounts/walked0/tune", {"default_lease_ttl": "9000h", "max_lease_ttl": 0})),
    ),
)


@pytest.fixture(autouse=True)
def _without_mounts(pair: Pair) -> Iterator[None]:
    _disable_all(pair)
    yield
    _disable_all(pair)


def _disable_all(pair: Pair) -> None:
    for side in pair:
        for path in (*ENGINES, LOGIN):
            assert side("DELETE", f"sys/mounts/{path}" if path != LOGIN else "sys/auth/walked").status == 204


def _asked(side: Side, step: Step) -> Answer:
    answer = side(step.method, step.path, step.body)
    return answer._replace(data=_common(answer.data), errors=("refused",) if answer.errors else ())


def _common(value: Any) -> Any:
    if isinstance(value, dict):
        shown = {name: _common(each) for name, each in value.items() if name not in _OWN}
        return {**shown, "options": shown["options"] or {}} if "options" in shown else shown
    return value


@pytest.mark.parametrize("number", range(WALKS))
def test_settings_of_mounts_are_kept_shown_and_refused_as_by_the_reference(pair: Pair, number: int) -> None:
    seed = f"{drawn_seed()}-{number}"
    trail = []
    for place, step in enumerate(walk(seed, LENGTH)):
        trail.append(step)
        ours, theirs = _asked(pair.ours, step), _asked(pair.reference, step)
        if ours == theirs:
            continue
        meant = next((each for each in DEVIATIONS if each.applies(step, ours, theirs)), None)
        assert meant is not None, (
            f"seed {seed}, step {place}: {step}\n   ours   {ours}\n   theirs {theirs}\n{trail[-8:]}"
        )
        _disable_all(pair)


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=[each.reason for each in DEVIATIONS])
def test_each_difference_is_still_there(pair: Pair, deviation: Deviation) -> None:
    *before, step = deviation.example
    for each in before:
        assert _asked(pair.ours, each) == _asked(pair.reference, each)
    assert deviation.applies(step, _asked(pair.ours, step), _asked(pair.reference, step))


def test_mounts_are_moved_and_stay_as_with_the_reference(pair: Pair) -> None:
    for side in pair:
        assert side("POST", "sys/mounts/walked0", {"type": "kv-v2", "description": "moved"}).status == 204
        assert side("POST", "sys/auth/walked", {"type": "userpass"}).status == 204
    for step in MOVES:
        ours, theirs = (side(step.method, step.path, step.body) for side in pair)
        assert ours.status == theirs.status, (step, ours, theirs)
        assert bool(ours.errors) == bool(theirs.errors)
        if ours.status == 200:
            told = [_moved(side, answer) for side, answer in zip(pair, (ours, theirs), strict=True)]
            assert told[0] == told[1]
            assert told[0]["status"] == "success"
    ours, theirs = (_asked(side, Step("GET", "sys/mounts/walked1")) for side in pair)
    assert ours == theirs
    unknown = [side("GET", "sys/remount/status/none") for side in pair]
    assert unknown[0] == unknown[1]


def _moved(side: Side, answer: Answer) -> Any:
    """Return what is told of a move, once it is done: the reference takes a moment."""
    migration = answer.data["migration_id"]
    for _ in range(200):
        told = side("GET", f"sys/remount/status/{migration}").data
        assert told["migration_id"] == migration
        if told["migration_info"]["status"] != "in-progress":
            break
        time.sleep(0.02)
    return told["migration_info"]
