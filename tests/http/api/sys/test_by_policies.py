"""What the caller's policies are told to give, and which mounts they let be seen."""

from __future__ import annotations

import msgspec
import pytest

from kms_actors.auth.principal import Capability, Right
from kms_actors.auth.service_token import ServicePrincipal, ServiceToken
from kms_actors.token.messages import LookUpToken
from tests.http.conftest import VAULT_ID, FakePrincipal, Service
from tests.http.test_authorization import FakeAcl, FakeRule

OTHER = "hvs.000007" + "a" * 18
READS = FakeRule(frozenset({Capability.READ, Capability.LIST}))
#: Paths below mounts that every vault has, and what is answered to who may do something at two of them.
OWN = {"sys": 200, "sys/x": 200, "auth/token/lookup": 200, "cubbyhole/x": 403, "identity": 403, "auth": 403}


class Acl(FakeAcl):
    def touches(self, prefix: str) -> bool:
        return any(path.startswith(prefix) for path in self.rules)

    def resultant(self) -> dict[str, object]:
        return {"root": False, "exact_paths": dict.fromkeys(self.rules), "glob_paths": {}}


@pytest.fixture
def bearer(service: Service) -> FakePrincipal:
    acl = Acl({"secret/data/x": READS, "sys/internal/ui/resultant-acl": READS})
    acl.rules["sys/capabilities-self"] = FakeRule(frozenset({Capability.UPDATE}))
    principal = FakePrincipal(VAULT_ID, Right.POLICY, narrowed=False, acl=acl)
    service.authenticator.principals["x"] = principal
    return principal


async def capabilities(service: Service, path: str) -> list[str]:
    answer = await service.call("POST", "/v1/sys/capabilities-self", "x", json={"path": path})
    found = answer.json["capabilities"]
    assert isinstance(found, list)
    return found


async def test_capabilities_are_those_of_the_rule(service: Service, bearer: FakePrincipal) -> None:
    assert await capabilities(service, "secret/data/x") == ["list", "read"]
    assert await capabilities(service, "secret/data/y") == ["deny"]
    assert await capabilities(service, "sys/mounts") == ["deny"]


async def test_of_a_child_they_are_its_own_and_its_makers(service: Service, bearer: FakePrincipal) -> None:
    bearer.under = FakePrincipal(
        VAULT_ID, Right.DATA, allowed=lambda access: access.operation in (Capability.READ, Capability.UPDATE)
    )
    assert await capabilities(service, "secret/data/x") == ["read"]


async def test_of_root_by_policy_they_are_all(service: Service, bearer: FakePrincipal) -> None:
    bearer.acl = FakeAcl({}, is_root=True)
    assert set(await capabilities(service, "secret/data/x")) == set(Capability)


async def test_mounts_are_seen_where_something_may_be_done_below(service: Service, bearer: FakePrincipal) -> None:
    answer = await service.call("GET", "/v1/sys/internal/ui/mounts", "x")
    assert list(answer.json["data"]["secret"]) == ["secret/", "sys/"]
    assert answer.json["data"]["auth"] == {}
    assert (await service.call("GET", "/v1/sys/internal/ui/mounts/secret/y", "x")).status == 200
    refused = await service.call("GET", "/v1/sys/internal/ui/mounts/transit/y", "x")
    unknown = await service.call("GET", "/v1/sys/internal/ui/mounts/nosuch/y", "x")
    assert (refused.status, unknown.status) == (403, 403)
    assert refused.errors[0].replace("transit", "nosuch") == unknown.errors[0]


async def test_so_are_those_that_every_vault_has(service: Service, bearer: FakePrincipal) -> None:
    bearer.acl = Acl({"sys/mounts": READS, "auth/token/create": READS})
    asked = {path: await service.call("GET", f"/v1/sys/internal/ui/mounts/{path}", "x") for path in OWN}
    assert {path: answer.status for path, answer in asked.items()} == OWN
    assert asked["sys"].json["data"]["path"] == "sys/"
    assert asked["auth/token/lookup"].json["data"]["path"] == "token/"


async def test_that_there_are_no_namespaces_is_told_to_anybody(service: Service, bearer: FakePrincipal) -> None:
    assert (await service.call("GET", "/v1/sys/internal/ui/namespaces", "x")).status == 200


