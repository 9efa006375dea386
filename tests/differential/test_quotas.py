"""The same walk over quotas, on a node and on the reference server: statuses, fields and texts."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import pytest

from tests.differential.pair import Answer, Pair, Side
from tests.support.api import Api

RULES: Final = "sys/quotas/rate-limit"
#: What is shown here and not there.
_MORE: Final = ("group_by",)


class Step(NamedTuple):
    method: str
    path: str
    body: Any = None


WALK: Final = (
    Step("LIST", RULES),
    Step("GET", f"{RULES}/none"),
    Step("DELETE", f"{RULES}/none"),
    Step("POST", f"{RULES}/a", {}),
    Step("POST", f"{RULES}/a", {"rate": -1}),
    Step("POST", f"{RULES}/a", {"rate": "abc"}),
    Step("POST", f"{RULES}/a", {"rate": 1000, "path": "{kv}"}),
    Step("GET", f"{RULES}/a"),
    Step("POST", f"{RULES}/b", {"rate": 1000, "path": "{kv}/"}),
    Step("POST", f"{RULES}/b", {"rate": 1000.5, "path": "{kv}/data/x*", "interval": "1m", "block_interval": "2m"}),
    Step("GET", f"{RULES}/b"),
    Step("POST", f"{RULES}/c", {"rate": 1000, "path": "/{kv}/data/x", "interval": "500ms", "inheritable": True}),
    Step("GET", f"{RULES}/c"),
    Step("POST", f"{RULES}/d", {"rate": 1000, "path": "nomount/"}),
    Step("POST", f"{RULES}/d", {"rate": 1000, "path": "{kv}/", "role": "r"}),
    Step("POST", f"{RULES}/d", {"rate": 1000, "role": "r"}),
    Step("POST", f"{RULES}/d", {"rate": 1000, "path": "sys/mounts", "name": "other", "group_by": "ip"}),
    Step("GET", f"{RULES}/d"),
    Step("POST", f"{RULES}/e", {"rate": 1000}),
    Step("GET", f"{RULES}/e"),
    Step("POST", f"{RULES}/e", {"rate": 900, "inheritable": False}),
    Step("GET", f"{RULES}/e"),
    Step("POST", f"{RULES}/f", {"path": "sys/other"}),
    Step("POST", f"{RULES}/bad/name", {"rate": 1000}),
    Step("POST", f"{RULES}/-bad", {"rate": 1000}),
    Step("LIST", RULES),
    Step("GET", "sys/quotas/config"),
    Step("POST", "sys/quotas/config", {"rate_limit_exempt_paths": ["sys/health", "x/*"]}),
    Step("GET", "sys/quotas/config"),
    Step("POST", "sys/quotas/config", {}),
    Step("GET", "sys/quotas/config"),
    Step("DELETE", "sys/quotas/config"),
    Step("GET", "sys/quotas"),
    *(Step("DELETE", f"{RULES}/{name}") for name in "abcde"),
    Step("LIST", RULES),
)


def run(side: Side, step: Step) -> Answer:
    kv = side.mounts["secret"]
    body = step.body
    if isinstance(body, dict):
        body = {name: value.replace("{kv}", kv) if isinstance(value, str) else value for name, value in body.items()}
    answer = side(step.method, step.path, body)
    data = answer.data
    if isinstance(data, dict):
        data = {name: value for name, value in data.items() if name not in _MORE}
        if "keys" in data:
            data["keys"] = sorted(data["keys"])  # theirs have no order
        if "path" in data:
            data["path"] = data["path"].replace(kv, "{kv}")
    texts = tuple(text.replace(kv, "{kv}") for text in answer.errors)
    return answer._replace(data=data, errors=texts)


def test_quotas_are_written_and_shown_as_by_the_reference(pair: Pair) -> None:
    differing = []
    for step in WALK:
        mine, theirs = run(pair.ours, step), run(pair.reference, step)
        if mine != theirs:
            differing.append(f"{step}\n   ours   {mine}\n   theirs {theirs}")
    assert not differing, "\n".join(differing)


#: Paths below the mount, and which of the quotas `rates` holds for each.
_RATES: Final = {"": 900, "data/a*": 800, "data/ab*": 700, "data/abc": 600}
_ASKED: Final = ("config", "data/a", "data/aa", "data/abd", "data/abc", "data/abc/d", "metadata/?list=true")


def test_the_most_special_quota_holds_on_both(pair: Pair) -> None:
    seen = []
    for side in (pair.ours, pair.reference):
        kv = side.mounts["secret"]
        side("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": True})
        side("POST", f"{RULES}/whole", {"rate": 1000})
        for number, (path, rate) in enumerate(_RATES.items()):
            assert side("POST", f"{RULES}/n{number}", {"rate": rate, "path": f"{kv}/{path}"}).status == 204
        api = Api(side.address, side.token)
        paths = [*(f"{kv}/{path}" for path in _ASKED), "sys/mounts", "auth/token/lookup-self", "nothere/x"]
        answers = [api.get(path) for path in paths]
        seen.append([(answer.status, answer.headers.get("x-ratelimit-limit")) for answer in answers])
        for name in ("whole", *(f"n{number}" for number in range(len(_RATES)))):
            side("DELETE", f"{RULES}/{name}")
        side("POST", "sys/quotas/config", {})
    assert seen[0] == seen[1]


@pytest.mark.parametrize("block", [0, 4])
def test_who_asks_too_often_is_refused_alike(pair: Pair, block: int) -> None:
    """Status, text and headers; seconds are rounded up here, so that who waits as long is served."""
    seen = []
    for side in (pair.ours, pair.reference):
        kv = side.mounts["secret"]
        side("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": True})
        rule = {"rate": 2, "interval": "1h", "block_interval": block, "path": f"{kv}/data/limited"}
        assert side("POST", f"{RULES}/limited", rule).status == 204
        api = Api(side.address, side.token)
        answers = [api.get(f"{kv}/data/limited") for _ in range(4)]
        shown = [
            {
                "status": answer.status,
                "errors": [text.replace(kv, "{kv}") for text in answer.json["errors"]],
                "limit": answer.headers.get("x-ratelimit-limit"),
                "remaining": answer.headers.get("x-ratelimit-remaining"),
                "told when to come again": "retry-after" in answer.headers,
            }
            for answer in answers
        ]
        side("DELETE", f"{RULES}/limited")
        side("POST", "sys/quotas/config", {})
        seen.append(shown[:3] if block else shown)  # theirs shows no limit while it blocks
    assert seen[0] == seen[1]


def test_a_quota_of_a_role_holds_for_its_logins_alone(pair: Pair) -> None:
    """Known once the body is read, by the id of the role; a login of no role is one of the mount."""
    seen = []
    for side in (pair.ours, pair.reference):
        mount = f"roles-{side.mounts['secret']}"
        assert side("POST", f"sys/auth/{mount}", {"type": "approle"}).status == 204
        ids = {}
        for role in ("app", "other"):
            assert side("POST", f"auth/{mount}/role/{role}", {"token_policies": "default"}).status in (200, 204)
            ids[role] = side("GET", f"auth/{mount}/role/{role}/role-id").data["role_id"]
        side("POST", "sys/quotas/config", {"enable_rate_limit_response_headers": True})
        answers = [
            side("POST", f"{RULES}/role", {"rate": 2, "interval": "1h", "path": f"auth/{mount}/", "role": "app"}),
            side("POST", f"{RULES}/mount", {"rate": 900, "path": f"auth/{mount}/"}),
            side("POST", f"{RULES}/again", {"rate": 5, "path": f"auth/{mount}", "role": "app"}),
            side("POST", f"{RULES}/deep", {"rate": 5, "path": f"auth/{mount}/login", "role": "app"}),
        ]
        statuses = [(answer.status, answer.errors) for answer in answers]
        api = Api(side.address, side.token)
        tried = [ids["app"], ids["other"], "none", ids["app"], ids["app"], ids["other"]]
        logins = [api.post(f"auth/{mount}/login", {"role_id": role_id}) for role_id in tried]
        shown = [(login.status, login.headers.get("x-ratelimit-limit")) for login in logins]
        texts = [login.json["errors"] for login in logins if login.status == 429]
        other = api.get(f"auth/{mount}/role/app").headers.get("x-ratelimit-limit")
        for name in ("role", "mount"):
            side("DELETE", f"{RULES}/{name}")
        side("POST", "sys/quotas/config", {})
        assert side("DELETE", f"sys/auth/{mount}").status == 204
        seen.append((statuses, shown, [[text.replace(mount, "mount") for text in each] for each in texts], other))
    assert seen[0] == seen[1]
