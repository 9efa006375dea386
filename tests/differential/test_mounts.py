"""The same drawn requests to enable and tune mounts, to a node and to the reference: same statuses, same settings.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_WALKS` choose the walks; a failure names what makes them again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import pytest

from tests.differential.deviation import drawn_seed
from tests.differential.mount_walk import ENGINES, LOGIN, walk
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
        "options that are no pairs are refused, not dropped",
        lambda step, *answers: _HERE_ALONE(*answers) and _sent(step).get("options") == "x",
        (_KV, Step("POST", "sys/mounts/walked0/tune", {"options": "x"})),
    ),
    Deviation(
        "a default that is longer than the system's longest is refused wherever the mount has no limit of its own",
        lambda step, *answers: _HERE_ALONE(*answers) and "9000h" in _sent(step).values(),
        (_KV, Step("POST", "sys/mounts/walked0/tune", {"default_lease_ttl": "9000h", "max_lease_ttl": 0})),
    ),
    Deviation(
        "a version that the kv engine has not is refused when a mount is tuned, too",
        lambda step, *answers: _HERE_ALONE(*answers) and _sent(step).get("options") == {"version": "3"},
        (_KV, Step("POST", "sys/mounts/walked0/tune", {"options": {"version": "3"}})),
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
