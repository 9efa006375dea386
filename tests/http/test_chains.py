"""No chain of narrowing, children, roles, templates and wraps ever gives more than its beginning had.

The oracle asks: a token may what it is not refused, of a small set of requests that covers each kind of rule. What
begins with a biscuit never exceeds that biscuit, whoever of its children makes what. What begins with a service token
has what its policies give one by one, and what roles name beside them: the rule is Vault's, of names, and a policy
that denies may be left out. `KMS_CHAINS_EXAMPLES` draws more.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from kms_actors.auth import batch_token
from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import Privilege, attenuate, build_token
from kms_actors.auth.keys import TokenKeys
from kms_actors.auth.principal import Capability
from kms_http.handler import Handler
from kms_http.server import HttpServer
from kms_http.wire.head import Head
from kms_http.wire.request import Request
from tests.support.vaults import filled, node, opened

VAULT: Final = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"
EXAMPLES: Final = int(os.environ.get("KMS_CHAINS_EXAMPLES", "40"))

POLICIES: Final = {
    "reader": 'path "secret/data/a" { capabilities = ["read"] } path "secret/data/b" { capabilities = ["read"] } '
    'path "secret/metadata/*" { capabilities = ["list"] }',
    "writer": 'path "secret/data/+" { capabilities = ["create", "update", "delete"] }',
    "fielded": 'path "secret/data/a" { capabilities = ["update", "read"] denied_parameters = { "options" = [] } }',
    "denier": 'path "secret/data/a" { capabilities = ["deny"] } path "sys/mounts" { capabilities = ["deny"] }',
    "own": 'path "secret/data/{{identity.entity.name}}" { capabilities = ["read", "update"] }',
    "crypt": 'path "transit/*" { capabilities = ["update", "read"] }',
    "looker": 'path "sys/*" { capabilities = ["read"] } path "auth/token/accessors" { capabilities = ["list"] }',
    "maker": 'path "auth/token/create" { capabilities = ["update"] } path "auth/token/create/*" '
    '{ capabilities = ["update"] } path "sys/wrapping/*" { capabilities = ["update"] }',
    "boss": 'path "auth/token/*" { capabilities = ["update", "sudo", "list", "read"] }',
}
NAMES: Final = sorted(POLICIES)
ROLES: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "orphans": {"orphan": True},
    "listed": {"allowed_policies": ["reader", "own"]},
    "globbed": {"allowed_policies_glob": ["*er"], "disallowed_policies": ["writer"]},
    "forbidding": {"disallowed_policies": ["crypt"]},
    "batches": {"token_type": "batch", "orphan": True, "renewable": False},
    "aliased": {"allowed_entity_aliases": ["*"], "allowed_policies_glob": ["*"]},
}
#: Roles that say themselves which policies may be asked for.
NAMING: Final = {"listed", "globbed", "forbidding", "aliased"}

Ask = tuple[str, str, Any]
REQUESTS: Final[tuple[Ask, ...]] = (
    ("GET", "secret/data/a", None),
    ("GET", "secret/data/b", None),
    ("GET", "secret/data/ann", None),
    ("POST", "secret/data/a", {"data": {}}),
    ("POST", "secret/data/a", {"data": 5, "options": {}}),
    ("POST", "secret/data/ann", {"data": 5}),
    ("DELETE", "secret/data/none", None),
    ("LIST", "secret/metadata/", None),
    ("POST", "transit/encrypt/orders", {"plaintext": "AAAA"}),
    ("GET", "sys/mounts", None),
    ("GET", "sys/policies/acl/reader", None),
    ("LIST", "auth/token/accessors", None),
    ("POST", "auth/token/create-orphan", {"ttl": "-1s"}),
)


class Step(NamedTuple):
    """One step of a chain: a token is made, in a wrapped answer or not, or narrowed where it can be."""

    kind: str  # create, create-orphan, a role, or narrow
    sent: Mapping[str, Any] = {}
    wrapped: bool = False
    paths: tuple[str, ...] = ()
    operations: tuple[Capability, ...] = ()


#: Most of them leave the paths that go on with a chain.
_NARROW = st.tuples(
    st.sampled_from(
        [("auth/token/*",), ("auth/token/*", "secret/data/a"), ("auth/*", "secret/*"), ("secret/*",), ("sys/+",), ()]
    ),
    st.sampled_from([(), (), (Capability.UPDATE,), (Capability.READ, Capability.UPDATE), (Capability.READ,)]),
).map(lambda limits: Step("narrow", paths=limits[0], operations=limits[1]))
_ASKED = st.lists(st.sampled_from([*NAMES, "default", "root"]), max_size=3)
_SENT = st.fixed_dictionaries(
    {"policies": _ASKED.map(lambda some: [*some, "maker"] if some else [])},
    optional={
        "no_default_policy": st.booleans(),
        "no_parent": st.booleans(),
        "type": st.sampled_from(["service", "service", "batch"]),
    },
)
_CREATE = st.tuples(st.sampled_from(["create", "create", "create-orphan"]), _SENT, st.booleans())
_BY_ROLE = st.tuples(st.sampled_from([*ROLES]), _SENT, st.booleans())
_BY_ALIAS = st.tuples(_SENT, st.sampled_from(["ann", "other"]), st.booleans()).map(
    lambda drawn: ("aliased", {**drawn[0], "entity_alias": drawn[1]}, drawn[2])
)
_MAKE = st.one_of(_CREATE, _BY_ROLE, _BY_ALIAS).map(lambda drawn: Step(*drawn))
_STEPS = st.lists(st.one_of(_MAKE, _MAKE, _NARROW), min_size=2, max_size=5)
#: Without that of making tokens there is no chain.
_SOME = st.lists(st.sampled_from(NAMES), max_size=4, unique=True).map(lambda names: sorted({*names, "maker"}))


class _Peer:
    remote = "127.0.0.1"
    lost = False
    behind = False


class Edge:
    """A node's own edge and vault, asked without a socket."""

    def __init__(self, handler: Handler, keys: TokenKeys, root: str) -> None:
        self._handler = handler
        self._keys = keys
        self.root = root
        self._alone: dict[str, frozenset[int]] = {}

    async def ask(self, token: str, ask: Ask, wrap_ttl: str = "") -> tuple[int, Any]:
        method, path, sent = ask
        headers = CIMultiDict({"Host": "h", "X-Vault-Token": token})
        if wrap_ttl:
            headers["X-Vault-Wrap-TTL"] = wrap_ttl
        body = b"" if sent is None else json.dumps(sent).encode()
        head = Head(method, f"/v1/{path}", 1, headers, len(body), True, False)
        response = await asyncio.create_task(self._handler(Request(_Peer(), head, body)))  # type: ignore[arg-type]
        return response.status, json.loads(response.body) if response.body else None

    async def may(self, token: str) -> frozenset[int]:
        """Return the numbers of requests that a token is not refused."""
        answers = [(await self.ask(token, ask))[0] for ask in REQUESTS]
        assert not {500, 503} & {*answers}, answers
        return frozenset(number for number, status in enumerate(answers) if status != 403)

    async def made(self, token: str, path: str, sent: Any, *, wrapped: bool = False) -> tuple[str, list[str]] | None:
        """Have a token make another: its text, and its policies; None where that is refused."""
        status, answer = await self.ask(token, ("POST", path, sent), "60s" if wrapped else "")
        assert status in {200, 400, 403}, (status, answer)
        if status != 200:
            return None
        if wrapped:
            wrapping = answer["wrap_info"]["token"]
            assert await self.may(wrapping) == frozenset()
            status, answer = await self.ask(self.root, ("POST", "sys/wrapping/unwrap", {"token": wrapping}))
            assert status in {200, 400}  # used up by what it was tried on
            return None if status == 400 else (answer["auth"]["client_token"], answer["auth"]["policies"])
        return answer["auth"]["client_token"], answer["auth"]["policies"]

    async def alone(self, name: str) -> frozenset[int]:
        """Return what a policy alone gives, to who is ann."""
        if name not in self._alone:
            made = await self.made(
                self.root,
                "auth/token/create/aliased",
                {"policies": [name], "no_default_policy": True, "entity_alias": "ann", "ttl": "24h"},
            )
            assert made is not None
            self._alone[name] = await self.may(made[0])
        return self._alone[name]

    async def together(self, names: Iterable[str]) -> frozenset[int]:
        return frozenset[int]().union(*[await self.alone(name) for name in names if name in POLICIES])

    def biscuit(self, privilege: Privilege, policies: Iterable[str]) -> str:
        keys = self._keys
        return build_token(
            keys.root, keys.service, VAULT, privilege, owner="ann", now=time.time(), policies=policies, ttl=86_400
        )

    async def next(self, token: str, step: Step) -> tuple[str, list[str]] | None:
        """Take a step from a token; None where it leads nowhere."""
        if step.kind == "narrow":
            if token.startswith("hvs.") or not (step.paths or step.operations):
                return None
            return attenuate(token, now=time.time(), paths=step.paths, operations=step.operations), []
        of_role = step.kind in ROLES
        path = f"auth/token/create/{step.kind}" if of_role else f"auth/token/{step.kind}"
        return await self.made(token, path, {"ttl": "1h", **step.sent}, wrapped=step.wrapped)


