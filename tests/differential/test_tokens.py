"""The same walk over tokens and their roles, on a node and on the reference server."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.differential.pair import Pair, Side
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


def test_who_makes_or_renews_a_token_is_told_what_its_entity_gives(pair: Pair) -> None:
    """Of a token that a login gave, and of one whose role lets it name an alias."""
    found = []
    for side in pair:
        rules = 'path "auth/token/create*" { capabilities = ["update"] }'
        assert side("POST", "sys/policies/acl/makes", {"policy": rules}).status == 204
        entity = side("POST", "identity/entity", {"name": "told", "policies": ["makes", "own"]}).data["id"]
        accessor = side("GET", "sys/auth").data["token/"]["accessor"]
        alias = {"name": "told", "canonical_id": entity, "mount_accessor": accessor}
        assert side("POST", "identity/entity-alias", alias).status == 200
        role = {"allowed_entity_aliases": ["told"], "allowed_policies": ["own"]}
        assert side("POST", "auth/token/roles/told", role).status == 204
        asked = {"entity_alias": "told", "policies": ["own"]}
        made = [side("POST", "auth/token/create/told", asked)]
        bearer = Side(side.address, made[0].auth["client_token"], {})
        made.append(bearer("POST", "auth/token/create", {}))
        child = Side(side.address, made[1].auth["client_token"], {})
        made += [
            side("POST", "auth/token/renew", {"token": child.token}),
            side("POST", "auth/token/renew-accessor", {"accessor": made[1].auth["accessor"]}),
            child("POST", "auth/token/renew-self", {}),
            side("POST", "auth/token/create", {"policies": ["own"]}),
        ]
        names = ("policies", "token_policies", "identity_policies")
        found.append([[each.auth.get(name) or [] for name in names] for each in made])
        bearer.close()
        child.close()
        side("DELETE", "auth/token/roles/told")
        side("DELETE", f"identity/entity/id/{entity}")
        side("DELETE", "sys/policies/acl/makes")
    assert found[0] == found[1]
    assert found[0][1] == [["default", "makes", "own"], ["default", "own"], ["makes", "own"]]


#: Prefixes of what is revoked: of one mount, of one user, and of nothing, since none ends within a name.
_PREFIXES: Final = ("{mount}", "{mount}/login", "{mount}/login/u1", "{mount}/log", "{mount}/login/u")


@pytest.mark.parametrize("prefix", _PREFIXES)
def test_leases_below_a_prefix_end_and_no_others(pair: Pair, prefix: str) -> None:
    found = []
    for side in pair:
        mounts = ("auth/leased", "auth/leased2")
        tokens = {}
        for mount in mounts:
            assert side("POST", f"sys/{mount}", {"type": "userpass"}).status == 204
            for user in ("u1", "u10"):
                assert side("POST", f"{mount}/users/{user}", {"password": "x"}).status == 204
                login = side("POST", f"{mount}/login/{user}", {"password": "x"})
                tokens[f"{mount}/{user}"] = login.auth["client_token"]
        path = f"sys/leases/revoke-prefix/{prefix.format(mount=mounts[0])}"
        assert side("PUT", path, {"sync": True}).status == 204
        lives = [side("POST", "auth/token/lookup", {"token": token}).status == 200 for token in tokens.values()]
        found.append(dict(zip(tokens, lives, strict=True)))
        for mount in mounts:
            side("DELETE", f"sys/{mount}")
    assert found[0] == found[1]
