from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from kms_actors.auth.principal import Access, Capability
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken
from kms_actors.errors import (
    AuthenticationFailed,
    FormatError,
    IntegrityError,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    Sealed,
    StoreUnavailable,
    TenantFaulted,
    TransactionConflict,
    TransactionTooLarge,
    UnsupportedOperation,
    UnsupportedPath,
)
from kms_actors.messages import AuthenticateToken, Message
from kms_http.routing import Reply

if TYPE_CHECKING:
    from tests.http.conftest import Service


NAMESPACE = "kms-c1"
VAULT_ID = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"
CANARY = "canary-Zm9vYmFy-secret"
DENIED = ["permission denied"]
DENIED_BY_RIGHT = ["1 error occurred:\n\t* permission denied\n\n"]


class TestAnswers:
    async def test_stand_in_an_envelope_with_keys_in_order(self, service: Service) -> None:
        service.toys_answer("x")
        answer = await service.call("GET", "/v1/toy/names/a", "data")
        assert answer.body.endswith(b"}\n")
        assert list(answer.json) == [
            "request_id",
            "lease_id",
            "renewable",
            "lease_duration",
            "data",
            "wrap_info",
            "warnings",
            "auth",
            "mount_type",
        ]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.json["request_id"])
        assert answer.json["mount_type"] == "toy"
        assert answer.json["warnings"] is None

    async def test_have_ids_of_their_own(self, service: Service) -> None:
        ids = {(await service.call("GET", "/v1/toy/names/a", "data")).json["request_id"] for _ in range(300)}
        assert len(ids) == 300

    @pytest.mark.parametrize(("path", "token"), [("toy/names/a", "data"), ("toy/names/a", ""), ("sys/health", "")])
    async def test_carry_the_headers_clients_compare(self, service: Service, path: str, token: str) -> None:
        headers = (await service.call("GET", f"/v1/{path}", token)).headers
        assert headers["Content-Type"] == "application/json"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert "Server" not in headers
        assert "Date" in headers

    async def test_may_carry_data_with_a_404(self, service: Service) -> None:
        service.toys_answer(Reply(status=404, data={"metadata": {}}))
        answer = await service.call("GET", "/v1/toy/names/a", "data")
        assert (answer.status, answer.json["data"]) == (404, {"metadata": {}})

    async def test_are_counted_by_route_not_by_path(self, service: Service) -> None:
        await service.call("GET", "/v1/toy/names/a", "data")
        await service.call("GET", "/v1/toy/nosuch/a", "data")
        await service.call("GET", "/v1/sys/mounts/a/b", "data")
        await service.call("GET", "/nosuch")
        seen = [(label, status) for label, status, _ in service.observed]
        assert seen == [
            ("toy/names/{name}", 200),
            ("unknown", 404),
            ("sys/mounts/{path...}", 400),
            ("unknown", 404),
        ]
        assert all(0 < seconds < 5 for _, _, seconds in service.observed)