@pytest_asyncio.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    keys = TokenKeys.generate()
    async with opened(tmp_path) as store, node(store, tmp_path, default_vault=VAULT, lease_seconds=60) as service:
        vault = await filled(service, VAULT)
        authenticator = BiscuitAuthenticator([keys.public], "s", "kms-c1")
        handler = HttpServer(service, authenticator, lambda *_: None)._handler
        found = Edge(handler, keys, vault.root_token)

        async def write(path: str, sent: Any) -> Any:
            status, answer = await found.ask(found.root, ("POST", path, sent))
            assert status in {200, 204}, (path, answer)
            return answer

        for name, policy in POLICIES.items():
            await write(f"sys/policies/acl/{name}", {"policy": policy})
        for name, role in ROLES.items():
            await write(f"auth/token/roles/{name}", role)
        for name in ("a", "b", "ann"):
            await write(f"secret/data/{name}", {"data": {}})
        _, mounts = await found.ask(found.root, ("GET", "sys/auth", None))
        ann = (await write("identity/entity", {"name": "ann"}))["data"]["id"]
        alias = {"name": "ann", "canonical_id": ann, "mount_accessor": mounts["data"]["token/"]["accessor"]}
        await write("identity/entity-alias", alias)
        yield found


_DRAWN = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_DRAWN
@given(st.sampled_from([Privilege.TENANT, Privilege.TENANT_OPERATOR]), _SOME, st.lists(_NARROW, max_size=1), _STEPS)
async def test_nothing_that_begins_with_a_biscuit_exceeds_it(
    edge: Edge, privilege: Privilege, policies: list[str], narrowed: list[Step], steps: list[Step]
) -> None:
    token = edge.biscuit(privilege, policies if privilege is Privilege.TENANT else ())
    bound = await edge.may(token)
    for step in (*narrowed, *steps):
        before = await edge.may(token) if step.kind == "narrow" else bound
        following = await edge.next(token, step)
        if following is None:
            continue
        token, _ = following
        now = await edge.may(token)
        assert now <= bound & before, [REQUESTS[number] for number in sorted(now - (bound & before))]
        if step in narrowed:
            bound = now


