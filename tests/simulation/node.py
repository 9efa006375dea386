"""A node of the simulation: its actors and its HTTP edge, in a process of the virtual loop; and the way to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from kms_actors import config
from kms_actors.actors.node.service import NodeService
from kms_actors.processes.serving import authenticator
from kms_http.api import missing
from kms_http.api.routes import CATALOGUE, ENGINES, SYSTEM
from kms_http.console.pages import Console
from kms_http.handler import Handler
from kms_http.wire.connection import Connection
from kms_http.wire.hub import Hub
from kms_http.wire.limits import Limits
from kms_http.wire.refusals import Refusals
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.native import OUTSIDE, SimulatedStore, Sky

#: Virtual seconds a client waits for an answer.
PATIENCE: Final = 15.0
_CLIENT: Final = "198.51.100.7"
#: Virtual seconds between client and node, each way, at most.
_WAY: Final = 0.0005
#: The one vault, of which tokens are that name none.
VAULT: Final = "vault_simulated"


def configuration(directory: Path, name: str, keys: tuple[str, str], lease: float) -> config.Configuration:
    """Return the configuration of a node, which unseals itself by the key in `directory`."""
    tree = {
        "cluster": {"backend": "sqlite", "path": "unused"},
        "master_keyring_provider": {
            "name": "static",
            "key_file": str(directory / "master.key"),
            "namespace": "kms-c1",
            "node_name": name,
        },
        "authenticator": {"name": "biscuit", "provider": {"keys": [list(keys)], "service": "s"}},
        "tenants": {
            "lease_seconds": lease,
            "idle_seconds": 20.0,
            "rotation_check_seconds": 5.0,
            "default_vault": VAULT,
        },
    }
    return config.check(tree, directory / "node.toml")


class Answer(NamedTuple):
    """What a client got, and between which moments: `status` 0 if nothing came back."""

    status: int
    body: Any
    sent: float
    got: float

    @property
    def good(self) -> bool:
        """True where it was done."""
        return 200 <= self.status < 300

    @property
    def unknown(self) -> bool:
        """True where it may have been done, or may not."""
        return self.status == 0 or self.status >= 500

    @property
    def data(self) -> Any:
        """What a good answer carries."""
        return self.body["data"]


class SimulatedNode:
    """`start` begins a process, and another one after a `kill`."""

    def __init__(self, name: str, settings: config.Configuration, sky: Sky) -> None:
        self.name = name
        self._settings = settings
        self._sky = sky
        self._hub: Hub | None = None
        self.service: NodeService | None = None
        self.process = Process(name)
        self.process.dead = True

    async def start(self) -> None:
        """Run it; it serves a drawn moment later, or never if it is killed before."""
        skew = self.process.skew
        self.process = OUTSIDE.run(Process, self.name)
        self.process.skew = skew
        asyncio.get_running_loop().create_task(self._run(), context=self.process.context)

    async def _run(self) -> None:
        loop = cast(VirtualLoop, asyncio.get_running_loop())
        store = SimulatedStore(self._sky)
        while True:
            service = NodeService(self._settings, store)
            try:
                await service.start()
                break
            except Exception:  # noqa: BLE001 - as a supervisor does, which starts a node again that could not begin
                await asyncio.sleep(1.0)
        self.service = service
        handler = Handler(
            service,
            authenticator(self._settings),
            lambda *_: None,
            system=SYSTEM,
            engines=ENGINES,
            absent=missing,
            catalogue=CATALOGUE,
            console=Console(),
        )
        self._hub = Hub(
            handler,
            Limits(),
            keepalive_seconds=75,
            linger_seconds=5,
            head_seconds=75,
            refusals=Refusals(loop.time),
            slices=service.turns,
            account_of=handler.accounts.of,
            clock=loop.time,
            cpu=loop.time,
        )
        assert self._hub.loop is loop

    @property
    def serves(self) -> bool:
        """True once it takes requests."""
        return self._hub is not None and not self.process.dead

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.process.kill()
        self._hub = self.service = None
        self._sky.database.forget(self.process)

    def connect(self, answered: Callable[[bytes], None]) -> Connection | None:
        """Return a connection whose answers are told to `answered`; None where nobody listens."""
        if self._hub is None:
            return None
        hub, context = self._hub, self.process.context.copy()
        connection = context.run(Connection, hub, hub.shares.hold(_CLIENT, many=False), _CLIENT, lambda: None)
        transport = _Transport(connection, answered, context)
        context.run(connection.connection_made, transport)
        return connection


class _Transport(asyncio.Transport):
    """The client's end of a connection, as a node sees it."""

    def __init__(self, connection: Connection, answered: Callable[[bytes], None], context: Any) -> None:
        super().__init__({"peername": (_CLIENT, 1)})
        self._connection, self._answered, self._context = connection, answered, context
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing:
            self._answered(bytes(data))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._connection.connection_lost, None, context=self._context)

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def can_write_eof(self) -> bool:
        return False


class Sent(NamedTuple):
    """A request."""

    method: str
    path: str
    token: str
    body: Any
    headers: dict[str, str]

    def encode(self) -> bytes:
        """Return its bytes."""
        content = b"" if self.body is None else json.dumps(self.body).encode()
        lines = [f"{self.method} /v1/{self.path} HTTP/1.1", "Host: kms", f"Content-Length: {len(content)}"]
        lines += [f"X-Vault-Token: {self.token}"] * bool(self.token)
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


async def send(node: SimulatedNode, sky: Sky, request: Sent) -> Answer:
    """Send a request on a connection of its own, and wait for its answer."""
    loop = sky.loop
    sent = loop.now
    await asyncio.sleep(sky.chance.random() * _WAY)
    arrived: asyncio.Future[bytes] = loop.create_future()
    received = bytearray()

    def take(data: bytes) -> None:
        received.extend(data)
        if not arrived.done():
            loop.call_later(sky.chance.random() * _WAY, _complete, arrived, received, context=OUTSIDE)

    connection = node.connect(take)
    if connection is None:
        return Answer(0, None, sent, loop.now)
    context = node.process.context.copy()
    loop.call_soon(connection.data_received, request.encode(), context=context)
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await arrived
    except TimeoutError:
        return Answer(0, None, sent, loop.now)
    finally:
        loop.call_soon(connection.connection_lost, None, context=context)
    head, _, rest = answer.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ", 2)[1]), json.loads(rest) if rest.strip() else None, sent, loop.now)


def _complete(arrived: asyncio.Future[bytes], received: bytearray) -> None:
    if not arrived.done():
        arrived.set_result(bytes(received))
