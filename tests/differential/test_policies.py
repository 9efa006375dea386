"""Drawn policies and requests: the reference and our engine decide the same, but for a table of deviations.

Capabilities are compared with `sys/capabilities` of a token that has the policies; parameters, wrapping and limits
of lists with real requests of that token to KV version 1, whose fields are the body's. `KMS_DIFFERENTIAL_SEED` and
`KMS_DIFFERENTIAL_POLICIES` (sets of policies, about forty decisions each) choose the cases.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest

from kms_actors.errors import InvalidRequest
from kms_actors.policy.document import parse
from tests.differential.deviation import drawn_seed
from tests.differential.pair import Side
from tests.differential.policy_cases import Case, Draw, Request, allows, compiled

SEED = drawn_seed()
CASES = int(os.environ.get("KMS_DIFFERENTIAL_POLICIES", "12"))
PATHS, REQUESTS = 20, 20


class Place(NamedTuple):
    """The reference, and a mount of KV version 1 there."""

    side: Side
    mount: str

    def write(self, texts: tuple[str, ...]) -> str:
        """Write policies; return a token that has them and no other."""
        names = [f"{self.mount}-{number}" for number in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            answer = self.side("PUT", f"sys/policies/acl/{name}", {"policy": text})
            assert answer.status == 204, (text, answer)
        exchange = self.side._exchange
        body = json.dumps({"policies": names, "no_default_policy": True, "ttl": "1h"}).encode()
        status, raw = exchange("POST", "/v1/auth/token/create", body, {"X-Vault-Token": self.side.token})
        assert status == 200, raw
        return str(json.loads(raw)["auth"]["client_token"])

    def capabilities(self, token: str, paths: tuple[str, ...]) -> dict[str, list[str]]:
        answer = self.side("POST", "sys/capabilities", {"token": token, "paths": paths})
        assert answer.status == 200, answer
        return {path: sorted(answer.data[path]) for path in paths}

    def allows(self, token: str, request: Request) -> bool:
        """Tell whether the reference lets a request through, whatever becomes of it then."""
        headers = {"X-Vault-Token": token}
        target, body = f"/v1/{quote(request.path)}", None
        if request.verb in {"POST", "PATCH"}:
            media = "application/merge-patch+json" if request.verb == "PATCH" else "application/json"
            headers["Content-Type"] = media
            body = json.dumps(request.sent).encode()
        elif request.sent:
            target += "?" + urlencode(request.sent)
        if request.wrap is not None:
            headers["X-Vault-Wrap-TTL"] = f"{request.wrap}s"
        status, _ = self.side._exchange(request.verb, target, body, headers)
        return status != 403

    def shows(self, token: str) -> bool:
        """Tell whether the reference shows the bearer that the mount is there."""
        headers = {"X-Vault-Token": token}
        status, _ = self.side._exchange("GET", f"/v1/sys/internal/ui/mounts/{self.mount}/", None, headers)
        return status == 200

    def is_there(self, path: str) -> bool:
        return self.side("GET", path).status == 200


@pytest.fixture(scope="module")
def kv(reference: Side) -> Iterator[Place]:
    mount = f"pol{uuid4().hex[:8]}"
    assert reference("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": "1"}}).status == 204
    yield Place(reference, mount)
    reference("DELETE", f"sys/mounts/{mount}")


def _compare(kv: Place, case: Case) -> list[str]:
    """Return differences in words."""
    token, acl = kv.write(case.texts), compiled(case.texts)
    found = []
    for path, theirs in kv.capabilities(token, case.paths).items():
        rule = acl.rule(path, listing=True)
        ours = ["deny"] if rule is None else rule.shown
        if ours != theirs:
            found.append(f"capabilities of {path}: ours {ours}, reference {theirs}")
    if acl.touches(f"{kv.mount}/") and not kv.shows(token):  # the other way, see below
        found.append("the reference does not show the mount")
    for request in case.requests:
        ours_allows = allows(acl, request, there=request.verb == "POST" and kv.is_there(request.path))
        theirs_allows = kv.allows(token, request)
        if ours_allows != theirs_allows:
            found.append(f"{request}: ours {ours_allows}, reference {theirs_allows}")
    return [f"{difference}\n  of {case.texts}" for difference in found]


def test_both_decide_the_same(kv: Place) -> None:
    found: list[str] = []
    pairs = 0
    for number in range(CASES):
        case = Draw(SEED, number, kv.mount).case(PATHS, REQUESTS)
        pairs += len(case.paths) + len(case.requests)
        found += (f"case {number}: {difference}" for difference in _compare(kv, case))
    print(f"{pairs} decisions compared")
    assert not found, f"KMS_DIFFERENTIAL_SEED={SEED}: {len(found)} differ\n" + "\n".join(found[:20])


class Deviation(NamedTuple):
    """A decision that is another one here, on purpose."""

    reason: str
    inside: str
    sent: dict[str, Any]
    ours: bool
    reference: bool


DEVIATIONS = (
    Deviation("numbers are compared by value", "allowed_parameters = { a = [7] }", {"a": 7}, True, False),
    Deviation("a denied number is denied", "denied_parameters = { a = [7] }", {"a": 7}, False, True),
    Deviation("a denied number is denied as text", "denied_parameters = { a = [7] }", {"a": "7"}, False, True),
    Deviation("a denied text is denied as number", 'denied_parameters = { a = ["7"] }', {"a": 7}, False, True),
    Deviation("a denied text is denied as boolean", 'denied_parameters = { a = ["true"] }', {"a": True}, False, True),
)


@pytest.mark.parametrize("meant", DEVIATIONS, ids=lambda each: each.reason)
def test_each_deviation_is_still_one(kv: Place, meant: Deviation) -> None:
    texts = (f'path "{kv.mount}/*" {{ capabilities = ["create", "update"] {meant.inside} }}',)
    request = Request("POST", f"{kv.mount}/deviation", meant.sent)
    assert allows(compiled(texts), request, there=False) is meant.ours
    assert kv.allows(kv.write(texts), request) is meant.reference


def test_a_mount_below_a_deny_is_shown_there_and_not_here(kv: Place) -> None:
    texts = (f'path "{kv.mount}*" {{ capabilities = ["deny"] }}',)
    assert not compiled(texts).touches(f"{kv.mount}/")
    assert kv.shows(kv.write(texts))


_CONTROL_GROUP = """path "x" {
  control_group = { factor "a" { controlled_capabilities = ["read"] identity { group_names = ["b"] approvals = 1 } } }
}
"""

#: Texts, and whether the reference and this project take each.
TEXTS = (
    ("", False, True),  # the API takes no empty text, the engine does
    ("# nothing", True, True),
    ('path "x" { }', True, True),
    ('path "x" { capabilities = ["read"], }', True, True),
    ('path "x" { capabilities = ["read",] policy = "write" }', True, True),
    ('"path" "x" { "capabilities" = ["read"] }', True, True),
    ('path x { capabilities = ["read"] }', True, True),
    ('path "x" { capabilities = [read] }', False, False),
    ('path "x" { capabilities = ["subscribe"] }', False, False),
    ('path "x" { capabilities = ["recover"] }', False, False),
    ('path "x" { capabilities = "read" }', False, False),
    ('path "x" = { capabilities = ["read"] }', False, False),
    ('path = "x"', False, False),
    ('paths "x" { capabilities = ["read"] }', False, False),
    ('path "x" { capability = ["read"] }', False, False),
    ('path "x" { capabilities = ["read"]', False, False),
    ('path "x" capabilities = ["read"] }', False, False),
    ('path "x\n" { }', False, False),
    ('path "x" { comment = <<EOF\nhello\nEOF\n}', True, True),
    ('path "x" { comment = <<-EOF\n  hello\n  EOF\n}', True, True),
    ('path "x" { comment = <<EOF hello\nEOF\n}', False, False),
    ('path "x" { comment = "${a "b"} \\n \\u00e9" }', True, True),
    ('path "x" { comment = "\\q" }', False, False),
    ('path "x" { comment = 7 }', True, True),
    ('path "x" { comment = true }', True, True),
    ('path "x" { comment = [{ a = 1.5 }] }', True, True),
    ('path "x" { /* a */ capabilities = ["read"] // b\n # c\n }', True, True),
    ('path "x" { /* a }', False, False),
    ('path "x/+*" { }', False, False),
    ('path "x{{identity.entity.id}}" { }', True, True),
    ('path "x{{bogus}}" { }', True, True),
    ('path "x{{identity.entity.id" { }', False, False),
    ('path "x}}" { }', False, False),
    ('path "{{time.now}}" { }', True, False),
    ('path "x" { policy = "all" }', False, False),
    ('path "x" { min_wrapping_ttl = "1h" max_wrapping_ttl = "1m" }', False, False),
    ('path "x" { min_wrapping_ttl = "x" }', False, False),
    ('path "x" { min_wrapping_ttl = "-1h" }', True, False),
    ('path "x" { min_wrapping_ttl = 1.5 }', True, False),
    ('path "x" { max_wrapping_ttl = "2d" }', True, True),
    ('path "x" { pagination_limit = "a" }', False, False),
    ('path "x" { expiration = "2030-01-01T00:00:00Z" }', True, True),
    ('path "x" { expiration = 1900000000 }', True, True),
    ('path "x" { expiration = "tomorrow" }', False, False),
    ('path "x" { allowed_parameters = { a = "b" } }', False, False),
    ('path "x" { allowed_parameters = { a = { b = "c" } } }', True, True),
    ('path "x" { allowed_parameters { a = [] } }', True, True),
    ('path "x" { required_parameters = "a" }', False, False),
    ('path "x" { mfa_methods = ["a"] }', True, False),
    (_CONTROL_GROUP, True, False),
    (
        'path "x" { capabilities = ["list"] list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}" }',
        True,
        False,
    ),
    ('path { capabilities = ["read"] }', True, False),
    ('path "x" "y" { }', True, False),
    ('name = "n"\npath "x" { }', True, True),
    ('{"path": {"x": {"capabilities": ["read"]}}}', True, True),
    ('{"path": {"x": {"capabilities": ["read"]}}} y', True, False),
    ('{"path": [{"x": {"capabilities": ["read"]}}, {"y": {"capabilities": ["read"]}}]}', True, True),
    ('{"path": {"x": [{"capabilities": ["read"]}, {"capabilities": ["list"]}]}}', False, True),
    ('{"path": {"x": {"capabilities": ["read"]}, "x": {"capabilities": ["list"]}}}', True, True),
    ('{"path": {"x": {"capabilities": ["bogus"]}}}', False, False),
    ('{"paths": {"x": {"capabilities": ["read"]}}}', False, False),
    ('{"path": {"x": {"capabilities": "read"}}}', False, False),
    ('{"path": {"x": {"capabilities": ["read"]}}', True, False),  # it is cut off
    ("{", True, False),
    ("{}", True, True),
    ("[]", False, False),
)


@pytest.mark.parametrize(("text", "theirs", "ours"), TEXTS)
def test_texts_are_taken_or_refused(kv: Place, text: str, theirs: bool, ours: bool) -> None:
    try:
        parse("p", text)
    except InvalidRequest:
        taken = False
    else:
        taken = True
    assert taken is ours
    answer = kv.side("PUT", f"sys/policies/acl/{kv.mount}-text", {"policy": text})
    assert answer.status in (204, 400)
    assert (answer.status == 204) is theirs, answer
