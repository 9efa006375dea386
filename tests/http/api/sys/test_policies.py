"""Policies on the wire: what is asked of a vault, and how its answers are shown."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from msgspec.structs import replace

from kms_actors.errors import InvalidRequest, NotFound
from kms_actors.policy import hcl
from kms_actors.policy.messages import (
    DeletePolicy,
    GeneratePassword,
    ListPolicies,
    PolicyKind,
    ReadPolicy,
    WritePolicy,
)
from kms_actors.policy.records import PolicyRecord
from tests.http.conftest import Service

ACL, PASSWORD = PolicyKind.ACL, PolicyKind.PASSWORD
TEXT = 'path "secret/*" { capabilities = ["read"] }'
SECOND = 10**9


async def asked(service: Service, method: str, path: str, body: Any = None) -> Any:
    """Return the one message that a request becomes."""
    service.tenant.answers[ReadPolicy] = PolicyRecord(TEXT)
    answer = await service.call(method, f"/v1/{path}", "root", json=body)
    assert answer.status in (200, 204), answer.json
    (message,) = service.tenant.asked
    service.tenant.asked.clear()
    return message


async def refused(service: Service, path: str, body: Any, method: str = "PUT") -> str:
    answer = await service.call(method, f"/v1/{path}", "root", json=body)
    assert answer.status == 400
    assert service.tenant.asked == []
    (text,) = answer.errors
    return str(text)


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_policy_is_written(service: Service, method: str) -> None:
    message = await asked(service, method, "sys/policies/acl/Team%20A", {"policy": TEXT})
    assert message == WritePolicy(ACL, "team a", TEXT)


async def test_a_policy_may_be_sent_in_base64(service: Service) -> None:
    text = base64.b64encode(TEXT.encode()).decode()
    assert (await asked(service, "PUT", "sys/policies/acl/a", {"policy": text})).text == TEXT


async def test_all_that_is_said_of_a_policy(service: Service) -> None:
    body = {
        "policy": TEXT,
        "cas": 3,
        "cas_required": True,
        "ttl": "1h",
        "allow_slashes_in_identity_templates": True,
        "allow_wildcards_in_identity_templates": False,
    }
    before = int(time.time())
    message = await asked(service, "PUT", "sys/policies/acl/a", body)
    assert before <= message.expires_at // SECOND - 3600 <= time.time()
    assert replace(message, expires_at=0) == WritePolicy(
        ACL, "a", TEXT, cas=3, cas_required=True, expires_at=0, allow_slashes=True, allow_wildcards=False
    )


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [("2030-03-17T17:46:40Z", 1_900_000_000), (1_900_000_000, 1_900_000_000), ("1900000000", 1_900_000_000)],
)
async def test_when_it_ends_may_be_said(service: Service, sent: Any, seconds: int) -> None:
    message = await asked(service, "PUT", "sys/policies/acl/a", {"policy": TEXT, "expiration": sent})
    assert message.expires_at == seconds * SECOND


async def test_a_patch_names_what_it_changes(service: Service) -> None:
    body = b'{"cas_required": true}'
    media = "application/merge-patch+json"
    answer = await service.call("PATCH", "/v1/sys/policies/acl/a", "root", data=body, Content_Type=media)
    assert (answer.status, answer.json["data"]) == (200, None)
    assert service.tenant.asked == [WritePolicy(ACL, "a", None, cas_required=True, patch=True)]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "'policy' parameter not supplied or empty"),
        ({"policy": ""}, "'policy' parameter not supplied or empty"),
        ({"rules": TEXT}, "'policy' parameter not supplied or empty"),
        ({"policy": "/w=="}, "the policy is base64 of what is no text"),
        ({"policy": "A" * (2 * hcl.MAX_TEXT + 1)}, "the policy is longer than 262,144 bytes"),
        (
            {"policy": TEXT, "ttl": 5, "expiration": 1_900_000_000},
            "cannot supply both 'expiration' and 'ttl' for policies",
        ),
        ({"policy": TEXT, "expiration": 2**62}, "the expiration is too far away"),
        ({"policy": TEXT, "ttl": 2**33}, "the expiration is too far away"),
        (
            {"policy": TEXT, "expiration": "2030-01-01"},
            (
                'Field validation failed: error converting input for field "expiration": '
                "'' could not parse string as date and time"
            ),
        ),
    ],
)
async def test_what_is_not_taken_is_named(service: Service, body: Any, text: str) -> None:
    assert await refused(service, "sys/policies/acl/a", body) == text


async def test_names_have_one_spelling_and_may_have_slashes(service: Service) -> None:
    assert await asked(service, "PUT", "sys/policies/acl/Team/%20App%20", {"policy": TEXT}) == WritePolicy(
        ACL, "team/ app", TEXT
    )
    assert await asked(service, "GET", "sys/policies/password/Team/a") == ReadPolicy(PASSWORD, "Team/a")
    assert await asked(service, "DELETE", "sys/policy/a/b/C") == DeletePolicy(ACL, "a/b/c")
    assert "empty or dots" in await refused(service, "sys/policies/acl/%20/x", {"policy": TEXT})
    assert "empty or dots" in await refused(service, "sys/policies/acl/x/%20", {"policy": TEXT})


async def test_a_password_policy_whose_reads_would_generate_is_not_made(service: Service) -> None:
    for name in ("a/generate", "generate/generate"):
        answer = await service.call("PUT", f"/v1/sys/policies/password/{name}", "root", json={"policy": "x"})
        assert answer.status == 405
    assert await asked(service, "GET", "sys/policies/password/a/b/generate") == GeneratePassword("a/b")
    assert await asked(service, "GET", "sys/policies/password/generate") == ReadPolicy(PASSWORD, "generate")


async def test_a_policy_is_read(service: Service) -> None:
    service.tenant.answers[ReadPolicy] = PolicyRecord(TEXT, 4, 1_900_000_000 * SECOND + 5, 2_000_000_000 * SECOND)
    answer = await service.call("GET", "/v1/sys/policies/acl/TEAM", "root")
    assert list(answer.json["data"].items()) == [
        ("allow_slashes_in_identity_templates", False),
        ("allow_wildcards_in_identity_templates", False),
        ("cas_required", False),
        ("expiration", "2033-05-18T03:33:20Z"),
        ("modified", "2030-03-17T17:46:40.000000005Z"),
        ("name", "team"),
        ("policy", TEXT),
        ("version", 4),
    ]
    assert service.tenant.asked == [ReadPolicy(ACL, "team")]
    service.tenant.answers[ReadPolicy] = PolicyRecord("", 0)
    answer = await service.call("GET", "/v1/sys/policies/acl/root", "root")
    assert answer.json["data"]["policy"] == ""
    assert "modified" not in answer.json["data"]


async def test_what_is_not_there_is_not_found(service: Service) -> None:
    service.tenant.answers[ReadPolicy] = NotFound("no policy a")
    answer = await service.call("GET", "/v1/sys/policies/acl/a", "root")
    assert (answer.status, answer.json) == (404, {"errors": []})
    service.tenant.answers[ListPolicies] = []
    assert (await service.call("LIST", "/v1/sys/policies/password", "root")).status == 404


async def test_a_text_that_is_no_policy_is_told_with_its_place(service: Service) -> None:
    service.tenant.answers[WritePolicy] = InvalidRequest(
        "failed to parse policy: line 1, column 1: a key is expected"
    )
    answer = await service.call("PUT", "/v1/sys/policies/acl/a", "root", json={"policy": "= 1"})
    assert (answer.status, answer.errors) == (400, ["failed to parse policy: line 1, column 1: a key is expected"])


@pytest.mark.parametrize("path", ["sys/policies/acl", "sys/policies/acl/"])
async def test_policies_are_listed(service: Service, path: str) -> None:
    service.tenant.answers[ListPolicies] = ["a", "default", "root"]
    answer = await service.call("LIST", f"/v1/{path}", "root")
    assert answer.json["data"] == {"keys": ["a", "default", "root"]}
    assert service.tenant.asked == [ListPolicies(ACL)]
    assert (await service.call("GET", f"/v1/{path}?list=true", "root")).json["data"] == answer.json["data"]
    assert (await service.call("GET", "/v1/sys/policies/acl", "root")).status == 405


@pytest.mark.parametrize("path", ["sys/policies/acl/Team/a", "sys/policies/acl/Team/a/", "sys/policy/team/a"])
async def test_folders_of_policies_are_listed(service: Service, path: str) -> None:
    service.tenant.answers[ListPolicies] = ["team/a/b"]
    answer = await service.call("LIST", f"/v1/{path}", "root")
    assert answer.json["data"]["keys"] == ["team/a/b"]
    assert service.tenant.asked == [ListPolicies(ACL, "team/a/")]
    service.tenant.answers[ListPolicies] = []
    answer = await service.call("GET", f"/v1/{path}?list=true", "root")
    if path.startswith("sys/policy/"):
        assert (answer.status, answer.json["data"]) == (200, {"policies": None})
    else:
        assert answer.status == 404


@pytest.mark.parametrize("method", ["GET", "LIST"])
async def test_the_old_path_lists_twice(service: Service, method: str) -> None:
    service.tenant.answers[ListPolicies] = ["default", "root"]
    answer = await service.call(method, "/v1/sys/policy", "root")
    names = {"keys": ["default", "root"], "policies": ["default", "root"]}
    assert answer.json["data"] == names
    assert answer.json["policies"] == names["policies"]


async def test_the_old_path_calls_the_text_rules(service: Service) -> None:
    service.tenant.answers[ReadPolicy] = PolicyRecord(TEXT)
    answer = await service.call("GET", "/v1/sys/policy/a", "root")
    assert answer.json["rules"] == answer.json["data"]["rules"] == TEXT
    assert "policy" not in answer.json["data"]
    answer = await service.call("PUT", "/v1/sys/policy/a", "root", json={"rules": TEXT})
    assert (answer.status, answer.json["data"]) == (200, None)
    assert answer.json["warnings"] == ["'rules' is deprecated, please use 'policy' instead"]
    answer = await service.call("PUT", "/v1/sys/policy/a", "root", json={"policy": TEXT})
    assert answer.status == 204
    assert service.tenant.asked[1:] == [WritePolicy(ACL, "a", TEXT)] * 2


@pytest.mark.parametrize(("path", "kind"), [("policies/acl", ACL), ("policy", ACL), ("policies/password", PASSWORD)])
async def test_a_policy_is_deleted(service: Service, path: str, kind: PolicyKind) -> None:
    assert await asked(service, "DELETE", f"sys/{path}/a") == DeletePolicy(kind, "a")


async def test_password_policies(service: Service) -> None:
    policy = 'length = 20 rule "charset" { charset = "ab" }'
    assert await asked(service, "PUT", "sys/policies/password/a", {"policy": policy}) == WritePolicy(
        PASSWORD, "a", policy
    )
    service.tenant.answers[ReadPolicy] = PolicyRecord(policy)
    answer = await service.call("GET", "/v1/sys/policies/password/a", "root")
    assert answer.json["data"] == {"policy": policy}
    service.tenant.answers[GeneratePassword] = "abba"
    answer = await service.call("GET", "/v1/sys/policies/password/a/generate", "root")
    assert answer.json["data"] == {"password": "abba"}
    assert service.tenant.asked[-1] == GeneratePassword("a")
    service.tenant.answers[ListPolicies] = ["a"]
    answer = await service.call("LIST", "/v1/sys/policies/password", "root")
    assert answer.json["data"] == {"keys": ["a"]}


async def test_a_password_policy_without_a_text(service: Service) -> None:
    assert await refused(service, "sys/policies/password/a", {}) == "missing policy"


@pytest.mark.parametrize("token", ["data", "operator"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "sys/policies/acl/a"),
        ("GET", "sys/policies/acl/a"),
        ("LIST", "sys/policies/acl"),
        ("GET", "sys/policy"),
    ],
)
async def test_only_a_tenants_operator_sees_or_changes_them(
    service: Service, token: str, method: str, path: str
) -> None:
    answer = await service.call(method, f"/v1/{path}", token, json={"policy": TEXT})
    assert answer.status == 403
    assert service.tenant.asked == []
