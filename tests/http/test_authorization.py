"""Who may do what is decided before a body is read: by right, by policies, by checks, and by who made the token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from kms_actors.auth.principal import Access, Capability, Right
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken
from kms_actors.errors import PermissionDenied
from kms_actors.messages import AuthenticateToken, ReadSealStatus, SealStatus
from kms_actors.policy.messages import ResolveAcl
from kms_actors.request_context import Bearer
from tests.http.conftest import NAMESPACE, VAULT_ID, FakePrincipal, Service, ToyCommand


@dataclass(frozen=True)
class FakeRule:
    capabilities: frozenset[Capability]
    refused: frozenset[str] = frozenset()
    most: int = 0
    restricts_parameters = True

    def check_parameters(self, sent: Mapping[str, Any]) -> None:
        if not self.refused.isdisjoint(sent):
            raise PermissionDenied("permission denied")

    def limited(self, sent: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**sent, "limit": str(self.most)} if self.most else sent

    def check_wrapping(self, seconds: int | None) -> None:
        pass


@dataclass
class FakeAcl:
    rules: dict[str, FakeRule]
    is_root: bool = False
    made_of: tuple[tuple[str, bytes], ...] = ()
    asked: list[tuple[str, bool]] = field(default_factory=list)

    def rule(self, path: str, *, listing: bool = False) -> FakeRule | None:
        self.asked.append((path, listing))
        return self.rules.get(path)

    def touches(self, prefix: str) -> bool:
        return False

    def resultant(self) -> Mapping[str, Any]:
        return {}


def _caps(*names: str) -> FakeRule:
    return FakeRule(frozenset(map(Capability, names)))


def bearer(
    rules: dict[str, FakeRule], *, narrowed: bool = False, under: FakePrincipal | None = None
) -> FakePrincipal:
    return FakePrincipal(VAULT_ID, Right.POLICY, narrowed=narrowed, acl=FakeAcl(rules), under=under)


@pytest.fixture
def allowed(service: Service) -> Service:
    service.toys_answer("done")
    return service


async def status(service: Service, principal: FakePrincipal, method: str, path: str, json: Any = None) -> int:
    service.authenticator.principals["x"] = principal
    return (await service.call(method, f"/v1/{path}", "x", json=json)).status


async def test_a_policy_gives_what_it_says_and_nothing_else(allowed: Service) -> None:
    principal = bearer({"toy/names/a": _caps("read")})
    assert await status(allowed, principal, "GET", "toy/names/a") == 200
    assert await status(allowed, principal, "DELETE", "toy/names/a") == 403
    assert await status(allowed, principal, "GET", "toy/names/b") == 403
    assert await status(allowed, principal, "GET", "toy/nothing") == 403
    assert await status(allowed, principal, "GET", "absent/x") == 403


async def test_who_has_policies_that_nobody_looked_up_may_do_nothing(allowed: Service) -> None:
    maker = FakePrincipal(VAULT_ID, Right.POLICY, narrowed=False)
    principal = FakePrincipal(VAULT_ID, Right.ROOT, narrowed=False, under=maker)
    assert await status(allowed, principal, "GET", "toy/names/a") == 403
    assert await status(allowed, principal, "GET", "auth/door/own") == 403


async def test_policies_of_a_biscuit_are_looked_up_in_its_vault(allowed: Service) -> None:
    allowed.tenant.answers[ResolveAcl] = FakeAcl({"toy/names/a": _caps("read")})
    principal = FakePrincipal(VAULT_ID, Right.POLICY, narrowed=False, policies=("app", "default"))
    assert await status(allowed, principal, "GET", "toy/names/a") == 200
    assert await status(allowed, principal, "DELETE", "toy/names/a") == 403
    assert allowed.tenant.asked[0] == ResolveAcl(("app", "default"))


async def test_in_a_sealed_vault_nothing_is_known_of_policies(allowed: Service) -> None:
    allowed.tenant.sealed = True
    allowed.tenant.answers[ReadSealStatus] = SealStatus(initialized=True, sealed=True)
    principal = FakePrincipal(VAULT_ID, Right.POLICY, narrowed=False)
    assert await status(allowed, principal, "GET", "sys/seal-status") == 200
    assert await status(allowed, principal, "GET", "toy/names/a") == 503
    assert await status(allowed, principal, "PUT", "sys/unseal", {"key": "a"}) == 403


async def test_lists_are_told_apart(allowed: Service) -> None:
    principal = bearer({"toy/names/": _caps("list")})
    assert await status(allowed, principal, "LIST", "toy/names") == 200
    assert isinstance(principal.acl, FakeAcl)
    assert principal.acl.asked == [("toy/names/", True)]


async def test_create_and_update_become_grants(allowed: Service) -> None:
    principal = bearer({"toy/names/a": _caps("create")})
    assert await status(allowed, principal, "POST", "toy/names/a", {"text": "x"}) == 200
    command = allowed.tenant.asked[-1]
    assert isinstance(command, ToyCommand)
    assert (command.call.grants.create, command.call.grants.update) == (True, False)


async def test_fields_are_seen_by_every_rule(allowed: Service) -> None:
    rule = replace(_caps("update"), refused=frozenset({"text"}))
    assert await status(allowed, bearer({"toy/names/a": rule}), "POST", "toy/names/a", {"text": "x"}) == 403
    under = bearer({"toy/names/a": rule})
    above = bearer({"toy/names/a": _caps("update")}, under=under)
    assert await status(allowed, above, "POST", "toy/names/a", {"text": "x"}) == 403
    assert await status(allowed, above, "POST", "toy/names/a", {"limit": 1}) == 200


async def test_fields_of_lists_and_deletions_are_none_of_a_rule(allowed: Service) -> None:
    rule = replace(_caps("list", "delete", "read"), refused=frozenset({"text"}), most=7)
    principal = bearer({"toy/names/": rule, "toy/names/a": rule})
    assert await status(allowed, principal, "LIST", "toy/names?text=x") == 200
    assert await status(allowed, principal, "DELETE", "toy/names/a?text=x") == 204
    assert await status(allowed, principal, "GET", "toy/names/a?text=x") == 403


async def test_sudo_is_wanted_beside_the_capability(allowed: Service) -> None:
    assert await status(allowed, bearer({"auth/door/all": _caps("read")}), "GET", "auth/door/all") == 403
    assert await status(allowed, bearer({"auth/door/all": _caps("read", "sudo")}), "GET", "auth/door/all") == 200
    assert await status(allowed, FakePrincipal(VAULT_ID, Right.ROOT), "GET", "auth/door/all") == 200


async def test_what_an_endpoint_checks_itself_is_not_asked_of_policies(allowed: Service) -> None:
    assert await status(allowed, bearer({}), "GET", "auth/door/own") == 200


async def test_policies_give_what_root_alone_has_but_nothing_of_the_node(allowed: Service) -> None:
    principal = bearer({"sys/mounts/new": _caps("update", "sudo"), "sys/seal": _caps("update", "sudo")})
    assert await status(allowed, principal, "POST", "sys/mounts/new", {"type": "transit"}) == 204
    assert await status(allowed, bearer({}), "POST", "sys/mounts/new", {"type": "transit"}) == 403


async def test_policies_and_checks_must_both_allow(allowed: Service) -> None:
    def reads(access: Access) -> bool:
        return access.operation is Capability.READ

    principal = bearer({"toy/names/a": _caps("read", "delete")}, narrowed=True)
    principal.allowed = reads
    assert await status(allowed, principal, "GET", "toy/names/a") == 200
    assert await status(allowed, principal, "DELETE", "toy/names/a") == 403


@pytest.mark.parametrize(("method", "expected"), [("GET", 200), ("DELETE", 403), ("POST", 403)])
async def test_a_child_does_no_more_than_who_made_it(allowed: Service, method: str, expected: int) -> None:
    under = FakePrincipal(VAULT_ID, Right.DATA, allowed=lambda access: access.operation is Capability.READ)
    child = bearer({"toy/names/a": _caps("read", "delete", "update")}, under=under)
    assert await status(allowed, child, method, "toy/names/a", {} if method == "POST" else None) == expected


async def test_creation_by_one_and_update_by_the_other_is_neither(allowed: Service) -> None:
    child = bearer({"toy/names/a": _caps("create")}, under=bearer({"toy/names/a": _caps("update")}))
    assert await status(allowed, child, "POST", "toy/names/a", {}) == 403


class TestLogins:
    async def test_need_no_token_and_name_their_vault(self, allowed: Service) -> None:
        answer = await allowed.call("POST", "/v1/auth/door/login", json={}, X_Vault_Namespace=VAULT_ID)
        assert answer.status == 200
        command = allowed.tenant.asked[-1]
        assert isinstance(command, ToyCommand)
        assert command.call.principal is None

    async def test_are_of_the_default_vault_where_none_is_named(
        self, allowed: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert (await allowed.call("POST", "/v1/auth/door/login", json={})).status == 200
        monkeypatch.setattr(allowed.backend, "default_vault", "")
        answer = await allowed.call("POST", "/v1/auth/door/login", json={})
        assert (answer.status, answer.errors) == (403, ["permission denied"])

    async def test_a_vault_that_is_not_there_is_like_a_sealed_one(self, allowed: Service) -> None:
        unknown = await allowed.call("POST", "/v1/auth/door/login", json={}, X_Vault_Namespace="vault_x")
        allowed.tenant.sealed = True
        sealed = await allowed.call("POST", "/v1/auth/door/login", json={}, X_Vault_Namespace=VAULT_ID)
        assert (unknown.status, unknown.body) == (sealed.status, sealed.body) == (503, unknown.body)

    @pytest.mark.parametrize("token", ["stale", "operator", "data"])
    async def test_a_token_beside_it_does_not_matter(self, allowed: Service, token: str) -> None:
        assert (await allowed.call("POST", "/v1/auth/door/login", token, json={})).status == 200

    @pytest.mark.parametrize("path", ["auth/door/users", "auth/door/nothing", "auth/absent/login", "auth/door"])
    async def test_nobody_gets_to_anything_else(self, allowed: Service, path: str) -> None:
        answer = await allowed.call("GET", f"/v1/{path}", X_Vault_Namespace=VAULT_ID)
        assert (answer.status, answer.errors) == (403, ["permission denied"])

    async def test_a_token_of_another_scope_is_no_token_there(self, allowed: Service) -> None:
        assert (await allowed.call("GET", "/v1/auth/door/users", "root")).status == 200
        other = FakePrincipal(NAMESPACE, Right.OPERATOR)
        assert await status(allowed, other, "GET", "auth/door/users") == 403


class TestChosenTokens:
    """Texts without an integer are of the default vault, or of none."""

    TEXT = "a-text-of-ones-own-0123456789"

    @pytest.fixture
    def bearer(self, allowed: Service) -> ServicePrincipal:
        record = ServiceToken(
            accessor="A", right=Right.ROOT, policies=("root",), display_name="", created=1.0, path="p", chosen=True
        )
        principal = ServicePrincipal(record, VAULT_ID)
        allowed.tenant.answers[AuthenticateToken] = principal
        return principal

    async def test_are_of_the_default_vault(self, allowed: Service, bearer: ServicePrincipal) -> None:
        assert (await allowed.call("GET", "/v1/toy/names/a", self.TEXT)).status == 200
        asked = allowed.tenant.asked[0]
        assert isinstance(asked, AuthenticateToken)
        assert (asked.token, asked.proven, asked.use) == (self.TEXT, True, True)
        assert (await allowed.call("GET", "/v1/toy/names/a", self.TEXT, X_Vault_Namespace=NAMESPACE)).status == 403

    async def test_rest_on_their_accessor(
        self, allowed: Service, bearer: ServicePrincipal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        borne: list[Bearer | None] = []
        monkeypatch.setattr("kms_http.caller.request_context.borne_by", borne.append)
        assert (await allowed.call("GET", "/v1/toy/names/a", self.TEXT)).status == 200
        (found,) = borne
        assert found is not None
        assert (found.accessor, found.proof) == ("A", b"")

    async def test_are_of_none_where_none_is_named(
        self, allowed: Service, bearer: ServicePrincipal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(allowed.backend, "default_vault", "")
        assert (await allowed.call("GET", "/v1/toy/names/a", self.TEXT)).status == 403
        monkeypatch.setattr(allowed.backend, "default_vault", "vault_x")
        assert (await allowed.call("GET", "/v1/toy/names/a", self.TEXT)).status == 403
        assert allowed.tenant.asked == []

    async def test_cannot_be_told_while_it_is_sealed(self, allowed: Service) -> None:
        allowed.tenant.sealed = True
        assert (await allowed.call("GET", "/v1/toy/names/a", self.TEXT)).status == 503
        assert (await allowed.call("GET", "/v1/sys/health", self.TEXT)).status != 403
        assert allowed.tenant.asked == []