class TestOperations:
    @pytest.mark.parametrize("method", ["PUT", "POST"])
    async def test_writes_are_put_or_post(self, service: Service, method: str) -> None:
        answer = await service.call(method, "/v1/toy/names/a", "data", json={"text": "t"})
        assert answer.status == 200
        assert (service.tenant.asked[0].name, service.tenant.asked[0].text) == ("a", "t")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("LIST", "names"),
            ("LIST", "names/"),
            ("GET", "names?list=true"),
            ("GET", "names/?list=1"),
            ("GET", "names?list=T"),
        ],
    )
    async def test_lists_are_a_verb_or_a_query(self, service: Service, method: str, path: str) -> None:
        answer = await service.call(method, f"/v1/toy/{path}", "data")
        assert answer.status == 200
        assert answer.json["warnings"] is None
        access = service.authenticator.principals["data"].seen[-1]
        assert (access.operation, access.path, access.method) == (Capability.LIST, "toy/names/", "LIST")

    @pytest.mark.parametrize(("method", "query"), [("SCAN", ""), ("GET", "?scan=true"), ("GET", "?list=0&scan=1")])
    async def test_scans_are_a_verb_or_a_query(self, service: Service, method: str, query: str) -> None:
        answer = await service.call(method, f"/v1/toy/names{query}", "data")
        assert answer.status == 405
        access = service.authenticator.principals["data"].seen[-1]
        assert (access.operation, access.path, access.method) == (Capability.SCAN, "toy/names/", "SCAN")

    @pytest.mark.parametrize("query", ["scan=yes", "scan=true&list=true"])
    async def test_a_query_that_asks_for_two_things_or_for_nothing_known_is_refused(
        self, service: Service, query: str
    ) -> None:
        answer = await service.call("GET", f"/v1/toy/names?{query}", "data")
        assert (answer.status, answer.body) == (400, b'{"errors":[]}\n')

    async def test_a_list_query_that_is_false_is_a_read(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/toy/names/a?list=false", "data")
        assert answer.status == 200
        assert service.tenant.asked[0].name == "a"

    @pytest.mark.parametrize("value", ["yes", "2", "tRuE", "%20"])
    async def test_a_list_query_that_is_no_bool_is_refused(self, service: Service, value: str) -> None:
        answer = await service.call("GET", f"/v1/toy/names?list={value}", "data")
        assert (answer.status, answer.body) == (400, b'{"errors":[]}\n')

    async def test_the_query_of_a_read_is_its_data(self, service: Service) -> None:
        await service.call("GET", "/v1/toy/names/a?limit=12", "data")
        assert service.tenant.asked[0].limit == 12

    async def test_delete_answers_nothing(self, service: Service) -> None:
        answer = await service.call("DELETE", "/v1/toy/names/a?text=t", "data")
        assert (answer.status, answer.body) == (204, b"")
        assert service.tenant.asked[0].text == "t"

    @pytest.mark.parametrize("method", ["TRACE", "PURGE", "SEARCH", "MOVE", "NONSENSE", "HEAD"])
    async def test_other_verbs_are_refused(self, service: Service, method: str) -> None:
        answer = await service.call(method, "/v1/toy/names/a", "data")
        assert (answer.status, answer.body) == (405, b"" if method == "HEAD" else b'{"errors":[]}\n')

    @pytest.mark.parametrize("waits", [0, 1, 2])
    async def test_an_error_of_what_is_waited_for_first_is_answered(self, service: Service, waits: int) -> None:
        """The answer is begun outside of a task: the error must find its way into it all the same."""

        async def fail(_: Message) -> None:
            loop = asyncio.get_running_loop()
            for turn in range(waits + 1):
                future = loop.create_future()
                loop.call_soon(future.set_exception, InvalidRequest("in vain"))
                try:
                    await future
                except InvalidRequest:
                    if turn == waits:
                        raise

        service.toys_answer(fail)
        answer = await service.call("GET", "/v1/toy/names/a", "root")
        assert (answer.status, answer.errors) == (400, ["in vain"])

    async def test_options_are_refused_in_the_words_of_vault(self, service: Service) -> None:
        for path in ("toy/names/a", "sys/mounts", "nosuch/x"):
            answer = await service.call("OPTIONS", f"/v1/{path}")
            assert (answer.status, answer.errors) == (400, ["cannot handle internal-only request operation"])
        assert (await service.call("OPTIONS", "/v1/sys/health")).status == 405

    @pytest.mark.parametrize("path", ["nosuch/x", "sys/nosuch"])
    async def test_head_of_what_is_not_there_is_not_found(self, service: Service, path: str) -> None:
        assert (await service.call("HEAD", f"/v1/{path}", "root")).status == 404

    async def test_a_field_called_help_is_a_field(self, service: Service) -> None:
        service.toys_answer("x")
        assert (await service.call("GET", "/v1/toy/names/a?help=", "root")).status == 200
        assert (await service.call("POST", "/v1/toy/names/a", "root", json={"help": "1"})).status == 200

    async def test_a_path_of_lists_takes_no_other_operation(self, service: Service) -> None:
        for path in ("toy/names", "toy/names/"):
            answer = await service.call("GET", f"/v1/{path}", "root")
            assert (answer.status, answer.errors) == (405, ["1 error occurred:\n\t* unsupported operation\n\n"])

    @pytest.mark.parametrize("path", ["sys/mounts", "toy/names/a", "auth/token/lookup-self"])
    async def test_head_is_for_health_only(self, service: Service, path: str) -> None:
        assert (await service.call("HEAD", f"/v1/{path}", "root")).status == 405

    @pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
    async def test_writing_below_a_slash_is_refused(self, service: Service, method: str) -> None:
        answer = await service.call(method, "/v1/toy/names/", "data", json={})
        assert (answer.status, answer.errors) == (400, ["cannot write to a path ending in '/'"])

    @pytest.mark.parametrize(
        ("method", "path", "status", "text"),
        [
            ("GET", "toy/nosuch/x", 404, "unsupported path"),
            ("GET", "toy/names/b/c", 404, "unsupported path"),
            ("GET", "toy/names/-a", 404, "unsupported path"),
            ("GET", "toy", 404, "unsupported path"),
            ("GET", "toy/names", 405, "unsupported operation"),
            ("LIST", "toy/names/a", 404, "unsupported path"),
            ("GET", "sys/nosuch", 404, "unsupported path"),
            ("GET", "sys/", 404, "unsupported path"),
            ("GET", "auth/token/nosuch", 404, "unsupported path"),
            ("GET", "auth/door/nosuch", 404, "unsupported path"),
            ("LIST", "auth/door/nosuch/x", 404, "unsupported path"),
            ("PATCH", "sys/mounts", 405, "unsupported operation"),
        ],
    )
    async def test_paths_and_operations_that_do_not_exist(
        self, service: Service, method: str, path: str, status: int, text: str
    ) -> None:
        answer = await service.call(method, f"/v1/{path}", "root", Content_Type="application/merge-patch+json")
        assert (answer.status, answer.errors) == (status, [f"1 error occurred:\n\t* {text}\n\n"])

    async def test_an_unknown_mount_is_named(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/nosuch/x", "data")
        assert answer.status == 404
        assert answer.errors == ['no handler for route "nosuch/x". route entry not found.']

    @pytest.mark.parametrize("path", ["/", "/nosuch", "/v1", "/u"])
    async def test_nothing_is_outside_v1(self, service: Service, path: str) -> None:
        answer = await service.call("GET", path, "root")
        assert (answer.status, answer.body) == (404, b'{"errors":[]}\n')

    @pytest.mark.parametrize(
        "path",
        ["secret//x", "toy/../sys/mounts", "toy/%2e%2e/sys/mounts", "toy/%2Fnames/a", "a%00b", "toy/names/%ff"],
    )
    async def test_a_path_with_two_readings_is_refused_not_redirected(self, service: Service, path: str) -> None:
        answer = await service.call("GET", f"/v1/{path}", "root")
        assert answer.status == 400
        assert len(answer.errors) == 1


class TestBodies:
    @pytest.mark.parametrize("data", [None, b"", b"null", b" null ", b"{}"])
    async def test_may_hold_nothing(self, service: Service, data: Any) -> None:
        assert (await service.call("PUT", "/v1/toy/names/a", "data", data=data)).status == 200
        assert service.tenant.asked[0].text == ""

    @pytest.mark.parametrize("data", [b"[1]", b'"x"', b"1", b"true", b'{"text":', b"\xff", b"{'a': 1}", b"a=1"])
    async def test_that_are_no_object_are_refused(self, service: Service, data: Any) -> None:
        answer = await service.call("PUT", "/v1/toy/names/a", "data", data=data)
        assert (answer.status, answer.errors) == (400, ["error parsing JSON"])

    async def test_may_be_forms(self, service: Service) -> None:
        form = {"Content_Type": "application/x-www-form-urlencoded; charset=utf-8"}
        await service.call("PUT", "/v1/toy/names/a", "data", data=b"text=a%20b+c", **form)
        await service.call("PUT", "/v1/toy/names/a", "data", data=b'{"text": "json"}', **form)
        answer = await service.call("PUT", "/v1/toy/names/a", "data", data=b"text=\xff", **form)
        assert [message.text for message in service.tenant.asked] == ["a b c", "json"]
        assert (answer.status, answer.errors) == (400, ["invalid query or form"])

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "multipart/form-data", "application/json; charset=utf-8", "\xe9"]
    )
    async def test_are_json_whatever_they_are_called(self, service: Service, content_type: str) -> None:
        answer = await service.call("PUT", "/v1/toy/names/a", "data", data=b'{"text":"x"}', Content_Type=content_type)
        assert answer.status == 200
        assert service.tenant.asked[0].text == "x"

    @pytest.mark.parametrize("data", [b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000])
    async def test_may_not_be_deep(self, service: Service, data: Any) -> None:
        answer = await service.call("PUT", "/v1/toy/names/a", "data", data=data)
        assert answer.status == 400
        assert "nested" in answer.errors[0]

    @pytest.mark.parametrize(
        "data", [b"\x00" * 2**20, b"{" * 2**20, b'"' * 2**20, b"9" * 2**20, bytes(range(256)) * 4096]
    )
    async def test_of_a_megabyte_of_garbage_are_refused(self, service: Service, data: Any) -> None:
        answer = await service.call("PUT", "/v1/toy/names/a", "data", data=data)
        assert answer.status == 400
        assert len(answer.body) < 200

    async def test_of_a_patch_are_merge_patches(self, service: Service) -> None:
        path = "/v1/toy/names/a"
        right = {"Content_Type": "application/merge-patch+json; charset=utf-8"}
        assert (await service.call("PATCH", path, "data", data=b'{"text": "x"}', **right)).status == 200
        answer = await service.call("PATCH", path, "data", data=b"{}", Content_Type="application/json")
        text = "PATCH requires Content-Type of application/merge-patch+json, provided application/json"
        assert (answer.status, answer.errors) == (415, [text])
        answer = await service.call("PATCH", path, "data")
        assert (answer.status, answer.errors) == (400, ["mime: no media type"])


