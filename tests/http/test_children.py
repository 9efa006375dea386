"""A token that a biscuit has made never does more than the biscuit: drawn narrowings, drawn tokens, drawn requests.

All of it is real but the sockets' other end: a node, its tokens and policies, and biscuits narrowed as holders do.
`KMS_FAULT_CHILDREN_SEED` draws others, `KMS_FAULT_CHILDREN_COUNT` more of them.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import attenuate
from kms_actors.auth.principal import Capability
from kms_http.server import HttpServer
from tests.actors.node_service import configuration, started, unseal_node, unseal_tenant
from tests.support.tokens import Issuer, new_vault_id

SEED: Final = int(os.environ.get("KMS_FAULT_CHILDREN_SEED", "7"))
COUNT: Final = int(os.environ.get("KMS_FAULT_CHILDREN_COUNT", "40"))

ALL: Final = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo", "patch"] }'
SOME: Final = """
path "secret/data/a/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/+" { capabilities = ["list", "read"] }
path "auth/token/*" { capabilities = ["create", "update", "list"] }
path "sys/mounts*" { capabilities = ["read"] }
"""
REQUESTS: Final[list[tuple[str, str, Any]]] = [
    ("GET", "secret/data/a/b", None),
    ("POST", "secret/data/a/b", {"data": {"x": 1}}),
    ("POST", "secret/data/b", {"data": {"x": 1}}),
    ("GET", "secret/data/b", None),
    ("DELETE", "secret/data/b", None),
    ("LIST", "secret/metadata/a", None),
    ("LIST", "secret/metadata", None),
    ("POST", "transit/encrypt/k", {"plaintext": "AAAA"}),
    ("POST", "transit/keys/k", {}),
    ("GET", "transit/keys/k", None),
    ("GET", "sys/mounts", None),
    ("POST", "sys/mounts/secret/tune", {}),
    ("GET", "sys/policies/acl/some", None),
    ("LIST", "auth/token/accessors", None),
    ("LIST", "auth/token/roles", None),
    ("POST", "auth/token/create", {"ttl": "1h"}),
    ("POST", "auth/token/create-orphan", {"ttl": "1h"}),
    ("POST", "auth/token/create/free", {"ttl": "1h"}),
    ("POST", "auth/token/lookup", {"token": "x"}),
    ("POST", "identity/entity", {"name": "x"}),
]
PATHS: Final = ["secret/data/a/*", "secret/data/*", "secret/metadata/*", "transit/*", "sys/*", "+/data/b", "auth/*"]
_MAKING: Final = "auth/token/create*"
_FOLDERS: Final = ["secret/*", "transit/*", "sys/*", "auth/*"]


class Client:
    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self, token: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return await asyncio.to_thread(self._ask, token, method, path, body)

    def _ask(self, token: str, method: str, path: str, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            raw = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/v1/{path}", raw, {"X-Vault-Token": token})
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"{}")
        finally:
            connection.close()


@asynccontextmanager
async def serving(directory: Path, issuer: Issuer, vault_id: str) -> AsyncIterator[Client]:
    async with started(directory, configuration()) as service:
        await unseal_node(service)
        await unseal_tenant(service, vault_id)
        server = HttpServer(service, BiscuitAuthenticator([issuer.keys.public], "kms", "kms-test"), lambda *_: None)
        await server.start("127.0.0.1", 0)
        try:
            client, operator = Client(server.port), issuer.tenant_operator(vault_id)
            for name, text in (("all", ALL), ("some", SOME)):
                assert (await client(operator, "POST", f"sys/policies/acl/{name}", {"policy": text}))[0] == 204
            role = {"allowed_policies": ["all"], "orphan": True}
            assert (await client(operator, "POST", "auth/token/roles/free", role))[0] == 204
            yield client
        finally:
            await server.stop(1)


def narrowed(draw: random.Random, token: str) -> str:
    """Narrow a token at random, so that it can still make others."""
    how: dict[str, Any] = {}
    if draw.random() < 0.8:
        how["paths"] = [_MAKING, *draw.sample(PATHS, draw.randint(0, 4))]
    if draw.random() < 0.5:
        how["operations"] = [Capability.UPDATE, *draw.sample(list(Capability), draw.randint(0, 4))]
    return attenuate(token, now=time.time(), **how) if how else token


async def child(draw: random.Random, client: Client, maker: str) -> str | None:
    """Make a token at random; None where that is not allowed."""
    body: dict[str, Any] = {"ttl": "1h"}
    if draw.random() < 0.6:
        body["policies"] = draw.sample(["all", "some", "root", "default"], draw.randint(1, 2))
    if draw.random() < 0.3:
        body["type"] = "batch"
    if draw.random() < 0.2:
        body["no_parent"] = True
    status, answer = await client(maker, "POST", f"auth/token/create{draw.choice(['', '', '/free'])}", body)
    return str(answer["auth"]["client_token"]) if status == 200 else None


async def test_a_token_never_does_more_than_the_biscuit_that_made_it(tmp_path: Path) -> None:
    draw, issuer, vault_id = random.Random(SEED), Issuer(), new_vault_id()
    made = allowed = refused = 0
    async with serving(tmp_path, issuer, vault_id) as client:
        for _ in range(COUNT):
            biscuit = draw.choice(
                [
                    issuer.tenant(vault_id),
                    issuer.tenant_operator(vault_id),
                    issuer.tenant(vault_id, policies=[draw.choice(["all", "some"])]),
                ]
            )
            # An operator's that is not narrowed at all may make what stands for itself.
            biscuit = narrowed(
                draw, attenuate(biscuit, now=time.time(), paths=["secret/*", "transit/*", "sys/*", "auth/*"])
            )
            line = [biscuit]
            for _ in range(draw.randint(1, 3)):
                token = await child(draw, client, line[-1])
                if token is None:
                    break
                line.append(narrowed(draw, token) if token.startswith("hvb.") else token)
            made += len(line) - 1
            for request in draw.sample(REQUESTS, 6) if len(line) > 1 else ():
                by_biscuit, _ = await client(biscuit, *request)
                for token in line[1:]:
                    status, answer = await client(token, *request)
                    assert status != 500, (request, answer)
                    assert status == 403 or by_biscuit != 403, (request, status, SEED)
                    allowed, refused = allowed + (status != 403), refused + (status == 403)
    assert min(made, allowed, refused) >= COUNT // 2
