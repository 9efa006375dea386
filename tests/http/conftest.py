"""An HTTP server over a node made of snapshots: it records messages, and answers or fails as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from yarl import URL

from kms_actors.auth.principal import Access, Acl, Capability, Principal, Right
from kms_actors.auth.service_token import TokenProof
from kms_actors.cubbyhole.records import Taken
from kms_actors.errors import AuthenticationFailed, Sealed
from kms_actors.insight.cors import Cors
from kms_actors.messages import (
    Command,
    Message,
    Query,
    ReadSealStatus,
    SealStatus,
)
from kms_actors.mounts import (
    Mount,
    MountTable,
)
from kms_actors.quota.limiter import Limiter
from kms_actors.tenancy.records import Erasure
from kms_http import server
from kms_http.backend import Trail
from kms_http.fields import Fields, to_int, to_str
from kms_http.routing import EXISTENCE, Call, Endpoint, Operation, Reply, Route, Router
from kms_http.server import HttpServer

NAMESPACE = "kms-c1"
VAULT_ID = "vault_8fa9b31c-4c55-4f11-b9bf-6a656c678906"
ROOT_SERVICE_TOKEN = "hvs.000007" + "a" * 18
CANARY = "canary-Zm9vYmFy-secret"
NOW = 1_800_000_000.25


@dataclass
class FakePrincipal:
    resource: str
    right: Right
    allowed: Callable[[Access], bool] = lambda access: True
    policies: tuple[str, ...] = ("default",)
    accessor: str = "n/a"
    display_name: str = "biscuit"
    metadata: Mapping[str, str] | None = None
    issued_at: int = 0
    expires_at: float | None = None
    revocation_ids: tuple[str, ...] = ("r1",)
    narrowed: bool = True
    acl: Acl | None = None
    under: Principal | None = None
    seen: list[Access] = field(default_factory=list)

    def allows(self, access: Access) -> bool:
        self.seen.append(access)
        return self.allowed(access)


class Answering:
    """Answers messages by type: a value, an exception to raise, or a callable."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answers: dict[type[Message], Any] = {}

    async def ask(self, message: Message) -> Any:
        self.asked.append(message)
        answer = self.answers.get(type(message))
        if callable(answer) and not isinstance(answer, type):
            answer = await answer(message)
        if isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException)):
            raise answer
        return answer


class FakeTenant(Answering):
    def __init__(self) -> None:
        super().__init__()
        self.vault_id = VAULT_ID
        self.sealed = False
        self.limiter: Limiter | None = None
        self.erasure: Erasure | None = None
        self.revoked_ids: set[str] = set()
        self.trail: Trail | None = None
        self.all_seen = True  # biscuits, in the month of now
        self.mounts = MountTable(
            [
                Mount("secret/", "kv", 1, "9b1c", "kv_9b1c", "key/value secret storage", {"version": "2"}),
                Mount("transit/", "transit", 2, "77aa", "transit_77aa"),
                Mount("toy/", "toy", 3, "1234", "toy_1234"),
                Mount("auth/door/", "door", 4, "5678", "auth_door_5678"),
            ]
        )
        self.answers[ReadSealStatus] = SealStatus(initialized=True, sealed=False, threshold=2, shares=3)

    def revoked(self, revocation_ids: tuple[str, ...]) -> bool:
        return not self.revoked_ids.isdisjoint(revocation_ids)

    def seen(self, biscuit: str, now: float) -> bool:
        return self.all_seen


class FakeBackend(Answering):
    namespace = NAMESPACE
    default_vault = VAULT_ID
    audited = False

    def __init__(self) -> None:
        super().__init__()
        self.node_sealed = False
        self.cors: Cors | None = None
        self.console_headers: list[tuple[bytes, bytes]] = []
        self.only_tenant = FakeTenant()
        self.revoked_ids: set[str] = set()
        self.proof: TokenProof | None = None
        self.taken_tokens: dict[str, Taken] = {}
        self.answers[ReadSealStatus] = SealStatus(initialized=True, sealed=False, threshold=3, shares=5)

    def node_revoked(self, revocation_ids: tuple[str, ...]) -> bool:
        return not self.revoked_ids.isdisjoint(revocation_ids)

    async def trail(self) -> Trail | None:
        return None

    async def ask_node(self, message: Message) -> Any:
        return await self.ask(message)

    def awake(self, vault_id: str) -> FakeTenant | None:
        return None  # always asked for

    async def tenant(self, vault_id: str) -> FakeTenant:
        if self.node_sealed:
            raise Sealed
        assert vault_id == VAULT_ID
        return self.only_tenant

    async def named_tenant(self, vault_id: str) -> FakeTenant | None:
        return self.only_tenant if vault_id == VAULT_ID else None

    async def taken(self, number: int, token: str) -> Taken | None:
        return self.taken_tokens.get(token)

    async def tenant_by_token(self, number: int, digest: bytes) -> tuple[FakeTenant, TokenProof | None] | None:
        if self.node_sealed:
            raise Sealed
        return (self.only_tenant, self.proof) if number == 7 else None

    async def tenant_by_batch_token(self, number: int, token: str) -> FakeTenant | None:
        if self.node_sealed:
            raise Sealed
        return self.only_tenant if number == 7 else None


