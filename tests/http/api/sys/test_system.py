from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from kms_actors import API_VERSION, messages
from kms_actors.auth.principal import Capability, Right
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken
from kms_actors.errors import AuthenticationFailed, InvalidRequest, InvalidShares
from kms_actors.messages import SealStatus
from kms_actors.token.messages import RenewToken
from kms_actors.token.spec import Issued

if TYPE_CHECKING:
    from tests.http.conftest import Service

VAULT_ID = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"
DENIED = ["permission denied"]
DENIED_BY_RIGHT = ["1 error occurred:\n\t* permission denied\n\n"]
SHARE = "AX0/zTf+FLouvPIldi96WnUAPfunNJEeXD+KmWvys4K0"


class TestSealStatus:
    async def test_shows_the_node_without_a_token(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/seal-status")
        assert answer.status == 200
        assert answer.json == {
            "type": "n/a",
            "initialized": True,
            "sealed": False,
            "t": 3,
            "n": 5,
            "progress": 0,
            "nonce": "",
            "version": API_VERSION,
            "build_date": "n/a",
            "commit_date": "n/a",
            "migration": False,
            "cluster_name": "kms-c1",
            "cluster_id": "ab3c4b32-97e0-5972-9992-5765b6ede481",
            "recovery_seal": False,
            "storage_type": "n/a",
        }

    async def test_shows_the_tenant_with_its_token(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/seal-status", "data")
        assert (answer.json["t"], answer.json["n"]) == (2, 3)
        assert service.backend.asked == []

    async def test_shows_a_sealed_tenant(self, service: Service) -> None:
        service.tenant.sealed = True
        status = SealStatus(initialized=False, sealed=True)
        service.tenant.answers[messages.ReadSealStatus] = status
        answer = await service.call("GET", "/v1/sys/seal-status", "nothing")
        assert (answer.status, answer.json["initialized"], answer.json["sealed"]) == (200, False, True)

    async def test_ignores_a_bad_token_that_it_does_not_need(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/seal-status", "bad")
        assert (answer.status, answer.json["t"]) == (200, 3)


class TestInit:
    async def test_tells_whether_initialised(self, service: Service) -> None:
        assert (await service.call("GET", "/v1/sys/init")).json == {"initialized": True}

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    async def test_returns_shares_in_hex_and_base64_and_the_root_token(self, service: Service, method: str) -> None:
        made = messages.Initialization((b"\1" * 33, b"\2" * 33), "hvs.x")
        service.tenant.answers[messages.Initialize] = made
        service.tenant.sealed = True
        body: dict[str, Any] = {
            "secret_shares": 2,
            "secret_threshold": 2,
            "stored_shares": 0,
            "pgp_keys": None,
            "recovery_shares": 0,
            "recovery_threshold": 0,
            "recovery_pgp_keys": [],
            "root_token_pgp_key": "",
        }
        answer = await service.call(method, "/v1/sys/init", "root", json=body)
        assert answer.json == {
            "keys": ["01" * 33, "02" * 33],
            "keys_base64": [
                "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
                "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC",
            ],
            "root_token": "hvs.x",
        }
        assert service.tenant.asked == [messages.Initialize(2, 2)]

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (
                {"secret_shares": "5", "secret_threshold": "3"},
                (
                    "failed to parse JSON input: json: cannot unmarshal string into Go struct field "
                    "InitRequest.secret_shares of type int"
                ),
            ),
            (
                {"secret_shares": True},
                (
                    "failed to parse JSON input: json: cannot unmarshal bool into Go struct field "
                    "InitRequest.secret_shares of type int"
                ),
            ),
            (
                {"recovery_pgp_keys": "x"},
                (
                    "failed to parse JSON input: json: cannot unmarshal string into Go struct field "
                    "InitRequest.recovery_pgp_keys of type []string"
                ),
            ),
        ],
    )
    async def test_names_what_is_wrong(self, service: Service, body: Any, text: str) -> None:
        answer = await service.call("PUT", "/v1/sys/init", "operator", json=body)
        assert (answer.status, answer.errors) == (400, [text])
        assert service.backend.asked == []

    async def test_returns_recovery_shares_under_their_own_name(self, service: Service) -> None:
        made = messages.Initialization((b"\1" * 33,), "", recovery=True)
        service.backend.answers[messages.Initialize] = made
        body = {"recovery_shares": 1, "recovery_threshold": 1}
        answer = await service.call("PUT", "/v1/sys/init", "operator", json=body)
        assert answer.json == {
            "keys": [],
            "keys_base64": [],
            "recovery_keys": ["01" * 33],
            "recovery_keys_base64": ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"],
            "root_token": "",
        }
        assert service.backend.asked == [messages.Initialize(recovery_shares=1, recovery_threshold=1)]

    async def test_says_so_when_initialised_before(self, service: Service) -> None:
        service.backend.answers[messages.Initialize] = InvalidRequest("Vault is already initialized")
        body = {"secret_shares": 5, "secret_threshold": 3}
        answer = await service.call("PUT", "/v1/sys/init", "operator", json=body)
        assert (answer.status, answer.errors) == (400, ["Vault is already initialized"])


class TestUnseal:
    @pytest.mark.parametrize("key", [SHARE, "017d3fcd37fe14ba2ebcf225762f7a5a75003dfba734911e5c3f8a996bf2b382b4"])
    async def test_gives_the_share_to_the_scope_of_the_token(self, service: Service, key: str) -> None:
        status = SealStatus(initialized=True, sealed=True, threshold=3, shares=5, progress=1, nonce="n")
        service.backend.answers[messages.Unseal] = status
        service.backend.node_sealed = True
        answer = await service.call("PUT", "/v1/sys/unseal", "operator", json={"Key": key, "migrate": False})
        assert (answer.json["progress"], answer.json["nonce"], answer.json["sealed"]) == (1, "n", True)
        (message,) = service.backend.asked
        assert message.share[0] == 1
        assert len(message.share) == 33

    async def test_says_that_the_key_is_to_change_hands(self, service: Service) -> None:
        status = SealStatus(initialized=True, sealed=True, threshold=3, shares=5, type="transit", recovery_seal=True)
        service.backend.answers[messages.Unseal] = msgspec.structs.replace(status, migration=True)
        answer = await service.call("PUT", "/v1/sys/unseal", "operator", json={"key": SHARE, "migrate": True})
        shown = [answer.json[name] for name in ("type", "migration", "recovery_seal", "recovery_seal_type")]
        assert shown == ["transit", True, True, "shamir"]
        assert service.backend.asked[0].migrate

    async def test_resets(self, service: Service) -> None:
        service.tenant.answers[messages.ResetUnseal] = SealStatus(initialized=True, sealed=True)
        answer = await service.call("PUT", "/v1/sys/unseal", "root", json={"reset": True})
        assert answer.status == 200
        assert service.tenant.asked == [messages.ResetUnseal()]

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            ({}, "'key' must be specified in request body as JSON, or 'reset' set to true"),
            ({"key": ""}, "'key' must be specified in request body as JSON, or 'reset' set to true"),
            ({"key": "!!!!"}, "'key' must be a valid hex or base64 string"),
            (
                {"key": 5},
                (
                    "failed to parse JSON input: json: cannot unmarshal number into Go struct field "
                    "UnsealRequest.Key of type string"
                ),
            ),
            (
                {"key": {"a": 1}},
                (
                    "failed to parse JSON input: json: cannot unmarshal object into Go struct field "
                    "UnsealRequest.Key of type string"
                ),
            ),
        ],
    )
    async def test_names_what_is_wrong(self, service: Service, body: Any, text: str) -> None:
        answer = await service.call("PUT", "/v1/sys/unseal", "operator", json=body)
        assert (answer.status, answer.errors) == (400, [text])

    async def test_never_shows_a_share_that_was_refused(self, service: Service) -> None:
        service.backend.answers[messages.Unseal] = InvalidShares("invalid key: the shares do not give the key")
        answer = await service.call("PUT", "/v1/sys/unseal", "operator", json={"key": SHARE})
        assert answer.status == 400
        assert SHARE not in answer.body.decode()


