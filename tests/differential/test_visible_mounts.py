"""What tokens of drawn policies are shown of mounts: the same by both servers, also of those that every vault has."""

from __future__ import annotations

import json
import os
import random
from typing import Any, Final

from tests.differential.deviation import drawn_seed
from tests.differential.pair import Pair, Side

SEED = drawn_seed()
DRAWS = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "20"))

_SYSTEM: Final = ("sys/", "identity/", "cubbyhole/")
_RULES: Final = (
    *("{kv}", "{kv}/", "{kv}/*", "{kv}/data/x", "{kv}/+/x", "+", "+/data/x", "*", "sys/mounts", "sys/*", "auth/*"),
    *("auth/token/create", "auth/token/", "auth/token", "auth/+/create", "identity/*", "cubbyhole/x", "nothing/x"),
)
_CAPABILITIES: Final = ("deny", "read", "list", "create", "update", "delete", "sudo", "patch", "scan")
_PATHS: Final = (
    *("{kv}", "{kv}/data/x", "sys", "sys/mounts", "identity/entity", "cubbyhole", "cubbyhole/x"),
    *("auth/token", "auth/token/create", "auth", "nothing"),
)


def _seen(side: Side) -> tuple[Any, ...]:
    kv = f"{side.mounts['secret']}/"
    listed = side("GET", "sys/internal/ui/mounts")
    listing = {
        kind: sorted(name.replace(kv, "{kv}/") for name in mounts if name in (*_SYSTEM, kv, "token/"))
        for kind, mounts in listed.data.items()
    }
    found = []
    for path in _PATHS:
        answer = side("GET", f"sys/internal/ui/mounts/{path.format(kv=kv[:-1])}")
        data = answer.data or {"path": ""}
        found.append((path, answer.status, data["path"].replace(kv, "{kv}/")))
    return listing, found, side("GET", "sys/internal/ui/namespaces").status


def test_mounts_are_shown_to_those_who_may_do_something_there(pair: Pair) -> None:
    chance, differing = random.Random(f"{SEED}/visible"), []
    for _ in range(DRAWS):
        rules = {chance.choice(_RULES): chance.sample(_CAPABILITIES, chance.choice((1, 1, 2))) for _ in range(2)}
        no_default, seen = chance.random() < 0.7, []
        for side in pair:
            policy = {rule.format(kv=side.mounts["secret"]): {"capabilities": given} for rule, given in rules.items()}
            made = side("POST", "sys/policies/acl/visible", {"policy": json.dumps({"path": policy})})
            assert made.status == 204
            asked = {"policies": ["visible"], "no_default_policy": no_default}
            token = side("POST", "auth/token/create", asked).auth["client_token"]
            bearer = Side(side.address, token, side.mounts)
            seen.append(_seen(bearer))
            bearer.close()
        if seen[0] != seen[1]:
            differing.append(f"{rules} {no_default}\n   ours   {seen[0]}\n   theirs {seen[1]}")
    for side in pair:
        side("DELETE", "sys/policies/acl/visible")
    assert not differing, f"KMS_DIFFERENTIAL_SEED={SEED}\n" + "\n".join(differing)
