"""A client's program run to its end, and what it tells it has seen."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.clients.building import command_of
from tests.clients.matrix import Client
from tests.clients.server import Server

#: Seconds a program may take, with two cores shared by others.
PATIENCE: Final = 120

#: What a program tells of an area once it has seen it, as `Client.did` of the tests does.
_DID: Final = re.compile(r"^did: (.+)$", re.MULTILINE)


def run_program(client: Client, server: Server, home: Path) -> list[str]:
    """Return what the program of a library was seen to do; it ends with 0 only if all that it looked at held."""
    done = run(command_of(client), server.environment(home), home)
    told = _DID.findall(done)
    assert told, f"{client.title} tells nothing that it did:\n{done}"
    return told


@contextlib.contextmanager
def running(command: list[str], environment: dict[str, str], home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a program run for as long as this lasts; its log is `log` in `home`."""
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)  # which all of them heed; SIGTERM is the child's alone to some
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait(PATIENCE)


def run(command: list[str], environment: dict[str, str], home: Path, *, code: int = 0) -> str:
    """Run a command in `home`, which must end with `code`; return what it printed, errors if it failed."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stderr if code else done.stdout
