"""What audit devices cost requests: processor time of a node, all its threads, without a device and with one.

`python -m tests.bench.audit_requests`: a node of one process on the embedded store; as many connections as asked for
send one request after the other each. The kinds of devices take turns, so that what else the machine does meets all
of them; the median of the rounds is told, in microseconds a request.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from pathlib import Path
from typing import Final

import click

from tests.bench.instructions import REQUESTS
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.tenant import make_tenant
from tests.support.tokens import Issuer, new_vault_id

KINDS: Final = ("none", "off", "lagged", "strict")
_WARM: Final = 200
_NANO_IN_MICRO: Final = 1000


class Measured:
    """A node with a vault, of which one kind of device is enabled at a time."""

    def __init__(self, directory: Path, environment: Path | None) -> None:
        issuer = Issuer()
        self.node = Node.for_issuer(directory, sqlite_table, issuer, further=f'\n[audit]\nfolder = "{directory}"\n')
        self.node.settings = "workers = 1"
        if environment is not None:
            self.node.program = (str(environment / "bin" / "python"), str(environment / "bin" / "kms-layer"))
        self.node.start()
        vault_id = new_vault_id()
        operator = Api(self.node.address, issuer.cluster_operator())
        unseal(operator, initialise(operator, 1, 1)["keys_base64"])
        self.api = make_tenant(self.node, issuer, vault_id).root
        self._token = issuer.tenant(vault_id)
        self._kind = "none"
        self.api.call("POST", "transit/keys/own", {})
        self.api.call("POST", "secret/data/a/b", {"data": {"a": "b" * 32}})

    def have(self, kind: str) -> None:
        if self._kind != "none":
            answer = self.api.call("DELETE", "sys/audit/file")
            assert answer.status == 204, answer
        if kind != "none":
            body = {"type": "file", "options": {"file_path": f"{kind}.log", "proof": kind}}
            answer = self.api.call("POST", "sys/audit/file", body)
            assert answer.status == 204, answer
        self._kind = kind

    def spent(self) -> int:
        """Return the processor time of all threads so far, in nanoseconds."""
        tasks = Path(f"/proc/{self.node.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def per_request(self, name: str, requests: int, connections: int) -> float:
        asyncio.run(self._send(name, _WARM, connections))
        before = self.spent()
        asyncio.run(self._send(name, requests, connections))
        return (self.spent() - before) / requests / _NANO_IN_MICRO

    async def _send(self, name: str, requests: int, connections: int) -> None:
        numbers = iter(range(requests))

        async def one() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.node.port)
            for number in numbers:
                writer.write(self._bytes(name, number))
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 20"), head
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                await reader.readexactly(length)
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(one() for _ in range(connections)))

    def _bytes(self, name: str, number: int) -> bytes:
        asked: list[bytes] = []

        def ask(method: str, path: str, body: object) -> None:
            data = b"" if body is None else json.dumps(body).encode()
            lines = (f"{method} /v1/{path} HTTP/1.1", "Host: a", f"X-Vault-Token: {self._token}")
            head = "\r\n".join((*lines, f"Content-Length: {len(data)}", "", ""))
            asked.append(head.encode() + data)

        REQUESTS[name](ask, number)
        return asked[0]


@click.command()
@click.option("--environment", type=click.Path(path_type=Path, exists=True), help="`.venv` of another checkout.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--requests", default=1000, show_default=True, help="Of each kind, in each round.")
@click.option("--connections", default=16, show_default=True)
@click.option("--of", "names", multiple=True, type=click.Choice(list(REQUESTS)), default=list(REQUESTS)[:2])
def main(environment: Path | None, rounds: int, requests: int, connections: int, names: tuple[str, ...]) -> None:
    """Print what a request takes of each kind, with each kind of device."""
    with tempfile.TemporaryDirectory(prefix="kms-audit-") as directory:
        measured = Measured(Path(directory), environment)
        try:
            found: dict[tuple[str, str], list[float]] = {}
            for _ in range(rounds):
                for kind in KINDS:
                    measured.have(kind)
                    for name in names:
                        found.setdefault((name, kind), []).append(measured.per_request(name, requests, connections))
        finally:
            measured.node.close()
    for name in names:
        plain = statistics.median(found[name, "none"])
        for kind in KINDS:
            micros = statistics.median(found[name, kind])
            click.echo(f"{name:14}{kind:8}{micros:7.0f} µs {micros / plain - 1:+7.0%}")


if __name__ == "__main__":
    main()
