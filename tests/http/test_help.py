"""Help is told instead of what is asked, to those who may do something there.

The kind: `vault path-help` of a secret's path read the secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kms_actors.auth.principal import Right
from tests.http.conftest import VAULT_ID, FakePrincipal

if TYPE_CHECKING:
    from tests.http.conftest import Service


@pytest.mark.parametrize("query", ["help=1", "help=true", "list=true&help=1", "a=b&help=x"])
@pytest.mark.parametrize("method", ["GET", "LIST", "POST", "DELETE", "PATCH", "HELP"])
async def test_nothing_is_done_where_help_is_asked_for(service: Service, method: str, query: str) -> None:
    answer = await service.call(method, f"/v1/secret/data/app?{query}", "root")
    assert answer.status == 200
    assert list(answer.json) == ["help", "openapi", "see_also"]
    assert answer.json["help"].startswith("Request:        data/app\n")
    assert service.tenant.asked == []


async def test_the_method_help_is_enough(service: Service) -> None:
    answer = await service.call("HELP", "/v1/sys/mounts/x", "data")
    assert answer.status == 200
    assert "Enable, show and disable a mount." in answer.json["help"]
    assert service.observed[-1][:2] == ("help", 200)


@pytest.mark.parametrize("path", ["secret", "secret/", "sys", "auth/token", "transit/"])
async def test_a_mount_lists_its_paths(service: Service, path: str) -> None:
    answer = await service.call("GET", f"/v1/{path}?help=1", "root")
    assert answer.status == 200
    assert "## PATHS" in answer.json["help"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("nosuch/x", 'no handler for route "nosuch/x". route entry not found.'),
        ("sys/nosuch", "1 error occurred:\n\t* unsupported path\n\n"),
        ("transit/nosuch/x", "1 error occurred:\n\t* unsupported path\n\n"),
    ],
)
async def test_there_is_none_for_what_is_not_there(service: Service, path: str, text: str) -> None:
    answer = await service.call("GET", f"/v1/{path}?help=1", "root")
    assert (answer.status, answer.errors) == (404, [text])


async def test_it_takes_a_token(service: Service) -> None:
    for path in ("secret/data/app", "sys/health"):
        answer = await service.call("GET", f"/v1/{path}?help=1")
        assert (answer.status, answer.errors) == (403, ["permission denied"])


async def test_who_may_do_nothing_there_does_not_learn_whether_there_is_a_mount(service: Service) -> None:
    service.authenticator.principals["names"] = FakePrincipal(
        VAULT_ID, Right.DATA, allowed=lambda access: access.path.startswith("secret/data/own/")
    )
    assert (await service.call("GET", "/v1/secret/data/own/x?help=1", "names")).status == 200
    for token, path in (("names", "secret/data/x"), ("names", "nosuch/x"), ("nothing", "secret/data/own/x")):
        assert (await service.call("GET", f"/v1/{path}?help=1", token)).status == 403
    service.authenticator.principals["policies"] = FakePrincipal(VAULT_ID, Right.POLICY, narrowed=False)
    assert (await service.call("GET", "/v1/secret/data/x?help=1", "policies")).status == 403
    assert (await service.call("GET", "/v1/sys/mounts?help=1", "policies")).status == 200


async def test_an_operator_of_the_cluster_has_no_mounts(service: Service) -> None:
    assert (await service.call("GET", "/v1/sys/unseal?help=1", "operator")).status == 200
    assert (await service.call("GET", "/v1/secret/data/x?help=1", "operator")).status == 403


async def test_a_sealed_scope_tells_nothing(service: Service) -> None:
    service.tenant.sealed = True
    assert (await service.call("GET", "/v1/secret/data/x?help=1", "root")).status == 503
    service.backend.node_sealed = True
    assert (await service.call("GET", "/v1/sys/unseal?help=1", "operator")).status == 503


class TestDocument:
    async def test_it_has_the_mounts_of_the_vault_that_asks(self, service: Service) -> None:
        service.tenant.mounts = type(service.tenant.mounts)(
            [mount for mount in service.tenant.mounts if mount.engine in {"kv", "transit"}]
        )
        for method in ("GET", "POST"):
            answer = await service.call(method, "/v1/sys/internal/specs/openapi", "root")
            assert answer.status == 200
            assert "/secret/data/{path}" in answer.json["paths"]
            assert "/toy/names" not in answer.json["paths"]
        generic = await service.call("GET", "/v1/sys/internal/specs/openapi?generic_mount_paths=true", "root")
        assert "/{secret_mount_path}/data/{path}" in generic.json["paths"]

    async def test_nobody_is_told_of_no_vault(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/internal/specs/openapi")
        assert answer.status == 200
        assert all(path.startswith(("/sys/", "/auth/")) for path in answer.json["paths"])
        assert "/sys/health" in answer.json["paths"]

    async def test_a_context_is_a_word(self, service: Service) -> None:
        answer = await service.call("GET", "/v1/sys/internal/specs/openapi?context=a%22b", "operator")
        assert (answer.status, answer.errors) == (400, ["context: at most 64 letters, digits, `_` and `-`"])
