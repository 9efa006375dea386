"""The same walk over tokens and their roles, on a node and on the reference server."""

from __future__ import annotations

from typing import Any, Final

import pytest

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


#: What a role says when it makes a token, and what when it is renewed; None: it is gone.
ROLES: Final[tuple[tuple[dict[str, Any], dict[str, Any] | None], ...]] = (
    ({}, {}),
    ({}, None),
    ({"token_period": "20m"}, None),
    ({}, {"token_period": "7m"}),
    ({"token_period": "20m"}, {"token_period": "7m"}),
    ({"token_period": "20m"}, {"token_period": 0}),
    ({}, {"token_explicit_max_ttl": "15m"}),
    ({"token_explicit_max_ttl": "30m"}, {"token_explicit_max_ttl": "15m"}),
    ({}, {"renewable": False}),
)


@pytest.mark.parametrize(("before", "after"), ROLES, ids=str)
def test_both_servers_renew_by_what_a_role_says_now(
    pair: Pair, before: dict[str, Any], after: dict[str, Any] | None
) -> None:
    """But for the status of what is not renewed: 500 there, 400 here."""
    role, found = "auth/token/roles/renewing", []
    for side in pair:
        assert side("POST", role, before).status == 204
        token = side("POST", "auth/token/create/renewing", {"policies": ["default"], "ttl": "10m"}).auth[
            "client_token"
        ]
        assert side(*(("DELETE", role) if after is None else ("POST", role, after))).status == 204
        seen = []
        for sent in ({}, {"increment": "2h"}):
            answer = side("POST", "auth/token/renew", {"token": token, **sent})
            auth = answer.auth
            seen.append(None if auth is None else (round(auth["lease_duration"], -1), bool(answer.warnings)))
            if auth is None and side is pair.ours:
                assert answer.status == 400
        side("DELETE", role)
        found.append(seen)
    assert found[0] == found[1]
