"""Where the memory of an awake tenant goes: `python -m tests.bench.awake`, the actors of a worker without HTTP.

Resident memory tells what a tenant takes, `--trace` by which lines of Python; a traced run is slow, and its resident
memory means nothing. Keyrings are measured apart, as many as there are tenants.
"""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import click
import uvloop

from kms_actors.actors.node.service import NodeService
from kms_actors.keyring.keyring import Keyring
from kms_actors.kv.messages import ReadConfig
from tests.bench.processes import resident_bytes
from tests.bench.tenant_store import fill
from tests.support import vaults

_FIRST = 50  # tenants that are woken before anything is measured
_LINES = 40


@click.command()
@click.option("--tenants", default=3_000, show_default=True, help="Tenants that are woken, each by one KV request.")
@click.option("--trace", is_flag=True, help="Show which lines of Python allocated how much.")
def main(*, tenants: int, trace: bool) -> None:
    """Measure what tenants take while they are awake."""
    uvloop.run(_measure(tenants, trace))


async def _measure(count: int, trace: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with _filled(Path(directory), _FIRST + count) as (service, vault_ids):
            for vault_id in vault_ids[:_FIRST]:
                await _wake(service, vault_id)
            if trace:
                await _traced(service, vault_ids[_FIRST:])
            else:
                await _resident(service, vault_ids[_FIRST:])


@contextlib.asynccontextmanager
async def _filled(directory: Path, count: int) -> AsyncIterator[tuple[NodeService, list[str]]]:
    async with vaults.opened(directory) as store, vaults.node(store, directory) as service:
        cluster = vaults.configuration(directory).cluster
        table = f'backend = "sqlite"\npath = "{cluster.path}"'
        yield service, await fill(table, directory / "master.key", count)


async def _wake(service: NodeService, vault_id: str) -> None:
    tenant = await service.tenant(vault_id)
    found = tenant.mounts.match("secret/config")
    assert found is not None
    await tenant.ask(ReadConfig(found[0].number))


async def _resident(service: NodeService, vault_ids: Sequence[str]) -> None:
    each = len(vault_ids)
    counted = service.tenant_bytes
    with _grown("an awake tenant, keyring included", each):
        for vault_id in vault_ids:
            await _wake(service, vault_id)
    click.echo(f"{'as estimated':40} {(service.tenant_bytes - counted) / each:8,.0f} B")
    started = time.perf_counter()
    gc.collect()
    click.echo(f"{'a full collection, all awake':40} {(time.perf_counter() - started) * 1e3:8,.0f} ms")
    with _grown("a keyring", each):
        keyrings = [_used_keyring() for _ in vault_ids]
    assert len(keyrings) == each


def _used_keyring() -> Keyring:
    keyring = Keyring.load(Keyring.generate(time.time(), owner="vault_" + os.urandom(18).hex()).dump())
    keyring.open(b"key", keyring.seal(b"key", b"record"))
    return keyring


@contextlib.contextmanager
def _grown(name: str, each: int) -> Iterator[None]:
    gc.collect()
    before = resident_bytes(os.getpid())[-1]
    yield
    gc.collect()
    click.echo(f"{name:40} {(resident_bytes(os.getpid())[-1] - before) / each:8,.0f} B")


async def _traced(service: NodeService, vault_ids: Sequence[str]) -> None:
    gc.collect()
    tracemalloc.start(1)
    before = tracemalloc.take_snapshot()
    for vault_id in vault_ids:
        await _wake(service, vault_id)
    gc.collect()
    grown = tracemalloc.take_snapshot().compare_to(before, "lineno")
    each = len(vault_ids)
    click.echo(f"{sum(line.size_diff for line in grown) / each:8,.0f} B in all, of Python's own objects")
    for line in grown[:_LINES]:
        place = line.traceback[0]
        where = "/".join(Path(place.filename).parts[-2:])
        click.echo(
            f"{line.size_diff / each:8,.0f} B in {line.count_diff / each:4.1f} blocks at {where}:{place.lineno}"
        )


if __name__ == "__main__":
    main()