class TestFields:
    async def test_unknown_ones_are_warned_of(self, service: Service) -> None:
        body = {"b": 1, "text": "t", "a": 2}
        answer = await service.call("PUT", "/v1/toy/names/x", "data", json=body)
        assert answer.json["warnings"] == ["Endpoint ignored these unrecognized parameters: [a b]"]

    async def test_the_path_wins_over_the_body(self, service: Service) -> None:
        answer = await service.call("PUT", "/v1/toy/names/x", "data", json={"name": "y"})
        assert service.tenant.asked[0].name == "x"
        text = "Endpoint replaced the value of these parameters with the values captured from the endpoint's path"
        assert answer.json["warnings"] == [f"{text}: [name]"]

    async def test_of_the_wrong_type_are_named_without_their_value(self, service: Service) -> None:
        answer = await service.call("PUT", "/v1/toy/names/x", "data", json={"text": [CANARY]})
        assert answer.status == 400
        assert '"text"' in answer.errors[0]
        assert CANARY not in answer.errors[0]


class TestTokens:
    async def test_come_in_either_header_and_the_first_one_wins(self, service: Service) -> None:
        for bearer in ("Bearer data", "Bearer  data", "Bearer data "):
            assert (await service.call("GET", "/v1/toy/names/a", Authorization=bearer)).status == 200
        assert (await service.call("GET", "/v1/toy/names/a", "bad", Authorization="Bearer data")).status == 403
        assert (await service.call("GET", "/v1/toy/names/a", Authorization="bearer data")).status == 403

    @pytest.mark.parametrize("token", ["", "bad", "hvs.x", "\xe9", " ", "a" * 8192])
    async def test_that_prove_nothing_are_refused(self, service: Service, token: str) -> None:
        for path in ("toy/names/a", "nosuch/x", "sys/nosuch", ""):
            answer = await service.call("GET", f"/v1/{path}", token)
            assert (answer.status, answer.errors) == (403, DENIED)
        assert service.tenant.asked == []

    async def test_of_an_operator_reach_no_data(self, service: Service) -> None:
        for path in ("toy/names/a", "nosuch/x"):
            answer = await service.call("GET", f"/v1/{path}", "operator")
            assert (answer.status, answer.errors) == (403, DENIED_BY_RIGHT)

    async def test_of_the_initial_root_token_work_for_its_tenant(self, service: Service) -> None:
        service.tenant.answers[AuthenticateToken] = ServicePrincipal(ServiceToken.root(0), VAULT_ID)
        answer = await service.call("GET", "/v1/toy/names/a", "hvs.000007" + "a" * 18)
        assert answer.status == 200
        assert service.tenant.asked[0].token == "hvs.000007" + "a" * 18


