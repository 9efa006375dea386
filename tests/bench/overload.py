"""A node that is asked for more than it can do: `python -m tests.bench.overload`.

- `tenfold`: ten times what the node can do, on many connections, each at its share of it. What is accepted has a p99
  below 250 ms, the rest is refused within 50 ms; two seconds later as much is done as before.
- `noisy`: a vault with 256 connections of batches. The p99 of one that asks now and then is below three times what it
  is alone.
- `slow`: 5,000 connections that send a byte a second. The p99 of others is below twice what it is without them.

Alone and beside others in turns, the median of the rounds. Exits with 1 where something does not hold.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from tests.bench import wrk
from tests.bench.bystander import Asked, Bystander, p99
from tests.bench.cases import CASES, Request
from tests.bench.processes import none_left
from tests.bench.servers import Server, send
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer, new_vault_id

_TENFOLD_CASES: Final = ("encrypt batch of 400", "sign rsa-4096")
_NOISY: Final = "encrypt batch of 400"
_NOISY_CONNECTIONS: Final = 256
_OPEN: Final = 512  # connections of an open loop


@dataclass(frozen=True)
class Two:
    """A node with two vaults."""

    noisy: Server
    quiet: Server


class Found(NamedTuple):
    """What is measured, and whether it is as it must be."""

    line: str
    holds: bool


@contextmanager
def _node(workers: int) -> Iterator[Two]:
    issuer = Issuer()
    with tempfile.TemporaryDirectory(prefix="kms-overload-") as directory:
        node = Node.for_issuer(Path(directory), sqlite_table, issuer)
        node.settings = f"workers = {workers}"
        node.further = "\n[limits]\nconnections = 8192\n"
        node.start()
        try:
            operator = Api(node.address, issuer.cluster_operator())
            unseal(operator, initialise(operator, 1, 1)["keys_base64"])
            yield Two(_vault(node, issuer, "noisy"), _vault(node, issuer, "quiet"))
        finally:
            node.stop()


def _vault(node: Node, issuer: Issuer, name: str) -> Server:
    vault_id = new_vault_id()
    operator = Api(node.address, issuer.tenant_operator(vault_id))
    unseal(operator, initialise(operator, 1, 1)["keys_base64"])
    return Server(name, node.address, node.pid, {"plain biscuit": issuer.tenant(vault_id)})


def _request(name: str, server: Server) -> Request:
    case = next(case for case in CASES if case.name == name)

    def prepare(method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = send(server.address, server.token("plain biscuit"), method, path, body)
        data: dict[str, Any] = answer.get("data") or answer
        return data

    return case.make(prepare)


# Ten times what can be done.


def _tenfold(node: Two, seconds: int, _: int) -> Iterator[Found]:
    for name in _TENFOLD_CASES:
        request = _request(name, node.noisy)
        wrk.run(request, node.noisy, connections=16, seconds=1)
        before = wrk.run(request, node.noisy, connections=16, seconds=3)["throughput"]
        rate = int(10 * before)
        codes, latencies = _flood(request, node.noisy, rate, seconds)
        time.sleep(1)
        after = wrk.run(request, node.noisy, connections=16, seconds=1)["throughput"]
        accepted = [took for code, took in zip(codes, latencies, strict=True) if code == 200]
        refused = [took for code, took in zip(codes, latencies, strict=True) if code == 503]
        others = len(codes) - len(accepted) - len(refused)
        holds = bool(accepted and refused) and p99(accepted) < 250 and p99(refused) < 50 and not others
        yield Found(
            f"tenfold: {name}: {before:.0f}/s can be done, {len(codes) / seconds:.0f}/s sent for {seconds} s: "
            f"{len(accepted) / seconds:.0f}/s accepted, p50 {statistics.median(accepted or [0]):.0f} ms, "
            f"p99 {p99(accepted or [0]):.0f} ms; {len(refused) / seconds:.0f}/s refused, "
            f"p50 {statistics.median(refused or [0]):.1f} ms, p99 {p99(refused or [0]):.1f} ms; {others} others; "
            f"{after:.0f}/s from 1 to 2 s after",
            holds and after > 0.8 * before,
        )


def _flood(request: Request, server: Server, rate: int, seconds: int) -> tuple[list[int], list[float]]:
    """Ask a server that much a second on many connections, each at its share of it; return codes and milliseconds."""
    with tempfile.TemporaryDirectory() as directory:
        body, found = Path(directory) / "body", Path(directory) / "found"
        body.write_text(request.body, encoding="utf-8")
        headers = [f"--header={name}: {value}" for name, value in server.headers(request).items()]
        subprocess.run(
            [
                *("h2load", "--h1", "--threads=1", f"--clients={_OPEN}", f"--rps={rate / _OPEN:.2f}"),
                *(f"--duration={seconds}", f"--data={body}", f"--log-file={found}", *headers),
                f"{server.address}/v1/{request.path}",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=seconds + 120,
        )
        answers = [line.split() for line in found.read_text(encoding="ascii").splitlines()]
    return [int(code) for _, code, _ in answers], [int(microseconds) / 1e3 for _, _, microseconds in answers]


# A noisy vault, and slow connections: a bystander alone and beside them.


def _bystanders(server: Server) -> dict[str, Bystander]:
    key = _request("encrypt 32 B", server).path.rpartition("/")[2]
    api = Api(server.address, server.token("plain biscuit"))
    api.post("secret/data/bystander", {"data": {"a": "b"}})
    asks = {
        "encrypt": Asked("POST", f"transit/encrypt/{key}", {"plaintext": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}),
        "kv get": Asked("GET", "secret/data/bystander", None),
    }
    return {name: Bystander(server.address, server.token("plain biscuit"), ask) for name, ask in asks.items()}


class Others(NamedTuple):
    """Who is beside the bystander, how long they take to begin, and how many times what it is his p99 may become."""

    command: Sequence[str]
    settling: float
    most: float


def _beside(bystander: Bystander, others: Others, seconds: float, rounds: int) -> Iterator[tuple[float, float]]:
    """Yield the p99 alone and beside others, in turns."""
    for _ in range(rounds):
        alone = p99(bystander.watch(seconds))
        process = subprocess.Popen(others.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(others.settling)
            beside = p99(bystander.watch(seconds))
            if process.poll() is not None:
                raise RuntimeError(f"{others.command[0]} has ended early")
        finally:
            process.terminate()
            process.wait()
        yield alone, beside
        time.sleep(1)


def _compare(part: str, node: Two, others: Others, seconds: int, rounds: int) -> Iterator[Found]:
    for name, bystander in _bystanders(node.quiet).items():
        pairs = list(_beside(bystander, others, seconds, rounds))
        ratios = [beside / alone for alone, beside in pairs]
        refused = sum(count for status, count in bystander.statuses.items() if status != 200)
        yield Found(
            f"{part}: {name}: p99 {statistics.median(alone for alone, _ in pairs):.2f} ms alone, "
            f"{statistics.median(beside for _, beside in pairs):.2f} ms beside, "
            f"{statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f}); {refused} refused",
            statistics.median(ratios) < others.most and not refused,
        )


def _noise(node: Two, seconds: int, rounds: int) -> Iterator[Found]:
    request = _request(_NOISY, node.noisy)
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "request.lua"
        script.write_text(wrk.script_of(request, node.noisy.headers(request)), encoding="utf-8")
        command = ["wrk", "-t1", f"-c{_NOISY_CONNECTIONS}", "-d60s", "-s", str(script), node.noisy.address]
        yield from _compare("noisy", node, Others(command, settling=0.5, most=3), seconds, rounds)


def _slow(node: Two, seconds: int, rounds: int) -> Iterator[Found]:
    command = [sys.executable, "-m", "tests.bench.drip", node.quiet.address, "5000"]
    yield from _compare("slow", node, Others(command, settling=3, most=2), seconds, rounds)


PARTS: Final = {"tenfold": _tenfold, "noisy": _noise, "slow": _slow}


@click.command()
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), default=list(PARTS))
@click.option("--seconds", default=5, show_default=True, help="Length of each flood, and of each look.")
@click.option("--rounds", default=3, show_default=True, help="Looks alone, and beside others.")
@click.option("--workers", default=1, show_default=True, help="Worker processes of the node.")
def main(parts: Sequence[str], seconds: int, rounds: int, workers: int) -> None:
    """Measure a node that is asked for too much."""
    wrk.require()
    if "tenfold" in parts and shutil.which("h2load") is None:
        raise SystemExit("h2load is missing: apt-get install nghttp2-client")
    holds = True
    for part in parts:
        with _node(workers) as node:
            for found in PARTS[part](node, seconds, rounds):
                click.echo(f"{'' if found.holds else 'FAILED: '}{found.line}")
                holds = holds and found.holds
    if not holds:
        raise SystemExit(1)


if __name__ == "__main__":
    with none_left():
        main()
