"""A node under every attack of the table for minutes, from one vault's lowest token, beside a quiet vault.

`python -m tests.bench.siege --minutes 10`: the quiet vault encrypts twenty times a second. It must see no 5xx, and
the memory of the node must be back within a tenth afterwards. Exits with 1 where that is not so.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from tests.bench.attacks import ATTACKS, Attacker
from tests.bench.processes import resident_bytes
from tests.support.api import Api, initialise, unseal
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer, new_vault_id

_INTERVAL: Final = 0.05  # seconds between two requests of the quiet vault
_IDLE: Final = 30  # seconds after which what was not asked for is let go of: tokens, vaults, the bulk worker
_SETTLING: Final = 3 * _IDLE  # seconds after which memory is looked at again
_FOLDER: Final = 20_000  # names in the long list


class Quiet:
    """A caller who encrypts now and then, and notes how that went."""

    def __init__(self, address: str, token: str) -> None:
        self._api = Api(address, token)
        self.seconds: list[float] = []
        self.statuses: Counter[int] = Counter()

    def run(self, ends: float) -> None:
        while time.monotonic() < ends:
            started = time.monotonic()
            try:
                status = self._api.post("transit/encrypt/quiet", {"plaintext": "aGVsbG8="}).status
            except OSError:
                status = 0
            self.seconds.append(time.monotonic() - started)
            self.statuses[status] += 1
            time.sleep(max(0.0, _INTERVAL - (time.monotonic() - started)))

    def told(self) -> str:
        ordered = sorted(self.seconds)
        p99 = ordered[int(len(ordered) * 0.99)] * 1000
        median, longest = statistics.median(ordered) * 1000, ordered[-1] * 1000
        return f"p50 {median:.1f} ms, p99 {p99:.1f} ms, longest {longest:.0f} ms; statuses {dict(self.statuses)}"


def _vault(node: Node, issuer: Issuer) -> str:
    vault_id = new_vault_id()
    operator = Api(node.address, issuer.tenant_operator(vault_id))
    unseal(operator, initialise(operator, 1, 1)["keys_base64"])
    return vault_id


def _attack(attacker: Attacker, names: Sequence[str], ends: float, rounds: Counter[str]) -> None:
    while time.monotonic() < ends:
        for name in names:
            ATTACKS[name](attacker)
            rounds[name] += 1
            if time.monotonic() > ends:
                return


def _fill(attacker: Attacker) -> None:
    attacker.call("POST", "transit/keys/siege", {"type": "aes256-gcm96"})
    for number in range(_FOLDER):
        attacker.call("POST", f"secret/data/many/{number}", {"data": {}})


def _megabytes(node: Node) -> float:
    return sum(resident_bytes(node.pid)) / (1 << 20)


def _by_process(node: Node) -> list[int]:
    return [size >> 20 for size in resident_bytes(node.pid)]


@click.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--attackers", default=4, show_default=True, help="Threads that attack at a time.")
@click.option("--workers", default=2, show_default=True, help="Worker processes of the node.")
def main(minutes: float, attackers: int, workers: int) -> None:
    """Besiege a node."""
    issuer = Issuer()
    with tempfile.TemporaryDirectory(prefix="kms-siege-") as directory:
        node = Node.for_issuer(Path(directory), sqlite_table, issuer)
        node.settings = f"workers = {workers}"
        node.further = f"\n[tenants]\nidle_seconds = {_IDLE}\n\n[limits]\nbulk_idle_seconds = {_IDLE}\n"
        node.start()
        try:
            holds = _besiege(node, issuer, minutes, attackers)
        finally:
            node.stop()
    if not holds:
        raise SystemExit(1)


def _besiege(node: Node, issuer: Issuer, minutes: float, attackers: int) -> bool:
    operator = Api(node.address, issuer.cluster_operator())
    unseal(operator, initialise(operator, 1, 1)["keys_base64"])
    quiet = Quiet(node.address, issuer.tenant(_vault(node, issuer)))
    victim = _vault(node, issuer)
    seats = [Attacker(node.address, issuer, victim, node.metrics_address) for _ in range(attackers)]
    _fill(seats[0])
    alone = Quiet(node.address, quiet._api.token or "")
    alone.run(time.monotonic() + 10)
    before, shares = _megabytes(node), _by_process(node)
    click.echo(f"alone:    {alone.told()}; {before:.0f} MB")
    ends = time.monotonic() + 60 * minutes
    rounds: Counter[str] = Counter()
    names = list(ATTACKS)
    threads = [threading.Thread(target=quiet.run, args=(ends,))]
    for place, seat in enumerate(seats):
        turned = names[place * len(names) // attackers :] + names[: place * len(names) // attackers]
        threads.append(threading.Thread(target=_attack, args=(seat, turned, ends, rounds)))
    for thread in threads:
        thread.start()
    highest = before
    while any(thread.is_alive() for thread in threads):
        time.sleep(1)
        highest = max(highest, _megabytes(node))
    time.sleep(_SETTLING)
    after = _megabytes(node)
    click.echo(f"by process: {shares} MB before, {_by_process(node)} MB afterwards")
    answered = sum((Counter(seat.statuses) for seat in seats), Counter())
    click.echo(f"besieged: {quiet.told()}; at most {highest:.0f} MB, afterwards {after:.0f} MB")
    click.echo(f"rounds:   {dict(rounds)}")
    click.echo(f"answers:  {dict(sorted(answered.items()))} (0: connection ended)")
    refused = sum(count for status, count in quiet.statuses.items() if status == 0 or status >= 500)
    if refused:
        click.echo(f"FAILED: the quiet vault was refused {refused} times")
    if after > 1.1 * before:
        click.echo(f"FAILED: memory is not back: {before:.0f} MB before, {after:.0f} MB afterwards")
    return not refused and after <= 1.1 * before


if __name__ == "__main__":
    main()