async def test_unsealing_names_whose_seal_it_is(service: Service) -> None:
    status = SealStatus(initialized=True, sealed=True, threshold=3, shares=5, progress=1, nonce="n")
    service.backend.answers[messages.Unseal] = service.tenant.answers[messages.Unseal] = status
    named = []
    for token in ("operator", "root"):
        answer = await service.call("PUT", "/v1/sys/unseal", token, json={"key": SHARE})
        named.append(answer.json["cluster_name"])
    assert named == ["kms-c1", VAULT_ID]


async def test_sealing_answers_nothing(service: Service) -> None:
    answer = await service.call("PUT", "/v1/sys/seal", "root")
    assert (answer.status, answer.body) == (204, b"")
    assert "Content-Length" not in answer.headers
    assert service.tenant.asked == [messages.Seal()]


@pytest.mark.parametrize("path", ["init", "unseal", "seal"])
class TestGuard:
    async def test_nobody_changes_a_seal_anonymously(self, service: Service, path: str) -> None:
        service.backend.node_sealed = True
        answer = await service.call("PUT", f"/v1/sys/{path}", json={})
        assert (answer.status, answer.errors) == (403, DENIED)

    async def test_a_data_token_does_not_change_a_seal(self, service: Service, path: str) -> None:
        answer = await service.call("PUT", f"/v1/sys/{path}", "data", json={})
        assert (answer.status, answer.errors) == (403, DENIED_BY_RIGHT)

    async def test_a_narrowed_token_does_not_change_a_seal(self, service: Service, path: str) -> None:
        service.authenticator.principals["root"].allowed = lambda access: access.path.startswith("secret/")
        answer = await service.call("PUT", f"/v1/sys/{path}", "root", json={})
        assert (answer.status, answer.errors) == (403, DENIED_BY_RIGHT)

    async def test_an_operator_of_another_cluster_is_nobody(self, service: Service, path: str) -> None:
        answer = await service.call("PUT", f"/v1/sys/{path}", "foreign-operator", json={})
        assert (answer.status, answer.errors) == (403, DENIED)