class TestChecks:
    async def test_see_the_request_as_the_router_does(self, service: Service) -> None:
        principal = service.authenticator.principals["data"]
        await service.call("DELETE", "/v1/toy/names/%61", "data")
        (access,) = principal.seen
        assert access == Access(Capability.DELETE, "toy/names/a", "toy/", "DELETE", "127.0.0.1", access.time)

    @pytest.mark.parametrize("path", ["toy/names/a", "toy/nosuch", "nosuch/x", "sys/mounts", "sys/nosuch"])
    async def test_refuse_before_anything_is_told(self, service: Service, path: str) -> None:
        answer = await service.call("GET", f"/v1/{path}", "nothing")
        assert (answer.status, answer.errors) == (403, DENIED_BY_RIGHT)
        assert service.tenant.asked == []

    @pytest.mark.parametrize(
        ("allowed", "grants"),
        [
            ({"create", "update"}, (True, True)),
            ({"create"}, (True, False)),
            ({"update"}, (False, True)),
            ({"read", "patch"}, None),
        ],
    )
    async def test_of_writes_leave_creation_to_the_transaction(
        self, service: Service, allowed: set[str], grants: tuple[bool, bool] | None
    ) -> None:
        service.authenticator.principals["data"].allowed = lambda access: access.operation in allowed
        answer = await service.call("PUT", "/v1/toy/names/a", "data", json={})
        if grants is None:
            assert (answer.status, answer.errors) == (403, DENIED_BY_RIGHT)
        else:
            found = service.tenant.asked[0].call.grants
            assert (found.create, found.update) == grants

    async def test_refuse_before_a_body_is_read(self, service: Service) -> None:
        head = b"PUT /v1/toy/names/a HTTP/1.1\r\nHost: x\r\nX-Vault-Token: nothing\r\nContent-Length: 1000000\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
        writer.write(head)
        assert await asyncio.wait_for(reader.readline(), 5) == b"HTTP/1.1 403 Forbidden\r\n"
        writer.close()


