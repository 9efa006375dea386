"""A reader at a terminal: what a page has them type, in shells that stop at the first failure."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from tests.support.api import Api
from tests.support.documents import Commands, commands
from tests.support.node import wait_until

ROOT: Final = Path(__file__).parents[2]
_SECONDS: Final = 240
#: Ports that pages name; those of a test are others, since these may be in use. The first is a node's, the second its
#: metrics'.
USUAL_PORTS: Final = ("8202", "9090", "8302", "9390", "8500", "4500")
_PORTS: Final = re.compile("|".join(USUAL_PORTS))


def with_ports(text: str, ports: tuple[str, ...]) -> str:
    """Return a text with the ports of a test."""
    others = dict(zip(USUAL_PORTS, ports, strict=True))
    return _PORTS.sub(lambda found: others[found[0]], text)


def read(name: str, ports: tuple[str, ...]) -> Commands:
    """Return the commands of a page, with the ports of a test."""
    return commands(with_ports((ROOT / name).read_text(encoding="utf-8"), ports), Path(name).name)


@contextlib.contextmanager
def typed(
    script: str, directory: Path, environment: dict[str, str], output: IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a script; what it started ends with it. What it prints goes to a file, if one is given."""
    with subprocess.Popen(
        ["bash", "-eu", "-o", "pipefail", "-c", f"trap 'echo \"failed: $BASH_COMMAND\"' ERR\n{script}"],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        try:
            yield shell
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)


def worked(script: str, directory: Path, environment: dict[str, str]) -> str:
    """Run a script to its end, and end what it left running; return what it printed."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        with typed(script, directory, environment, output) as shell:
            code = shell.wait(timeout=_SECONDS)
        output.seek(0)
        printed = output.read()
    assert code == 0, printed
    return printed


def serves_development(project: Path, ports: tuple[str, ...]) -> None:
    """Wait until the node of development mode has made what it prints."""
    api = Api(f"http://127.0.0.1:{ports[0]}")
    wait_until((project / ".dev/tenant.token").exists, "development mode is ready")
    assert api.call("GET", "/v1/sys/health").status == 200