class FakeAuthenticator:
    def __init__(self) -> None:
        self.principals = {
            "operator": FakePrincipal(NAMESPACE, Right.OPERATOR),
            "foreign-operator": FakePrincipal("kms-c2", Right.OPERATOR),
            "root": FakePrincipal(VAULT_ID, Right.ROOT, metadata={"owner": "orga_1"}),
            "data": FakePrincipal(VAULT_ID, Right.DATA),
            "nothing": FakePrincipal(VAULT_ID, Right.DATA, allowed=lambda access: False),
        }

    def authenticate(self, token: str, now: float) -> FakePrincipal:
        principal = self.principals.get(token)
        if principal is None:
            raise AuthenticationFailed("unknown token")
        return principal


class ToyQuery(Query, frozen=True):
    name: str
    limit: int


class ToyCommand(Command, frozen=True):
    name: str
    text: str
    call: Call


def _toy_command(call: Call) -> ToyCommand:
    return ToyCommand(call.captures["name"], call.values.get("text", ""), call)


def _toy_look(_: Call) -> ToyQuery:
    return ToyQuery("", 0)


def _toy_command_of_none(call: Call) -> ToyCommand:
    return ToyCommand("", "", call)


def _toy_reply(call: Call, result: Any) -> Reply:
    return result if isinstance(result, Reply) else Reply(data={"result": result})


_TOY_FIELDS = Fields(text=to_str, limit=to_int)
TOY_ROUTES = (
    Route("names", {Operation.LIST: Endpoint(lambda call: ToyQuery("", 0), _toy_reply, Capability.LIST)}),
    Route(
        "names/{name}",
        {
            Operation.READ: Endpoint(
                lambda call: ToyQuery(call.captures["name"], call.values.get("limit", 0)),
                _toy_reply,
                Capability.READ,
                _TOY_FIELDS,
            ),
            Operation.WRITE: Endpoint(_toy_command, _toy_reply, EXISTENCE, _TOY_FIELDS),
            Operation.PATCH: Endpoint(_toy_command, _toy_reply, Capability.PATCH, _TOY_FIELDS),
            Operation.DELETE: Endpoint(
                _toy_command, lambda call, _: Reply(status=204), Capability.DELETE, _TOY_FIELDS
            ),
        },
    ),
)

DOOR_ROUTES = (
    Route("login", {Operation.WRITE: Endpoint(_toy_command_of_none, _toy_reply, Capability.UPDATE, anonymous=True)}),
    Route("users", {Operation.READ: Endpoint(lambda call: ToyQuery("", 0), _toy_reply, Capability.READ)}),
    Route("all", {Operation.READ: Endpoint(lambda call: ToyQuery("", 0), _toy_reply, Capability.READ, sudo=True)}),
    Route(
        "own", {Operation.READ: Endpoint(lambda call: ToyQuery("", 0), _toy_reply, Capability.READ, own_check=True)}
    ),
)


class Answer(msgspec.Struct):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def errors(self) -> list[str]:
        errors = self.json["errors"]
        assert isinstance(errors, list)
        return errors


class Service:
    """The server under test and a client of it."""

    def __init__(self, session: ClientSession) -> None:
        self.backend = FakeBackend()
        self.authenticator = FakeAuthenticator()
        self.observed: list[tuple[str, int, float]] = []
        self.engines = {
            "kv": Router(()),
            "transit": Router(()),
            "toy": Router(TOY_ROUTES),
            "door": Router(DOOR_ROUTES),
        }
        self.server = HttpServer(
            self.backend, self.authenticator, lambda *seen: self.observed.append(seen), self.engines
        )
        self._session = session

    @property
    def tenant(self) -> FakeTenant:
        return self.backend.only_tenant

    def toys_answer(self, answer: Any) -> None:
        """Set what every message of the toy engine is answered with."""
        self.tenant.answers = {ToyQuery: answer, ToyCommand: answer}

    async def call(
        self, method: str, path: str, token: str = "", json: Any = None, data: Any = None, **headers: str
    ) -> Answer:
        """Send one request; header names are given with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["X-Vault-Token"] = token
        url = URL(f"http://127.0.0.1:{self.server.port}{path}", encoded=True)
        async with self._session.request(
            method, url, headers=sent, json=json, data=data, allow_redirects=False
        ) as response:
            return Answer(response.status, dict(response.headers), await response.read())

    async def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Send bytes and return all that comes back until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            writer.write(data)
            if half_close:
                writer.write_eof()
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(server, "LINGER_SECONDS", 0.2)
    async with ClientSession(auto_decompress=False, skip_auto_headers=("Content-Type",)) as session:
        service = Service(session)
        await service.server.start("127.0.0.1", 0)
        yield service
        await service.server.stop(1)
