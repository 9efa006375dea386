"""The same walk over tokens and their roles, on a node and on the reference server."""

from __future__ import annotations

from tests.differential.pair import Pair
from tests.differential.token_walk import WALK, Server


def test_tokens_are_made_looked_up_renewed_and_revoked_as_by_the_reference(pair: Pair) -> None:
    ours, reference = Server(pair.ours.address), Server(pair.reference.address)
    ours.known["root"], reference.known["root"] = pair.ours.token, pair.reference.token
    differing = []
    for number, step in enumerate(WALK):
        mine, theirs = ours.run(step), reference.run(step)
        if mine != theirs:
            differing.append((number, step, mine, theirs))
    assert not differing, "\n".join(
        f"{number} {step.by} {step.method} {step.path} {step.body}\n   ours   {mine}\n   theirs {theirs}"
        for number, step, mine, theirs in differing
    )
