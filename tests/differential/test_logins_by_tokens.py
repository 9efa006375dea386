"""Drawn roles and tokens: the reference and ours keep the same roles, and decide the same of each token.

`KMS_DIFFERENTIAL_SEED` and `KMS_DIFFERENTIAL_TOKENS` (roles, with a dozen tokens each) choose the cases. What a text
says of a value is left out here on purpose, so texts are compared up to where the reference shows one.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.differential.deviation import drawn_seed
from tests.differential.pair import Pair, Side
from tests.support.jwt import Signer

SEED = drawn_seed()
ROLES = int(os.environ.get("KMS_DIFFERENTIAL_TOKENS", "40"))
TOKENS = 12

SIGNERS = [Signer.make(name) for name in ("RS256", "ES256", "ES384", "PS256", "EdDSA")]
STRANGER = Signer.make("ES256")


class Answer(NamedTuple):
    status: int
    data: Any
    auth: Any
    texts: tuple[str, ...]


def ask(side: Side, method: str, path: str, body: Any = None) -> Answer:
    """Ask below the mount, and return what of the answer is the same on both."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"X-Vault-Token": side.token, "Content-Type": "application/json"}
    status, raw = side._exchange(method, f"/v1/{side.mounts['jwt']}/{path}", content, headers)
    found = json.loads(raw) if raw else {}
    auth = found.get("auth")
    told = (
        "policies",
        "token_policies",
        "metadata",
        "lease_duration",
        "renewable",
        "token_type",
        "orphan",
        "num_uses",
    )
    shown = auth and {name: auth.get(name) or None for name in told}
    return Answer(status, found.get("data"), shown, tuple(_plain(text) for text in found.get("errors") or ()))


#: What the reference tells with a value, or in words of its libraries, and how it is told here.
_REWORDED = [
    (r'role ".*" could not be found', "the role could not be found"),
    (r"invalid 'role_type': .*", "invalid 'role_type'"),
    (r"invalid 'bound_claims_type': .*", "invalid 'bound_claims_type'"),
    (r"invalid 'callback_mode': .*", "invalid 'callback_mode'"),
    (r"claim is not a string: .*", "bound_claims: claim is not a string"),
    (r'(metadata key "role" is reserved.*)', r"claim_mappings: \1"),
    (
        r'multiple keys are mapped to metadata key ".*"',
        "claim_mappings: multiple keys are mapped to one metadata key",
    ),
    (r"ttl should not be greater than max ttl", "'token_ttl' cannot be greater than 'token_max_ttl'"),
    (r"'period' of .* is greater than .*", "'period' is greater than the backend's maximum lease TTL"),
    (
        r"received claim is not a string, bool, int or list: .*|claim \".*\" is not a string, bool, int or list",
        "kind",
    ),
    (r"value .* in groups claim could not be parsed as string", "groups"),
    (r'".*" claim could not be converted to string list', "groups"),
    (r".*expected number value to unmarshal NumericDate", "error validating token: claim"),
    (r"(error validating token: claim) \w+ is not a (?:number of seconds|string)", r"\1"),
    (r"error validating token: json: cannot unmarshal .* of type string", "error validating token: claim"),
    (
        r".*expected string or array value to unmarshal to Audience|.*neither a string nor a list of strings",
        "error validating token: claim",
    ),
    (r"(error validating token: error verifying token signature).*", r"\1"),
    (
        r"error validating token: (token is not a compact|header of|signature of|payload of).*",
        "error validating token: error verifying token signature",
    ),
    (r"error validating token: invalid algorithm.*", "error validating token: error verifying token signature"),
]


def _plain(text: str) -> str:
    for pattern, plain in _REWORDED:
        text = re.sub(f"^(?:error validating claims: )?(?:{pattern})$", plain, text)
    return text


@pytest.fixture(scope="module")
def mounted(pair: Pair) -> Iterator[Pair]:
    """Both servers with a mount that knows the same keys."""
    path = f"jwt-{uuid4().hex[:8]}"
    for side in pair:
        side.mounts["jwt"] = f"auth/{path}"
        assert side("POST", f"sys/auth/{path}", {"type": "jwt"}).status == 204
        body = {"jwt_validation_pubkeys": [signer.pem for signer in SIGNERS], "bound_issuer": "https://issuer"}
        assert ask(side, "POST", "config", body).status == 204
    yield pair
    for side in pair:
        side("DELETE", f"sys/auth/{path}")


