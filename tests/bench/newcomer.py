"""What a new user waits for: from a fresh clone to the first secret in two commands, three nodes in one more.

    python -m tests.bench.newcomer [FOLDER]

Clones this project into a folder that is not there yet (one of its own otherwise), and types what the README says:
`make run`, a secret by curl, and, where FoundationDB is here, `make cluster`. Packages come from the registry that
pip is set up for, so the first figure is mostly that of a network.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.support import fdb_cluster

_ROOT: Final = Path(__file__).parents[2]
_ADDRESS: Final = "http://127.0.0.1:8202"
_SECONDS: Final = 15 * 60
_SECRET: Final = (
    """curl -sf -H "X-Vault-Token: $(cat .dev/tenant.token)" -d '{"data": {"passcode": "x"}}' """
    f"{_ADDRESS}/v1/secret/data/creds"
)


@contextlib.contextmanager
def typed(command: str, place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run what stays in its terminal, and interrupt it in the end."""
    with (place / "typed.log").open("ab") as log:
        process = subprocess.Popen(command.split(), cwd=place, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def until(holds: Callable[[], bool], process: subprocess.Popen[bytes], place: Path) -> float:
    """Return after how many seconds it held."""
    began = time.monotonic()
    while not holds():
        if process.poll() is not None or time.monotonic() > began + _SECONDS:
            raise SystemExit((place / "typed.log").read_text(encoding="utf-8")[-2000:])
        time.sleep(0.05)
    return time.monotonic() - began


def healthy() -> bool:
    """Tell whether the node is unsealed."""
    command = ["curl", "-sf", f"{_ADDRESS}/v1/sys/health"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def say(seconds: float, what: str) -> None:
    print(f"{seconds:6.1f} s  {what}", flush=True)


def main(place: Path) -> None:
    """Print the seconds of each step."""
    began = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(place)], check=True)
    say(time.monotonic() - began, "git clone")
    token = place / ".dev/tenant.token"
    for which in ("make run, the first time: with its environment", "make run, again"):
        with typed("make run", place) as process:
            say(until(lambda: token.exists() and healthy(), process, place), which)
            began = time.monotonic()
            subprocess.run(_SECRET, shell=True, cwd=place, check=True, capture_output=True)  # as typed
            say(time.monotonic() - began, "a secret by curl")
        token.unlink()
    if reason := fdb_cluster.absent():
        print(f"no cluster: {reason}")
        return
    with typed("make cluster", place) as process:
        log = place / "typed.log"
        shown = until(lambda: "Load balancer:" in log.read_text(encoding="utf-8"), process, place)
        say(shown, "make cluster: a database, three nodes that answer, a balancer")


if __name__ == "__main__":
    print(f"loads {os.getloadavg()}")
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch, "clever-kms"))
