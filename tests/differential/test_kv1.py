"""Random walks over secrets of KV version 1 on both servers, and on over the same secrets once they have versions.

Statuses, data and seconds of leases are the same, but for times and a table of deviations. `KMS_DIFFERENTIAL_SEED`
and `KMS_DIFFERENTIAL_WALKS` choose the walks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.differential.comparison import masked
from tests.differential.deviation import Deviation, drawn_seed
from tests.differential.kv1_walk import DEVIATIONS, Walk
from tests.differential.kv_deviations import DEVIATIONS as VERSIONED
from tests.differential.kv_deviations import explained
from tests.differential.kv_walk import PATHS
from tests.differential.kv_walk import Walk as VersionedWalk
from tests.differential.pair import Pair, Side
from tests.differential.steps import Step
from tests.support.node import wait_until

SEED = drawn_seed()
WALKS = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "6"))
STEPS, STEPS_AFTER = 80, 30
MERGE = "application/merge-patch+json"


@pytest.fixture
def plain(pair: Pair) -> Iterator[Pair]:
    """Both servers, with a mount of version 1 that no other test has."""
    name = f"plain-{uuid4().hex[:12]}"
    for side in pair:
        side.mounts["plain"] = name
        assert side("POST", f"sys/mounts/{name}", {"type": "kv"}).status == 204
    yield pair
    for side in pair:
        side("DELETE", f"sys/mounts/{name}")


def _run(pair: Pair, steps: Iterable[Step], seen: list[Deviation]) -> str | None:
    """Walk up to the first difference; return it in words."""
    for place, step in enumerate(steps):
        path = step.path.format(plain=pair.ours.mounts["plain"]) if "{" in step.path else step.path
        media_type = MERGE if step.method == "PATCH" else "application/json"
        ours, reference = (masked(side(step.method, path, step.body, media_type)) for side in pair)
        if step.path.startswith("secret/"):  # of version 2, whose numbers the reference rounds
            ours, reference = (each._replace(data=_rounded(each.data)) for each in (ours, reference))
        if not explained(step, ours, reference, seen, (*DEVIATIONS, *VERSIONED)):
            return f"step {place}: {step}\n  ours      {ours}\n  reference {reference}"
        if (ours.status < 300) is not (reference.status < 300) and step.method in {"POST", "PUT", "PATCH", "DELETE"}:
            break  # from here on they may hold different secrets
    return None


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return float(value) if isinstance(value, int) and abs(value) > 2**53 else value


def _as_version_2(side: Side) -> Side:
    """Return the same mount, under the name that walks over version 2 have for theirs."""
    return Side(side.address, side.token, {**side.mounts, "secret": side.mounts["plain"]})


def _enable_versioning(pair: Pair) -> None:
    name = pair.ours.mounts["plain"]
    for side in pair:
        assert side("POST", f"sys/mounts/{name}/tune", {"options": {"version": "2"}}).status in {200, 204}
    # The reference copies each secret first.
    wait_until(lambda: pair.reference("GET", "plain/config").status == 200, "the reference serves version 2")


def _first_versions(number: int) -> Iterator[Step]:
    for path in PATHS:
        for kind in ("data", "metadata", "subkeys"):
            yield Step("GET", f"secret/{kind}/w{number}/{path}")
    yield Step("LIST", f"secret/metadata/w{number}")
    yield Step("SCAN", f"secret/metadata/w{number}")


@pytest.mark.parametrize("number", range(WALKS))
def test_both_servers_keep_the_same_secrets_before_and_after_they_have_versions(plain: Pair, number: int) -> None:
    found = _run(plain, Walk(SEED, number).steps(STEPS), [])
    assert found is None, f"KMS_DIFFERENTIAL_SEED={SEED}: walk {number}, {found}"
    _enable_versioning(plain)
    later = Pair(*map(_as_version_2, plain))
    for steps in (_first_versions(number), VersionedWalk(SEED, number).steps(STEPS_AFTER)):
        found = _run(later, steps, [])
        assert found is None, f"KMS_DIFFERENTIAL_SEED={SEED}: walk {number}, with versions, {found}"
    for side in later:
        side.close()


@pytest.mark.parametrize("meant", DEVIATIONS, ids=lambda each: each.reason)
def test_each_deviation_is_still_one(plain: Pair, meant: Deviation) -> None:
    seen: list[Deviation] = []
    assert isinstance(meant.example, tuple)
    assert _run(plain, meant.example, seen) is None
    assert meant in seen, "the reference answers as this project does"


def test_both_servers_take_the_same_options(plain: Pair) -> None:
    name = plain.ours.mounts["plain"]
    for mounting in (
        {"type": "kv-v1"},
        {"type": "kv-v1", "options": {"version": "2"}},
        {"type": "kv-v2", "options": {"version": "1"}},
        {"type": "kv", "options": {"version": ""}},
        {"type": "kv", "options": {"version": 1, "note": "x"}},
        {"type": "kv", "options": {}},
    ):
        shown = []
        for side in plain:
            side("DELETE", f"sys/mounts/{name}")
            assert side("POST", f"sys/mounts/{name}", mounting).status == 204
            assert side("POST", f"sys/mounts/{name}/tune", {"options": {"more": "y", "note": ""}}).status == 204
            views = (f"sys/mounts/{name}", f"sys/mounts/{name}/tune", f"sys/internal/ui/mounts/{name}/a")
            shown.append([side("GET", view).data.get("options") for view in views])
        assert shown[0] == shown[1], mounting


@pytest.mark.parametrize("options", [{"version": "3"}, {"version": "x"}, {"version": ""}])
def test_both_servers_refuse_the_same_options(plain: Pair, options: dict[str, str]) -> None:
    name = plain.ours.mounts["plain"]
    assert [side("POST", f"sys/mounts/{name}/tune", {"options": options}).status for side in plain] == [400, 400]
    if options["version"]:
        body = {"type": "kv", "options": options}
        assert [side("POST", f"sys/mounts/{name}-other", body).status for side in plain] == [400, 400]
    for side in plain:
        assert side("POST", f"sys/mounts/{name}/tune", {"options": {"version": "2"}}).status in {200, 204}
        refused = side("POST", f"sys/mounts/{name}/tune", {"options": {"version": "1"}})
        assert (refused.status, refused.errors) == (400, ("cannot downgrade mount from version 2",))
