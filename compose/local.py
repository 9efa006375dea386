"""`make cluster`: the demo cluster without containers, on loopback.

A real FoundationDB, three nodes and a load balancer, all under `.cluster/`. Needs `fdbserver` and `fdbcli` on the
PATH and `libfdb_c.so` where the loader finds it (packages foundationdb-server and foundationdb-clients, 7.3). Ctrl-C
ends it; data stays for the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parent))
from prepare import ROOT, node_configuration, token_keys, tokens

BALANCER_PORT = 8200
NODE_PORTS = (8211, 8212, 8213)
METRICS_PORTS = (9211, 9212, 9213)
DATABASE_PORT = 4590


class Balancer:
    """Passes each connection on to the next node that takes it."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._turns = itertools.cycle(ports)
        self._tries = len(ports)

    async def serve(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._connection, "127.0.0.1", port)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(self._tries):
            try:
                node_reader, node_writer = await asyncio.open_connection("127.0.0.1", next(self._turns))
            except OSError:
                continue
            await asyncio.gather(_copy(reader, node_writer), _copy(node_reader, writer))
            return
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def process(*command: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process until the block ends, then end it as an operator would."""
    with log.open("ab") as output:
        running = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output, cwd=ROOT)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            try:
                await asyncio.wait_for(running.wait(), 15)
            except TimeoutError:
                running.kill()


@contextlib.asynccontextmanager
async def database(directory: Path) -> AsyncIterator[Path]:
    """Run a FoundationDB of one process; yield its cluster file."""
    cluster_file = directory / "fdb.cluster"
    new = not cluster_file.exists()
    if new:
        cluster_file.write_text(f"demo:demo@127.0.0.1:{DATABASE_PORT}\n", encoding="ascii")
    for name in ("fdb-data", "fdb-log"):
        (directory / name).mkdir(exist_ok=True)
    command = [
        "fdbserver",
        *("--cluster-file", str(cluster_file)),
        *("--public-address", f"127.0.0.1:{DATABASE_PORT}", "--listen-address", "public"),
        *("--datadir", str(directory / "fdb-data"), "--logdir", str(directory / "fdb-log")),
    ]
    async with process(*command, log=directory / "fdbserver.log"):
        if new:
            await _fdbcli(cluster_file, "configure new single ssd")
        await _fdbcli(cluster_file, "status minimal")
        yield cluster_file


async def _fdbcli(cluster_file: Path, command: str) -> None:
    running = await asyncio.create_subprocess_exec(
        *("fdbcli", "-C", str(cluster_file), "--timeout", "30", "--exec", command),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await running.wait():
        raise click.ClickException(f"fdbcli could not run `{command}`")


async def _listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


def _configuration(directory: Path, number: int, cluster_file: Path) -> Path:
    """Write a node's configuration for loopback, from the one for containers."""
    text = node_configuration(number, token_keys(directory))
    for old, new in (
        ('host = "0.0.0.0"', 'host = "127.0.0.1"'),
        ("port = 8202", f"port = {NODE_PORTS[number - 1]}"),
        ("port = 9090", f"port = {METRICS_PORTS[number - 1]}"),
        ("/etc/foundationdb/fdb.cluster", str(cluster_file)),
    ):
        text = text.replace(old, new)
    path = directory / f"node-{number}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _welcome(directory: Path) -> str:
    lines = [f"{privilege} token:\n{token}\n" for privilege, token in tokens(token_keys(directory)).items()]
    nodes = " ".join(f"http://127.0.0.1:{port}" for port in NODE_PORTS)
    return "\n".join(
        [
            *lines,
            f"Load balancer: http://127.0.0.1:{BALANCER_PORT}   nodes: {nodes}",
            "As cluster operator: `vault operator init` on one node, then `vault operator unseal` on each of them.",
            "As tenant operator: init and unseal through the load balancer, once for all nodes.",
            f"Logs are in {directory}. Ctrl-C ends the cluster.",
        ]
    )


async def run(directory: Path) -> None:
    """Run the cluster until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(wanted, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        cluster_file = await stack.enter_async_context(database(directory))
        layer = str(Path(sys.executable).with_name("kms-layer"))
        for number in (1, 2, 3):
            configuration = _configuration(directory, number, cluster_file)
            command = (layer, "--configuration", str(configuration))
            await stack.enter_async_context(process(*command, log=directory / f"node-{number}.log"))
        await asyncio.gather(*map(_listening, NODE_PORTS))
        balancer = await Balancer(NODE_PORTS).serve(BALANCER_PORT)
        click.echo(_welcome(directory))
        await stopping.wait()
        balancer.close()


@click.command()
@click.option("--directory", type=click.Path(path_type=Path), default=ROOT / ".cluster", help="Keys, data and logs.")
def main(directory: Path) -> None:
    """Run FoundationDB, three nodes and a load balancer on loopback."""
    for program in ("fdbserver", "fdbcli"):
        if shutil.which(program) is None:
            raise click.ClickException(f"{program} is missing: install foundationdb-server and -clients 7.3")
    for port in (BALANCER_PORT, DATABASE_PORT, *NODE_PORTS, *METRICS_PORTS):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise click.ClickException(f"port {port} is taken")
    directory.mkdir(mode=0o700, exist_ok=True)
    asyncio.run(run(directory.resolve()))


if __name__ == "__main__":
    main()
