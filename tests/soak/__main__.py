"""A node under load for long: `make soak MINUTES=60`, or `python -m tests.soak --help`.

A thousand vaults, TLS, audit devices of both modes; clients at 70 percent of what they reach at first, at the same
time as workers are killed, the database stands still or is gone, vaults are sealed, logs are moved away and a disk is
full. It ends with 1 unless every answer was as it must be, all that was acknowledged is there at the end, the memory
of the worker that lived through it is flat, and no descriptor was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from kms_actors.cli.private_file import create_private
from tests.bench.processes import none_left
from tests.bench.results import percentile
from tests.bench.tenant_store import fill
from tests.soak.ledger import Ledger
from tests.soak.load import Load, Place
from tests.soak.trouble import Trouble
from tests.soak.vaults import Vault, new_vault, prepared
from tests.soak.watch import Sample, Watch
from tests.support import certificates
from tests.support.api import Api
from tests.support.fdb_cluster import FdbCluster
from tests.support.node import Node, free_port, sqlite_table
from tests.support.tokens import Issuer

#: Vaults of which much is asked.
_BUSY: Final = 20
_STRICT: Final = 5  # of these with a device of their own
_SHARE: Final = 0.7
_SETTLING: Final = 15.0  # seconds until connections have ended
_LOOK: Final = 5.0  # seconds between two looks at memory
#: Of all requests at most that may be refused for want of room: their clients ask again.
_REFUSED: Final = 0.001
#: Part of the time in which logs are rotated, which has all workers start anew: in the next one caches fill.
_ROTATING: Final = 0.2
#: Megabytes an hour, of a process, up to which its memory counts as flat, and descriptors of files that may be more:
#: connections to the embedded store are opened as they are wanted, and kept.
_FLAT: Final = 12.0
_FILLED: Final = 900.0  # in less time, in seconds, caches still fill
_FILES: Final = 100
_TOLD: Final = 20


class Wanted(NamedTuple):
    """What is asked for."""

    minutes: float
    calibrate: float  # seconds
    every: float  # seconds from one trouble to the next
    vaults: int
    store: str
    seed: int


@click.command()
@click.option("--minutes", default=60.0, show_default=True)
@click.option("--calibrate", default=30.0, show_default=True, help="Seconds to find out what can be reached.")
@click.option("--every", default=30.0, show_default=True, help="Seconds between two troubles.")
@click.option("--vaults", default=1_000, show_default=True)
@click.option("--store", type=click.Choice(["foundationdb", "sqlite"]), default="foundationdb", show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(**options: Any) -> None:
    """Run it, and tell what came of it."""
    with none_left(), tempfile.TemporaryDirectory(prefix="kms-soak-") as name:
        findings = soak(Path(name), Wanted(**options))
    for finding in findings:
        click.echo(f"FAILED: {finding}")
    if findings:
        raise SystemExit(1)


def soak(directory: Path, wanted: Wanted) -> list[str]:
    """Run it in a directory; return what may not be."""
    issuer, port = Issuer(), free_port()
    server = certificates.server()
    certificate, key = server.files(directory, "server")
    with _store(directory, wanted.store) as (database, table):
        key_file = directory / "master.key"
        create_private(key_file, os.urandom(32).hex())
        node = Node.for_issuer(directory, lambda _: table, issuer, provider=f'key_file = "{key_file}"')
        node.provider_name, node.settings, node.listed = "static", "workers = 2", True
        node.further = (
            f'[tenants]\nidle_seconds = 60\n[audit]\nfolder = "{directory / "audit"}"\n'
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {node.port}\n'
            f'[[listeners]]\nhost = "127.0.0.1"\nport = {port}\n[listeners.tls]\n'
            f'certificate_file = "{certificate}"\nprivate_key_file = "{key}"\n'
        )
        node.start()  # makes the store
        node.stop()
        ids = asyncio.run(fill(table, key_file, max(0, wanted.vaults - _BUSY)))
        node.start()
        try:
            others = [Vault(vault_id, issuer.tenant(vault_id)) for vault_id in ids]
            busy = [new_vault(node, issuer) for _ in range(min(_BUSY, wanted.vaults))]
            with _devices(node, issuer, busy) as (full, small):
                for vault in (*busy, *others):
                    prepared(node, vault)
                context = ssl.create_default_context(cadata=server.pem)
                trouble = Trouble(node, database, busy[_STRICT:], full, small)
                place = Place(f"https://127.0.0.1:{port}", context, busy, others or busy)
                findings = asyncio.run(_run(wanted, node, place, trouble))
                return [*findings, _said_of_audit(node)] if findings else []
        except BaseException:  # what ended it may be the node's doing, whose log goes with the directory
            click.echo(_said_of_workers(node), err=True)
            raise
        finally:
            node.stop()


async def _run(wanted: Wanted, node: Node, place: Place, trouble: Trouble) -> list[str]:
    ledger, watch = Ledger(), Watch(node.pid)
    made = (place, ledger, trouble, wanted.seed)
    async with Load(*made) as load:
        reached = await load.run(wanted.calibrate, None)
    await asyncio.sleep(_SETTLING)
    before = watch.look()
    rate = _SHARE * reached
    click.echo(f"reached {reached:,.0f} requests/s; {rate:,.0f} are asked; {_told(before)}")
    async with Load(*made) as load:
        ends = time.monotonic() + 60 * wanted.minutes
        asking = asyncio.create_task(load.run(60 * wanted.minutes, rate))
        async with asyncio.TaskGroup() as group:
            group.create_task(_look(watch, ends))
            began = time.monotonic()
            await _trouble(trouble, began + _ROTATING * 60 * wanted.minutes, wanted.every)
            await trouble.keep_one()
            await _trouble(trouble, began + 30 * wanted.minutes, wanted.every)
            half = watch.look().seconds
            await _trouble(trouble, ends, wanted.every)
        answered = await asking
        statuses = dict(sorted(load.counts.items()))
        p50, p99 = (1000 * percentile(load.seconds, share) for share in (0.5, 0.99))
        click.echo(f"answered {answered:,.0f} requests/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms: {statuses}")
        click.echo(
            f"excused: {dict(sorted(load.excused.items()))}; refused for want of room: {load.refused}; "
            f"troubles: {dict(trouble.counts)}"
        )
        if load.refused > _REFUSED * load.requests:
            load.found(f"{load.refused} of {load.requests} requests were refused for want of room")
        by_id = {vault.id: vault for vault in (*place.busy, *place.others)}
        await asyncio.sleep(_SETTLING)
        began = time.monotonic()
        for vault, path in list(ledger.secrets):
            await load.check(by_id[vault], path)
        for vault, ciphertext, plaintext in ledger.ciphertexts:
            await load.check_ciphertext(by_id[vault], ciphertext, plaintext)
        written = sum(secret.versions for secret in ledger.secrets.values())
        click.echo(
            f"{written:,} acknowledged writes of {len(ledger.secrets):,} secrets, and {len(ledger.ciphertexts):,} "
            f"ciphertexts, compared in {time.monotonic() - began:.0f} s"
        )
    await asyncio.sleep(_SETTLING)
    return [*load.findings, *_grown(node, watch, before, trouble, half)]


def _said_of_audit(node: Node) -> str:
    said = _said(node, lambda line: "audit" in line and "[info" not in line)
    return "\n".join(("what the node's log says of audit, in the end:", *said))


def _said_of_workers(node: Node) -> str:
    said = _said(node, lambda line: "worker" in line or "[error" in line)
    return "\n".join(("what the node's log says of workers and errors, in the end:", *said))


def _said(node: Node, told: Callable[[str], bool]) -> list[str]:
    return [line for line in node.log.splitlines() if told(line)][-_TOLD:]


def _grown(node: Node, watch: Watch, before: Sample, trouble: Trouble, half: float) -> Iterator[str]:
    after = watch.look()
    growth = watch.growth(half)
    told = ", ".join(f"{by:.1f}" for by in growth.values())
    click.echo(f"afterwards {_told(after)}; MB an hour, in the second half, of those that lasted: {told}")
    lasting = [round(sample.memory[trouble.lasting]) for sample in watch.samples if trouble.lasting in sample.memory]
    click.echo(f"MB of the worker that nobody killed, in {_TOLD} looks: {lasting[:: max(1, len(lasting) // _TOLD)]}")
    slope = growth.get(trouble.lasting)
    if slope is None:
        said = [line for line in node.log.splitlines() if "worker" in line][-8:]
        yield "\n".join(("the worker that nobody killed is not there any more:", *said))
    elif slope > _FLAT and after.seconds - half > _FILLED:
        yield f"the memory of a worker grows by {slope:.1f} MB an hour"
    for kind, most in (("socket", 0), ("pipe", 0), ("anon_inode", 0), ("file", _FILES)):
        more = after.descriptors[kind] - before.descriptors[kind]
        if more > most:
            yield f"{more} descriptors more than before, of the kind {kind}"


def _told(sample: Sample) -> str:
    memory = " + ".join(f"{size:.0f}" for size in sample.memory.values())
    return f"{memory} MB, descriptors {dict(sorted(sample.descriptors.items()))}"


async def _look(watch: Watch, ends: float) -> None:
    while time.monotonic() < ends:
        await asyncio.to_thread(watch.look)
        await asyncio.sleep(_LOOK)


async def _trouble(trouble: Trouble, ends: float, every: float) -> None:
    while time.monotonic() + every < ends:
        await asyncio.sleep(every)
        await trouble.next()


@contextlib.contextmanager
def _store(directory: Path, store: str) -> Iterator[tuple[FdbCluster | None, str]]:
    if store == "sqlite":
        yield None, sqlite_table(directory)
        return
    database = FdbCluster(directory)
    database.start()
    try:
        yield database, f'cluster_file_path = "{database.cluster_file}"'
    finally:
        database.kill()


@contextlib.contextmanager
def _devices(node: Node, issuer: Issuer, busy: list[Vault]) -> Iterator[tuple[Vault | None, Path]]:
    """Have the node, and some vaults, audited; one of these on a small file system, where that can be mounted."""
    small = node.directory / "audit/vaults" / busy[-1].id
    small.mkdir(parents=True, mode=0o700)
    mounted = os.geteuid() == 0 and _mount(small)
    if not mounted:
        click.echo("no disk is full here: only root mounts a small file system")
    operator = Api(node.address, issuer.cluster_operator())
    lagged = {"type": "file", "options": {"file_path": "node.log", "proof": "lagged"}}
    assert operator.put("sys/audit/node", lagged).status == 204
    for vault in (*busy[:_STRICT], busy[-1]):
        strict = {"type": "file", "options": {"file_path": "own.log", "proof": "strict"}}
        answer = Api(node.address, vault.root).put("sys/audit/own", strict)
        assert answer.status == 204, (answer.status, answer.body)
    try:
        yield busy[-1] if mounted else None, small
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(small)], check=True)


def _mount(folder: Path) -> bool:
    options = ["mount", "-t", "tmpfs", "-o", "size=256m,mode=700", "tmpfs", str(folder)]
    return subprocess.run(options, check=False, capture_output=True).returncode == 0


if __name__ == "__main__":
    main()
