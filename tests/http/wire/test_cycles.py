"""What a request leaves behind goes with its last reference: no token or secret waits for a collection of cycles."""

import asyncio
import gc
import json
from collections import Counter
from pathlib import Path
from typing import Final

from kms_actors.auth.biscuit import BiscuitAuthenticator
from kms_actors.transit.messages import CreateKey
from kms_actors.transit.policy import KeyOptions
from kms_http.server import HttpServer
from tests.bench.attacks import huge_exponent
from tests.support import vaults
from tests.support.tokens import NAMESPACE, Issuer, new_vault_id

_BROKEN: Final = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

#: Method, path, body, and the status that follows.
REQUESTS = (
    ("POST", "transit/encrypt/orders", '{"plaintext": "aGVsbG8="}', 200),
    ("POST", "transit/decrypt/orders", '{"ciphertext": "vault:v1:AAAA"}', 400),
    ("POST", "transit/decrypt/none", '{"ciphertext": "vault:v1:AAAA"}', 400),
    ("POST", "secret/data/a", '{"data": {"a": "b"}}', 200),
    ("POST", "secret/data/a", '{"data": {"a": "b"}, "options": {"cas": 99}}', 400),
    ("POST", "secret/data/a", "{bad", 400),
    ("GET", "secret/data/a", "", 200),
    ("GET", "secret/data/none", "", 404),
    ("GET", "none/data/a", "", 404),
    ("PATCH", "transit/keys/orders", "{}", 405),
    ("GET", "auth/token/lookup-self", "", 200),
    # What threads find wrong comes by tasks and futures, each of which keeps the error.
    ("POST", "transit/keys/signing/set-certificate", json.dumps({"certificate_chain": _BROKEN}), 400),
    ("POST", "transit/keys/new/import", json.dumps({"type": "rsa-2048", "public_key": huge_exponent()}), 400),
)


async def exchange(port: int, token: str) -> None:
    """Send all requests over one connection, one that is refused, and one whose answer nobody waits for."""
    await leave(port, token)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for method, path, body, status in (*REQUESTS, ("GET", "secret/data/a", "", 403)):
        sent = token if status != 403 else "no token"
        head = (
            f"{method} /v1/{path} HTTP/1.1\r\nHost: h\r\nX-Vault-Token: {sent}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body.encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert answer.split(" ", 2)[1] == str(status), (path, answer)
        await reader.readexactly(int(answer.lower().split("content-length:")[1].split()[0]))
    writer.close()
    await writer.wait_closed()


async def leave(port: int, token: str) -> None:
    """Ask for many keys, see some of them made, and go."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    body = '{"count": 10000, "bits": 512}'
    head = "POST /v1/transit/datakeys/plaintext/orders HTTP/1.1\r\nHost: h\r\n"
    writer.write(f"{head}X-Vault-Token: {token}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    await asyncio.sleep(0.05)
    writer.transport.abort()


async def test_requests_and_connections_leave_no_cycles(tmp_path: Path) -> None:
    issuer, vault_id = Issuer(), new_vault_id()
    async with vaults.opened(tmp_path) as store, vaults.node(store, tmp_path) as service:
        await vaults.filled(service, vault_id)
        tenant = await service.tenant(vault_id)
        signing = CreateKey(vaults.transit_mount(tenant), "signing", KeyOptions(type="ecdsa-p256"))
        await tenant.ask(signing)
        authenticator = BiscuitAuthenticator([issuer.keys.public], "s", NAMESPACE)
        server = HttpServer(service, authenticator, lambda *_: None)
        await server.start("127.0.0.1", 0)
        try:
            await exchange(server.port, issuer.tenant(vault_id))
            gc.collect()
            gc.disable()
            for _ in range(5):
                await exchange(server.port, issuer.tenant(vault_id))
            await asyncio.sleep(0.05)
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            left = Counter(f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.garbage)
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            await server.stop(1.0)
    assert [name for name in left if name.startswith("kms_")] == []
