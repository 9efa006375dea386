"""Names of policies with slashes, and lists of their folders, compared with a reference server by drawn walks.

`KMS_DIFFERENTIAL_WALKS` asks for more, `KMS_DIFFERENTIAL_SEED` draws others (`random`: new ones each time).
"""

from __future__ import annotations

import os
import random
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.differential.deviation import drawn_seed
from tests.differential.pair import Answer, Pair, Side

WALKS: Final = int(os.environ.get("KMS_DIFFERENTIAL_WALKS", "4"))
STEPS: Final = 80

ACL_PATHS: Final = ("policies/acl", "policy")
PASSWORD_PATHS: Final = ("policies/password",)
SEGMENTS: Final = ("team", "Team", "team", "app", " app", "generate", "root", "default", "..é")
ACL: Final = 'path "secret/data/a" { capabilities = ["read"] }'
PASSWORD: Final = 'length = 12\nrule "charset" { charset = "ab" }'
#: What a walk begins with, so that something of each kind is there.
OPENING: Final = (
    ("PUT", "sys/policies/acl/team/app", {"policy": ACL}),
    ("PUT", "sys/policies/acl/team", {"policy": ACL}),
    ("PUT", "sys/policies/password/team/app", {"policy": PASSWORD}),
    ("GET", "sys/policy/TEAM/app", None),
    ("LIST", "sys/policies/acl/team", None),
    ("LIST", "sys/policies/password/team", None),
    ("GET", "sys/policies/password/team/app/generate", None),
    ("PATCH", "sys/policies/acl/team/app", {"policy": ACL}),
    ("DELETE", "sys/policies/acl/team", None),
)


def drawn(chance: random.Random) -> tuple[str, str, Any]:
    """Return method, path and body of a request; few names, so that most of them are met again."""
    acl = chance.random() < 0.75
    folder = chance.choice(ACL_PATHS if acl else PASSWORD_PATHS)
    many = chance.choice((1, 1, 2, 2, 3))
    name = "/".join(quote(segment) for segment in chance.choices(SEGMENTS if many > 1 else SEGMENTS[:6], k=many))
    method = chance.choice(("PUT", "PUT", "PUT", "GET", "GET", "LIST", "LIST", "DELETE"))
    if method == "LIST" and chance.random() < 0.3:
        return method, f"sys/{folder}", None
    body = {"policy": ACL if acl else PASSWORD} if method == "PUT" else None
    return method, f"sys/{folder}/{name}", body


def seen(answer: Answer) -> Answer:
    """Return what can be compared: lists are in no order there, and times are each server's own."""
    if not isinstance(answer.data, dict):
        return answer
    data = {name: value for name, value in answer.data.items() if name != "modified"}
    for name in ("keys", "policies"):
        if data.get(name):
            data[name] = sorted(data[name])
    if "password" in data:
        data["password"] = len(data["password"])
    return answer._replace(data=data)


def cleaned(side: Side) -> None:
    """Remove all that other tests left."""
    for folder in ("policies/acl", "policies/password"):
        for name in (side("LIST", f"sys/{folder}").data or {"keys": []})["keys"]:
            side("DELETE", f"sys/{folder}/{quote(name)}")


@pytest.mark.parametrize("walk", range(WALKS))
def test_both_name_and_list_policies_alike(pair: Pair, walk: int) -> None:
    seed = drawn_seed()
    chance = random.Random(f"{seed} policy names {walk}")
    cleaned(pair.ours)
    cleaned(pair.reference)
    for number, (method, path, body) in enumerate((*OPENING, *(drawn(chance) for _ in range(STEPS)))):
        ours, reference = (seen(side(method, path, body)) for side in (pair.ours, pair.reference))
        assert ours == reference, f"seed {seed}, step {number}: {method} {path}\n{ours}\n{reference}"


def test_what_a_policy_in_a_folder_gives(pair: Pair) -> None:
    for side in pair:
        assert side("PUT", "sys/policies/acl/Team/App", {"policy": ACL}).status == 204
        made = side("POST", "auth/token/create", {"policies": ["team/APP"], "no_default_policy": True})
        assert made.auth["policies"] == ["team/app"]
        token = made.auth["client_token"]
        assert side("POST", "sys/capabilities", {"token": token, "path": "secret/data/a"}).data["capabilities"] == (
            ["read"]
        )
        assert side("DELETE", "sys/policies/acl/team").status == 204
        assert side("GET", "sys/policies/acl/team/app").status == 200
        assert side("DELETE", "sys/policies/acl/team/app").status == 204
        assert side("POST", "sys/capabilities", {"token": token, "path": "secret/data/a"}).data["capabilities"] == (
            ["deny"]
        )
