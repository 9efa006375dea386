"""Encryption with audit devices of type `file`: `python -m tests.bench.audited`, on our node and the reference.

Each kind of device in turn on both, so that what else the machine does falls on all: requests a second of each, what
a device costs of them, and how many times the reference's those are. `off` is a plain file, as the reference writes;
`lagged` and `strict` are logs that prove themselves, which it has not.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from tests.bench import wrk
from tests.bench.cases import CASES, PLAIN, SERVICE
from tests.bench.processes import listener
from tests.bench.results import REFERENCE
from tests.bench.servers import Server, ours, send
from tests.support.reference import reference

PLAIN_FILE: Final = "off"
OUR_KINDS: Final = ("none", PLAIN_FILE, "lagged", "strict")
_ENCRYPT: Final = next(case for case in CASES if case.name == "encrypt 32 B")
_BY_API: Final = "unsafe_allow_api_audit_creation = true\n"


class Ours:
    """Our node, which has one kind of device at a time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._kind = "none"

    def have(self, kind: str) -> None:
        """Have a device of this kind, and no other."""
        if kind == self._kind:
            return
        token = self.server.token(SERVICE)
        if self._kind != "none":
            send(self.server.address, token, "DELETE", "sys/audit/bench", None)
        if kind != "none":
            device = {"type": "file", "options": {"file_path": f"{kind}.log", "proof": kind}}
            send(self.server.address, token, "PUT", "sys/audit/bench", device)
        self._kind = kind


@contextmanager
def _reference(directory: Path) -> Iterator[Server]:
    """Start the reference, with a device."""
    directory.mkdir()
    with reference(directory, durable=True, settings=_BY_API) as found:
        server = Server(REFERENCE, found.address, listener(found.address), {PLAIN: found.token})
        server.send("POST", "sys/mounts/transit", {"type": "transit"})
        yield server


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=5, show_default=True)
@click.option("--connections", default=64, show_default=True)
@click.option("--workers", default=2, show_default=True)
def main(rounds: int, seconds: int, connections: int, workers: int) -> None:
    """Print requests a second, with each kind of device, in turns."""
    wrk.require()
    rates: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="kms-audited-") as name:
        place = Path(name)
        with (
            ours("sqlite", workers, tables=f'\n[audit]\nfolder = "{place}/ours"\n') as server,
            _reference(place / "plain") as bare,
            _reference(place / "audited") as audited,
        ):
            own = Ours(server)
            device = {"type": "file", "options": {"file_path": str(place / "reference.log")}}
            audited.send("PUT", "sys/audit/bench", device)
            requests = {each.address: _ENCRYPT.make(each.send) for each in (server, bare, audited)}

            def measure(who: str, kind: str, server: Server) -> None:
                sample = wrk.run(requests[server.address], server, connections=connections, seconds=seconds)
                rates.setdefault((who, kind), []).append(sample["throughput"])

            for _ in range(rounds):
                measure("reference", "none", bare)
                measure("reference", PLAIN_FILE, audited)
                for kind in OUR_KINDS:
                    own.have(kind)
                    measure("ours", kind, server)
    found = {key: statistics.median(values) for key, values in rates.items()}
    for (who, kind), rate in found.items():
        cost = 1 - rate / found[who, "none"]
        times = rate / found["reference", PLAIN_FILE]
        click.echo(f"{who:10} {kind:7} {rate:8.0f} /s, costs {cost:4.0%}, {times:5.2f} x the reference's file")


if __name__ == "__main__":
    main()
