"""No request holds the loop: every endpoint is sent the dearest it takes, and no turn of the loop is long.

The kind: some endpoint, with some input, works for seconds without a break, and every vault of the process waits.
Here a table has the dearest input of every operation of every route; it is compared with the routes, so that whoever
adds an endpoint has to think of it. Time is that of the thread's CPU in one callback of the loop, and what took too
long is asked again: a slow moment of the machine passes, and an endpoint that works for long does so each time. What
the tests before have left in memory is not collected meanwhile. The bound is that of a few passes over the largest
body, which no request can be spared.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.auth.build import attenuate
from kms_http.server import HttpServer
from tests.actors.node_service import configuration, started, unseal_node, unseal_tenant
from tests.support.dearest import BODIES, LARGE, METHODS, TABLES, Dear, places, preparation, rows
from tests.support.tokens import Issuer, new_vault_id

#: Seconds of CPU that a turn of the loop may take.
MOST: Final = 0.4 if LARGE > 16 << 20 else 0.25
#: How often what took longer is asked in all.
_TRIES: Final = 3
_NAMESPACE: Final = "kms-test"


def test_the_table_has_every_operation_of_every_route_and_no_other() -> None:
    assert set(rows()) == set(places())


class Turns:
    """The longest turn since it was last asked for."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.what = ""

    def take(self) -> tuple[float, str]:
        taken, self.longest = self.longest, 0.0
        return taken, self.what


@contextmanager
def timed() -> Iterator[Turns]:
    turns, run = Turns(), asyncio.Handle._run

    def timing(handle: asyncio.Handle) -> None:
        before = time.thread_time()
        run(handle)
        took = time.thread_time() - before
        if took > turns.longest:
            turns.longest, turns.what = took, repr(handle)[:200]

    gc.collect()
    gc.freeze()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.Handle, "_run", timing)
            yield turns
    finally:
        gc.unfreeze()


class Client:
    """A client in a thread: what it does is not the loop's."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self.token = token

    async def __call__(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
        return await asyncio.to_thread(self._ask, method, path, body, kind)

    def _ask(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        media = kind or ("application/merge-patch+json" if method == "PATCH" else "application/json")
        try:
            connection.request(
                method, f"/v1/{path}", body or None, {"X-Vault-Token": self.token, "Content-Type": media}
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@asynccontextmanager
async def serving(directory: Path, kind: str = "") -> AsyncIterator[Client]:
    issuer, vault_id = Issuer(), new_vault_id()
    async with started(directory, configuration()) as service:
        await unseal_node(service)
        await unseal_tenant(service, vault_id)
        server = HttpServer(service, BiscuitAuthenticator([issuer.keys.public], "kms", _NAMESPACE), lambda *_: None)
        await server.start("127.0.0.1", 0)
        try:
            client = Client(server.port, issuer.tenant_operator(vault_id))
            await prepare(client, kind)
            yield client
        finally:
            await server.stop(1)


async def prepare(client: Client, kind: str) -> None:
    """Make what the table of a type of mounts names; empty: of all."""

    async def post(path: str, body: bytes) -> Any:
        status, answer = await client("POST", path, body)
        assert status in (200, 204), (path, answer[:200])

    for path, body in preparation(kind):
        await post(path, body)


async def ask_all(client: Client, dear: Mapping[str, Sequence[Dear]], method: str = "") -> dict[str, float]:
    """Return the seconds of the longest turn of each request, and its status."""
    found: dict[str, float] = {}
    with timed() as turns:
        for name, requests in dear.items():
            for number, request in enumerate(requests):
                body = await asyncio.to_thread(request.body)
                statuses: set[int] = set()
                tries: list[tuple[float, str]] = []
                while len(tries) < _TRIES and (not tries or min(tries)[0] > MOST):
                    turns.take()
                    status, _ = await client(method or name.split()[0], request.path, body)
                    assert status < 500 or status == 503, (name, number, status)
                    statuses.add(status)
                    tries.append(turns.take())
                # What ends otherwise the second time may have been let off.
                longest, what = min(tries) if len(statuses) == 1 else max(tries)
                print(f"{longest * 1e3:7.1f} ms  {statuses}  {name} #{number}")
                found[f"{name} #{number}: {what}"] = longest
    return found


@pytest.mark.parametrize("kind", sorted(TABLES))
async def test_no_endpoint_holds_the_loop(tmp_path: Path, kind: str) -> None:
    dear = {
        f"{METHODS[operation]} {kind}/{pattern}": requests
        for (of, pattern, operation), requests in rows().items()
        if of == kind
    }
    async with serving(tmp_path, kind) as client:
        found = await ask_all(client, dear)
        if kind == "":  # and a token whose checks are run for all that it asks
            client.token = attenuate(client.token, now=time.time(), paths=[f"secret/data/{n}/*" for n in range(20)])
            found |= {f"narrowed {name}": took for name, took in (await ask_all(client, dear)).items()}
    assert {name: longest for name, longest in found.items() if longest > MOST} == {}


async def test_no_body_holds_the_loop(tmp_path: Path) -> None:
    dear = {name: [Dear("transit/keys/aes/config", body)] for name, body in BODIES.items() if "form" not in name}
    forms = {name: [Dear("transit/keys/aes/config", body)] for name, body in BODIES.items() if "form" in name}
    async with serving(tmp_path) as client:
        found = await ask_all(client, dear, "POST")
        ask = client.__call__

        async def as_form(method: str, path: str, body: bytes = b"", _: str = "") -> tuple[int, bytes]:
            return await ask(method, path, body, "application/x-www-form-urlencoded")

        found |= await ask_all(as_form, forms, "POST")  # type: ignore[arg-type]
    assert {name: longest for name, longest in found.items() if longest > MOST} == {}
