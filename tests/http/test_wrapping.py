"""Answers that go out wrapped: which, what is kept of them, and what happens where they cannot be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from kms_actors.auth.principal import Acl, Capability, Right, Rule
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken, proof_digest
from kms_actors.cubbyhole.messages import FindRoom, LookUpWrapping, Rewrap, Unwrap, Unwrapped, WrapAnswer, Wrapped
from kms_actors.cubbyhole.records import Taken, WrapInfo
from kms_actors.errors import (
    AuthenticationFailed,
    InvalidWrappingToken,
    NotFound,
    PermissionDenied,
    StoreUnavailable,
    Unavailable,
)
from kms_actors.messages import AuthenticateToken, WithdrawToken
from kms_actors.policy.rule import Rule as PolicyRule
from kms_http.routing import Reply
from tests.http.conftest import CANARY, NAMESPACE, VAULT_ID, FakePrincipal

if TYPE_CHECKING:
    from tests.http.conftest import Service

TOKEN = "hvs.000007" + "w" * 18
OTHER = "hvs.000007" + "o" * 18
ELSEWHERE = "hvs.000008" + "w" * 18
WRAPPED = Wrapped(TOKEN, "accessor1", 60, 1_700_000_000_123_456_789, "toy/names/a")
INFO = {
    "token": TOKEN,
    "accessor": "accessor1",
    "ttl": 60,
    "creation_time": "2023-11-14T22:13:20.123456789Z",
    "creation_path": "toy/names/a",
}
INVALID = ["wrapping token is not valid or does not exist"]


def service_token(*policies: str, num_uses: int = 0, acl: Acl | None = None) -> ServicePrincipal:
    right = Right.ROOT if policies == ("root",) else Right.POLICY
    record = ServiceToken(
        accessor="a1",
        right=right,
        policies=policies,
        display_name="token",
        created=0.0,
        path="p",
        num_uses=num_uses,
    )
    return ServicePrincipal(record, VAULT_ID, acl)


def _asked(token: str, *, use: bool = False) -> AuthenticateToken:
    return AuthenticateToken(token, False, use=use, address="127.0.0.1", digest=proof_digest(token))


def wraps(service: Service, reply: Any = None, **answers: Any) -> None:
    service.toys_answer(reply if reply is not None else Reply(data={"secret": CANARY}))
    service.tenant.answers |= {WrapAnswer: WRAPPED, FindRoom: None}


def kept(service: Service) -> WrapAnswer:
    (found,) = [message for message in service.tenant.asked if isinstance(message, WrapAnswer)]
    return found


async def test_what_goes_out_in_place_of_an_answer_is_its_place_alone(service: Service) -> None:
    wraps(service)
    answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
    assert answer.status == 200
    assert list(answer.json.items()) == [
        ("request_id", ""),
        ("lease_id", ""),
        ("renewable", False),
        ("lease_duration", 0),
        ("data", None),
        ("wrap_info", INFO),
        ("warnings", None),
        ("auth", None),
        ("mount_type", "toy"),
    ]


async def test_what_is_kept_is_what_would_have_gone_out(service: Service) -> None:
    reply = Reply(data={"secret": CANARY}, warnings=("old",), lease_duration=5, mirrored=True)
    wraps(service, reply)
    bare = (await service.call("GET", "/v1/toy/names/a?odd=1", "data")).json
    await service.call("GET", "/v1/toy/names/a?odd=1", "data", X_Vault_Wrap_TTL="60")
    found = json.loads(kept(service).answer)
    assert found["request_id"] != bare["request_id"]
    assert len(found["request_id"]) == 36
    # What older clients read at top level is not repeated there, as in Vault.
    del bare["secret"]
    assert {**found, "request_id": ""} == {**bare, "request_id": ""}
    assert (kept(service).status, kept(service).ttl, kept(service).path) == (200, 60, "toy/names/a")


async def test_room_is_looked_for_before_anything_is_done(service: Service) -> None:
    wraps(service)
    service.tenant.answers[FindRoom] = Unavailable("full", retry_after=10)
    answer = await service.call("POST", "/v1/toy/names/a", "data", json={"text": "x"}, X_Vault_Wrap_TTL="60")
    assert (answer.status, answer.errors, answer.headers["Retry-After"]) == (503, ["full"], "10")
    assert [type(message) for message in service.tenant.asked] == [FindRoom]


@pytest.mark.parametrize(
    ("sent", "ttl"),
    [
        ("60", 60),
        ("1m", 60),
        ("1h30m", 5400),
        (" 60", 60),
        ("1d", 86400),
        ("500ms", 1),
        ("1.5s", 2),
        ("768h", 2764800),
    ],
)
async def test_ttls_are_whole_seconds(service: Service, sent: str, ttl: int) -> None:
    wraps(service)
    await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL=sent)
    assert kept(service).ttl == ttl


async def test_an_answer_is_kept_no_longer_than_any_token_lives(service: Service) -> None:
    wraps(service)
    answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="1000000000")
    assert kept(service).ttl == 2_764_800
    assert len(answer.json["warnings"]) == 1


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("-1", "requested wrap ttl cannot be negative"),
        ("-1s", "requested wrap ttl cannot be negative"),
        ("abc", "time: invalid duration"),
        ("1.5", "time: invalid duration"),
        ("99999999999999", "time: invalid duration"),
    ],
)
async def test_a_broken_ttl_is_refused(service: Service, sent: str, text: str) -> None:
    wraps(service)
    answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL=sent)
    assert (answer.status, answer.errors) == (400, [f"error parsing X-Vault-Wrap-TTL header: {text}"])
    assert service.tenant.asked == []


@pytest.mark.parametrize("sent", ["", "0", "0s"])
async def test_a_ttl_of_nothing_wraps_nothing(service: Service, sent: str) -> None:
    wraps(service)
    answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL=sent)
    assert answer.json["data"] == {"secret": CANARY}


async def test_a_form_of_token_that_is_not_given_is_refused(service: Service) -> None:
    wraps(service)
    headers = {"X_Vault_Wrap_TTL": "60", "X_Vault_Wrap_Format": "jwt"}
    assert (await service.call("GET", "/v1/toy/names/a", "data", **headers)).status == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [("", 403), ("0", 403), ("59", 403), ("60", 200), ("60s", 200), ("1h", 200), ("3601", 403), ("1000h", 403)],
)
async def test_policies_bound_for_how_long(service: Service, sent: str, status: int) -> None:
    wraps(service)
    rule = PolicyRule(
        path="toy/names/a",
        capabilities=frozenset(Capability),
        min_wrapping_ttl=60 * 10**9,
        max_wrapping_ttl=3600 * 10**9,
    )
    service.authenticator.principals["bounded"] = FakePrincipal(VAULT_ID, Right.POLICY, acl=_Rules(rule))
    for method, body in (("GET", None), ("POST", {})):
        answer = await service.call(method, "/v1/toy/names/a", "bounded", body, X_Vault_Wrap_TTL=sent)
        assert answer.status == status
        if status == 403:
            assert service.tenant.asked == []
        service.tenant.asked.clear()


class TestWhatIsNotWrapped:
    async def test_answers_without_a_body(self, service: Service) -> None:
        wraps(service)
        answer = await service.call("DELETE", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
        assert (answer.status, answer.body) == (204, b"")

    @pytest.mark.parametrize(("error", "status"), [(NotFound(), 404), (PermissionDenied(), 403)])
    async def test_errors(self, service: Service, error: Exception, status: int) -> None:
        wraps(service, error)
        answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
        assert (answer.status, "wrap_info" in answer.json) == (status, False)

    async def test_what_the_caller_may_not_do(self, service: Service) -> None:
        """A wrap gives nobody more than its maker had."""
        wraps(service)
        for method in ("GET", "POST"):
            answer = await service.call(method, "/v1/toy/names/a", "nothing", X_Vault_Wrap_TTL="60")
            assert answer.status == 403
        assert service.tenant.asked == []

    @pytest.mark.parametrize("path", ["sys/health", "sys/seal-status", "sys/leader"])
    async def test_answers_without_an_envelope(self, service: Service, path: str) -> None:
        for token in ("", "operator", "data"):
            answer = await service.call("GET", f"/v1/{path}", token, X_Vault_Wrap_TTL="60")
            assert (answer.status, "wrap_info" in answer.json) == (200, False)

    async def test_answers_of_no_vault(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/auth/token/lookup-self", "operator", X_Vault_Wrap_TTL="60")
        assert answer.status == 400
        assert "wrapped" in answer.errors[0]

    async def test_answers_to_nobody_that_are_no_login(self, service: Service) -> None:
        wraps(service)
        for method, path in (("GET", "sys/internal/ui/mounts"), ("POST", "auth/door/login")):
            answer = await service.call(method, f"/v1/{path}", X_Vault_Wrap_TTL="60")
            assert answer.status == 400
            assert "only what a login gives" in answer.errors[0]
        assert not any(isinstance(message, WrapAnswer) for message in service.tenant.asked)

    async def test_a_missing_thing_that_has_data_is_wrapped(self, service: Service) -> None:
        wraps(service, Reply(status=404, data={"metadata": 1}))
        answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
        assert (answer.status, kept(service).status) == (200, 404)


class TestAccessors:
    async def test_that_of_a_token_is_told(self, service: Service) -> None:
        wraps(service, Reply(auth={"client_token": CANARY, "accessor": "inner"}))
        answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
        assert answer.json["wrap_info"] == {**INFO, "wrapped_accessor": "inner"}
        assert CANARY.encode() not in answer.body

    async def test_that_of_a_secret_id_is_told(self, service: Service) -> None:
        wraps(service, Reply(data={"secret_id": CANARY, "secret_id_accessor": "inner"}))
        answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
        assert answer.json["wrap_info"]["wrapped_accessor"] == "inner"

    async def test_a_batch_token_has_none(self, service: Service) -> None:
        wraps(service, Reply(auth={"client_token": CANARY, "accessor": ""}))
        answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
        assert answer.json["wrap_info"] == INFO


class TestLogins:
    async def test_what_a_login_gives_is_wrapped(self, service: Service) -> None:
        wraps(service, Reply(auth={"client_token": CANARY, "accessor": "inner"}))
        answer = await service.call("POST", "/v1/auth/door/login", json={}, X_Vault_Wrap_TTL="60")
        assert answer.json["wrap_info"]["wrapped_accessor"] == "inner"
        assert kept(service).path == "auth/door/login"


class TestFailing:
    async def test_an_answer_that_cannot_be_kept_is_not_shown(self, service: Service) -> None:
        wraps(service)
        service.tenant.answers[WrapAnswer] = StoreUnavailable(CANARY)
        with capture_logs() as logs:
            answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
        assert answer.status == 503
        assert CANARY.encode() not in answer.body
        (line,) = [line for line in logs if line["log_level"] == "warning"]
        assert (line["error"], line["route"]) == ("StoreUnavailable", "toy/names/{name}")
        assert CANARY not in str(logs)
        assert not any(isinstance(message, WithdrawToken) for message in service.tenant.asked)

    @pytest.mark.parametrize("again", [None, StoreUnavailable()])
    async def test_a_token_that_nobody_gets_is_revoked(self, service: Service, again: Any) -> None:
        wraps(service, Reply(auth={"client_token": CANARY, "accessor": "inner"}))
        service.tenant.answers |= {WrapAnswer: AuthenticationFailed("token was revoked"), WithdrawToken: again}
        answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Wrap_TTL="60")
        assert (answer.status, CANARY.encode() in answer.body) == (403, False)
        (withdrawn,) = [message for message in service.tenant.asked if isinstance(message, WithdrawToken)]
        assert withdrawn.token == CANARY


class TestUnwrap:
    async def test_the_answer_goes_out_as_it_was_kept(self, service: Service) -> None:
        service.tenant.answers[Unwrap] = Unwrapped(404, b'{"request_id":"r",  "data":1}')
        for body in ({"token": TOKEN}, {"token": TOKEN, "other": 1}):
            answer = await service.call("PUT", "/v1/sys/wrapping/unwrap", "data", json=body)
            assert (answer.status, answer.body) == (404, b'{"request_id":"r",  "data":1}\n')
            assert answer.headers["Content-Type"] == "application/json"
            assert service.tenant.asked.pop() == Unwrap(TOKEN)

    @pytest.mark.parametrize("body", [None, {}, {"token": None}, {"token": TOKEN}])
    async def test_the_token_itself_is_enough(self, service: Service, body: Any) -> None:
        service.tenant.answers |= {
            AuthenticateToken: service_token("response-wrapping", num_uses=1, acl=_Everything()),
            Unwrap: Unwrapped(200, b"{}"),
        }
        answer = await service.call("PUT", "/v1/sys/wrapping/unwrap", TOKEN, json=body)
        assert (answer.status, answer.body) == (200, b"{}\n")
        assert service.tenant.asked == [
            _asked(TOKEN),
            Unwrap(TOKEN),
        ]

    async def test_the_use_of_another_token_is_counted_with_it(self, service: Service) -> None:
        bearer = service_token("app", num_uses=3, acl=_Everything())
        service.tenant.answers |= {AuthenticateToken: bearer, Unwrap: Unwrapped(200, b"{}")}
        await service.call("PUT", "/v1/sys/wrapping/unwrap", OTHER, json={"token": TOKEN})
        assert service.tenant.asked == [
            _asked(OTHER),
            Unwrap(TOKEN, OTHER),
        ]

    async def test_one_that_is_tried_on_more_is_used_up(self, service: Service) -> None:
        service.tenant.answers[AuthenticateToken] = service_token("response-wrapping", num_uses=1)
        for path in ("sys/wrapping/rewrap", "cubbyhole/x"):
            answer = await service.call("PUT", f"/v1/{path}", TOKEN)
            assert (answer.status, answer.errors) == (403, ["1 error occurred:\n\t* permission denied\n\n"])
            asked = [message for message in service.tenant.asked if isinstance(message, AuthenticateToken)]
            assert asked == [
                _asked(TOKEN),
                _asked(TOKEN, use=True),
            ]
            service.tenant.asked.clear()

    @pytest.mark.parametrize("path", ["unwrap", "rewrap"])
    async def test_taking_needs_a_token_that_may(self, service: Service, path: str) -> None:
        for token, text in (
            ("", ["permission denied"]),
            ("bad", ["permission denied"]),
            ("operator", ["1 error occurred:\n\t* permission denied\n\n"]),
            ("nothing", ["1 error occurred:\n\t* permission denied\n\n"]),
        ):
            answer = await service.call("PUT", f"/v1/sys/wrapping/{path}", token, json={"token": TOKEN})
            assert (answer.status, answer.errors) == (403, text), token
        assert service.tenant.asked == []

    @pytest.mark.parametrize("path", ["unwrap", "rewrap", "lookup"])
    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (None, "token is empty"),
            ({"token": None}, "token is empty"),
            ({"token": ""}, "empty token in request body"),
            ({"token": 5}, "could not decode token in request body"),
            ({"token": [TOKEN]}, "could not decode token in request body"),
        ],
    )
    async def test_what_is_no_token_is_told(self, service: Service, path: str, body: Any, text: str) -> None:
        answer = await service.call("PUT", f"/v1/sys/wrapping/{path}", json=body)
        assert (answer.status, answer.errors) == (403, [f"error validating wrapping token: {text}"])

    @pytest.mark.parametrize("path", ["unwrap", "rewrap", "lookup"])
    @pytest.mark.parametrize("token", ["bad", ELSEWHERE])
    async def test_a_token_of_nothing_gives_nothing(self, service: Service, path: str, token: str) -> None:
        for namespace in ("", VAULT_ID, "other"):
            answer = await service.call("PUT", f"/v1/sys/wrapping/{path}", token, X_Vault_Namespace=namespace)
            assert (answer.status, answer.errors) == (400, INVALID)
        assert service.tenant.asked == []

    async def test_one_of_another_vault_is_looked_for_in_the_callers_own(self, service: Service) -> None:
        service.tenant.answers[Unwrap] = InvalidWrappingToken()
        answer = await service.call("PUT", "/v1/sys/wrapping/unwrap", "data", json={"token": ELSEWHERE})
        assert (answer.status, answer.errors) == (400, INVALID)
        assert service.tenant.asked == [Unwrap(ELSEWHERE)]

    async def test_a_sealed_vault_gives_nothing(self, service: Service) -> None:
        service.tenant.sealed = True
        answer = await service.call("PUT", "/v1/sys/wrapping/lookup", json={"token": TOKEN})
        assert (answer.status, answer.errors) == (503, ["Vault is sealed"])

    async def test_one_that_was_used_is_told_apart_in_the_log_alone(self, service: Service) -> None:
        service.tenant.answers[Unwrap] = InvalidWrappingToken()
        answers, lines = [], []
        for known in ({}, {TOKEN: Taken(accessor="accessor1", taken=17.5, request_id="r-1")}):
            service.backend.taken_tokens = known
            with capture_logs() as logs:
                answers.append(await service.call("PUT", "/v1/sys/wrapping/unwrap", "data", json={"token": TOKEN}))
            lines += [line for line in logs if line["event"] == "wrapping token refused"]
        assert answers[0].body == answers[1].body
        assert [line["reason"] for line in lines] == [
            "it is no wrapping token, or its time is over",
            "it was used before",
        ]
        assert (lines[1]["accessor"], lines[1]["used"], lines[1]["used_by_request"]) == ("accessor1", 17.5, "r-1")
        assert TOKEN not in str(lines)

    async def test_unwrapping_into_another_wrap_shows_nothing(self, service: Service) -> None:
        service.tenant.answers[Rewrap] = WRAPPED
        answer = await service.call(
            "PUT", "/v1/sys/wrapping/unwrap", "data", json={"token": TOKEN}, X_Vault_Wrap_TTL="60"
        )
        assert (answer.status, answer.json["wrap_info"]) == (200, INFO)
        assert service.tenant.asked == [Rewrap(TOKEN, "", 60, "sys/wrapping/unwrap")]


class TestOthers:
    async def test_anybody_with_the_token_may_look_it_up(self, service: Service) -> None:
        service.tenant.answers[LookUpWrapping] = WrapInfo(path="a/b", created=1_700_000_000_500_000_000, ttl=9)
        for method, token, body in (
            ("PUT", "", {"token": TOKEN}),
            ("PUT", "nothing", {"token": TOKEN}),
            ("PUT", "data", {"token": TOKEN}),
        ):
            answer = await service.call(method, "/v1/sys/wrapping/lookup", token, json=body)
            assert (answer.status, answer.json["data"]) == (
                200,
                {"creation_path": "a/b", "creation_time": "2023-11-14T22:13:20.5Z", "creation_ttl": 9},
            )

    async def test_its_own_token_looks_itself_up(self, service: Service) -> None:
        service.tenant.answers |= {
            AuthenticateToken: service_token("response-wrapping", num_uses=1),
            LookUpWrapping: WrapInfo(path="a/b", created=1, ttl=9),
        }
        for method in ("PUT", "GET"):
            answer = await service.call(method, "/v1/sys/wrapping/lookup", TOKEN)
            assert answer.status == 200
            assert _asked(TOKEN) in service.tenant.asked

    async def test_rewrapping_gives_another_token(self, service: Service) -> None:
        service.tenant.answers[Rewrap] = WRAPPED
        answer = await service.call("PUT", "/v1/sys/wrapping/rewrap", "data", json={"token": TOKEN})
        assert answer.json["wrap_info"] == INFO
        await service.call("PUT", "/v1/sys/wrapping/rewrap", "data", json={"token": TOKEN}, X_Vault_Wrap_TTL="5")
        assert service.tenant.asked == [Rewrap(TOKEN), Rewrap(TOKEN, "", 5)]

    async def test_wrap_keeps_what_was_sent(self, service: Service) -> None:
        wraps(service)
        sent = b'{"token":"t","b":{"y":1.50,"x":[12345678901234567890]}}'
        answer = await service.call("PUT", "/v1/sys/wrapping/wrap", "data", data=sent, X_Vault_Wrap_TTL="60")
        assert answer.json["wrap_info"]["token"] == TOKEN
        found = kept(service).answer
        assert b'"data":{"b":{"x":[12345678901234567890],"y":1.5},"token":"t"}' in found
        assert kept(service).path == "sys/wrapping/wrap"

    @pytest.mark.parametrize("sent", [None, "0"])
    async def test_wrap_needs_the_header(self, service: Service, sent: str | None) -> None:
        headers = {} if sent is None else {"X_Vault_Wrap_TTL": sent}
        answer = await service.call("PUT", "/v1/sys/wrapping/wrap", "data", json={"a": 1}, **headers)
        assert (answer.status, answer.errors) == (400, ["endpoint requires response wrapping to be used"])

    async def test_wrap_needs_a_token_of_a_vault(self, service: Service) -> None:
        for token in ("", "bad", "operator"):
            answer = await service.call(
                "PUT", "/v1/sys/wrapping/wrap", token, json={}, X_Vault_Wrap_TTL="60", X_Vault_Namespace=NAMESPACE
            )
            assert answer.status == 403


class _Rules:
    """Policies of one rule."""

    made_of = ()
    is_root = False

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def rule(self, path: str, *, listing: bool = False) -> Rule:
        return self._rule

    def touches(self, prefix: str) -> bool:
        return True

    def resultant(self) -> dict[str, Any]:
        return {}


class _Everything:
    """Policies that allow all but what is root's."""

    made_of = ()
    is_root = True

    def rule(self, path: str, *, listing: bool = False) -> None:
        return None

    def touches(self, prefix: str) -> bool:
        return True

    def resultant(self) -> dict[str, Any]:
        return {}