async def test_a_maker_without_a_way_there_hides_them(service: Service, bearer: FakePrincipal) -> None:
    bearer.under = FakePrincipal(VAULT_ID, Right.POLICY, narrowed=False, acl=Acl({"transit/keys/a": READS}))
    assert (await service.call("GET", "/v1/sys/internal/ui/mounts/secret/y", "x")).status == 403


async def test_all_that_policies_say(service: Service, bearer: FakePrincipal) -> None:
    answer = await service.call("GET", "/v1/sys/internal/ui/resultant-acl", "x")
    assert next(iter(answer.json["data"]["exact_paths"])) == "secret/data/x"
    assert (await service.call("GET", "/v1/sys/internal/ui/resultant-acl", "root")).json["data"] == {"root": True}
    data = (await service.call("GET", "/v1/sys/internal/ui/resultant-acl", "data")).json["data"]
    assert list(data["glob_paths"]) == ["secret/", "toy/", "transit/"]


class TestOfOthers:
    @pytest.fixture
    def other(self, service: Service) -> ServicePrincipal:
        record = msgspec.structs.replace(ServiceToken.root(0), right=Right.POLICY, policies=("app",))
        found = ServicePrincipal(record, VAULT_ID, Acl({"secret/data/x": READS}))
        service.tenant.answers[LookUpToken] = found
        return found

    @pytest.mark.parametrize(
        ("path", "named"), [("capabilities", {"token": OTHER}), ("capabilities-accessor", {"accessor": "a"})]
    )
    async def test_are_looked_up(
        self, service: Service, other: ServicePrincipal, path: str, named: dict[str, str]
    ) -> None:
        body = {"paths": ["secret/data/x", "secret/data/y"], **named}
        answer = await service.call("POST", f"/v1/sys/{path}", "root", json=body)
        assert answer.json["data"] == {"secret/data/x": ["list", "read"], "secret/data/y": ["deny"]}
        assert service.tenant.asked[-1] == LookUpToken(**named)

    async def test_one_that_is_stored_nowhere_is_told_as_others(
        self, service: Service, other: ServicePrincipal
    ) -> None:
        service.tenant.answers[LookUpToken] = other
        body = {"token": "hvb.000007" + "a" * 500, "path": "secret/data/x"}
        answer = await service.call("POST", "/v1/sys/capabilities", "root", json=body)
        assert answer.json["capabilities"] == ["list", "read"]

    async def test_one_that_is_not_there_is_told_as_vault_does(self, service: Service) -> None:
        service.tenant.answers[LookUpToken] = None
        answer = await service.call("POST", "/v1/sys/capabilities", "root", json={"token": OTHER, "path": "x"})
        assert (answer.status, answer.errors) == (400, ["1 error occurred:\n\t* invalid token\n\n"])
        body = {"accessor": "a", "path": "x"}
        answer = await service.call("POST", "/v1/sys/capabilities-accessor", "root", json=body)
        assert (answer.status, answer.errors) == (400, ["1 error occurred:\n\t* invalid accessor\n\n"])

    async def test_ones_own_by_name(self, service: Service) -> None:
        answer = await service.call("POST", "/v1/sys/capabilities", "root", json={"token": "root", "path": "x"})
        assert answer.json["capabilities"] == ["root"]

    async def test_what_a_biscuit_made_is_not_told_as_more_than_it_is(
        self, service: Service, other: ServicePrincipal
    ) -> None:
        record = msgspec.structs.replace(other.record, under="biscuit")
        service.tenant.answers[LookUpToken] = ServicePrincipal(record, VAULT_ID, other.acl)
        for token in (OTHER, "EmwK"):
            body = {"token": token, "path": "secret/data/x"}
            answer = await service.call("POST", "/v1/sys/capabilities", "root", json=body)
            assert (answer.status, len(answer.errors)) == (400, 1)
            assert "capabilities-self" in answer.errors[0]

    @pytest.mark.parametrize("path", ["capabilities", "capabilities-accessor"])
    async def test_must_be_named(self, service: Service, path: str) -> None:
        assert (await service.call("POST", f"/v1/sys/{path}", "root", json={"path": "x"})).status == 400