class TestHealth:
    async def test_of_an_active_node(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/health")
        assert answer.status == 200
        assert isinstance(answer.json.pop("server_time_utc"), int)
        assert answer.json | {"server_time_utc": 0} == {
            "initialized": True,
            "sealed": False,
            "standby": False,
            "performance_standby": False,
            "replication_performance_mode": "disabled",
            "replication_dr_mode": "disabled",
            "server_time_utc": 0,
            "version": API_VERSION,
            "cluster_name": "kms-c1",
            "cluster_id": "ab3c4b32-97e0-5972-9992-5765b6ede481",
        }

    @pytest.mark.parametrize(
        ("initialized", "query", "code"),
        [
            (True, "", 503),
            (False, "", 501),
            (False, "?standbyok=true", 501),
            (True, "?sealedcode=200&uninitcode=200", 200),
            (False, "?sealedcode=503&uninitcode=204", 204),
        ],
    )
    async def test_of_a_sealed_node(self, service: Service, initialized: bool, query: str, code: int) -> None:
        service.backend.node_sealed = True
        service.backend.answers[messages.ReadSealStatus] = SealStatus(initialized=initialized, sealed=True)
        assert (await service.call("GET", f"/v1/sys/health{query}")).status == code

    async def test_answers_head_without_a_body(self, service: Service) -> None:
        service.backend.answers[messages.ReadSealStatus] = SealStatus(initialized=True, sealed=True)
        answer = await service.call("HEAD", "/v1/sys/health")
        assert (answer.status, answer.body) == (503, b"")

    async def test_takes_codes_that_have_no_name(self, service: Service) -> None:
        assert (await service.call("GET", "/v1/sys/health?activecode=299")).status == 299

    @pytest.mark.parametrize(
        "query",
        ["activecode=abc", "uninitcode=abc", "activecode=99", "activecode=1000", "activecode=200&activecode=1"],
    )
    async def test_refuses_codes_that_are_none(self, service: Service, query: str) -> None:
        answer = await service.call("GET", f"/v1/sys/health?{query}")
        assert (answer.status, answer.body) == (400, b'{"errors":[]}\n')

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    async def test_takes_no_other_method(self, service: Service, method: str) -> None:
        answer = await service.call(method, "/v1/sys/health")
        assert (answer.status, answer.body) == (405, b'{"errors":[]}\n')


async def test_leader_is_without_high_availability(service: Service) -> None:
    service.backend.node_sealed = True
    answer = await service.call("GET", "/v1/sys/leader")
    assert answer.status == 200
    assert answer.json["ha_enabled"] is False


class TestMounts:
    async def test_are_listed_in_data_and_at_top_level(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/mounts", "data")
        assert list(answer.json["data"]) == ["cubbyhole/", "identity/", "secret/", "sys/", "toy/", "transit/"]
        assert answer.json["secret/"] == answer.json["data"]["secret/"]
        assert answer.json["data"]["secret/"]["options"] == {"version": "2"}
        assert answer.json["data"]["transit/"]["options"] == {}
        assert answer.json["data"]["sys/"]["options"] is None
        assert answer.json["mount_type"] == "system"

    async def test_are_read_one_by_one(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/mounts/secret", "root")
        assert (answer.json["type"], answer.json["data"]["accessor"]) == ("kv", "kv_9b1c")
        answer = await service.call("GET", "/v1/sys/mounts/nosuch", "root")
        assert (answer.status, answer.errors) == (400, ["No secret engine mount at nosuch/"])

    async def test_are_tuned(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/mounts/secret/tune", "root")
        assert answer.json["data"] == {
            "default_lease_ttl": 2764800,
            "description": "key/value secret storage",
            "force_no_cache": False,
            "max_lease_ttl": 2764800,
            "options": {"version": "2"},
        }
        body = {"description": "x", "options": {"version": 2}, "default_lease_ttl": "1h"}
        assert (await service.call("POST", "/v1/sys/mounts/secret/tune", "root", json=body)).status == 204
        tuned = messages.TuneMount("secret/", "x", {"version": "2"}, {"default_lease_ttl": 3600})
        assert service.tenant.asked == [tuned]
        answer = await service.call("GET", "/v1/sys/mounts/nosuch/tune", "root")
        assert answer.errors == ['cannot fetch sysview for path "nosuch/"']

    async def test_are_enabled(self, service: Service) -> None:
        body = {"type": "kv-v2", "description": "d", "config": {}, "local": False, "options": None}
        answer = await service.call("POST", "/v1/sys/mounts/team/kv", "root", json=body)
        assert (answer.status, answer.body) == (204, b"")
        assert service.tenant.asked == [messages.EnableMount("team/kv/", "kv-v2", "d", {})]

    @pytest.mark.parametrize(
        ("path", "body", "text"),
        [
            ("x", {}, "backend type must be specified as a string"),
            ("sys", {"type": "kv"}, 'cannot mount "sys/"'),
            ("x", {"type": "kv", "options": {"version": {"a": 1}}}, "options must be a map of strings"),
        ],
    )
    async def test_say_what_is_wrong(self, service: Service, path: str, body: Any, text: str) -> None:
        answer = await service.call("POST", f"/v1/sys/mounts/{path}", "root", json=body)
        assert (answer.status, answer.errors) == (400, [text])

    async def test_are_disabled(self, service: Service) -> None:
        assert (await service.call("DELETE", "/v1/sys/mounts/toy", "root")).status == 204
        assert service.tenant.asked == [messages.DisableMount("toy/")]
        answer = await service.call("DELETE", "/v1/sys/mounts/sys", "root")
        assert (answer.status, answer.errors) == (400, ['cannot unmount "sys/"'])

    @pytest.mark.parametrize(("method", "path"), [("POST", "x"), ("DELETE", "toy"), ("POST", "toy/tune")])
    async def test_are_not_changed_by_a_data_token(self, service: Service, method: str, path: str) -> None:
        answer = await service.call(method, f"/v1/sys/mounts/{path}", "data", json={"type": "kv"})
        assert (answer.status, answer.errors) == (403, DENIED_BY_RIGHT)

    async def test_belong_to_no_operator(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/mounts", "operator")
        assert (answer.status, answer.errors) == (403, DENIED_BY_RIGHT)


class TestPreflight:
    @pytest.mark.parametrize("path", ["secret", "secret/", "secret/creds", "secret/a/b"])
    async def test_shows_the_mount_to_any_token_of_the_tenant(self, service: Service, path: str) -> None:
        answer = await service.call("GET", f"/v1/sys/internal/ui/mounts/{path}", "nothing")
        assert (answer.json["data"]["path"], answer.json["data"]["options"]) == ("secret/", {"version": "2"})

    async def test_hides_whether_there_is_a_mount(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/internal/ui/mounts/nosuch/x", "root")
        text = "preflight capability check returned 403, please ensure client's policies grant access to path"
        assert (answer.status, answer.errors) == (403, [f'{text} "nosuch/x/"'])

    async def test_needs_a_token(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/internal/ui/mounts/secret/creds")
        assert (answer.status, answer.errors) == (403, DENIED)

    async def test_lists_mounts_to_their_tenant_only(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/internal/ui/mounts", "data")
        system = ["cubbyhole/", "identity/", "secret/", "sys/"]
        assert list(answer.json["data"]["secret"]) == [*system, "toy/", "transit/"]
        assert (await service.call("GET", "/v1/sys/internal/ui/mounts")).json["data"] == {"auth": {}, "secret": {}}


async def test_token_is_an_auth_mount(service: Service) -> None:
    answer = await service.call("GET", "/v1/sys/auth", "data")
    assert answer.json["token/"]["config"]["token_type"] == "default-service"


class TestLookupSelf:
    async def test_shows_a_biscuit(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/auth/token/lookup-self", "root")
        assert answer.json["data"] == {
            "accessor": "n/a",
            "creation_time": 0,
            "creation_ttl": 0,
            "display_name": "biscuit",
            "entity_id": "",
            "expire_time": None,
            "explicit_max_ttl": 0,
            "id": "root",
            "identity_policies": [],
            "issue_time": None,
            "meta": None,
            "num_uses": 0,
            "orphan": True,
            "path": "auth/token/create",
            "policies": ["default"],
            "renewable": False,
            "ttl": 0,
            "type": "service",
        }
        assert list(answer.json["data"]) == sorted(answer.json["data"])
        assert answer.json["mount_type"] == "token"

    async def test_shows_how_long_a_token_has_to_live(self, service: Service) -> None:
        principal = service.authenticator.principals["data"]
        principal.issued_at, principal.expires_at = 4_000_000_000, 4_000_003_600.0
        data = (await service.call("GET", "/v1/auth/token/lookup-self", "data")).json["data"]
        assert data["creation_ttl"] == 3600
        assert data["ttl"] > 1_000_000_000
        assert (data["issue_time"], data["expire_time"]) == ("2096-10-02T07:06:40Z", "2096-10-02T08:06:40Z")

    async def test_of_a_biscuit_that_does_not_say_when_it_was_made_is_of_one_piece(self, service: Service) -> None:
        service.authenticator.principals["data"].expires_at = 4_000_003_600.0
        data = (await service.call("GET", "/v1/auth/token/lookup-self", "data")).json["data"]
        assert data["creation_time"] + data["creation_ttl"] == 4_000_003_600
        assert data["creation_time"] > 1_700_000_000
        assert data["issue_time"] is not None

    async def test_shows_a_second_as_long_as_the_token_lives(self, service: Service) -> None:
        service.authenticator.principals["data"].expires_at = time.time() + 0.9
        assert (await service.call("GET", "/v1/auth/token/lookup-self", "data")).json["data"]["ttl"] == 1

    async def test_may_be_posted(self, service: Service) -> None:
        read = (await service.call("GET", "/v1/auth/token/lookup-self", "data")).json["data"]
        answer = await service.call("POST", "/v1/auth/token/lookup-self", "data", json={"token": "other"})
        assert (answer.status, answer.json["data"]) == (200, read)

    async def test_shows_the_initial_root_token_as_recorded(self, service: Service) -> None:
        record = ServiceToken(
            accessor="acc",
            right=Right.ROOT,
            policies=("root",),
            display_name="root",
            created=1_795_503_611.0,
            path="auth/token/root",
        )
        service.tenant.answers[messages.AuthenticateToken] = ServicePrincipal(record, VAULT_ID)
        token = "hvs.000007" + "a" * 18
        data = (await service.call("GET", "/v1/auth/token/lookup-self", token)).json["data"]
        assert (data["id"], data["accessor"], data["policies"]) == (token, "acc", ["root"])
        assert (data["path"], data["display_name"], data["ttl"]) == ("auth/token/root", "root", 0)

    @pytest.mark.parametrize("token", ["operator", "nothing"])
    async def test_works_however_narrow_the_token(self, service: Service, token: str) -> None:
        service.authenticator.principals["operator"].allowed = lambda access: False
        assert (await service.call("GET", "/v1/auth/token/lookup-self", token)).status == 200

    async def test_works_for_an_operator_while_the_node_is_sealed(self, service: Service) -> None:
        service.backend.node_sealed = True
        assert (await service.call("GET", "/v1/auth/token/lookup-self", "operator")).status == 200

    async def test_works_while_the_tenant_is_sealed(self, service: Service) -> None:
        service.tenant.sealed = True
        assert (await service.call("GET", "/v1/auth/token/lookup-self", "root")).status == 200

    @pytest.mark.parametrize("token", ["root", "hvs.000007" + "a" * 18, "hvs.000008" + "a" * 18])
    async def test_knows_no_vaults_token_while_the_node_is_sealed(self, service: Service, token: str) -> None:
        service.backend.node_sealed = True
        answer = await service.call("GET", "/v1/auth/token/lookup-self", token)
        assert (answer.status, answer.errors) == (503, ["Vault is sealed"])

    @pytest.mark.parametrize("token", ["", "bad", "foreign-operator"])
    async def test_refuses_a_token_that_proves_nothing_while_the_node_is_sealed(
        self, service: Service, token: str
    ) -> None:
        service.backend.node_sealed = True
        answer = await service.call("GET", "/v1/auth/token/lookup-self", token)
        assert (answer.status, answer.errors) == (403, DENIED)


class TestRenewAndRevoke:
    async def test_renewing_a_biscuit_changes_nothing(self, service: Service) -> None:
        answer = await service.call("PUT", "/v1/auth/token/renew-self", "data", json={"increment": "1h"})
        assert answer.json["data"] is None
        assert answer.json["auth"]["client_token"] == "data"
        assert (answer.json["auth"]["renewable"], answer.json["auth"]["lease_duration"]) == (False, 0)
        assert service.tenant.asked == []

    async def test_a_service_token_is_renewed_by_its_tenant(self, service: Service) -> None:
        record = ServiceToken(
            accessor="acc", right=Right.ROOT, policies=("root",), display_name="root", created=0, path="p"
        )
        longer = Issued.renewed(msgspec.structs.replace(record, expires_at=4e9, renewable=True), "hvs.x", 3600)
        principal = ServicePrincipal(record, VAULT_ID)
        service.tenant.answers = {messages.AuthenticateToken: principal, RenewToken: longer}
        token = "hvs.000007" + "a" * 18
        answer = await service.call("PUT", "/v1/auth/token/renew-self", token, json={"increment": "1h"})
        assert answer.json["auth"]["renewable"] is True
        assert answer.json["auth"]["lease_duration"] == 3600
        assert service.tenant.asked[1] == RenewToken(token, increment=3600)

    async def test_a_token_that_is_gone_by_then_is_not_renewed(self, service: Service) -> None:
        """The last of its counted uses ends it, or a revocation; who renews it must not believe that it lives."""
        record = ServiceToken(
            accessor="acc", right=Right.ROOT, policies=("root",), display_name="x", created=0, path="p"
        )
        principal = ServicePrincipal(record, VAULT_ID)
        service.tenant.answers = {messages.AuthenticateToken: principal, RenewToken: None}
        answer = await service.call("PUT", "/v1/auth/token/renew-self", "hvs.000007" + "a" * 18)
        assert (answer.status, answer.errors) == (400, ["token not found"])

    async def test_revoking_reaches_the_tenant(self, service: Service) -> None:
        assert (await service.call("PUT", "/v1/auth/token/revoke-self", "nothing", data=b"null")).status == 204
        assert service.tenant.asked[0].token == "nothing"

    async def test_an_operator_revokes_at_the_node(self, service: Service) -> None:
        assert (await service.call("POST", "/v1/auth/token/revoke-self", "operator")).status == 204
        assert isinstance(service.backend.asked[0], messages.RevokeToken)

    @pytest.mark.parametrize("token", ["operator", "root"])
    async def test_a_revoked_token_is_refused_everywhere(self, service: Service, token: str) -> None:
        service.backend.revoked_ids = service.tenant.revoked_ids = {"r1"}
        for path in ("auth/token/lookup-self", "sys/mounts", "toy/names/a"):
            answer = await service.call("GET", f"/v1/{path}", token)
            assert (answer.status, answer.errors) == (403, DENIED)

    async def test_a_service_token_of_no_tenant_is_refused(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/auth/token/lookup-self", "hvs.000008" + "a" * 18)
        assert (answer.status, answer.errors) == (403, DENIED)

    async def test_a_service_token_its_tenant_does_not_know_is_refused(self, service: Service) -> None:
        service.tenant.answers[messages.AuthenticateToken] = AuthenticationFailed("no such token")
        answer = await service.call("GET", "/v1/auth/token/lookup-self", "hvs.000007" + "a" * 18)
        assert (answer.status, answer.errors) == (403, DENIED)


class TestCapabilities:
    async def test_of_a_root_token_are_root(self, service: Service) -> None:
        body = {"paths": ["secret/data/x", "sys/mounts"]}
        answer = await service.call("POST", "/v1/sys/capabilities-self", "root", json=body)
        assert answer.json["data"] == {"secret/data/x": ["root"], "sys/mounts": ["root"]}
        assert answer.json["sys/mounts"] == ["root"]

    async def test_of_a_data_token_are_all_but_sudo_on_data(self, service: Service) -> None:
        body = {"path": "secret/data/x"}
        answer = await service.call("POST", "/v1/sys/capabilities-self", "data", json=body)
        assert answer.json["capabilities"] == ["create", "delete", "list", "patch", "read", "scan", "update"]

    @pytest.mark.parametrize(
        ("path", "capabilities"),
        [
            ("sys/mounts", ["read"]),
            ("sys/seal", ["deny"]),
            ("auth/token/revoke-self", ["update"]),
            ("sys/capabilities-self", ["update"]),
            ("nosuch/x", ["deny"]),
            ("/sys/mounts", ["read"]),
            ("//sys/mounts", ["deny"]),
            ("/", ["deny"]),
        ],
    )
    async def test_of_a_data_token_elsewhere_are_what_its_right_gives(
        self, service: Service, path: str, capabilities: list[str]
    ) -> None:
        answer = await service.call("POST", "/v1/sys/capabilities-self", "data", json={"path": path})
        assert answer.json["capabilities"] == capabilities

    async def test_follow_the_checks_of_the_token(self, service: Service) -> None:
        service.authenticator.principals["data"].allowed = lambda access: (
            access.operation is Capability.READ and access.path.startswith("secret/data/app/")
        )
        body = {"paths": "secret/data/app/x,secret/data/other"}
        answer = await service.call("POST", "/v1/sys/capabilities-self", "data", json=body)
        assert answer.json["data"] == {"secret/data/app/x": ["read"], "secret/data/other": ["deny"]}

    @pytest.mark.parametrize("body", [{}, {"paths": []}, {"paths": ""}])
    async def test_need_a_path(self, service: Service, body: Any) -> None:
        answer = await service.call("POST", "/v1/sys/capabilities-self", "data", json=body)
        assert (answer.status, answer.errors) == (400, ["paths must be supplied"])

    @pytest.mark.parametrize("body", [{"paths": [""]}, {"paths": ["sys/x", ""]}])
    async def test_refuse_an_empty_path(self, service: Service, body: Any) -> None:
        answer = await service.call("POST", "/v1/sys/capabilities-self", "data", json=body)
        assert (answer.status, answer.errors) == (400, ["1 error occurred:\n\t* missing path\n\n"])

    async def test_refuse_paths_that_are_none(self, service: Service) -> None:
        answer = await service.call("POST", "/v1/sys/capabilities-self", "data", json={"paths": [{"a": 1}]})
        assert answer.status == 400
        answer = await service.call("POST", "/v1/sys/capabilities-self", "data", json={"paths": ["x"] * 1001})
        assert (answer.status, answer.errors) == (400, ["more than 1000 paths"])
        answer = await service.call("POST", "/v1/sys/capabilities-self", "data", json={"paths": ["x" * 40_000] * 2})
        assert (answer.status, answer.errors) == (400, ["the paths are longer than 65536 characters in all"])

    async def test_of_many_paths_are_looked_at_with_others_in_between(self, service: Service) -> None:
        principal = service.authenticator.principals["data"]
        seen: list[int] = []

        async def watch() -> None:
            while True:
                seen.append(len(principal.seen))
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        body = {"paths": [f"secret/data/{number}" for number in range(200)]}
        answers = await asyncio.gather(
            *(service.call("POST", "/v1/sys/capabilities-self", "data", json=body) for _ in range(3))
        )
        watching.cancel()
        assert [len(answer.json["data"]) for answer in answers] == [200] * 3
        # Beside the checks of these paths, one of each request itself.
        assert len(principal.seen) >= 3 * 200 * 6
        assert max(after - before for before, after in itertools.pairwise(seen)) <= 1 + 3


@pytest.mark.parametrize("path", ["sys/seal-status", "sys/health", "sys/leader", "sys/init"])
async def test_a_tenants_token_on_a_sealed_node_is_told_of_the_node(service: Service, path: str) -> None:
    service.backend.node_sealed = True
    with_token = await service.call("GET", f"/v1/{path}", "data")
    without = await service.call("GET", f"/v1/{path}")
    assert with_token.status == without.status
    assert with_token.json.keys() == without.json.keys()
