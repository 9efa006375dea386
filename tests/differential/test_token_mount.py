"""The mount of tokens, tuned by the same drawn requests on a node and on the reference: its settings, and its tokens.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_WALKS` choose the walks; a failure names what makes them again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.differential.deviation import drawn_seed
from tests.differential.mount_walk import UNTUNED, walk_of_tokens
from tests.differential.pair import Answer, Pair, Side
from tests.differential.steps import Step

WALKS: Final = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "4"))
LENGTH: Final = 20
TUNE: Final = UNTUNED.path

#: What each server makes itself, or calls its own.
_OWN: Final = frozenset({"accessor", "uuid", "running_plugin_version"})


@pytest.fixture(autouse=True)
def _untuned(pair: Pair) -> Iterator[None]:
    _untune(pair)
    yield
    _untune(pair)


def _untune(pair: Pair) -> None:
    for side in pair:
        assert _asked(side, UNTUNED).status == 204
        assert side("DELETE", "auth/token/roles/tuned").status == 204


def _asked(side: Side, step: Step) -> Answer:
    answer = side(step.method, step.path, step.body)
    life = answer.auth and {name: answer.auth[name] for name in ("lease_duration", "renewable", "token_type")}
    warnings = tuple(sorted(text.partition("; ")[0] for text in answer.warnings))  # what comes of it is worded apart
    return answer._replace(
        data=_common(answer.data), errors=("refused",) if answer.errors else (), warnings=warnings, auth=life
    )


def _common(value: Any) -> Any:
    if isinstance(value, dict):
        shown = {name: _common(each) for name, each in value.items() if name not in _OWN}
        return {**shown, "options": shown["options"] or {}} if "options" in shown else shown
    return value


def _meant(step: Step, ours: Answer, theirs: Answer) -> bool:
    """Tell whether an answer differs as that to any mount does (`test_mounts`), or on purpose."""
    body, statuses = step.body or {}, (ours.status, theirs.status)
    if step.path.endswith("/tune") and statuses == (400, 204):
        return "9000h" in body.values()
    if step.path.endswith("/tune") and statuses == (204, 400):
        return body.get("token_type", "x") in {"", None}
    return False


@pytest.mark.parametrize("number", range(WALKS))
def test_the_mount_of_tokens_is_tuned_as_with_the_reference(pair: Pair, number: int) -> None:
    seed = f"{drawn_seed()}-tokens-{number}"
    trail = []
    for place, step in enumerate(walk_of_tokens(seed, LENGTH)):
        trail.append(step)
        ours, theirs = _asked(pair.ours, step), _asked(pair.reference, step)
        if ours == theirs:
            continue
        assert _meant(step, ours, theirs), (
            f"seed {seed}, step {place}: {step}\n   ours   {ours}\n   theirs {theirs}\n{trail[-8:]}"
        )
        _untune(pair)


@pytest.mark.parametrize(
    "body",
    [
        {"token_type": "batch"},
        {"user_lockout_config": {"lockout_threshold": 3}},
        {"default_lease_ttl": "3h", "max_lease_ttl": "1h"},
        {"plugin_version": "v1.0.0"},
    ],
)
def test_what_it_cannot_be_told_is_refused_as_there(pair: Pair, body: dict[str, Any]) -> None:
    ours, theirs = (_asked(side, Step("POST", TUNE, body)) for side in pair)
    assert (ours.status, theirs.status) == (400, 400)
    assert _asked(pair.ours, Step("GET", TUNE)) == _asked(pair.reference, Step("GET", TUNE))


def test_renewals_are_bound_by_what_it_says_then(pair: Pair) -> None:
    seen = []
    for side in pair:
        made = side("POST", "auth/token/create", {"policies": ["default"], "ttl": "5h"}).auth["client_token"]
        assert side("POST", TUNE, {"max_lease_ttl": "2h"}).status == 204
        renewed = side("POST", "auth/token/renew", {"token": made, "increment": "4h"})
        seen.append((round(renewed.auth["lease_duration"], -1), bool(renewed.warnings)))
    assert seen[0] == seen[1] == (7200, True)


def test_anybody_sees_it_who_may(pair: Pair) -> None:
    for side in pair:
        assert side("POST", TUNE, {"listing_visibility": "unauth", "description": "ours"}).status == 204
    seen = []
    for side in pair:
        nobody = Side(side.address, "", {})
        shown = nobody("GET", "sys/internal/ui/mounts").data["auth"]["token/"]
        seen.append({**shown, "options": shown["options"] or {}})
        nobody.close()
    assert seen[0] == seen[1] == {"description": "ours", "options": {}, "type": "token"}