@_DRAWN
@given(_SOME.filter(lambda names: "boss" not in names), st.booleans(), _STEPS)
async def test_nothing_that_begins_with_a_service_token_has_what_neither_it_nor_a_role_names(
    edge: Edge, policies: list[str], known: bool, steps: list[Step]
) -> None:
    sent = {"policies": policies, "ttl": "24h", **({"entity_alias": "ann"} if known else {})}
    first = await edge.made(edge.root, f"auth/token/create{'/aliased' if known else ''}", sent)
    assert first is not None
    token, names = first
    bound = {*names}
    for step in steps:
        following = await edge.next(token, step)
        if following is None:
            continue
        token, names = following
        if step.kind in NAMING:
            bound |= {*names} - {"root"}
        assert {*names} <= bound
        if "boss" in bound:
            return  # who has sudo there may give any policy, as in Vault
        now = await edge.may(token)
        assert now <= await edge.together(bound), [REQUESTS[number] for number in sorted(now)]


async def test_the_oracle_tells_tokens_apart(edge: Edge) -> None:
    """Else nothing above could fail: each request is given by some policy, and refused to others."""
    each = {name: await edge.alone(name) for name in NAMES}
    everything = frozenset(range(len(REQUESTS)))
    assert frozenset[int]().union(*each.values()) == everything
    assert await edge.may(edge.root) == everything
    assert len({*each.values()}) > len(each) // 2
    assert not frozenset.intersection(*each.values())
    made = await edge.made(edge.root, "auth/token/create", {"policies": ["own"], "ttl": "1h"})
    assert made is not None
    assert await edge.may(made[0]) == frozenset()  # nobody whom the template knows
    narrowed = attenuate(edge.biscuit(Privilege.TENANT_OPERATOR, ()), now=time.time(), paths=["secret/data/a"])
    assert await edge.may(narrowed) == {0, 3, 4}
    batch = await edge.made(edge.root, "auth/token/create", {"policies": ["reader"], "type": "batch", "ttl": "1h"})
    assert batch is not None
    assert batch_token.tenant_of(batch[0]) is not None