def timeless(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "server_time_utc"}


class TestNamespaces:
    @pytest.mark.parametrize("name", ["", "/", "root", "root/", VAULT_ID, f"{VAULT_ID}/", f"/{VAULT_ID}/"])
    async def test_may_name_the_scope_of_the_token_or_none(self, service: Service, name: str) -> None:
        answer = await service.call("GET", "/v1/toy/names/a", "data", X_Vault_Namespace=name)
        assert answer.status == 200
        assert answer.headers.get("X-Vault-Namespace", "") == name

    @pytest.mark.parametrize("name", ["Root", "%72oot", NAMESPACE, "other", VAULT_ID.upper(), ".", " x"])
    @pytest.mark.parametrize("path", ["toy/names/a", "sys/seal-status", "sys/init", "auth/token/lookup-self"])
    async def test_never_choose_another(self, service: Service, name: str, path: str) -> None:
        answer = await service.call("GET", f"/v1/{path}", "root", X_Vault_Namespace=name)
        assert (answer.status, answer.errors) == (403, DENIED)
        assert service.backend.asked == service.tenant.asked == []

    @pytest.mark.parametrize("name", ["Root", VAULT_ID])
    async def test_do_not_make_an_operator_another(self, service: Service, name: str) -> None:
        answer = await service.call("GET", "/v1/sys/seal-status", "operator", X_Vault_Namespace=name)
        assert (answer.status, answer.errors) == (403, DENIED)

    @pytest.mark.parametrize("name", ["Root", VAULT_ID, "vault_none", NAMESPACE, "%72oot", "a/b", " x"])
    @pytest.mark.parametrize("path", ["seal-status", "health", "leader", "init", "internal/specs/openapi"])
    async def test_tell_nobody_anything_of_vaults(self, service: Service, name: str, path: str) -> None:
        """What anybody may ask is told of the node, whatever vault is named: no vault is even looked at."""
        plain = await service.call("GET", f"/v1/sys/{path}")
        asked = list(service.backend.asked)
        for token in ("", "bad"):
            service.backend.asked.clear()
            named = await service.call("GET", f"/v1/sys/{path}", token, X_Vault_Namespace=name)
            assert named.status == plain.status == 200
            assert timeless(named.json) == timeless(plain.json)
            assert service.backend.asked == asked
        assert service.tenant.asked == []

    async def test_may_name_the_cluster_for_its_operator(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/seal-status", "operator", X_Vault_Namespace=NAMESPACE)
        assert answer.status == 200


class TestSealed:
    @pytest.mark.parametrize(
        "path", ["toy/names/a", "nosuch/x", "sys/mounts", "sys/internal/ui/mounts", "sys/nosuch"]
    )
    @pytest.mark.parametrize("token", ["", "bad", "data", "operator"])
    async def test_a_node_answers_503_before_it_looks_at_tokens(
        self, service: Service, path: str, token: str
    ) -> None:
        service.backend.node_sealed = True
        answer = await service.call("GET", f"/v1/{path}", token)
        assert (answer.status, answer.errors) == (503, ["Vault is sealed"])

    async def test_a_tenant_answers_503_to_its_own(self, service: Service) -> None:
        service.tenant.sealed = True
        for path in ("toy/names/a", "nosuch/x", "sys/mounts"):
            answer = await service.call("GET", f"/v1/{path}", "data")
            assert (answer.status, answer.errors) == (503, ["Vault is sealed"])
            assert (await service.call("GET", f"/v1/{path}", "bad")).status == 403

    async def test_a_tenant_cannot_be_unsealed_on_a_sealed_node(self, service: Service) -> None:
        service.backend.node_sealed = True
        for path in ("init", "unseal", "seal"):
            answer = await service.call("PUT", f"/v1/sys/{path}", "root", json={"key": "x"})
            assert (answer.status, answer.errors) == (503, ["Vault is sealed"])


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "status", "texts"),
        [
            (InvalidRequest("missing plaintext to encrypt"), 400, ["missing plaintext to encrypt"]),
            (AuthenticationFailed(CANARY), 403, DENIED),
            (PermissionDenied(CANARY), 403, DENIED_BY_RIGHT),
            (NotFound(CANARY), 404, []),
            (UnsupportedPath(CANARY), 404, ["1 error occurred:\n\t* unsupported path\n\n"]),
            (UnsupportedOperation(CANARY), 405, ["1 error occurred:\n\t* unsupported operation\n\n"]),
            (Sealed(), 503, ["Vault is sealed"]),
            (Overloaded("too much", retry_after=3), 503, ["too much"]),
            (TenantFaulted(), 503, ["service unavailable"]),
            (StoreUnavailable(CANARY), 503, ["the store is not available, try again"]),
            (TransactionConflict(CANARY), 503, ["too many conflicting requests, try again"]),
            (TransactionTooLarge(CANARY), 400, ["the request writes more than fits in one transaction"]),
            (FormatError(CANARY), 500, ["internal error"]),
            (IntegrityError(CANARY), 500, ["internal error"]),
            (RuntimeError(CANARY), 500, ["internal error"]),
            (KeyError(CANARY), 500, ["internal error"]),
        ],
    )
    async def test_have_one_answer_each(
        self, service: Service, error: Exception, status: int, texts: list[str]
    ) -> None:
        service.toys_answer(error)
        with structlog.testing.capture_logs() as logs:
            answer = await service.call("GET", "/v1/toy/names/a", "data")
        assert (answer.status, answer.json) == (status, {"errors": texts})
        assert CANARY not in str(logs)
        if status == 500:
            assert [(log["event"], log["error"]) for log in logs] == [("request failed", type(error).__name__)]

    async def test_keep_neither_request_nor_token_once_answered(self, service: Service) -> None:
        error = NotFound()
        service.toys_answer(error)
        assert (await service.call("GET", "/v1/toy/names/a", "data")).status == 404
        assert error.__traceback__ is None

    @pytest.mark.parametrize(
        ("error", "seconds"),
        [(Overloaded(retry_after=3), "3"), (StoreUnavailable(), "1"), (TransactionConflict(), "1")],
    )
    async def test_that_pass_say_when_to_come_again(self, service: Service, error: Exception, seconds: str) -> None:
        service.toys_answer(error)
        answer = await service.call("GET", "/v1/toy/names/a", "data")
        assert answer.headers["Retry-After"] == seconds

    async def test_do_not_end_the_connection(self, service: Service) -> None:
        for status in (403, 200):
            answer = await service.call("GET", "/v1/toy/names/a", "data" if status == 200 else "bad")
            assert answer.status == status
            assert "Connection" not in answer.headers
