"""A node to fuzz, and storms of requests over it for so long, with what they came to."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.fuzz.api.storm import Finding, Storm
from tests.support.api import Api, initialise, unseal
from tests.support.memory import family
from tests.support.node import Node, sqlite_table
from tests.support.tokens import Issuer

#: What a node says of a request, an actor or a connection that failed as none may.
_TROUBLE: Final = re.compile(r"Traceback|request failed|connection failed|actor failed|task failed")
_FURTHER: Final = """
[tenants]
login_urls = []
idle_seconds = 20.0
[audit]
folder = "{folder}"
"""


class Outcome(NamedTuple):
    """Requests, seconds, answers by status, what was wrong; operations that did something; megabytes after rounds."""

    requests: int
    seconds: float
    counts: dict[int, int]
    findings: list[Finding]
    trouble: list[str]  # lines of the node's log
    operations: int
    memory: list[float]

    @property
    def growth(self) -> float:
        """Megabytes by which the memory grew over the second half of the rounds: the middle of its last fifth against
        that of its first."""
        half = self.memory[len(self.memory) // 2 :]
        fifth = max(1, len(half) // 5)
        return sorted(half[-fifth:])[fifth // 2] - sorted(half[:fifth])[fifth // 2]

    def __str__(self) -> str:
        rate = self.requests / max(self.seconds, 0.001)
        statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(self.counts.items()))
        return (
            f"{self.requests:,} requests in {self.seconds:.0f} s ({rate:.0f} a second), {statuses}; "
            f"{self.operations} operations did something; {self.memory[0]:.0f} to {self.memory[-1]:.0f} MB, "
            f"{self.growth:+.1f} over the second half; {len(self.findings)} findings, {len(self.trouble)} of the log"
        )


@contextmanager
def fuzzed_node(directory: Path) -> Iterator[tuple[Node, Issuer, list[str]]]:
    """Run a node whose vaults fetch from nowhere; return it, who makes its tokens, and its master key's shares."""
    issuer, folder = Issuer(), directory / "audit"
    folder.mkdir(mode=0o700)
    node = Node.for_issuer(directory, sqlite_table, issuer, further=_FURTHER.format(folder=folder))
    node.start()
    try:
        operator = Api(node.address, issuer.cluster_operator())
        shares = initialise(operator)["keys_base64"]
        unseal(operator, shares)
        yield node, issuer, shares
        code = node.stop()
        assert code == 0, node.log[-4000:]
    finally:
        node.close()


def storm(
    directory: Path,
    seed: int,
    *,
    seconds: float = 0,
    requests: int = 0,
    each_round: int = 4000,
    tell: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Send drawn requests for so many seconds, or so many requests, in rounds with a vault each."""
    with fuzzed_node(directory) as (node, issuer, shares):
        found = Storm(node, issuer, shares, seed)
        started, memory = time.monotonic(), []
        while time.monotonic() < started + seconds or found.requests < requests:
            found.round(min(each_round, requests - found.requests) if requests else each_round)
            memory.append(megabytes(node))
            tell(f"{found.requests:,} requests, {len(found.findings)} findings, {memory[-1]:.0f} MB")
        took = time.monotonic() - started
        trouble = [line for line in node.log.splitlines() if _TROUBLE.search(line)]
        return Outcome(found.requests, took, dict(found.counts), found.findings, trouble, len(found.asked), memory)


def megabytes(node: Node) -> float:
    """Return what a node's processes hold of memory, together."""
    pages = (Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1] for pid in family(node.pid))
    return sum(map(int, pages)) * 4096 / 1e6
