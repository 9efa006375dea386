"""One path and one operation, for whoever asks: the router, the mounts, a token's checks and `capabilities-self`.

The kind: one thing has two names, and a check that denies the one is silent of the other. A slash at the end was
dropped by endpoints after the checks had seen it; lists, writes and looks had two verbs each. Now the router takes a
slash at the end of lists alone, and `method` follows the operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_actors.auth.principal import Access
from kms_actors.errors import UnsupportedOperation, UnsupportedPath
from kms_actors.messages import Grants
from kms_actors.mounts import Mount, MountTable
from kms_http.api.routes import ENGINES, SYSTEM
from kms_http.routing import LISTING, METHODS, Call, Operation, Router

if TYPE_CHECKING:
    from tests.http.conftest import FakePrincipal, Service

ROUTERS = {"system": SYSTEM, **ENGINES}
MERGE = {"Content_Type": "application/merge-patch+json"}
#: How each operation may be asked for: verb and query.
SPELLINGS = {
    Operation.READ: [("GET", "")],
    Operation.LIST: [("LIST", ""), ("GET", "?list=true"), ("LIST", "?list=1")],
    Operation.WRITE: [("POST", ""), ("PUT", "")],
    Operation.PATCH: [("PATCH", "")],
    Operation.DELETE: [("DELETE", "")],
    Operation.SCAN: [("SCAN", ""), ("GET", "?scan=true"), ("SCAN", "?scan=1")],
}


@pytest.fixture
def principal(service: Service) -> FakePrincipal:
    return service.authenticator.principals["root"]


def deny(principal: FakePrincipal, **facts: Any) -> None:
    """Narrow a token as `check if path($p), $p != "…"` would."""
    principal.allowed = lambda access: not all(getattr(access, name) == value for name, value in facts.items())


@pytest.mark.parametrize("spelling", ["toy/names/a", "toy/names%2Fa", "toy/names/%61", "toy%2fnames%2f%61"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_denied_path_is_denied_however_it_is_written(
    service: Service, principal: FakePrincipal, spelling: str, method: str
) -> None:
    deny(principal, path="toy/names/a")
    assert (await service.call(method, f"/v1/{spelling}", "root", json={})).status == 403
    assert service.tenant.asked == []


@pytest.mark.parametrize("path", ["toy/names/a/", "toy/names/a%2F", "sys/mounts/secret/", "sys/mounts/secret%2F"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_slash_at_the_end_names_nothing(service: Service, path: str, method: str) -> None:
    headers = MERGE if method == "PATCH" else {}
    answer = await service.call(method, f"/v1/{path}", "root", json={"type": "kv"}, **headers)
    assert answer.status in {400, 404, 405}
    assert service.tenant.asked == []


@pytest.mark.parametrize("name", sorted(ROUTERS))
@given(data=st.data())
def test_no_route_takes_a_slash_at_the_end_unless_it_lists(name: str, data: st.DataObject) -> None:
    router = ROUTERS[name]
    pattern, operation = data.draw(st.sampled_from([*_endpoints(router)]))
    path = re.sub(r"\{\w+\}", "name", re.sub(r"\{\w+\.\.\.\}", "some/where", pattern))
    if operation in LISTING:
        same = router.resolve(path + "/", operation) == router.resolve(path, operation)
        assert same or "..." in pattern
        return
    router.resolve(path, operation)
    if pattern.startswith("sys/internal/ui/mounts/"):  # asks in which mount a folder lies
        return
    try:
        _, _, captures = router.resolve(path + "/", operation)
    except (UnsupportedPath, UnsupportedOperation):
        return
    assert set(captures.values()) == {""}  # another route's, and nothing has that name


def _endpoints(router: Router) -> Iterator[tuple[str, Operation]]:
    found = [*router._catch_all, *(entry for entries in router._by_first.values() for entry in entries)]
    entries = {id(entry): entry for entry in found}
    for entry in entries.values():
        for operation in entry.route.operations:
            yield entry.route.pattern, operation


@pytest.mark.parametrize("name", sorted(ROUTERS))
def test_what_makes_one_name_of_two_is_known_to_the_router(name: str) -> None:
    """The kind: a handler reads `ANN` as `ann`, and a rule for the one is silent of the other."""
    router = ROUTERS[name]
    for pattern, operation in _endpoints(router):
        for capture in re.findall(r"\{(\w+)", pattern):
            small = re.sub(rf"\{{{capture}[.]*\}}", "ann", pattern)
            spellings = (small, small.replace("ann", "ANN"), small.replace("ann", "bob"))
            paths = [re.sub(r"\{\w+[.]*\}", "x", path) for path in spellings]
            endpoints = [router.resolve(path, operation) for path in paths]
            one, same, other = (_message(endpoint.build, operation, each) for _, endpoint, each in endpoints)
            if one is not None and one == same and one != other:
                assert [router.one_spelling(path) for path in paths[:2]] == [paths[0]] * 2, pattern


def _message(build: Any, operation: Operation, captures: Any) -> Any:
    """Return what a request becomes; None where it needs more than its path."""
    mount = Mount("m/", "kv", 1, "u", "a")
    values = {"policy": 'path "a" { capabilities = ["read"] }', "password": "p", "token_policies": ["x"]}
    try:
        return build(Call(operation, "m", captures, values, mount, None, Grants()))
    except Exception:  # noqa: BLE001  # a handler that wants other fields
        return None


async def test_checks_and_policies_see_one_name(real: Service, principal: FakePrincipal) -> None:
    """Whoever is kept from a user is kept from him by every spelling; entries and answers have the path as it was."""
    real.tenant.mounts = MountTable([Mount("auth/in/", "userpass", 9, "u", "a")])
    deny(principal, path="auth/in/users/ann")
    for spelling in ("ann", "ANN", "aNn", "%41nn"):
        assert (await real.call("GET", f"/v1/auth/in/users/{spelling}", "root")).status == 403
    assert real.tenant.asked == []
    assert {access.path for access in principal.seen} == {"auth/in/users/ann"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "transit/keys/", 405),
        ("GET", "transit/keys/k/", 404),
        ("GET", "secret/data/a/", 405),
        ("GET", "secret/metadata/a/", 405),
        ("DELETE", "secret/metadata/a/", 405),
        ("GET", "sys/mounts/secret/", 404),
        ("DELETE", "sys/mounts/secret/", 404),
        ("GET", "auth/token/lookup-self/", 404),
    ],
)
async def test_such_a_path_is_unknown_or_a_list(real: Service, method: str, path: str, status: int) -> None:
    assert (await real.call(method, f"/v1/{path}", "root")).status == status


@pytest.fixture
def real(service: Service) -> Service:
    service.engines.update(ENGINES)
    return service


@pytest.mark.parametrize(
    ("operation", "verb", "query"),
    [(operation, verb, query) for operation, ways in SPELLINGS.items() for verb, query in ways],
)
async def test_checks_see_one_method_for_an_operation(
    service: Service, principal: FakePrincipal, operation: Operation, verb: str, query: str
) -> None:
    path = "toy/names" if operation in LISTING else "toy/names/a"
    sent: Any = None if verb in {"GET", "LIST", "SCAN"} else {}
    await service.call(verb, f"/v1/{path}{query}", "root", json=sent, **(MERGE if verb == "PATCH" else {}))
    assert {access.method for access in principal.seen} == {METHODS[operation]}
    deny(principal, method=METHODS[operation])
    answer = await service.call(verb, f"/v1/{path}{query}", "root", json=sent, **(MERGE if verb == "PATCH" else {}))
    assert answer.status == 403


@pytest.mark.parametrize(
    "facts",
    [{"path": "toy/names/a"}, {"path": "toy/names/a/"}, *({"method": method} for method in ("LIST", "POST", "SCAN"))],
)
async def test_capabilities_are_what_requests_get(
    service: Service, principal: FakePrincipal, facts: dict[str, str]
) -> None:
    deny(principal, **facts)
    answer = await service.call("PUT", "/v1/sys/capabilities-self", "root", json={"paths": ["toy/names/a"]})
    capable = set(answer.json["data"]["toy/names/a"])
    for operation, needed in (
        (Operation.READ, {"read"}),
        (Operation.LIST, {"list"}),
        (Operation.WRITE, {"create", "update"}),
        (Operation.PATCH, {"patch"}),
        (Operation.DELETE, {"delete"}),
        (Operation.SCAN, {"scan"}),
    ):
        verb, query = SPELLINGS[operation][0]
        sent: Any = None if verb in {"GET", "LIST", "SCAN"} else {}
        answer = await service.call(
            verb, f"/v1/toy/names/a{query}", "root", json=sent, **(MERGE if verb == "PATCH" else {})
        )
        assert (answer.status != 403) == (needed <= capable), (operation, capable)


@pytest.mark.parametrize("path", ["//toy/names/a", "toy//names", "toy/../a", "a\x00b", "é" * 3000])
async def test_what_cannot_be_requested_has_no_capabilities(service: Service, path: str) -> None:
    answer = await service.call("PUT", "/v1/sys/capabilities-self", "root", json={"paths": [path]})
    assert answer.json["data"][path] == ["deny"]


async def test_a_check_sees_no_more_than_a_bounded_path(service: Service, principal: FakePrincipal) -> None:
    seen: list[Access] = principal.seen
    for path in ("toy/names/" + "a" * 600, "toy/nosuch/" + "b" * 6000):
        assert (await service.call("GET", f"/v1/{path}", "root")).status == 400
    assert seen == []
