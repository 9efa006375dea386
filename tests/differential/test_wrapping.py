"""Wrapped answers and cubbyholes compared with a reference server, by drawn walks over both.

`KMS_DIFFERENTIAL_WALKS` asks for more, `KMS_DIFFERENTIAL_SEED` draws others (`random`: new ones each time).
"""

from __future__ import annotations

import os
import random
from typing import Final

import pytest

from tests.differential.deviation import drawn_seed
from tests.differential.pair import Pair
from tests.differential.wrapping_walk import BAD_TTLS, Seen, Server, Step, drawn

WALKS: Final = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "4"))
STEPS: Final = 60


def same(step: Step, ours: Seen, reference: Seen) -> bool:
    """Tell whether two answers are the same, or differ as `docs/compatibility.md` says."""
    if ours == reference:
        return True
    if step.ttl in BAD_TTLS:
        return ours.status == reference.status == 400 and ours.errors[0].startswith("error parsing X-Vault-Wrap-TTL")
    if step.method == "LIST" and step.ttl:  # a list of nothing that was to be wrapped
        return ours == reference._replace(errors=()) and reference.errors == ("unsupported path",)
    if (
        step.path == "cubbyhole/response"
    ):  # of an answer of its own status, which the reference keeps in a form of its own
        within = reference.data["response"]["data"]
        return bool(within["http_status_code"] == 404 and within["http_raw_body"] == ours.data["response"])
    return False


@pytest.mark.parametrize("walk", range(WALKS))
def test_both_wrap_and_keep_the_same(pair: Pair, walk: int) -> None:
    seed = drawn_seed()
    chance = random.Random(f"{seed} wrapping {walk}")
    servers = Server(pair.ours), Server(pair.reference)
    for step in (
        Step("POST", "secret/data/a", {"data": {"n": walk}}),
        Step("POST", "secret/data/gone", {"data": {"n": walk}}),
        Step("DELETE", "secret/data/gone"),
        Step("POST", "cubbyhole/kept", {"n": walk}),
        Step("DELETE", "cubbyhole/a"),
    ):
        for server in servers:
            server(step)
    taken: list[str] = []
    for number in range(STEPS):
        step = drawn(chance, len(servers[0].tokens))
        ours, reference = (server(step) for server in servers)
        taken.append(f"{step.method} {step.path} {ours.status}")
        assert same(step, ours, reference), (
            f"seed {seed}, step {number}: {step}\nours:      {ours}\nreference: {reference}"
        )
