"""Whatever is sent to any route of a node, the answer is JSON, no 500, and nothing kept is lost or shown.

Routes and fields come from the routers, so a new one is tried as soon as it exists.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import pytest

from kms_http.api.kv import routes as kv
from kms_http.api.kv import unversioned
from kms_http.api.routes import SYSTEM_ROUTES
from kms_http.api.transit import routes as transit
from kms_http.routing import Endpoint, Operation, Route
from tests.conformance.victim import CANARY, Caller, Victim, check

pytestmark = pytest.mark.usefixtures("unharmed")

MERGE_PATCH: Final = "application/merge-patch+json"

METHODS: Final = {
    Operation.READ: "GET",
    Operation.LIST: "LIST",
    Operation.WRITE: "POST",
    Operation.PATCH: "PATCH",
    Operation.DELETE: "DELETE",
    Operation.SCAN: "SCAN",
}
ALL_METHODS: Final = (*METHODS.values(), "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "X")

#: Values of every type, one after the other put into every declared field; raw JSON.
VALUES: Final = (
    "null",
    "true",
    "-1",
    "0.5",
    "1e400",
    "9" * 30,
    "9" * 5000,
    f'"{CANARY}"',
    '""',
    '"\\ud800"',
    '"\\u0000"',
    "[]",
    f'[["{CANARY}"], {{}}, null, -1]',
    f'[{{"plaintext": "{CANARY}", "ciphertext": "{CANARY}", "input": 5, "reference": {{}}}}]',
    "{}",
    f'{{"{CANARY}": {{"{CANARY}": ["{CANARY}"]}}, "cas": "x", "\\ud800": 1}}',
    "[" * 100 + "]" * 100,
)

#: Bodies that are wrong as a whole.
BODIES: Final = (
    b"",
    b"null",
    b"5",
    b'"text"',
    b"[1, 2]",
    b"{",
    b'{"data":',
    b"{'a': 1}",
    b"NaN",
    b'{"a": NaN}',
    b'\xff\xfe{"data": {}}',
    b'{"data": "\xff"}',
    b"\x00" * 64,
    b"[" * 10_000,
    b'{"data":' * 10_000,
    b'{"data":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"plaintext": "' + b"A" * 1_000_001 + b'"}',
    random.Random(3).randbytes(1_000_000),
    b'{"batch_input": [' + b"{}," * 100_000 + b"{}]}",
    b'{"versions": [' + b"1," * 250_000 + b"1]}",
    b"{" + b",".join(b'"k%d": 1' % number for number in range(50_000)) + b"}",
)


class Target(NamedTuple):
    """One operation of one route, on a path of its own."""

    name: str
    path: str
    operation: Operation
    endpoint: Endpoint


def targets() -> Iterator[Target]:
    """Yield everything the routers know."""
    for mount, routes in (
        ("", SYSTEM_ROUTES),
        ("secret/", kv.ROUTES),
        ("plain/", unversioned.ROUTES),
        ("transit/", transit.ROUTES),
    ):
        for route in routes:
            if not route.pattern.startswith("sys/quotas/"):  # a quota would refuse what others ask, too
                yield from targets_of(mount, route)


def targets_of(mount: str, route: Route) -> Iterator[Target]:
    path = mount + re.sub(r"\{(\w+)(\.\.\.)?\}", "victim", route.pattern)
    for operation, endpoint in route.operations.items():
        yield Target(f"{operation.value} {mount}{route.pattern}", path, operation, endpoint)


TARGETS: Final = {target.name: target for target in targets()}


def with_each_value(fields: Iterable[str]) -> Iterator[bytes]:
    """Yield bodies with one value in one field, and with one value in all of them."""
    names = sorted(fields)
    for value in VALUES:
        for name in names:
            yield f'{{"{name}": {value}}}'.encode()
        yield ("{" + ", ".join(f'"{name}": {value}' for name in names) + "}").encode()


def fields_of(endpoint: Endpoint) -> set[str]:
    """Return the declared fields, and those that strict and nested readers look for."""
    return set(endpoint.fields._converters) | {"secret_shares", "secret_threshold", "key", "reset", "undeclared"}


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_types_in_every_field(name: str, victim: Victim, caller: Caller) -> None:
    target = TARGETS[name]
    for body in with_each_value(fields_of(target.endpoint)):
        token = victim.token_for(target.path)
        headers = {"X_Vault_Token": token, "Content_Type": MERGE_PATCH}
        check(caller.send(METHODS[target.operation], f"/v1/{target.path}", body, **headers))


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_bodies(name: str, victim: Victim, caller: Caller) -> None:
    target = TARGETS[name]
    for body in BODIES:
        for content_type in (MERGE_PATCH, "application/x-www-form-urlencoded"):
            headers = {"X_Vault_Token": victim.token_for(target.path), "Content_Type": content_type}
            check(caller.send(METHODS[target.operation], f"/v1/{target.path}", body, **headers))


@pytest.mark.parametrize("name", TARGETS)
def test_wrong_queries(name: str, victim: Victim, caller: Caller) -> None:
    target = TARGETS[name]
    fields = sorted(fields_of(target.endpoint))
    for query in (
        "list=maybe",
        "list=true&list=false",
        "scan=true",
        "scan=perhaps&list=true",
        "version=x&depth=-1&limit=-9&after=%00",
        "a=%ff&b=%ZZ&=&&;",
        "&".join(f"{name}={'9' * 40}" for name in fields),
        "&".join(f"{name}=x&{name}=y" for name in fields),
        "&".join(f"p{number}=1" for number in range(1000)),
        "sealedcode=999999&activecode=-1&uninitcode=%F0%9F%92%A5&standbyok=perhaps",
    ):
        token = victim.token_for(target.path)
        check(caller.send(METHODS[target.operation], f"/v1/{target.path}?{query}", X_Vault_Token=token))


@pytest.mark.parametrize("path", sorted({target.path for target in TARGETS.values()} - {"sys/seal"}))
def test_every_method_on_every_path(path: str, victim: Victim, caller: Caller) -> None:
    for method in ALL_METHODS:
        token = victim.issuer.tenant_operator(victim.tenant.vault_id)
        head = method == "HEAD"
        check(caller.send(method, f"/v1/{path}", X_Vault_Token=token), head=head)
        check(caller.send(method, f"/v1/{path}/", X_Vault_Token=token), head=head)
        check(caller.send(method, f"/v1/{path}"), head=head)


def test_without_a_token_only_looks_at_the_seal_are_answered(caller: Caller) -> None:
    for target in TARGETS.values():
        answer = caller.send(METHODS[target.operation], f"/v1/{target.path}", b"{}", Content_Type=MERGE_PATCH)
        check(answer)
        if target.endpoint.of_wrapping:
            assert answer.status in (400, 403), target.name  # the token is what it asks with, or in the body
        elif target.endpoint.anonymous:
            assert answer.status == 200
        else:
            assert (answer.status, answer.errors) == (403, ["permission denied"]), target.name