class Draw:
    """Draws roles and tokens that often fit each other."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def _maybe(self, chance: float, **fields: Any) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if self._random.random() < chance}

    def _one(self, *values: Any) -> Any:
        return self._random.choice(values)

    def role(self) -> dict[str, Any]:
        one = self._one
        globs = one(True, False)
        values: list[Any] = ["red", "blue", "r*", "*e*", ["red", "green"], ["b*", "x"]]
        if not globs or one(True, False, False):
            values += [7, True, [7, "red"], [True]]
        return {
            "role_type": one("jwt", "jwt", "jwt", "jwt", "jwt", "jwt", "oidc", "x"),
            **self._maybe(0.95, user_claim=one("sub", "sub", "sub", "name", "/deep/name", "team")),
            **self._maybe(0.3, user_claim_json_pointer=one(True, False)),
            **self._maybe(0.8, bound_audiences=one("kms", "kms,other", ["other"])),
            **self._maybe(0.2, bound_subject=one("anna", "bob")),
            **self._maybe(0.5, bound_claims={one("team", "/deep/team", "n", "list", "yes"): one(*values)}),
            **self._maybe(0.6, bound_claims_type=one("glob", "glob", "glob", "string") if globs else "string"),
            **self._maybe(0.4, claim_mappings=one({"name": "who"}, {"/deep/name": "who", "none": "x"}, {"n": "n"})),
            **self._maybe(0.05, claim_mappings=one({"name": "role"}, {"a": "x", "b": "x"}, "name=who")),
            **self._maybe(0.3, groups_claim=one("list", "team", "/deep/list", "none", "n")),
            **self._maybe(0.2, clock_skew_leeway=one(0, -1, "500s"), expiration_leeway=one(0, -1, 600)),
            **self._maybe(0.2, not_before_leeway=one(0, -1, 600)),
            **self._maybe(
                0.3, token_policies=one("p", "p,q", ["q", "p"]), token_ttl=one(60, "1h"), token_type="service"
            ),
            **self._maybe(0.1, token_max_ttl=one(30, "2h"), token_num_uses=one(0, 3), policies="old", ttl="10m"),
            **self._maybe(0.1, token_no_default_policy=True, token_period=one(0, "1h", "99999h")),
            **self._maybe(0.05, bound_claims_type="x"),
            **self._maybe(0.05, callback_mode="x"),
            **self._maybe(0.2, allowed_redirect_uris="https://a"),
        }

    def token(self, role: dict[str, Any]) -> str:
        """Draw a token; most fit the role but for a claim or two."""
        one, claims = self._one, self._claims()
        if one(True, True, False):
            changed = dict(random.Random(str(claims)).sample(sorted(claims.items()), one(0, 0, 0, 1, 2)))
            claims = {**self._fitting(role), **changed}
        signer: Signer = one(*SIGNERS, *SIGNERS, *SIGNERS, STRANGER)
        if one(*[False] * 16, True):
            text: str = signer.sign(claims)
            return str(one(text[:-8] + "AAAAAAAA", text.replace(".", "..", 1), "x", "a.b.c", text.rpartition(".")[0]))
        whole: str = signer.sign(claims, one(*[{}] * 16, {"alg": "none"}, {"alg": "HS256"}, {"typ": "JWT"}))
        return whole

    def _fitting(self, role: dict[str, Any]) -> dict[str, Any]:
        """Return claims that most roles take."""
        now = int(time.time())
        audiences = role.get("bound_audiences", "none")
        bound = {}
        for name, value in role.get("bound_claims", {}).items():
            wanted = value[0] if isinstance(value, list) else value
            bound[name] = wanted.replace("*", "xex") if isinstance(wanted, str) else wanted
        deep = {"name": "n1", "list": ["g"]}
        if "/deep/team" in bound:
            deep["team"] = bound.pop("/deep/team")
        return {
            "iss": "https://issuer",
            "sub": role.get("bound_subject", "anna"),
            **(
                {}
                if audiences == "none"
                else {"aud": audiences.split(",") if isinstance(audiences, str) else audiences}
            ),
            "exp": now + 100,
            "iat": now - 10,
            "name": "ann",
            "n": "7",
            "team": "red",
            "list": ["red"],
            "deep": deep,
            **bound,
        }

    def _claims(self) -> dict[str, Any]:
        one, now = self._one, int(time.time())
        return {
            **self._maybe(0.97, iss=one(*["https://issuer"] * 8, "https://other", 3)),
            **self._maybe(0.97, sub=one("anna", "anna", "anna", "bob", 3)),
            **self._maybe(0.9, aud=one("kms", "kms", ["kms", "x"], "other", "none", [], 3)),
            **self._maybe(0.8, team=one("red", "red", "blue", "green", ["red", "blue"], 7, {"a": 1})),
            **self._maybe(0.8, deep=one({"team": "red", "name": "n1", "list": ["g"]}, {"team": ["blue"]}, "x")),
            **self._maybe(0.8, n=one(7, 7, 8, 7.4, "7", True)),
            **self._maybe(0.8, list=one(["red", "x"], [7], ["red", 7, True], [], "red", [""])),
            **self._maybe(0.8, yes=one(True, False, 1, "true")),
            **self._maybe(0.8, name=one("ann", "ann", 4)),
            **self._maybe(0.85, exp=now + one(100, 100, 100, 30, 300, 3000, -30, -100, -400)),
            **self._maybe(0.6, iat=now + one(-10, -10, -10, 30, 200, -1000)),
            **self._maybe(0.2, nbf=now + one(-10, 30, 200)),
            **self._maybe(0.03, exp=one("soon", None, True)),
        }


def test_both_servers_keep_the_same_roles_and_let_in_the_same_tokens(mounted: Pair) -> None:
    draw = Draw(SEED)
    found, kept, let_in = [], 0, 0
    for number in range(ROLES):
        role = draw.role()
        written = [ask(side, "POST", f"role/r{number}", role) for side in mounted]
        if written[0] != written[1]:
            found.append(f"role {role}\n  ours      {written[0]}\n  reference {written[1]}")
        shown = [ask(side, "GET", f"role/r{number}") for side in mounted]
        if shown[0] != shown[1]:
            found.append(f"role {role}\n  ours      {shown[0]}\n  reference {shown[1]}")
        kept += shown[0].status == 200
        for _ in range(TOKENS):
            body = {"role": f"r{number}", "jwt": draw.token(role)}
            answers = [ask(side, "POST", "login", body) for side in mounted]
            let_in += answers[0].status == 200
            if answers[0] != answers[1]:
                claims = body["jwt"].split(".")[1:2]
                found.append(f"role {role}\n token {claims}\n  ours      {answers[0]}\n  reference {answers[1]}")
    assert not found, f"KMS_DIFFERENTIAL_SEED={SEED}: {len(found)} differ\n" + "\n".join(found[:12])
    assert kept > ROLES / 3, "the draw makes too few roles"
    assert let_in > ROLES, "the draw makes too few good tokens"
